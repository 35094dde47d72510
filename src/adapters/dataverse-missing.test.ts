import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Receipt, Receiver } from '../flow/adapter.ts'
import type { Json } from '../kernel/json.ts'
import { type DataverseTwin, startDataverse } from '../twins/dataverse/dataverse.ts'
import { dataverse } from './dataverse.ts'
import { dataverseContext, HeldKeyMap } from './dataverse-world.ts'
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

async function send(config: object, body: Json, keyMap?: HeldKeyMap): Promise<Receipt> {
  const receiver = await dataverse.open(dataverseContext({ url: twin.origin, ...config }, keyMap && { keyMap }))
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

test('update makes nothing, where the flow says so, of a record that is not there, and is done', async () => {
  const gone = { accountnumber: '1001', statecode: 1, statuscode: 2 }
  const ok = { ...accounts, operation: 'update', missing: 'ok', 'skip-unchanged': true }
  const keyMap = new HeldKeyMap()
  const receipt = await send(ok, gone, keyMap)
  expect(receipt.fields).toEqual({ operation: 'missing', set: 'accounts', key: '1001' })
  expect(receipt.summary).toMatch(/^not there, so nothing to change: accounts\(/)
  keyMap.apply(receipt.remember)
  expect(twin.records('account')).toEqual([])
  twin.put('account', { accountnumber: '1001', name: 'ACME' })
  // Nothing was sent, so there is nothing that it would repeat.
  expect((await send(ok, gone, keyMap)).fields).toMatchObject({ operation: 'updated' })
  expect(twin.records('account')).toMatchObject([{ name: 'ACME', statecode: 1 }])
  // What the record refers to is missed as ever.
  const foreign = { ...gone, 'transactioncurrencyid@odata.bind': "/transactioncurrencies(isocurrencycode='QQQ')" }
  await expect(send(ok, foreign)).rejects.toMatchObject({ code: 'DATAVERSE_PARENT_MISSING' })
  for (const operation of ['upsert', 'check', 'check-then-write']) {
    expect(() => dataverseContext({ url: twin.origin, ...accounts, operation, missing: 'ok' })).toThrow(/under missing/)
  }
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
