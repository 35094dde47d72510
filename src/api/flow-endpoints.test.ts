import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterEach, expect, test } from 'vitest'
import type { Caller, Guard } from '../auth/service/model.ts'
import { defineErrors } from '../kernel/error.ts'
import type { HttpResponse, HttpRoute } from '../kernel/http-exchange.ts'
import { type Log, silentLog } from '../kernel/log.ts'
import { systemClock } from '../kernel/time.ts'
import { makeTwinCertificate } from '../twins/certificate.ts'
import { openEndpointTls } from './endpoint-tls.ts'
import { endpointsOfTest, sendRaw, writeThenRead } from './endpoint-world.ts'

const testErrors = defineErrors('ENDPOINTTEST', {
  QUEUE_FULL: { side: 'hub', retry: 'soon', means: 'Too much waits.', next: 'Come back later.' },
})

const caller: Caller = { clientId: 'ci1', instance: 'cpi', keyId: 'k', subject: 'ci1', by: 'bearer' }

const { open, closing, closeAll } = endpointsOfTest()
afterEach(closeAll)

test('a caller on this machine reaches the flow with method, path, query, headers and body', async () => {
  const { url, seen } = await open()
  const response = await fetch(`${url}/orders?a=1&a=2&b=%20`, {
    method: 'POST',
    body: 'hello',
    headers: { 'x-order': '7' },
  })
  expect([response.status, await response.text()]).toEqual([202, '{"id":"X"}'])
  expect(seen).toMatchObject([
    {
      body: 'hello',
      request: {
        method: 'POST',
        path: '/flows/orders',
        url: '/flows/orders?a=1&a=2&b=%20',
        query: { a: '1', b: ' ' },
        headers: { 'x-order': '7' },
      },
    },
  ])
})

test('a packed body is refused, since its message would not say that it is packed; a route that keeps the word takes it', async () => {
  const { url, seen } = await open()
  const post = (base: string, coding: string) =>
    fetch(`${base}/orders`, { method: 'POST', headers: { 'content-encoding': coding }, body: gzipSync('hello') })
  for (const coding of ['gzip', 'X-GZIP', 'identity, deflate', 'br']) {
    const refused = await post(url, coding)
    expect([coding, refused.status, refused.headers.get('accept-encoding')]).toEqual([coding, 415, 'identity'])
    expect(await refused.json()).toMatchObject({ code: 'ENDPOINT_CODED', status: 415 })
  }
  expect(seen).toHaveLength(0)
  // No coding at all, but a common mistake.
  for (const none of ['identity', 'utf-8', '']) expect([none, (await post(url, none)).status]).toEqual([none, 202])
  const packed = await open({ takesCoded: true })
  expect((await post(packed.url, 'gzip')).status).toBe(202)
  expect(packed.seen[0]?.body).toBe(gzipSync('hello').toString('latin1'))
})

test('the longest route below a path is taken; a flow that stops takes its route along', async () => {
  const answer = (text: string) => async () => ({ status: 200, headers: {}, body: text })
  const { url, endpoints, takeAway } = await open({ path: '/a/*', handle: answer('a') })
  endpoints.serve({
    flow: 'b',
    path: '/a/b/*',
    methods: ['POST'],
    role: undefined,
    bodyBytesMax: 10,
    handle: answer('b'),
  })
  const ask = async (path: string) => {
    const response = await fetch(`${url}${path}`, { method: 'POST' })
    return response.status === 200 ? response.text() : response.status
  }
  expect([await ask('/a/x'), await ask('/a/b/c/d'), await ask('/a'), await ask('/ab')]).toEqual(['a', 'b', 404, 404])
  takeAway()
  expect(await ask('/a/x')).toBe(404)
})

const letIn = (whom: Caller): Guard => ({ admit: () => whom })
const portal = 'https://portal.contoso.com'
const cors = { origins: [portal], headers: ['authorization', 'content-type'], maxAgeSeconds: 600 }
const crossOriginHeaders = (response: Response) =>
  Object.fromEntries([...response.headers].filter(([name]) => name.startsWith('access-control-')))

