import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createFlowEndpoints, type FlowEndpoints } from '../api/flow-endpoints.ts'
import type { Caller } from '../auth/service/model.ts'
import type { Incoming, Intake, Outcome, SenderContext } from '../flow/adapter.ts'
import { heldBody } from '../kernel/body.ts'
import { hubErrors } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import { defaultLimits } from '../kernel/limit.ts'
import { silentLog } from '../kernel/log.ts'
import { systemClock } from '../kernel/time.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { storeErrors } from '../store/errors.ts'
import { https } from './https.ts'

let endpoints: FlowEndpoints
let base = ''
let accepted: { incoming: Incoming; body: string }[] = []
let outcomes: Map<string, Outcome>
/** Messages that were kept long enough. */
let purged: Set<string>
let memory: Map<string, Json>
let stop: AbortController
let running: Promise<void>[] = []

beforeEach(async () => {
  endpoints = createFlowEndpoints({
    log: silentLog,
    guard: { admit: ({ authorization = '' }) => callerNamed(authorization) },
  })
  base = await endpoints.listen({ host: '127.0.0.1', port: 0 })
  accepted = []
  outcomes = new Map()
  purged = new Set()
  memory = new Map()
  stop = new AbortController()
  running = []
})
afterEach(async () => {
  stop.abort()
  await Promise.all(running)
  await endpoints.close(100)
})

/** `portal`, `portal for anna`, or `portal for anna of corp`. */
function callerNamed(text: string): Caller {
  const [clientId = '', subject = clientId, idp] = text.split(/ for | of /)
  return { clientId, instance: clientId, keyId: 'k', subject, idp, by: 'basic' }
}

const intake: Intake = {
  async accept(incoming) {
    const chunks: Uint8Array[] = []
    if (incoming.body instanceof Uint8Array) chunks.push(incoming.body)
    else for await (const chunk of incoming.body) chunks.push(chunk)
    const before = accepted.findIndex(one => incoming.sourceKey && one.incoming.sourceKey === incoming.sourceKey)
    if (before >= 0) return { id: `M${before}`, duplicate: true }
    accepted.push({ incoming, body: Buffer.concat(chunks).toString() })
    return { id: `M${accepted.length - 1}`, duplicate: false }
  },
  acceptAll: all => Promise.all(all.map(incoming => intake.accept(incoming))),
  known: async () => new Map(),
  attributes: async () => undefined,
  outcome: async (id, signal) => {
    if (purged.has(id)) throw storeErrors.NOT_FOUND({ id })
    const known = outcomes.get(id)
    if (known || signal?.aborted) return known
    return new Promise(resolve => signal?.addEventListener('abort', () => resolve(undefined)))
  },
}

async function start(config: object): Promise<void> {
  const context = {
    config: https.config.parse(config),
    flow: 'orders',
    folder: '.',
    log: silentLog,
    signal: stop.signal,
    clock: systemClock,
    limits: defaultLimits,
    connect: makeConnect(),
    credential: () => Promise.reject(hubErrors.STOPPING()),
    intake,
    serve: endpoints.serve,
    memory: {
      get: async (name: string) => memory.get(name),
      set: async (name: string, value: Json) => void memory.set(name, value),
    },
    supervise: () => Promise.resolve(),
  } satisfies SenderContext<ReturnType<typeof https.config.parse>>
  running.push((await https.open(context)).receive())
}

test.each([
  ['refused where the message would not say so', [], 415, []],
  ['taken where the message keeps the header', ['Content-Encoding'], 202, [{ 'content-encoding': 'gzip' }]],
])('a packed body is %s', async (_what, headers, status, kept) => {
  await start({ path: '/orders', headers })
  const packed = { method: 'POST', headers: { 'content-encoding': 'gzip' }, body: gzipSync('{}') }
  expect((await fetch(`${base}/orders`, packed)).status).toBe(status)
  expect(accepted.map(({ incoming }) => incoming.headers)).toEqual(kept)
})

