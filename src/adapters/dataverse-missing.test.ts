import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Receipt, Receiver } from '../flow/adapter.ts'
import type { Json } from '../kernel/json.ts'
import { type DataverseTwin, startDataverse } from '../twins/dataverse/dataverse.ts'
import { dataverse } from './dataverse.ts'
import { dataverseContext } from './dataverse-world.ts'
import { effectOf, messageOf } from './http-world.ts'

let twin: DataverseTwin
const opened: Receiver[] = []
beforeEach(async () => {
  twin = await startDataverse()
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map(receiver => receiver.close()))
  await twin.stop()
})

const accounts = { set: 'accounts', key: ['accountnumber'] }

async function send(config: object, body: Json): Promise<Receipt> {
  const receiver = await dataverse.open(dataverseContext({ url: twin.origin, ...config }))
  opened.push(receiver)
  const message = messageOf(JSON.stringify(body))
  return receiver.deliver(message, effectOf(message))
}

test('update waits, where the flow says so, for a record that another flow brings, and makes none', async () => {
  const limit = { accountnumber: '1001', creditlimit: 5 }
  const wait = { ...accounts, operation: 'update', missing: 'wait' }
  const error = await send(wait, limit).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'DATAVERSE_RECORD_AWAITED', retry: 'soon', isAboutMessage: true })
  expect(twin.records('account')).toEqual([])
  twin.put('account', { accountnumber: '1001', name: 'ACME' })
  expect((await send(wait, limit)).fields).toMatchObject({ operation: 'updated' })
  expect(twin.records('account')).toMatchObject([{ name: 'ACME', creditlimit: 5 }])
  // A currency that is not there is told as what it is.
  const foreign = { ...limit, 'transactioncurrencyid@odata.bind': "/transactioncurrencies(isocurrencycode='QQQ')" }
  await expect(send(wait, foreign)).rejects.toMatchObject({ code: 'DATAVERSE_PARENT_MISSING' })
  expect(() => dataverseContext({ url: twin.origin, ...accounts, missing: 'wait' })).toThrow(/upsert takes nothing/)
  expect(twin.records('account')).toHaveLength(1)
})

test.each(['upsert', 'check-then-write', 'create', 'update'])(
  '%s says at once which references lead nowhere, where a caller waits',
  async operation => {
    const invoices = { set: 'invoices', key: ['new_sapkey'], operation, references: 'refuse' }
    const account = twin.put('account', { accountnumber: '1001', name: 'ACME' })
    const bound = { 'customerid_account@odata.bind': `/accounts(${account})` }
    if (operation === 'update') twin.put('invoice', { new_sapkey: '90', name: 'I', ...bound })
    const body = {
      new_sapkey: '90',
      name: 'I',
      'customerid_account@odata.bind': "/accounts(accountnumber='O''Neil 9')",
      'transactioncurrencyid@odata.bind': "/transactioncurrencies(isocurrencycode='EUR')",
    }
    await expect(send(invoices, body)).rejects.toMatchObject({
      code: 'DATAVERSE_REFERENCE_MISSING',
      retry: 'never',
      message: expect.stringMatching(/refers to: \/accounts\(accountnumber='O''Neil 9'\) \(customerid_account\)$/),
    })
    expect((await send(invoices, { ...body, ...bound })).fields).toMatchObject({ key: '90' })
  },
)

test('a reference of a new record alone is named too', async () => {
  const account = twin.put('account', { accountnumber: '1001', name: 'ACME' })
  const body = {
    new_sapkey: '90',
    name: 'I',
    'customerid_account@odata.bind': `/accounts(${account})`,
    '@create': { 'transactioncurrencyid@odata.bind': "/transactioncurrencies(isocurrencycode='QQQ')" },
  }
  await expect(send({ set: 'invoices', key: ['new_sapkey'], references: 'refuse' }, body)).rejects.toMatchObject({
    code: 'DATAVERSE_REFERENCE_MISSING',
    message: expect.stringContaining('QQQ'),
  })
})
