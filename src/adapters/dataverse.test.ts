import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Effect, Receipt, Receiver } from '../flow/adapter.ts'
import type { Json } from '../kernel/json.ts'
import { silentLog } from '../kernel/log.ts'
import type { Connect, ConnectRequest } from '../kernel/socket.ts'
import { systemClock } from '../kernel/time.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { otherServerHeader } from '../protocols/net/other-server.ts'
import { startTwinAdmin } from '../twins/admin.ts'
import { makeTwinCertificate } from '../twins/certificate.ts'
import { type DataverseTwin, dataverseToken, startDataverse } from '../twins/dataverse/dataverse.ts'
import { listenOnLoopback } from '../twins/listen.ts'
import { dataverse } from './dataverse.ts'
import { bodyOf, dataverseContext, HeldKeyMap } from './dataverse-world.ts'
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

async function receiver(config: object, more: Parameters<typeof dataverseContext>[1] = {}): Promise<Receiver> {
  const open = await dataverse.open(dataverseContext({ url: twin.origin, ...config }, more))
  opened.push(open)
  return open
}

async function send(config: object, body: Json, effect: Partial<Effect> = {}, more = {}): Promise<Receipt> {
  return deliver(await receiver(config, more), body, effect)
}

function deliver(to: Receiver, body: Json, effect: Partial<Effect> = {}): Promise<Receipt> {
  const message = messageOf(JSON.stringify(body))
  return to.deliver(message, effectOf(message, effect))
}

const answerOf = ({ answer }: Receipt): unknown => JSON.parse(Buffer.from(answer?.body ?? '').toString())
const changes = () => twin.requests.filter(({ method }) => method !== 'GET')

describe('upsert', () => {
  test('makes a record in one request, then changes it, and says which and its id', async () => {
    const to = await receiver(accounts)
    const made = await deliver(to, { accountnumber: '1001', name: 'ACME', creditlimit: 50000.5 })
    const [account] = twin.records('account')
    expect(account).toMatchObject({ accountnumber: '1001', name: 'ACME', creditlimit: 50000.5 })
    expect(made.fields).toEqual({ operation: 'created', set: 'accounts', key: '1001', id: account?.['accountid'] })
    const changed = await deliver(to, { accountnumber: '1001', name: 'ACME SE' })
    expect(changed.fields).toMatchObject({ operation: 'updated', id: account?.['accountid'] })
    expect(twin.records('account')).toHaveLength(1)
    expect(changes().map(({ method, url }) => `${method} ${decodeURIComponent(url)}`)).toEqual([
      "PATCH /api/data/v9.2/accounts(accountnumber='1001')?$select=accountid",
      "PATCH /api/data/v9.2/accounts(accountnumber='1001')?$select=accountid",
    ])
    // The key stands in the address alone.
    expect(changes().map(bodyOf)).toEqual([{ name: 'ACME', creditlimit: 50000.5 }, { name: 'ACME SE' }])
    expect(changes()[0]?.headers).toMatchObject({
      'odata-version': '4.0',
      'odata-maxversion': '4.0',
      accept: 'application/json',
      'content-type': 'application/json',
      'if-none-match': 'null',
    })
  })

  test('asks nothing back where the flow wants speed', async () => {
    const { fields } = await send({ ...accounts, 'tell-id': false }, { accountnumber: '1001', name: 'ACME' })
    expect(fields).toEqual({ operation: 'upserted', set: 'accounts', key: '1001' })
    expect(twin.requests.map(({ method, status }) => [method, status])).toEqual([['PATCH', 204]])
  })

  test('fields under @create go into new records only', async () => {
    const to = await receiver({ set: 'invoices', key: ['new_sapkey'] })
    twin.put('account', { accountnumber: '1001' })
    const invoice = {
      new_sapkey: '9000001519',
      name: 'Invoice',
      'customerid_account@odata.bind': "/accounts(accountnumber='1001')",
      '@create': { invoicenumber: '9000001519' },
    }
    expect((await deliver(to, invoice)).fields).toMatchObject({ operation: 'created' })
    expect((await deliver(to, { ...invoice, name: 'Invoice 2' })).fields).toMatchObject({ operation: 'updated' })
    expect(twin.records('invoice')).toMatchObject([{ invoicenumber: '9000001519', name: 'Invoice 2' }])
    expect(changes().map(({ headers, status }) => [headers['if-match'], headers['if-none-match'], status])).toEqual([
      ['*', undefined, 404],
      [undefined, '*', 201],
      ['*', undefined, 200],
    ])
  })

  test('who makes the same record at the same moment as somebody else changes it then; a key that another record has is told', async () => {
    const fail = { status: 412, code: '0x80060892', message: 'A record with matching key values already exists.' }
    twin.setFaults({ fail: { ...fail, times: 1, method: 'PATCH' } })
    expect((await send(accounts, { accountnumber: '1001', name: 'ACME' })).fields).toMatchObject({
      operation: 'created',
    })
    twin.setFaults({ fail: { ...fail, times: 2, method: 'PATCH' } })
    await expect(send(accounts, { accountnumber: '1001', name: 'B' })).rejects.toMatchObject({
      code: 'DATAVERSE_EXISTS_ALREADY',
    })
  })

  test('a record that refers to one that is not there yet waits for it', async () => {
    const invoice = { new_sapkey: '1', name: 'I', 'customerid_account@odata.bind': "/accounts(accountnumber='7')" }
    const config = { set: 'invoices', key: ['new_sapkey'] }
    for (const body of [invoice, { ...invoice, '@create': { invoicenumber: '1' } }]) {
      await expect(send(config, body)).rejects.toMatchObject({ code: 'DATAVERSE_PARENT_MISSING', retry: 'soon' })
    }
  })
})

