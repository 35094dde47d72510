import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Effect, Receipt, Receiver } from '../flow/adapter.ts'
import type { Json } from '../kernel/json.ts'
import { type DataverseTwin, startDataverse } from '../twins/dataverse/dataverse.ts'
import { dataverse } from './dataverse.ts'
import { dataverseConfig } from './dataverse-config.ts'
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

async function send(config: object, body: Json, effect: Partial<Effect> = {}): Promise<Receipt> {
  const receiver = await dataverse.open(dataverseContext({ url: twin.origin, ...config }))
  opened.push(receiver)
  const message = messageOf(JSON.stringify(body))
  return receiver.deliver(message, effectOf(message, effect))
}

const answerOf = ({ answer }: Receipt): Json => JSON.parse(Buffer.from(answer?.body ?? '').toString()) as Json
const calls = () =>
  twin.requests.filter(({ method }) => method !== 'GET').map(({ method, url }) => `${method} ${url.split('/').at(-1)}`)
const numbered = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ accountnumber: `${1001 + index}`, name: `A${index}` }))

const many = { set: 'accounts', key: ['accountnumber'], operation: 'upsert-many' }

describe('upsert-many', () => {
  test('writes each record of the list, and one with a key that comes twice in its order', async () => {
    const receipt = await send(many, [...numbered(40), { accountnumber: '1001', name: 'last' }])
    expect(receipt.fields).toMatchObject({ operation: 'many', set: 'accounts', count: 41, created: 40, updated: 1 })
    expect(twin.records('account')).toHaveLength(40)
    expect(twin.records('account').find(({ accountnumber }) => accountnumber === '1001')).toMatchObject({
      name: 'last',
    })
  })

  test('one record that is refused keeps none of the others out, and is told of', async () => {
    const rows = [...numbered(3), { accountnumber: '2', name: 'x'.repeat(161) }]
    await expect(send(many, rows)).rejects.toMatchObject({
      code: 'DATAVERSE_ROWS_REFUSED',
      message: expect.stringMatching(/refused 1 of 4 records.*maximum allowed length of '160'/),
    })
    expect(twin.records('account')).toHaveLength(3)
  })

  test('by multiple sends UpsertMultiple with the key in @odata.id alone, in parts', async () => {
    await send({ ...many, by: 'multiple', 'per-request': 20 }, numbered(45))
    expect(twin.records('account')).toHaveLength(45)
    expect(calls()).toEqual([1, 2, 3].map(() => 'POST Microsoft.Dynamics.CRM.UpsertMultiple'))
    const [first] = twin.requests.filter(({ method }) => method === 'POST')
    expect(JSON.parse(first?.body ?? '')['Targets'][0]).toEqual({
      '@odata.type': 'Microsoft.Dynamics.CRM.account',
      '@odata.id': "accounts(accountnumber='1001')",
      name: 'A0',
    })
    expect(first?.body).not.toContain('"accountnumber":')
  })

  test('by multiple falls back to one by one when a record is refused', async () => {
    const rows = [...numbered(5), { accountnumber: '2', creditlimit: -1 }]
    await expect(send({ ...many, by: 'multiple' }, rows)).rejects.toMatchObject({ code: 'DATAVERSE_ROWS_REFUSED' })
    expect(twin.records('account')).toHaveLength(5)
  })

  test('records with fields for new ones go one by one also by multiple', async () => {
    const account = twin.put('account', { accountnumber: '1' })
    const invoice = twin.put('invoice', {
      new_sapkey: '90',
      name: 'I',
      'customerid_account@odata.bind': `/accounts(${account})`,
    })
    const line = (index: number) => ({
      new_sapkey: `90-${index}`,
      'invoiceid@odata.bind': "/invoices(new_sapkey='90')",
      quantity: index,
      productdescription: 'Widget',
      '@create': { isproductoverridden: true },
    })
    const config = { set: 'invoicedetails', key: ['new_sapkey'], operation: 'upsert-many', by: 'multiple' }
    expect((await send(config, [line(1), line(2)])).fields).toMatchObject({ created: 2 })
    expect((await send(config, [line(2), line(3)])).fields).toMatchObject({ created: 1, updated: 1 })
    expect(twin.records('invoicedetail')).toMatchObject(
      [1, 2, 3].map(() => ({ _invoiceid_value: invoice, isproductoverridden: true })),
    )
  })

  test('by changeset writes all or none', async () => {
    twin.put('account', { accountnumber: '1001', name: 'old' })
    const changeset = { ...many, by: 'changeset' }
    const bad = [...numbered(3), { accountnumber: '2', nam: 'x' }]
    await expect(send(changeset, bad)).rejects.toMatchObject({ code: 'DATAVERSE_COLUMN_UNKNOWN' })
    expect(twin.records('account')).toMatchObject([{ name: 'old' }])
    const rows = numbered(3).map(row => ({ ...row, '@create': { description: 'new' } }))
    expect((await send(changeset, rows)).fields).toMatchObject({ created: 2, updated: 1 })
    expect(twin.records('account').map(({ description }) => description ?? null)).toEqual([null, 'new', 'new'])
  })

  test('an empty list is nothing to do, and what is no list is refused', async () => {
    expect((await send(many, [])).summary).toContain('nothing to write')
    await expect(send(many, { accountnumber: '1' })).rejects.toMatchObject({ code: 'DATAVERSE_BODY_UNFIT' })
    const endless = Array.from({ length: 5001 }, () => ({ accountnumber: '1' }))
    await expect(send(many, endless)).rejects.toMatchObject({ code: 'DATAVERSE_BODY_UNFIT' })
    await expect(
      send(
        many,
        Array.from({ length: 500_001 }, () => ({})),
      ),
    ).rejects.toMatchObject({ code: 'BODY_NOT_TEXT', retry: 'never' })
    await expect(send(many, [1])).rejects.toMatchObject({ code: 'DATAVERSE_BODY_UNFIT' })
    await expect(send(many, [{ name: 'x' }])).rejects.toMatchObject({ code: 'DATAVERSE_KEY_EMPTY' })
    expect(twin.requests).toEqual([])
  })

  test('a storm in the middle loses nothing', async () => {
    twin.setFaults({ throttle: { times: 25, retryAfterS: 0 } })
    expect((await send(many, numbered(60))).fields).toMatchObject({ created: 60 })
    expect(twin.records('account')).toHaveLength(60)
  })
})