test('a page of a listed origin may ask, send and read; the preflight needs no log-in and reaches no flow', async () => {
  const { url, seen } = await open({ role: 'R', cors }, { guard: letIn(caller) })
  const preflight = await fetch(`${url}/orders`, {
    method: 'OPTIONS',
    headers: {
      origin: portal,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization',
    },
  })
  expect([preflight.status, crossOriginHeaders(preflight)]).toEqual([
    204,
    {
      'access-control-allow-origin': portal,
      'access-control-allow-methods': 'POST',
      'access-control-allow-headers': 'authorization, content-type',
      'access-control-expose-headers': expect.stringContaining('x-isthmus-message'),
      'access-control-max-age': '600',
    },
  ])
  const headers = { origin: portal, 'sec-fetch-site': 'cross-site', authorization: 'Bearer t' }
  const sent = await fetch(`${url}/orders`, { method: 'POST', headers, body: 'x' })
  expect([sent.status, sent.headers.get('access-control-allow-origin'), sent.headers.get('vary')]).toEqual([
    202,
    portal,
    'origin',
  ])
  expect(seen).toHaveLength(1)
})

test.each([
  ['of another origin', { origin: 'https://evil.example' }],
  ['of the listed host over http', { origin: 'http://portal.contoso.com' }],
  ['of a host that begins like it', { origin: `${portal}.evil.example` }],
  ['without an origin', { origin: 'null' }],
])('a page %s is told nothing', async (_name, { origin }) => {
  const { url } = await open({ role: 'R', cors }, { guard: letIn(caller) })
  const asked = { origin, 'access-control-request-method': 'POST' }
  expect(crossOriginHeaders(await fetch(`${url}/orders`, { method: 'OPTIONS', headers: asked }))).toEqual({})
  const headers = { origin, authorization: 'Bearer t' }
  expect(crossOriginHeaders(await fetch(`${url}/orders`, { method: 'POST', headers }))).toEqual({})
})

test('a listed page gains nothing with what a browser adds by itself, and a route without a list answers no preflight', async () => {
  const { url, seen } = await open({ role: 'R', cors }, { guard: letIn(caller) })
  const ambient = { origin: portal, 'sec-fetch-site': 'cross-site', authorization: 'Basic YTpi' }
  expect((await fetch(`${url}/orders`, { method: 'POST', headers: ambient })).status).toBe(403)
  expect((await fetch(`${url}/orders`, { method: 'OPTIONS', headers: { origin: portal } })).status).toBe(405)
  expect(seen).toEqual([])
  const closed = await open({ role: 'R' }, { guard: letIn(caller) })
  const headers = { origin: portal, 'access-control-request-method': 'POST' }
  const answer = await fetch(`${closed.url}/orders`, { method: 'OPTIONS', headers })
  expect([answer.status, crossOriginHeaders(answer)]).toEqual([405, {}])
})

test('a path belongs to one flow', async () => {
  const { endpoints } = await open()
  const again = { flow: 'invoices', path: '/orders', methods: ['POST'], role: undefined, bodyBytesMax: 1 }
  expect(() => endpoints.serve({ ...again, handle: () => Promise.reject(new Error()) })).toThrow(
    '/orders is served by flow orders already',
  )
})

const ambiguous = [
  '/../orders',
  '/./orders',
  '/a/..%2forders',
  '//orders',
  '/%2e%2e/orders',
  '/orders%2f',
  '/or%64ers',
  '/orders%00',
  '/orders/',
  '/ORDERS',
]
test.each(ambiguous)('a path like %s is no route', async path => {
  const { port, seen } = await open()
  const answer = await sendRaw(port, `POST /flows${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`)
  expect(answer).toMatch(/^HTTP\/1\.1 40[04] /)
  expect(seen).toEqual([])
})