describe('check-then-write', () => {
  test('looks first, then POST or PATCH by id; the id stays in the key map', async () => {
    const keyMap = new HeldKeyMap()
    const to = await receiver({ set: 'products', key: ['productnumber'], operation: 'check-then-write' }, { keyMap })
    const product = {
      productnumber: 'BAR303/00',
      name: 'Bar',
      'defaultuomid@odata.bind': "/uoms(new_sapkey='Each')",
      'defaultuomscheduleid@odata.bind': "/uomschedules(name='Default Unit')",
      '@create': { productstructure: 1 },
    }
    const made = await deliver(to, product)
    keyMap.apply(made.remember)
    const changed = await deliver(to, { ...product, name: 'Bar 2' })
    const [record] = twin.records('product')
    expect(record).toMatchObject({ productnumber: 'BAR303/00', name: 'Bar 2', productstructure: 1 })
    expect([made, changed].map(({ fields }) => fields)).toMatchObject([
      { operation: 'created', id: record?.['productid'] },
      { operation: 'updated', id: record?.['productid'] },
    ])
    const steps = twin.requests.map(({ method, url }) => `${method} ${decodeURIComponent(url).split('?')[0]}`)
    expect(steps.filter(step => !step.includes('EntityDefinitions'))).toEqual([
      'GET /api/data/v9.2/products',
      'POST /api/data/v9.2/products',
      `PATCH /api/data/v9.2/products(${String(record?.['productid'])})`,
    ])
    expect(changed.remember).toEqual([])
  })

  test('a remembered record that is gone is looked for and made again', async () => {
    const keyMap = new HeldKeyMap()
    const to = await receiver({ ...accounts, operation: 'check-then-write' }, { keyMap })
    const gone = '11111111-2222-4333-8444-555555555555'
    keyMap.apply([{ map: `accounts@${new URL(twin.origin).host}`, key: '1001', value: { id: gone } }])
    const made = await deliver(to, { accountnumber: '1001', name: 'ACME' })
    expect(made.fields).toMatchObject({ operation: 'created' })
    expect(made.remember).toMatchObject([{ key: '1001', value: { id: twin.records('account')[0]?.['accountid'] } }])
  })
})