test('a request becomes a message, and the caller learns where to ask for its end', async () => {
  await start({ path: '/orders', headers: ['X-Region'] })
  const response = await fetch(`${base}/orders?b=2&a=1`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-region': 'EU', 'x-other': 'no', 'x-isthmus-flow': 'evil' },
    body: '{"order":4711}',
  })
  expect(response.status).toBe(202)
  expect(await response.json()).toMatchObject({ id: 'M0', state: 'accepted', duplicate: false })
  expect(accepted[0]?.body).toBe('{"order":4711}')
  expect(accepted[0]?.incoming).toMatchObject({
    headers: { 'content-type': 'application/json', 'x-region': 'EU' },
    attributes: { method: 'POST', path: '/orders', query: { a: '1', b: '2' } },
    type: 'application/json',
  })
  expect(Object.keys(accepted[0]?.incoming.headers ?? {})).toEqual(['content-type', 'x-region'])

  const location = new URL(response.headers.get('location') ?? '', base)
  expect(await (await fetch(location)).json()).toEqual({ id: 'M0', state: 'working', summary: 'on its way' })
  outcomes.set('M0', { id: 'M0', state: 'delivered', summary: '250 Ok' })
  expect(await (await fetch(location)).json()).toEqual({ id: 'M0', state: 'delivered', summary: '250 Ok' })
  const head = await fetch(location, { method: 'HEAD' })
  expect([head.status, head.headers.get('cache-control'), await head.text()]).toEqual([200, 'no-store', ''])
})

test('how a message ended is not made up once it is purged', async () => {
  await start({ path: '/orders' })
  const response = await fetch(`${base}/orders`, { method: 'POST', body: 'x' })
  purged.add('M0')
  const answer = await fetch(new URL(response.headers.get('location') ?? '', base))
  expect([answer.status, answer.headers.get('content-type')]).toEqual([410, 'application/problem+json'])
  expect(await answer.json()).toMatchObject({ code: 'HTTPS_STATUS_GONE', status: 410, side: 'caller' })
})

test('the end of other messages is not to be had by guessing', async () => {
  await start({ path: '/orders' })
  const response = await fetch(`${base}/orders`, { method: 'POST', body: 'x' })
  const link = response.headers.get('location') ?? ''
  outcomes.set('M1', { id: 'M1', state: 'delivered', summary: 'of somebody else' })
  for (const guess of [link.replace('M0', 'M1'), '/flows/status/orders/M1', '/flows/status/orders/M1.', `${link}x`]) {
    const answer = await fetch(new URL(guess, base))
    expect(answer.status).toBe(404)
    expect(await answer.text()).not.toContain('somebody else')
  }
})

describe('once-header', () => {
  test('a repeat is answered like the first request, and is not a second message', async () => {
    await start({ path: '/orders', 'once-header': 'Idempotency-Key' })
    const post = () => fetch(`${base}/orders`, { method: 'POST', headers: { 'idempotency-key': 'k-1' }, body: 'x' })
    expect(await (await post()).json()).toMatchObject({ id: 'M0', duplicate: false })
    expect(await (await post()).json()).toMatchObject({ id: 'M0', duplicate: true })
    expect(accepted).toHaveLength(1)
    expect(accepted[0]?.incoming.terms).toEqual(['k-1'])
  })

  test('the same key of two callers is two requests, and neither is answered with what the other got', async () => {
    await start({ path: '/orders', 'once-header': 'Idempotency-Key', role: 'ESBMessaging.send' })
    const post = async (authorization: string) => {
      const headers = { authorization, 'idempotency-key': 'k-1' }
      return (await fetch(`${base}/orders`, { method: 'POST', headers, body: authorization })).json()
    }
    expect(await post('anna')).toMatchObject({ id: 'M0', duplicate: false })
    expect(await post('bert')).toMatchObject({ id: 'M1', duplicate: false })
    expect(await post('anna')).toMatchObject({ id: 'M0', duplicate: true })
    expect(accepted.map(({ body }) => body)).toEqual(['anna', 'bert'])
  })

  test('nor is the same key of two users of one portal one request', async () => {
    await start({ path: '/orders', 'once-header': 'Idempotency-Key', role: 'ESBMessaging.send' })
    const post = async (authorization: string, key = 'k-1') => {
      const headers = { authorization, 'idempotency-key': key }
      return (await fetch(`${base}/orders`, { method: 'POST', headers, body: authorization })).json()
    }
    expect(await post('portal for anna')).toMatchObject({ id: 'M0', duplicate: false })
    expect(await post('portal for bert')).toMatchObject({ id: 'M1', duplicate: false })
    expect(await post('portal')).toMatchObject({ id: 'M2', duplicate: false })
    expect(await post('portal', 'anna/k-1')).toMatchObject({ id: 'M3', duplicate: false })
    expect(await post('portal for anna of corp')).toMatchObject({ id: 'M4', duplicate: false })
    expect(await post('portal for portal of corp')).toMatchObject({ id: 'M5', duplicate: false })
    expect(await post('portal for anna')).toMatchObject({ id: 'M0', duplicate: true })
    const named = { client: 'portal', instance: 'portal' }
    expect(accepted.map(({ incoming }) => incoming.attributes['caller'])).toEqual([
      { ...named, user: 'anna' },
      { ...named, user: 'bert' },
      named,
      named,
      { ...named, user: 'anna', idp: 'corp' },
      { ...named, user: 'portal', idp: 'corp' },
    ])
  })

  test.each([
    ['no key', {}, 'HTTPS_KEY_MISSING'],
    ['an empty one', { 'idempotency-key': ' ' }, 'HTTPS_KEY_MISSING'],
    ['an endless one', { 'idempotency-key': 'k'.repeat(300) }, 'HTTPS_KEY_MALFORMED'],
  ])('with %s nothing is accepted', async (_title, headers, code) => {
    await start({ path: '/orders', 'once-header': 'Idempotency-Key' })
    const response = await fetch(`${base}/orders`, {
      method: 'POST',
      headers: headers as Record<string, string>,
      body: 'x',
    })
    expect(response.status).toBe(400)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await response.json()).toMatchObject({ code, status: 400 })
    expect(accepted).toHaveLength(0)
  })
})

