import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Receipt, Receiver } from '../flow/adapter.ts'
import { HubError } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import { dataverseErrors } from '../protocols/dataverse/errors.ts'
import { type DataverseTwin, startDataverse } from '../twins/dataverse/dataverse.ts'
import { dataverse } from './dataverse.ts'
import { dataverseConfig } from './dataverse-config.ts'
import { isRefusal } from './dataverse-reopen.ts'
import { dataverseContext } from './dataverse-world.ts'
import { effectOf, messageOf } from './http-world.ts'

let twin: DataverseTwin
const opened: Receiver[] = []
beforeEach(async () => {
  twin = await startDataverse()
  const account = twin.put('account', { accountnumber: '1001' })
  const bind = `/accounts(${account})`
  const paid = { statecode: 2, statuscode: 100_001 }
  twin.put('invoice', { new_sapkey: '90', name: 'Paid', 'customerid_account@odata.bind': bind })
  twin.put('invoicedetail', { new_sapkey: '90-1', ...line, quantity: 1, isproductoverridden: true })
  twin.put('invoice', { new_sapkey: '91', name: 'Open', 'customerid_account@odata.bind': bind })
  await send({ ...invoices, operation: 'update' }, { new_sapkey: '90', ...paid })
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map(receiver => receiver.close()))
  await twin.stop()
})

const line = { 'invoiceid@odata.bind': "/invoices(new_sapkey='90')", productdescription: 'Pump' }
const invoices = { set: 'invoices', key: ['new_sapkey'] }
const lines = { set: 'invoicedetails', key: ['new_sapkey'], operation: 'upsert-many' }
const reopenParent = { set: 'invoices', key: { new_sapkey: '90' } }

async function send(config: object, body: Json): Promise<Receipt> {
  const wanted = { url: twin.origin, auth: 'dynamics', ...config }
  const receiver = await dataverse.open({ ...dataverseContext(wanted), config: dataverseConfig.parse(wanted) })
  opened.push(receiver)
  const message = messageOf(JSON.stringify(body))
  return receiver.deliver(message, effectOf(message, {}))
}

const answerOf = ({ answer }: Receipt): unknown => JSON.parse(Buffer.from(answer?.body ?? '').toString())
const invoice = (key: string) => twin.records('invoice').find(({ new_sapkey }) => new_sapkey === key)
const lineKeys = () => twin.records('invoicedetail').map(({ new_sapkey }) => new_sapkey)