const outsiders: [string, Record<string, string>, string][] = [
  ['X-Forwarded-For with a foreign address', { 'x-forwarded-for': '203.0.113.7' }, 'ENDPOINT_NOT_LOOPBACK'],
  ['X-Forwarded-For that claims loopback', { 'x-forwarded-for': '127.0.0.1' }, 'ENDPOINT_NOT_LOOPBACK'],
  ['an empty X-Forwarded-For', { 'x-forwarded-for': '' }, 'ENDPOINT_NOT_LOOPBACK'],
  ['Forwarded', { forwarded: 'for=127.0.0.1' }, 'ENDPOINT_NOT_LOOPBACK'],
  ['Via', { via: '1.1 proxy' }, 'ENDPOINT_NOT_LOOPBACK'],
  ['X-Real-IP', { 'x-real-ip': '127.0.0.1' }, 'ENDPOINT_NOT_LOOPBACK'],
  ['a page of another site', { 'sec-fetch-site': 'cross-site' }, 'ENDPOINT_CROSS_SITE'],
  ['an Origin of another site', { origin: 'https://evil.example' }, 'ENDPOINT_CROSS_SITE'],
  ['an opaque Origin', { origin: 'null' }, 'ENDPOINT_CROSS_SITE'],
  ['a foreign name that leads here', { host: 'rebind.evil.example' }, 'ENDPOINT_CROSS_SITE'],
  ['a name that only looks like loopback', { host: '127.0.0.1.evil.example' }, 'ENDPOINT_CROSS_SITE'],
]
test.each(outsiders)('without a role, %s is refused', async (_what, headers, code) => {
  const { port, seen } = await open()
  const lines = Object.entries({ host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  const answer = await sendRaw(
    port,
    `POST /flows/orders HTTP/1.1\r\n${lines.join('')}Connection: close\r\nContent-Length: 0\r\n\r\n`,
  )
  expect(answer).toMatch(/^HTTP\/1\.1 403 /)
  expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({ code, status: 403, side: 'caller' })
  expect(seen).toEqual([])
})

test('a route with a role lets nobody in where nobody checks roles, and otherwise whom the guard lets in', async () => {
  const closed = await open({ role: 'orders.send' })
  expect(await (await fetch(`${closed.url}/orders`, { method: 'POST' })).json()).toMatchObject({
    code: 'ENDPOINT_NO_GUARD',
    status: 500,
  })
  const asked: string[] = []
  const guard: Guard = {
    async admit({ authorization }, role) {
      asked.push(role)
      if (authorization === 'Bearer good') return caller
      return { refusal: { status: 401, correlationId: 'c0ffee', retryAfterMs: undefined, challenges: ['Basic', 'X'] } }
    },
  }
  const checked = await open({ role: 'orders.send' }, { guard })
  const post = (authorization: string) =>
    fetch(`${checked.url}/orders`, { method: 'POST', headers: { authorization }, body: 'x' })
  const refused = await post('Bearer bad')
  expect([refused.status, refused.headers.get('x-correlation-id')]).toEqual([401, 'c0ffee'])
  expect(refused.headers.get('www-authenticate')).toBe('Basic, X')
  expect(await refused.json()).toMatchObject({ code: 'ENDPOINT_UNAUTHORISED', next: expect.stringContaining('c0ffee') })
  expect((await post('Bearer good')).status).toBe(202)
  expect(asked).toEqual(['orders.send', 'orders.send'])
  expect(checked.seen.map(({ request }) => request.caller)).toEqual([caller])
})

test('who is not let in learns nothing of limits, and the body is not read', async () => {
  const guard: Guard = {
    admit: () => ({ refusal: { status: 403, correlationId: 'c', retryAfterMs: undefined, challenges: [] } }),
  }
  const { url, seen } = await open({ role: 'orders.send' }, { guard })
  const response = await fetch(`${url}/orders`, { method: 'POST', body: 'x'.repeat(5000) })
  expect([response.status, response.headers.get('www-authenticate')]).toEqual([403, null])
  expect(await response.json()).toMatchObject({ code: 'ENDPOINT_FORBIDDEN' })
  expect(seen).toEqual([])
})

test('what is mounted is asked first, behind the same limits, and leaves the rest', async () => {
  const { url, port, endpoints } = await open()
  endpoints.mount((incoming, response) => {
    if (incoming.url !== '/oauth/token') return false
    response.end('token')
    return true
  })
  const origin = new URL(url).origin
  expect(await (await fetch(`${origin}/oauth/token`)).text()).toBe('token')
  const overHttp = await fetch(`${origin}/oauth/token`, { headers: { 'x-forwarded-proto': 'http' } })
  expect(await overHttp.json()).toMatchObject({ code: 'ENDPOINT_PLAIN_HTTP', status: 403 })
  expect((await fetch(`${url}/orders`, { method: 'POST' })).status).toBe(202)
  expect(await sendRaw(port, 'GET //x/oauth/token HTTP/1.1\r\nHost: localhost\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
})

test('a route whose role does not exist is not served, and says what to do', async () => {
  const { endpoints } = await open({}, { hasRole: role => role === 'ESBMessaging.send' })
  const route = {
    flow: 'de',
    path: '/de',
    methods: ['POST'],
    bodyBytesMax: 1,
    handle: () => Promise.reject(new Error()),
  }
  expect(() => endpoints.serve({ ...route, role: 'ESBMessaging_DE' })).toThrow('Flow de asks its callers for role')
  endpoints.serve({ ...route, role: 'ESBMessaging.send' })()
})

test('a declared or a streamed body above the limit is refused, and its rest is not read as a request', async () => {
  const { url, port, seen } = await open()
  const declared = await fetch(`${url}/orders`, { method: 'POST', body: 'x'.repeat(1001) })
  expect([declared.status, await declared.json()]).toMatchObject([413, { code: 'BODY_TOO_LARGE' }])
  const smuggled = 'GET /flows/orders HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const chunk = `${(2000).toString(16)}\r\n${smuggled.padEnd(2000, 'x')}\r\n`
  const answer = await sendRaw(
    port,
    `POST /flows/orders HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`,
  )
  expect(answer).toMatch(/^HTTP\/1\.1 413 /)
  expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
  expect(seen).toEqual([])
})

const head = 'POST /flows/orders HTTP/1.1\r\nHost: localhost\r\n'

test('whoever writes all of a large body before reading learns why it is refused', async () => {
  const guard: Guard = {
    admit: () => ({ refusal: { status: 401, correlationId: 'c', retryAfterMs: undefined, challenges: ['Basic'] } }),
  }
  const stranger = await open({ role: 'orders.send' }, { guard })
  expect(await writeThenRead(stranger.port, head, 30_000_000)).toMatch(/^HTTP\/1\.1 401 .*ENDPOINT_UNAUTHORISED/s)
  const tooMuch = await open()
  expect(await writeThenRead(tooMuch.port, head, 30_000_000)).toMatch(/^HTTP\/1\.1 413 .*BODY_TOO_LARGE/s)
  const unread = await open({ bodyBytesMax: 50_000_000, handle: async () => ({ status: 400, headers: {}, body: '' }) })
  expect(await writeThenRead(unread.port, head, 30_000_000)).toMatch(/^HTTP\/1\.1 400 /)
})

test('the rest of a refused body holds up no stop of the hub', async () => {
  const { port, endpoints } = await open()
  const socket = connect(port, '127.0.0.1')
  socket.write('POST /flows/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\nhello')
  await once(socket, 'data')
  const begun = performance.now()
  await endpoints.close(5000)
  expect(performance.now() - begun).toBeLessThan(1000)
})

test('a refused request without a body keeps its connection', async () => {
  const { url } = await open()
  expect((await fetch(`${url}/nothing`)).headers.get('connection')).toBe('keep-alive')
})

const smuggling: [string, string][] = [
  ['length and chunks', 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['two lengths', 'Content-Length: 0\r\nContent-Length: 5\r\n\r\nGET /'],
  ['an odd transfer encoding', 'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
  ['chunked twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['a space before the colon', 'Content-Length : 0\r\n\r\n'],
  ['a second Host', 'Host: other\r\nContent-Length: 0\r\n\r\n'],
  ['a chunk size with a sign', 'Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n'],
  ['a bare line feed', 'Content-Length: 0\nX: y\r\n\r\n'],
  ['a transfer coding below chunked', 'Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
]
test.each(smuggling)('%s: never reaches the flow', async (_what, rest) => {
  const { port, seen } = await open()
  const answer = await sendRaw(port, `POST /flows/orders HTTP/1.1\r\nHost: localhost\r\n${rest}`)
  expect(answer === '' || answer.startsWith('HTTP/1.1 400 ')).toBe(true)
  expect(seen).toEqual([])
})

test.each(['/%zz', '/flows/orders/%zz', '/flows/orders/%', '/flows/orders/%ff'])(
  'a path with a broken escape (%s) is answered with a problem and reaches no flow',
  async path => {
    const { port, seen } = await open({ path: '/orders/*' })
    const answer = await sendRaw(port, `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 400 .*content-type: application\/problem\+json/is)
    expect(answer).toContain('"code":"API_REQUEST_MALFORMED"')
    expect(seen).toEqual([])
  },
)

test('a method that is not taken, and an absolute URI, are refused', async () => {
  const { url, port } = await open()
  expect((await fetch(`${url}/orders`)).status).toBe(405)
  expect(
    await sendRaw(port, 'POST http://localhost/flows/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n'),
  ).toMatch(/^HTTP\/1\.1 400 /)
})

test('a caller that asks first is told to go on only when its body is wanted', async () => {
  const { port } = await open()
  const head = 'POST /flows/orders HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n'
  expect(await sendRaw(port, `${head}Content-Length: 5000\r\n\r\n`)).toMatch(/^HTTP\/1\.1 413 /)
  expect(await sendRaw(port, `${head}Content-Length: 5\r\n\r\nhello`)).toMatch(
    /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 202 /,
  )
  // HTTP/1.0 knows of no answer before the answer.
  const old = `${head.replace('HTTP/1.1', 'HTTP/1.0')}Content-Length: 5\r\n\r\nhello`
  expect(await sendRaw(port, old)).toMatch(/^HTTP\/1\.1 202 /)
})

test('whoever calls with a method that is not taken reads which ones are', async () => {
  const { url } = await open({ methods: ['GET', 'POST'] })
  for (const method of ['HEAD', 'OPTIONS', 'DELETE']) {
    const { status, headers } = await fetch(`${url}/orders`, { method })
    expect([method, status, headers.get('allow')]).toEqual([method, 405, 'GET, POST'])
  }
})

test('a caller that leaves aborts the signal, and half a body is no body', async () => {
  let fail: (error: unknown) => void = () => {}
  const failed = new Promise<unknown>(resolve => {
    fail = resolve
  })
  let isAborted = false
  const events: string[] = []
  const log: Log = {
    ...silentLog,
    debug: event => void events.push(`debug ${event}`),
    error: event => void events.push(`error ${event}`),
  }
  const handler: Partial<HttpRoute> = {
    async handle(request): Promise<HttpResponse> {
      request.signal.addEventListener('abort', () => {
        isAborted = true
      })
      try {
        for await (const chunk of request.body) void chunk
      } catch (error) {
        fail(error)
        throw error
      }
      return { status: 200, headers: {}, body: '' }
    },
  }
  const { port } = await open(handler, { log })
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write('POST /flows/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf')
  await new Promise(resolve => setTimeout(resolve, 50))
  socket.destroy()
  expect(await failed).toMatchObject({ code: 'ENDPOINT_CALLER_LEFT', side: 'caller', fields: { bytes: 4 } })
  await expect.poll(() => isAborted).toBe(true)
  await expect.poll(() => events).toContain('debug endpoint.refused')
  expect(events).not.toContain('error endpoint.failed')
})

test('an answer may be a stream; errors of the flow become problems with Retry-After, unforeseen ones tell nothing', async () => {
  const streamed = await open({
    handle: async () => ({
      status: 200,
      headers: {},
      body: (async function* () {
        for (let count = 0; count < 3; count++) yield Buffer.from(`part ${count};`)
      })(),
    }),
  })
  expect(await (await fetch(`${streamed.url}/orders`, { method: 'POST' })).text()).toBe('part 0;part 1;part 2;')
  const full = await open({ handle: () => Promise.reject(testErrors.QUEUE_FULL({}, { retryAfterMs: 2500 })) })
  const answer = await fetch(`${full.url}/orders`, { method: 'POST', body: 'x' })
  expect([answer.headers.get('retry-after'), await answer.json()]).toMatchObject([
    '3',
    { code: 'ENDPOINTTEST_QUEUE_FULL', next: 'Come back later.' },
  ])
  const broken = await open({ handle: () => Promise.reject(new Error('secret path /etc/hub')) })
  const text = await (await fetch(`${broken.url}/orders`, { method: 'POST' })).text()
  expect(JSON.parse(text)).toMatchObject({ status: 500, code: 'HUB_UNEXPECTED' })
  expect(text).not.toContain('/etc/hub')
})

test('a connection over which no handshake comes is ended as early as one without headers', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-endpoint-'))
  closing.push(() => rm(folder, { recursive: true }))
  const { cert, key } = await makeTwinCertificate(['127.0.0.1'])
  const files = { certificate: join(folder, 'hub.crt'), key: join(folder, 'hub.key') }
  await Promise.all([writeFile(files.certificate, cert), writeFile(files.key, key)])
  const tls = openEndpointTls(files, systemClock, silentLog)
  const { port } = await open({}, { tls, limits: { headersMs: 200 } })
  const socket = connect(port, '127.0.0.1')
  closing.push(async () => void socket.destroy())
  const ended = once(socket, 'close')
  expect(await Promise.race([ended.then(() => 'ended'), delay(5_000, 'open')])).toBe('ended')
})

test('a caller that waits while the hub stops is answered before its connection is cut', async () => {
  const { url, endpoints } = await open({
    async handle(request) {
      await once(request.signal, 'abort')
      return { status: 202, headers: {}, body: 'ask later' }
    },
  })
  const answer = fetch(`${url}/orders`, { method: 'POST', body: 'x' }).then(
    async response => [response.status, await response.text()],
    () => 'cut off',
  )
  await delay(50)
  await endpoints.close(500)
  expect(await answer).toEqual([202, 'ask later'])
})