test('create refuses what is there, update what is not; both take no part of the other', async () => {
  const body = { accountnumber: '1001', name: 'ACME' }
  await expect(send({ ...accounts, operation: 'update' }, body)).rejects.toMatchObject({ code: 'DATAVERSE_NOT_FOUND' })
  expect((await send({ ...accounts, operation: 'create' }, body)).fields).toMatchObject({ operation: 'created' })
  await expect(send({ ...accounts, operation: 'create' }, body)).rejects.toMatchObject({
    code: 'DATAVERSE_EXISTS_ALREADY',
  })
  expect((await send({ ...accounts, operation: 'update' }, body)).fields).toMatchObject({ operation: 'updated' })
})

test('check answers with the id and what it was asked for, or that nothing was found', async () => {
  const id = twin.put('account', { accountnumber: '1001', name: 'ACME', creditonhold: true })
  const config = { set: 'accounts', key: { accountnumber: '${message.body.number}' }, operation: 'check' }
  const found = await send({ ...config, select: ['creditonhold'] }, { number: '1001' })
  expect(answerOf(found)).toMatchObject({ found: true, operation: 'found', id, accountid: id, creditonhold: true })
  expect(answerOf(await send(config, { number: '1002' }))).toMatchObject({ found: false, operation: 'missing' })
  await expect(send({ ...config, missing: 'fail' }, { number: '1002' })).rejects.toMatchObject({
    code: 'DATAVERSE_NOT_FOUND',
  })
  const user = {
    set: 'systemusers',
    key: { domainname: '${message.body.user}' },
    operation: 'check',
    select: ['isdisabled'],
  }
  expect(answerOf(await send(user, { user: 'ben@contoso.com' }))).toMatchObject({ found: true, isdisabled: true })
})

test('skip-unchanged sends nothing twice', async () => {
  const keyMap = new HeldKeyMap()
  const to = await receiver({ ...accounts, 'skip-unchanged': true }, { keyMap })
  const made = await deliver(to, { accountnumber: '1001', name: 'ACME', fax: '1' })
  keyMap.apply(made.remember)
  const same = await deliver(to, { fax: '1', name: 'ACME', accountnumber: '1001' })
  expect(same.fields).toEqual({ ...made.fields, operation: 'skipped' })
  expect(changes()).toHaveLength(1)
  expect((await deliver(to, { accountnumber: '1001', name: 'ACME', fax: '2' })).fields).toMatchObject({
    operation: 'updated',
  })
})