describe('create-many', () => {
  const create = { set: 'accounts', operation: 'create-many' }

  test.each(['changeset', 'multiple'])('by %s makes all and tells their ids', async by => {
    const receipt = await send({ ...create, by }, numbered(3))
    const ids = twin.records('account').map(({ accountid }) => accountid)
    expect(answerOf(receipt)).toMatchObject({ created: 3, records: ids.map(id => ({ operation: 'created', id })) })
  })

  test.each(['changeset', 'multiple'])('by %s makes none when one is refused', async by => {
    const rows = [...numbered(2), { name: 'x'.repeat(161) }]
    await expect(send({ ...create, by }, rows)).rejects.toMatchObject({ code: 'DATAVERSE_VALUE_REFUSED' })
    expect(twin.records('account')).toEqual([])
  })

  test('is a case for a person when nobody knows whether it was done', async () => {
    twin.setFaults({ dropAfter: { times: 1, method: 'POST' } })
    await expect(send(create, numbered(2))).rejects.toMatchObject({ isOutcomeUnknown: true, retry: 'never' })
    await expect(send(create, numbered(2), { isUnknown: true })).rejects.toMatchObject({ retry: 'never' })
    expect(twin.records('account')).toHaveLength(2)
    await expect(send({ ...create, 'per-request': 2 }, numbered(3))).rejects.toMatchObject({
      code: 'DATAVERSE_BODY_UNFIT',
    })
  })
})