describe('answer: result', () => {
  const ask = () => fetch(`${base}/prices`, { method: 'POST', body: '{"item":1}' })

  test('answers with what the flow made of the message', async () => {
    await start({ path: '/prices', answer: 'result' })
    const body = heldBody('<price>7</price>', 'application/xml')
    const result = { id: 'M0', headers: {}, attributes: {}, body, acceptedAt: 0 }
    outcomes.set('M0', { id: 'M0', state: 'delivered', summary: 'ok', result })
    const response = await ask()
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/xml'])
    expect(response.headers.get('x-isthmus-message')).toBe('M0')
    expect(await response.text()).toBe('<price>7</price>')
  })

  const ends: readonly [Outcome['state'], Outcome['error'], number][] = [
    ['delivered', undefined, 200],
    ['dropped', undefined, 200],
    ['rejected', undefined, 422],
    ['set-aside', { code: 'HTTP_REFUSED', side: 'receiver', message: 'The other side refused.', next: 'Look.' }, 502],
    ['set-aside', { code: 'CREDENTIAL_UNKNOWN', side: 'hub', message: 'None is named S4.', next: 'Create S4.' }, 500],
    ['set-aside', { code: 'EXPRESSION_FAILED', side: 'flow', message: 'The flow failed.', next: 'Look.' }, 500],
    ['set-aside', { code: 'BODY_NOT_TEXT', side: 'sender', message: 'Not valid.', next: 'Look.' }, 422],
  ]
  test.each(ends)('%s %j', async (state, error, status) => {
    await start({ path: '/prices', answer: 'result' })
    outcomes.set('M0', { id: 'M0', state, summary: error?.message ?? 'as it is', ...(error && { error }) })
    const response = await ask()
    expect(response.status).toBe(status)
    const answer = (await response.json()) as Record<string, unknown>
    const location = response.headers.get('location') ?? ''
    if (status === 200) expect(answer).toEqual({ id: 'M0', state, summary: 'as it is' })
    else {
      // The words of the other side are for the people of the hub.
      const isKept = error?.side === 'receiver' || error?.side === 'hub'
      const title = isKept ? 'The message was taken in but not delivered.' : error?.message
      expect(answer).toMatchObject({ status, state, message: 'M0', title: title ?? 'as it is' })
      // Neither of the other side nor of the hub, also at the address that tells the end.
      const told = `${JSON.stringify(answer)} ${await (await fetch(new URL(location, base))).text()}`
      if (error) expect([told.includes(error.code), told.includes(error.message)]).toEqual([true, !isKept])
    }
  })

  test('the words of the other side, where the flow lets callers read them', async () => {
    await start({ path: '/prices', answer: 'result', 'tell-errors': true })
    const error = { code: 'DATAVERSE_VALUE_REFUSED', side: 'receiver', message: 'Too long: name.', next: 'Look.' }
    outcomes.set('M0', { id: 'M0', state: 'set-aside', summary: '', error })
    const refused = await ask()
    expect([refused.status, await refused.json()]).toMatchObject([502, { title: 'Too long: name.', code: error.code }])
  })

  test('the words of a flow that rejects, as they are', async () => {
    await start({ path: '/prices', answer: 'result' })
    const error = { code: 'ENGINE_ENDED_BY_STEP', side: 'flow', message: 'steps[1] (filter): Set Product …', next: '' }
    outcomes.set('M0', {
      id: 'M0',
      state: 'rejected',
      summary: 'Set Product needs Material.',
      error,
    })
    expect(await (await ask()).json()).toMatchObject({
      title: 'Set Product needs Material.',
      code: 'HTTPS_REJECTED',
      side: 'caller',
      status: 422,
    })
  })

  test('when time is over the message goes on, and the caller is not made to send it again', async () => {
    await start({ path: '/prices', answer: 'result', within: '50ms' })
    const response = await ask()
    expect(response.status).toBe(202)
    expect(response.headers.get('location')).toMatch(/^\/flows\/status\/orders\/M0\./)
  })
})