describe('when the connection is lost after the change', () => {
  test.each([
    ['skip-unchanged', { dropAfter: { times: 1 } }],
    ['only-changes', { dropAfter: { times: 1 } }],
    ['skip-unchanged', { late: { times: 1 } }],
    ['skip-unchanged', { truncate: { times: 1 } }],
  ])('what was sent before it is not taken for what is there (%s, %o)', async (way, fault) => {
    const keyMap = new HeldKeyMap()
    const to = await receiver({ ...accounts, [way]: true }, { keyMap })
    const first = { accountnumber: '1001', name: 'ACME', fax: '1' }
    keyMap.apply((await deliver(to, first)).remember)
    twin.setFaults(fault)
    const unlearn: Effect['unlearn'] = (_summary, writes) => keyMap.apply(writes)
    await expect(deliver(to, { ...first, fax: '2' }, { unlearn })).rejects.toMatchObject({ isOutcomeUnknown: true })
    // Somebody skips that message: the next one is as the first was, and Dynamics 365 is not.
    expect((await deliver(to, first)).fields).toMatchObject({ operation: 'updated' })
    expect(twin.records('account')).toMatchObject([{ name: 'ACME', fax: '1' }])
  })

  test('an upsert is sent again and leaves one record', async () => {
    twin.setFaults({ dropAfter: { times: 1, method: 'PATCH' } })
    const to = await receiver(accounts)
    const body = { accountnumber: '1001', name: 'ACME' }
    await expect(deliver(to, body)).rejects.toMatchObject({ code: 'ODATA_OUTCOME_UNKNOWN', retry: 'soon' })
    expect((await deliver(to, body, { attempt: 2 })).fields).toMatchObject({ operation: 'updated' })
    expect(twin.records('account')).toHaveLength(1)
  })

  test('check-then-write finds what it made', async () => {
    twin.setFaults({ dropAfter: { times: 1, method: 'POST' } })
    const to = await receiver({ ...accounts, operation: 'check-then-write' })
    const body = { accountnumber: '1001', name: 'ACME' }
    await expect(deliver(to, body)).rejects.toMatchObject({ retry: 'soon' })
    expect((await deliver(to, body, { attempt: 2 })).fields).toMatchObject({ operation: 'updated' })
    expect(twin.records('account')).toHaveLength(1)
  })

  test('a create with a key knows its own record again', async () => {
    twin.setFaults({ dropAfter: { times: 1, method: 'PATCH' } })
    const to = await receiver({ ...accounts, operation: 'create' })
    const body = { accountnumber: '1001', name: 'ACME' }
    await expect(deliver(to, body)).rejects.toMatchObject({ retry: 'soon' })
    const again = await deliver(to, body, { attempt: 2, isUnknown: true })
    expect(again.fields).toMatchObject({ operation: 'created', id: twin.records('account')[0]?.['accountid'] })
  })

  test('a create without a key is a case for a person', async () => {
    twin.setFaults({ dropAfter: { times: 1, method: 'POST' } })
    const to = await receiver({ set: 'accounts', operation: 'create' })
    await expect(deliver(to, { name: 'ACME' })).rejects.toMatchObject({ retry: 'never', isOutcomeUnknown: true })
    await expect(deliver(to, { name: 'ACME' }, { isUnknown: true })).rejects.toMatchObject({
      code: 'ODATA_OUTCOME_UNKNOWN',
    })
    expect(twin.records('account')).toHaveLength(1)
  })

  test.each([502, 504])(
    'or a gateway got no answer (%i), a create without a key is a case for a person, and all else is sent again',
    async status => {
      const fail = { times: 1, status, code: '', message: 'The operation timed out.' }
      twin.setFaults({ fail: { ...fail, method: 'POST' } })
      const create = await receiver({ set: 'accounts', operation: 'create' })
      await expect(deliver(create, { name: 'ACME' })).rejects.toMatchObject({ retry: 'never', isOutcomeUnknown: true })
      twin.setFaults({ fail: { ...fail, method: 'PATCH' } })
      await expect(send(accounts, { accountnumber: '1' })).rejects.toMatchObject({
        retry: 'soon',
        isOutcomeUnknown: true,
      })
    },
  )
})

describe('a 503', () => {
  test('that is the page of a gateway leaves in doubt what became of a create', async () => {
    twin.setFaults({ late: { times: 1, status: 503, method: 'POST' } })
    const unkeyed = await receiver({ set: 'accounts', operation: 'create' })
    await expect(deliver(unkeyed, { name: 'ACME' })).rejects.toMatchObject({ retry: 'never', isOutcomeUnknown: true })
    twin.setFaults({ late: { times: 1, status: 503, method: 'PATCH' } })
    const keyed = await receiver({ ...accounts, operation: 'create' })
    const body = { accountnumber: '1001', name: 'ACME SE' }
    await expect(deliver(keyed, body)).rejects.toMatchObject({ retry: 'soon', isOutcomeUnknown: true })
    const again = await deliver(keyed, body, { attempt: 2, isUnknown: true })
    expect(again.fields).toMatchObject({ operation: 'created' })
    expect(twin.records('account')).toHaveLength(2)
  })

  test('that Dynamics 365 says itself was no attempt to do it', async () => {
    twin.setFaults({ unavailable: { times: 1 } })
    const create = await receiver({ set: 'accounts', operation: 'create', id: 'accountid' })
    const away = { code: 'DATAVERSE_UNAVAILABLE', retry: 'soon', isOutcomeUnknown: false }
    await expect(deliver(create, { name: 'ACME' })).rejects.toMatchObject(away)
    expect(twin.records('account')).toEqual([])
  })
})