describe('actions and functions', () => {
  const product = {
    '@odata.type': 'Microsoft.Dynamics.CRM.product',
    name: 'Bar',
    'defaultuomid@odata.bind': "/uoms(new_sapkey='Each')",
    'defaultuomscheduleid@odata.bind': "/uomschedules(name='Default Unit')",
  }

  test('Set makes and changes, Check finds, Get…Status says how it stands', async () => {
    const set = { operation: 'action', name: 'new_SetProduct' }
    const made = answerOf(await send(set, { Key: "O'N 1", Target: product }))
    expect(made).toMatchObject({ Operation: 'created' })
    expect(answerOf(await send(set, { Key: "O'N 1", Target: { name: 'Bar 2' } }))).toMatchObject({
      Operation: 'updated',
    })
    const check = await send({ operation: 'function', name: 'new_CheckProduct' }, { Key: "O'N 1" })
    expect(answerOf(check)).toMatchObject({ Found: true })
    const status = await send({ operation: 'function', name: 'new_GetProductStatus' }, { Key: 'none' })
    expect(answerOf(status)).toMatchObject({ Found: false, StateCode: null })
  })

  test('an action is announced before it is called, and not repeated by itself', async () => {
    twin.setFaults({ dropAfter: { times: 1, method: 'POST' } })
    const config = { operation: 'action', name: 'new_SetProduct' }
    await expect(send(config, { Key: '1', Target: product })).rejects.toMatchObject({
      retry: 'never',
      isOutcomeUnknown: true,
    })
    await expect(send(config, { Key: '1', Target: product }, { isUnknown: true })).rejects.toMatchObject({
      code: 'ODATA_OUTCOME_UNKNOWN',
    })
    const again = await send(
      { ...config, 'on-unknown': 'send-again' },
      { Key: '1', Target: product },
      { isUnknown: true },
    )
    expect(answerOf(again)).toMatchObject({ Operation: 'updated' })
  })

  test('a name that nobody knows, and parameters that are missing, are told apart', async () => {
    await expect(send({ operation: 'action', name: 'new_SetNothing' }, {})).rejects.toMatchObject({
      code: 'DATAVERSE_TABLE_UNKNOWN',
    })
    await expect(send({ operation: 'action', name: 'new_SetProduct' }, {})).rejects.toMatchObject({
      code: 'DATAVERSE_COLUMN_UNKNOWN',
    })
  })
})

test('numbers keep all their digits, and nothing is guessed from text', async () => {
  const receiver = await dataverse.open(dataverseContext({ url: twin.origin, set: 'accounts', key: ['accountnumber'] }))
  opened.push(receiver)
  const message = messageOf(
    '{"accountnumber":"0001001","name":"007","creditlimit":12345678901234.50,"new_creditused":1e2}',
  )
  await receiver.deliver(message, effectOf(message))
  const [patch] = twin.requests.filter(({ method }) => method === 'PATCH')
  expect(patch?.body).toBe('{"name":"007","creditlimit":12345678901234.50,"new_creditused":1e2}')
  expect(patch?.url).toContain("'0001001'")
})

test.each<[string, object, string]>([
  [
    'a path in the address',
    { url: 'https://a.example/api', set: 'x', key: ['y'] },
    'the address of the environment alone',
  ],
  ['no set', { url: 'https://a.example', key: ['y'] }, 'upsert needs set'],
  ['no key', { url: 'https://a.example', set: 'x' }, 'upsert needs key'],
  ['an action without a name', { url: 'https://a.example', operation: 'action' }, 'action needs name'],
  ['a name without an action', { url: 'https://a.example', set: 'x', key: ['y'], name: 'z' }, 'name goes with'],
  [
    'templates as key of many',
    { url: 'https://a.example', set: 'x', key: { y: '1' }, operation: 'upsert-many' },
    'a list of columns',
  ],
  ['select with upsert', { url: 'https://a.example', set: 'x', key: ['y'], select: ['z'] }, 'go with check'],
  ['a token in the clear', { url: 'http://a.example', set: 'x', key: ['y'], auth: 'a' }, 'everybody on the way'],
  [
    'skipping what is only looked at',
    { url: 'https://a.example', set: 'x', key: ['y'], operation: 'check', 'skip-unchanged': true },
    'sent before',
  ],
])('a document with %s is refused', (_what, config, words) => {
  const { error } = dataverseConfig.safeParse(config)
  expect(error?.issues.map(({ message }) => message).join()).toContain(words)
})