test('limits, methods and paths are held, and the route goes away with the flow', async () => {
  await start({ path: '/orders/*', 'max-size': '1KiB' })
  const post = (path: string, body: string) => fetch(`${base}${path}`, { method: 'POST', body })
  expect((await post('/orders/eu/1', 'x')).status).toBe(202)
  expect(accepted[0]?.incoming.attributes['path']).toBe('/orders/eu/1')
  expect((await post('/orders/eu/1', 'x'.repeat(2000))).status).toBe(413)
  expect((await fetch(`${base}/orders/1`)).status).toBe(405)
  stop.abort()
  await Promise.all(running)
  expect((await post('/orders/eu/1', 'x')).status).toBe(404)
  expect(accepted).toHaveLength(1)
})

test('a page of a listed origin may fetch a CSRF token and send it along', async () => {
  const origin = 'https://portal.contoso.com'
  await start({ path: '/orders', role: 'R', cors: { origins: [origin] } })
  const asked = { origin, 'access-control-request-method': 'POST' }
  const { headers } = await fetch(`${base}/orders`, { method: 'OPTIONS', headers: asked })
  expect(headers.get('access-control-allow-headers')?.split(', ')).toContain('x-csrf-token')
  expect(headers.get('access-control-expose-headers')?.split(', ')).toContain('x-csrf-token')
})

const mistakes: readonly [object, RegExp][] = [
  [{ path: 'orders' }, /begins with a slash/],
  [{ path: '/a/../b' }, /begins with a slash/],
  [{ path: '/a//b' }, /begins with a slash/],
  [{ path: '/*/b' }, /begins with a slash/],
  [{ path: '/status/x' }, /taken/],
  [{ path: '/x', headers: ['X-Isthmus-Flow'] }, /never becomes/],
  [{ path: '/x', headers: ['Authorization'] }, /never becomes/],
  [{ path: '/x', methods: [] }, /methods/],
  [{ path: '/x', auth: 'none' }, /auth/],
  [{ path: '/x', cors: { origins: ['https://portal.contoso.com'] } }, /only where a role is asked for/],
  [{ path: '/x', role: 'R', cors: { origins: ['*'] } }, /scheme and host of a page/],
  [{ path: '/x', role: 'R', cors: { origins: ['http://portal.contoso.com'] } }, /scheme and host of a page/],
  [{ path: '/x', role: 'R', cors: { origins: ['https://portal.contoso.com/'] } }, /scheme and host of a page/],
]
test.each(mistakes)('a document with %j is refused', (config, reason) => {
  expect(JSON.stringify(https.config.safeParse(config).error?.issues)).toMatch(reason)
})

test('every example parses', () => {
  for (const { config } of https.examples) expect(https.config.safeParse(config).error).toBeUndefined()
})