test.each([
  // Nothing at Dynamics 365 keeps two accounts of one name apart.
  ['check-then-write', 'name', 'updated'],
  ['create', 'accountnumber', 'created'],
])(
  'what the next attempt looks for first is not sent to another server at once, where the first one was late (504): %s',
  async (operation, key, done) => {
    let isLate = true
    const pass = async (request: IncomingMessage, response: ServerResponse) => {
      const { method = '', url, headers } = request
      const body = method === 'GET' ? null : await buffer(request)
      const passed = new Headers()
      for (const name of ['authorization', 'content-type', 'if-match', 'if-none-match'] as const) {
        const value = headers[name]
        if (value !== undefined) passed.set(name, value)
      }
      const answer = await fetch(`${twin.origin}${url}`, { method, body, headers: passed })
      const text = await answer.text()
      if (method === 'GET' || !isLate) {
        response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(text)
        return
      }
      isLate = false
      response.writeHead(504, { [otherServerHeader]: 'yes' }).end()
    }
    const listener = await listenOnLoopback(createServer((request, response) => void pass(request, response)))
    try {
      const url = `http://127.0.0.1:${listener.port}`
      const to = await receiver({ set: 'accounts', key: [key], operation, url, cleartext: true })
      const body = { [key]: '1001' }
      await expect(deliver(to, body)).rejects.toMatchObject({ retry: 'soon', isOutcomeUnknown: true })
      const again = await deliver(to, body, { attempt: 2, isUnknown: true })
      expect(again.fields).toMatchObject({ operation: done })
      expect(twin.records('account')).toHaveLength(1)
    } finally {
      await listener.stop()
    }
  },
)

test('a record that comes into being only after the next attempt has looked for it in vain is one all the same', async () => {
  const held: (() => Promise<unknown>)[] = []
  const pass = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = '', url, headers } = request
    const body = method === 'GET' ? null : await buffer(request)
    const passed = new Headers({ authorization: headers.authorization ?? '', 'content-type': 'application/json' })
    const forward = () => fetch(`${twin.origin}${url}`, { method, body, headers: passed })
    if (method === 'POST' && held.length === 0) {
      held.push(forward)
      return
    }
    if (method === 'POST') await held[0]?.()
    const answer = await forward()
    const id = answer.headers.get('odata-entityid')
    response.writeHead(answer.status, { 'content-type': 'application/json', ...(id && { 'odata-entityid': id }) })
    response.end(await answer.text())
  }
  const listener = await listenOnLoopback(createServer((request, response) => void pass(request, response)))
  try {
    const url = `http://127.0.0.1:${listener.port}`
    // Nothing at Dynamics 365 keeps two accounts of one name apart.
    const config = { set: 'accounts', key: ['name'], operation: 'check-then-write', url, cleartext: true }
    const to = await receiver({ ...config, timeout: '200ms' })
    await expect(deliver(to, { name: 'ACME' })).rejects.toMatchObject({ retry: 'soon', isOutcomeUnknown: true })
    const patient = await receiver(config)
    await deliver(patient, { name: 'ACME' }, { attempt: 2, isUnknown: true })
    expect(twin.records('account')).toHaveLength(1)
    // A message that was repaired is about another record.
    await deliver(patient, { name: 'ACME SE' }, { attempt: 3 })
    expect(twin.records('account')).toHaveLength(2)
  } finally {
    await listener.stop()
  }
})

