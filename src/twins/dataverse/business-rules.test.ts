import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type DataverseTwin, dataverseToken, startDataverse } from './dataverse.ts'

let twin: DataverseTwin
beforeEach(async () => {
  twin = await startDataverse()
})
afterEach(() => twin.stop())

async function ask(method: string, path: string, body?: object) {
  const response = await fetch(`${twin.origin}/api/data/v9.2/${path}`, {
    method,
    headers: { authorization: `Bearer ${dataverseToken}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, text }
}

const bind = (set: string, key: string) => ({ [`${set}@odata.bind`]: key })
const group = (name: string) => ({ new_sapkey: name, name, baseuomname: 'Each' })

describe('an invoice that is paid or canceled', () => {
  beforeEach(async () => {
    const account = twin.put('account', { accountnumber: '1001' })
    twin.put('invoice', { new_sapkey: '90', name: 'I', ...bind('customerid_account', `/accounts(${account})`) })
    twin.put('invoicedetail', line('90-1'))
    expect((await ask('PATCH', invoice, { statecode: 2, statuscode: 100_001 })).status).toBe(204)
  })
  const invoice = "invoices(new_sapkey='90')"
  const line = (key: string) => ({
    new_sapkey: key,
    ...bind('invoiceid', `/${invoice}`),
    isproductoverridden: true,
    productdescription: 'Pump',
  })

  test.each<[string, string, string, object | undefined]>([
    ['a column', 'PATCH', invoice, { name: 'x' }],
    ['a column with its state', 'PATCH', invoice, { name: 'x', statecode: 0, statuscode: 1 }],
    ['a line that changes', 'PATCH', "invoicedetails(new_sapkey='90-1')", { quantity: 5 }],
    ['a new line', 'POST', 'invoicedetails', line('90-2')],
    ['a line that goes', 'DELETE', "invoicedetails(new_sapkey='90-1')", undefined],
  ])('refuses %s', async (_what, method, path, body) => {
    const before = [twin.records('invoice'), twin.records('invoicedetail')]
    const { status, text } = await ask(method, path, body)
    expect([status, text]).toEqual([400, expect.stringMatching(/Read-Only Entity|parent is not editable/)])
    expect([twin.records('invoice'), twin.records('invoicedetail')]).toEqual(before)
  })

  test('takes no line of another invoice', async () => {
    const account = twin.records('account')[0]?.['accountid']
    twin.put('invoice', { new_sapkey: '91', name: 'O', ...bind('customerid_account', `/accounts(${String(account)})`) })
    twin.put('invoicedetail', { ...line('91-1'), ...bind('invoiceid', "/invoices(new_sapkey='91')") })
    const { status } = await ask('PATCH', "invoicedetails(new_sapkey='91-1')", bind('invoiceid', `/${invoice}`))
    expect(status).toBe(400)
  })

  test('takes another state, and all of it once it is open', async () => {
    expect((await ask('PATCH', invoice, { statecode: 3, statuscode: 100_003 })).status).toBe(204)
    expect((await ask('PATCH', invoice, { statecode: 0, statuscode: 1 })).status).toBe(204)
    expect((await ask('PATCH', invoice, { name: 'x' })).status).toBe(204)
    expect((await ask('DELETE', "invoicedetails(new_sapkey='90-1')")).status).toBe(204)
  })
})

test('an inactive account takes changes, as the API of Dynamics 365 lets it', async () => {
  twin.put('account', { accountnumber: '1001', statecode: 1, statuscode: 2 })
  expect((await ask('PATCH', "accounts(accountnumber='1001')", { name: 'x' })).status).toBe(204)
})

describe('unit groups', () => {
  test('come with their base unit, and need its name', async () => {
    expect(await ask('POST', 'uomschedules', { name: 'x' })).toMatchObject({
      status: 400,
      text: expect.stringContaining('baseuomname'),
    })
    expect((await ask('POST', 'uomschedules', group('4711'))).status).toBe(204)
    const [made] = twin.records('uomschedule').slice(-1)
    expect(twin.records('uom').at(-1)).toMatchObject({
      name: 'Each',
      quantity: 1,
      isschedulebaseuom: true,
      _uomscheduleid_value: made?.['uomscheduleid'],
    })
  })

  test('a line names a unit of the group of its product', async () => {
    const account = twin.put('account', { accountnumber: '1001' })
    twin.put('invoice', { new_sapkey: '90', name: 'I', ...bind('customerid_account', `/accounts(${account})`) })
    await ask('POST', 'uomschedules', group('4711'))
    const own = twin.records('uom').at(-1)?.['uomid']
    twin.put('product', {
      productnumber: '4711',
      new_sapkey: '4711',
      name: 'Pump',
      ...bind('defaultuomid', `/uoms(${String(own)})`),
      ...bind('defaultuomscheduleid', "/uomschedules(new_sapkey='4711')"),
    })
    const line = {
      ...bind('invoiceid', "/invoices(new_sapkey='90')"),
      ...bind('productid', "/products(new_sapkey='4711')"),
    }
    const unitAlone = {
      ...bind('invoiceid', "/invoices(new_sapkey='90')"),
      ...bind('uomid', "/uoms(new_sapkey='Each')"),
    }
    expect(await ask('POST', 'invoicedetails', unitAlone)).toMatchObject({
      status: 400,
      text: expect.stringContaining('productid'),
    })
    const foreign = { ...line, ...bind('uomid', "/uoms(new_sapkey='Each')") }
    expect(await ask('POST', 'invoicedetails', line)).toMatchObject({
      status: 400,
      text: expect.stringContaining('uomid'),
    })
    expect(await ask('POST', 'invoicedetails', foreign)).toMatchObject({
      status: 400,
      text: expect.stringContaining('not in the unit group'),
    })
    expect((await ask('POST', 'invoicedetails', { ...line, ...bind('uomid', `/uoms(${String(own)})`) })).status).toBe(
      204,
    )
  })
})