describe('a paid invoice', () => {
  test('takes no change, and neither do its lines; the error says what to write', async () => {
    await expect(send(invoices, { new_sapkey: '90', name: 'x' })).rejects.toMatchObject({
      code: 'DATAVERSE_READ_ONLY',
      next: expect.stringContaining('reopen'),
    })
    const more = { new_sapkey: '90-2', ...line, quantity: 2 }
    await expect(send(lines, [more])).rejects.toMatchObject({ code: 'DATAVERSE_ROWS_REFUSED' })
    expect([invoice('90')?.['name'], lineKeys()]).toEqual(['Paid', ['90-1']])
  })

  test.each(['upsert', 'update', 'check-then-write'])('is opened, changed and paid again by %s', async operation => {
    const receipt = await send({ ...invoices, operation, reopen: {} }, { new_sapkey: '90', name: 'Corrected' })
    expect(receipt.fields).toMatchObject({ operation: 'updated', id: invoice('90')?.['invoiceid'] })
    expect(invoice('90')).toMatchObject({ name: 'Corrected', statecode: 2, statuscode: 100_001 })
  })

  test('gets the state that the change names', async () => {
    const canceled = { statecode: 3, statuscode: 100_003 }
    await send({ ...invoices, reopen: {} }, { new_sapkey: '90', name: 'Canceled', ...canceled })
    expect(invoice('90')).toMatchObject({ name: 'Canceled', ...canceled })
    await send({ ...invoices, reopen: {} }, { new_sapkey: '90', name: 'Open', statecode: 0, statuscode: 1 })
    expect(invoice('90')).toMatchObject({ name: 'Open', statecode: 0, statuscode: 1 })
  })

  test('takes changed and new lines, all in one changeset', async () => {
    const before = twin.requests.length
    const rows = [
      { new_sapkey: '90-1', ...line, quantity: 5 },
      { new_sapkey: '90-2', ...line, quantity: 2, '@create': { isproductoverridden: true } },
    ]
    const receipt = await send({ ...lines, reopen: reopenParent }, rows)
    expect(receipt.fields).toMatchObject({ count: 2, created: 1, updated: 1 })
    expect(invoice('90')).toMatchObject({ statecode: 2, statuscode: 100_001 })
    expect(twin.records('invoicedetail')).toMatchObject([{ quantity: 5 }, { quantity: 2, isproductoverridden: true }])
    // One look at the invoice, and not a refusal for each line.
    const changes = twin.requests.slice(before).filter(({ method }) => method !== 'GET')
    expect(changes.map(({ url }) => url.split('/').at(-1))).toEqual(['$batch'])
  })

  test('takes new lines whose product is there, is not there yet, or must be there', async () => {
    const unit = { 'defaultuomid@odata.bind': "/uoms(new_sapkey='Each')" }
    const group = { 'defaultuomscheduleid@odata.bind': "/uomschedules(name='Default Unit')" }
    const product = twin.put('product', { productnumber: '4711', new_sapkey: '4711', name: 'Pump', ...unit, ...group })
    const of = (key: string, material: string) => ({
      new_sapkey: key,
      'invoiceid@odata.bind': "/invoices(new_sapkey='90')",
      '@create': {
        'productid@odata.bind': `/products(new_sapkey='${material}')`,
        'uomid@odata.bind': "/uoms(new_sapkey='Each')",
      },
    })
    const textOf = { '@unlinked': { isproductoverridden: true, productdescription: 'Valve' } }
    const rows = [
      { new_sapkey: '90-1', ...line, quantity: 9 },
      { ...of('90-2', '4711'), ...textOf },
      { ...of('90-3', 'none'), ...textOf },
    ]
    const { records } = answerOf(await send({ ...lines, reopen: reopenParent }, rows)) as {
      records: readonly { readonly key: string; readonly operation: string; readonly id: string }[]
    }
    const found = twin.records('invoicedetail')
    expect(records).toEqual([
      { key: '90-1', operation: 'updated', id: found[0]?.['invoicedetailid'] },
      { key: '90-2', operation: 'created', id: found[1]?.['invoicedetailid'] },
      { key: '90-3', operation: 'created', id: found[2]?.['invoicedetailid'] },
    ])
    expect(found.slice(1)).toMatchObject([
      { _productid_value: product },
      { isproductoverridden: true, productdescription: 'Valve' },
    ])
    await expect(send({ ...lines, reopen: reopenParent }, [of('90-4', 'none')])).rejects.toMatchObject({
      code: 'DATAVERSE_PARENT_MISSING',
      retry: 'soon',
    })
    expect(invoice('90')).toMatchObject({ statecode: 2 })
  })

  test('takes a line alone', async () => {
    await send({ ...lines, reopen: reopenParent }, [{ new_sapkey: '90-1', ...line, quantity: 7 }])
    expect([invoice('90')?.['statecode'], twin.records('invoicedetail')[0]?.['quantity']]).toEqual([2, 7])
  })

  test('takes as many lines as a changeset has room for, and says so where there are more', async () => {
    const rows = Array.from({ length: 999 }, (_, index) => ({ new_sapkey: `90-${index}`, ...line, quantity: 1 }))
    await expect(send({ ...lines, reopen: reopenParent }, rows)).rejects.toMatchObject({
      code: 'DATAVERSE_BODY_UNFIT',
      message: expect.stringContaining('998 can'),
    })
    expect(lineKeys()).toEqual(['90-1'])
  })

  test('stays paid, with all it had, when one of its lines is refused', async () => {
    const rows = [
      { new_sapkey: '90-1', ...line, quantity: 5 },
      { new_sapkey: '90-2', ...line, quantity: 2, '@create': { isproductoverridden: true, lineitemnumber: -1 } },
    ]
    await expect(send({ ...lines, reopen: reopenParent }, rows)).rejects.toMatchObject({
      code: 'DATAVERSE_VALUE_REFUSED',
      message: expect.stringContaining('lineitemnumber'),
    })
    expect(invoice('90')).toMatchObject({ statecode: 2 })
    expect(twin.records('invoicedetail')).toMatchObject([{ quantity: 1 }])
  })
})