test('a 429 costs no attempt: the request goes again after Retry-After', async () => {
  twin.setFaults({ throttle: { times: 3, retryAfterS: 0 } })
  const { fields } = await send(accounts, { accountnumber: '1001', name: 'ACME' })
  expect(fields).toMatchObject({ operation: 'created' })
  expect(twin.requests.filter(({ status }) => status === 429)).toHaveLength(3)
})

test('a token that the environment refuses is renewed once', async () => {
  const asked: (string | undefined)[] = []
  const tokens = ['stale', 'dataverse-twin-token']
  const credential = async () => ({
    kind: 'oauth2' as const,
    user: undefined,
    token: async (refused?: string) => {
      asked.push(refused)
      return { value: tokens[refused === 'stale' || asked.length > 2 ? 1 : 0] ?? '', expiresAt: 0 }
    },
  })
  const { fields } = await send({ ...accounts, id: 'accountid' }, { accountnumber: '1', name: 'A' }, {}, { credential })
  expect(fields).toMatchObject({ operation: 'created' })
  expect(asked).toEqual([undefined, 'stale'])
})

test('the check proves token, application user and alternate key', async () => {
  expect(await (await receiver(accounts)).check()).toMatchObject({ ok: true })
  expect(await (await receiver({ set: 'accounts', key: ['name'] })).check()).toMatchObject({
    ok: false,
    error: { code: 'DATAVERSE_KEY_NOT_THERE' },
  })
  expect(await (await receiver({ set: 'acounts', key: ['name'] })).check()).toMatchObject({
    ok: false,
    error: { code: 'DATAVERSE_TABLE_UNKNOWN' },
  })
})

describe('an answer that is none', () => {
  const body = { accountnumber: '1001', name: 'ACME' }

  test('to a changeset that may be sent twice is asked for again', async () => {
    const to = await receiver({ ...accounts, id: 'accountid', operation: 'upsert-many', by: 'changeset' })
    twin.setFaults({ html: { times: 1 } })
    await expect(deliver(to, [body])).rejects.toMatchObject({ code: 'ODATA_BATCH_BROKEN', retry: 'soon' })
    const create = await receiver({ set: 'accounts', operation: 'create-many', id: 'accountid' })
    twin.setFaults({ html: { times: 1 } })
    await expect(deliver(create, [body])).rejects.toMatchObject({ code: 'ODATA_BATCH_BROKEN', retry: 'never' })
  })

  test.each<[string, Parameters<DataverseTwin['setFaults']>[0]]>([
    ['a log-in page', { html: { times: 1 } }],
    ['half an answer', { truncate: { times: 1 } }],
    ['a line that is cut before', { dropBefore: { times: 1 } }],
    ['a line that is cut after', { dropAfter: { times: 1 } }],
    ['a server that failed', { fail: { times: 1 } }],
    ['a server that is away', { unavailable: { times: 1 } }],
  ])('%s is tried again, and then the record is there once', async (_what, faults) => {
    const to = await receiver({ ...accounts, id: 'accountid' })
    twin.setFaults(faults)
    await expect(deliver(to, body)).rejects.toMatchObject({ retry: 'soon' })
    await deliver(to, body, { attempt: 2 })
    expect(twin.records('account')).toHaveLength(1)
  })

  test('503 with a time, like 429, is waited for inside the attempt', async () => {
    twin.setFaults({ unavailable: { times: 2, retryAfterS: 0 } })
    expect((await send(accounts, body)).fields).toMatchObject({ operation: 'created' })
  })

  test.each(['accountid', undefined])(
    'a message whose caller has not the time that Dynamics 365 asks for is put back at once (id: %s)',
    async id => {
      twin.setFaults({ throttle: { times: 1, retryAfterS: 300 } })
      const to = await receiver({ ...accounts, ...(id && { id }), auth: `awaited-${id}` })
      const awaitedUntil = Date.now() + 30_000
      const put = { code: 'DATAVERSE_THROTTLED', isThrottling: true, retryAfterMs: expect.closeTo(300_000, -5) }
      await expect(deliver(to, body, { awaitedUntil })).rejects.toMatchObject(put)
      await expect(deliver(to, body, { awaitedUntil })).rejects.toMatchObject(put)
      expect(twin.requests).toHaveLength(1)
    },
  )

  test.each(['accountid', undefined])(
    'an attempt that is ended while it waits says that nothing was asked (id: %s)',
    async id => {
      twin.setFaults({ throttle: { times: 100, retryAfterS: 60 } })
      const stop = new AbortController()
      const told: string[] = []
      const log = { ...silentLog, info: (event: string) => void told.push(event) }
      const to = await receiver({ ...accounts, ...(id && { id }), auth: 'stopped' }, { log })
      const first = deliver(to, body, { signal: stop.signal }).catch((thrown: unknown) => thrown)
      for (let looks = 0; looks < 2000 && !told.includes('dataverse.throttled'); looks++) await systemClock.sleep(5)
      stop.abort()
      expect(await first).toMatchObject({ code: 'DATAVERSE_INTERRUPTED', isOutcomeUnknown: false })
    },
  )
})