test.each([
  [dataverseErrors.READ_ONLY, true],
  [dataverseErrors.ROWS_REFUSED, true],
  [dataverseErrors.REFUSED, true],
  [dataverseErrors.VALUE_REFUSED, true],
  [dataverseErrors.PLUGIN_REFUSED, true],
  [dataverseErrors.THROTTLED, false],
  [dataverseErrors.PARENT_MISSING, false],
  [dataverseErrors.LOGIN_REFUSED, false],
])('a closed record may be behind $code: %s', ({ code }, mayBe) => {
  const spec = { side: 'receiver', retry: 'never', means: '', next: '' } as const
  expect(isRefusal(new HubError(code, spec))).toBe(mayBe)
})

test('an open invoice is not reopened: what is refused there is refused for another reason', async () => {
  const wrong = { new_sapkey: '91', duedate: '2026-11-20', name: 'x'.repeat(301) }
  await expect(send({ ...invoices, reopen: {} }, wrong)).rejects.toMatchObject({ code: 'DATAVERSE_VALUE_REFUSED' })
  expect(twin.requests.filter(({ url }) => url.includes('$batch'))).toEqual([])
})

describe('a record made without what it refers to', () => {
  const row = {
    new_sapkey: '91-1',
    'invoiceid@odata.bind': "/invoices(new_sapkey='91')",
    quantity: 3,
    '@create': {
      lineitemnumber: 10,
      'productid@odata.bind': "/products(new_sapkey='4711')",
      'uomid@odata.bind': "/uoms(new_sapkey='Each')",
    },
    '@unlinked': { isproductoverridden: true, productdescription: 'Pump' },
  }
  const ways: readonly [string, object][] = [
    ['upsert-many', lines],
    ['upsert-many by changeset', { ...lines, by: 'changeset' }],
    ['upsert', { ...lines, operation: 'upsert' }],
    ['check-then-write', { ...lines, operation: 'check-then-write' }],
    ['create', { ...lines, operation: 'create' }],
  ]
  const made = () => twin.records('invoicedetail').find(({ new_sapkey }) => new_sapkey === '91-1')

  test.each(ways)('by %s, while it is not there', async (name, config) => {
    await send(config, name.startsWith('upsert-many') ? [row] : row)
    expect(made()).toMatchObject({ isproductoverridden: true, productdescription: 'Pump', lineitemnumber: 10 })
  })

  test.each(ways)('by %s, refers to it when it is there', async (name, config) => {
    const unit = { 'defaultuomid@odata.bind': "/uoms(new_sapkey='Each')" }
    const group = { 'defaultuomscheduleid@odata.bind': "/uomschedules(name='Default Unit')" }
    const product = twin.put('product', { productnumber: '4711', new_sapkey: '4711', name: 'Pump', ...unit, ...group })
    await send(config, name.startsWith('upsert-many') ? [row] : row)
    expect(made()).toMatchObject({ _productid_value: product, lineitemnumber: 10 })
    expect(made()).not.toHaveProperty('productdescription')
  })

  test('refers to nothing where its message names nothing', async () => {
    const ofNone = { ...row['@create'], 'productid@odata.bind': null }
    const { '@create': _create, ...bare } = { ...row, new_sapkey: '91-2' }
    await send(lines, [{ ...row, '@create': ofNone }, bare])
    expect(twin.records('invoicedetail').slice(-2)).toMatchObject([
      { new_sapkey: '91-1', isproductoverridden: true, productdescription: 'Pump' },
      { new_sapkey: '91-2', isproductoverridden: true, productdescription: 'Pump' },
    ])
  })

  test('waits for what its other fields refer to', async () => {
    const orphan = { ...row, 'invoiceid@odata.bind': "/invoices(new_sapkey='none')" }
    await expect(send(lines, [orphan])).rejects.toMatchObject({ code: 'DATAVERSE_PARENT_MISSING', retry: 'soon' })
    expect(made()).toBeUndefined()
  })
})

test.each([
  [{ ...invoices, operation: 'create', reopen: {} }, /reopen goes with/],
  [{ ...lines, reopen: {} }, /set and key of the record that they belong to/],
  [{ ...invoices, reopen: { set: 'invoices' } }, /set and key of reopen go together/],
])('%o is refused by the lint', (config, words) => {
  expect(() => dataverseConfig.parse({ url: 'https://contoso.crm4.dynamics.com', ...config })).toThrow(words)
})