test('duplicate detection is asked for where the flow wants it', async () => {
  twin.setFaults({ duplicates: { times: 1 } })
  const config = { ...accounts, 'detect-duplicates': true }
  const body = { accountnumber: '1001', name: 'ACME' }
  await expect(send(config, body)).rejects.toMatchObject({ code: 'DATAVERSE_DUPLICATE_SUSPECTED', retry: 'never' })
})

test('a credential of another kind is refused before anything is sent', async () => {
  const credential = async () => ({ kind: 'basic' as const, user: 'u', password: 'p' })
  await expect(send(accounts, { accountnumber: '1', name: 'A' }, {}, { credential })).rejects.toMatchObject({
    code: 'DATAVERSE_CREDENTIAL_UNFIT',
  })
  expect(twin.requests).toEqual([])
})

test('two records with one key are a case for a person', async () => {
  for (const name of ['A', 'B']) twin.put('account', { name, fax: '1' })
  const config = { set: 'accounts', key: { fax: '1' }, operation: 'check-then-write' }
  await expect(send(config, { name: 'C' })).rejects.toMatchObject({ code: 'DATAVERSE_KEY_AMBIGUOUS' })
})

test('faults are set from outside, through the endpoint of all twins', async () => {
  const admin = await startTwinAdmin([twin])
  const ask = (method: string, path: string, body?: object) =>
    fetch(`${admin.origin}/twins/dataverse${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    })
  expect(await (await ask('GET', '')).json()).toMatchObject({ faults: { properties: { throttle: {} } } })
  expect((await ask('POST', '/faults', { throttle: { times: 1, retryAfterS: 0 } })).status).toBe(200)
  expect((await ask('POST', '/faults', { thunder: 1 })).status).toBe(400)
  await admin.stop()
})

describe('only-changes', () => {
  test('sends of a known record what differs, state and reason together, and nothing when nothing does', async () => {
    const keyMap = new HeldKeyMap()
    const to = await receiver({ ...accounts, 'only-changes': true }, { keyMap })
    const send = async (body: Json) => {
      const receipt = await deliver(to, body)
      keyMap.apply(receipt.remember)
      return receipt.fields?.['operation']
    }
    const account = {
      accountnumber: '1001',
      name: 'ACME',
      fax: '1',
      statecode: 0,
      statuscode: 1,
      '@create': { description: 'new' },
    }
    expect(await send(account)).toBe('created')
    expect(await send({ ...account, fax: '2' })).toBe('updated')
    expect(await send({ ...account, fax: '2' })).toBe('skipped')
    expect(await send({ accountnumber: '1001', statecode: 1, statuscode: 2 })).toBe('updated')
    // A column that a message leaves out is remembered as it was sent.
    expect(await send({ ...account, fax: '2', statecode: 1, statuscode: 2 })).toBe('skipped')
    expect(changes().map(bodyOf).slice(2)).toEqual([{ fax: '2' }, { statecode: 1, statuscode: 2 }])
    expect(twin.records('account')).toMatchObject([{ name: 'ACME', fax: '2', statecode: 1, description: 'new' }])
  })

  test('a record that is gone is made whole again', async () => {
    const keyMap = new HeldKeyMap()
    const to = await receiver({ ...accounts, 'only-changes': true }, { keyMap })
    keyMap.apply((await deliver(to, { accountnumber: '1001', name: 'ACME', fax: '1', telephone1: '7' })).remember)
    const [account] = twin.records('account')
    const path = `${twin.origin}/api/data/v9.2/accounts(${String(account?.['accountid'])})`
    await fetch(path, { method: 'DELETE', headers: { authorization: `Bearer ${dataverseToken}` } })
    const again = await deliver(to, { accountnumber: '1001', name: 'ACME', fax: '2' })
    expect(again.fields).toMatchObject({ operation: 'created' })
    expect(twin.records('account')).toMatchObject([{ name: 'ACME', fax: '2' }])
    keyMap.apply(again.remember)
    // What the record before it had is not taken for sent.
    await deliver(to, { accountnumber: '1001', name: 'ACME', fax: '2', telephone1: '7' })
    expect(twin.records('account')).toMatchObject([{ fax: '2', telephone1: '7' }])
  })
})

test('headers of Dataverse go with changes, others cannot be named', async () => {
  const headers = { 'MSCRM.BypassCustomPluginExecution': 'true' }
  await send({ ...accounts, headers }, { accountnumber: '1', name: 'A' })
  expect(changes()[0]?.headers).toMatchObject({ 'mscrm.bypasscustompluginexecution': 'true' })
  await expect(send({ ...accounts, headers: { authorization: 'x' } }, {})).rejects.toThrow('MSCRM')
})

test('all flows with one environment and credential keep the lowest limit of them together', async () => {
  const flows = await Promise.all([
    receiver({ ...accounts, auth: 'shared', concurrent: 3 }),
    receiver({ ...accounts, auth: 'shared' }),
  ])
  const sent = flows.flatMap((to, flow) =>
    Array.from({ length: 30 }, (_, index) => deliver(to, { accountnumber: `${flow}-${index}`, name: 'A' })),
  )
  expect(await Promise.all(sent)).toHaveLength(60)
  expect(twin.protection.mostAtOnce).toBeLessThanOrEqual(3)
})

test('an environment with an authority of its own is reached over TLS, through a connector where the flow says so', async () => {
  const { cert, key, ca } = await makeTwinCertificate(['127.0.0.1'])
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-dataverse-'))
  writeFileSync(join(folder, 'ca.pem'), ca)
  const secure = await startDataverse({ tls: { cert, key } })
  const asked: (string | undefined)[] = []
  const direct = makeConnect()
  const connect: Connect = Object.assign(
    ({ via, ...request }: ConnectRequest) => {
      asked.push(via)
      return direct(request)
    },
    { upgrade: direct.upgrade },
  )
  const config = { url: secure.origin, ...accounts, via: 'dc-frankfurt', ca: 'ca.pem' }
  const to = await dataverse.open({ ...dataverseContext(config), folder, connect })
  opened.push(to)
  expect((await deliver(to, { accountnumber: '1001', name: 'ACME' })).fields).toMatchObject({ operation: 'created' })
  expect(new Set(asked)).toEqual(new Set(['dc-frankfurt']))
  const without = await dataverse.open(dataverseContext({ url: secure.origin, ...accounts }))
  opened.push(without)
  expect(await without.check()).toMatchObject({ ok: false, error: { code: 'NET_TLS_FAILED' } })
  await expect(dataverse.open({ ...dataverseContext({ ...config, ca: 'none.pem' }), folder })).rejects.toMatchObject({
    code: 'DATAVERSE_CA_UNREADABLE',
  })
  await secure.stop()
  rmSync(folder, { recursive: true })
})
