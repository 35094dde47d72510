import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer as createTlsServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Effect, Receiver } from '../flow/adapter.ts'
import type { Body } from '../kernel/body.ts'
import type { CredentialValue } from '../kernel/credential.ts'
import type { HubError } from '../kernel/error.ts'
import type { Message } from '../kernel/message.ts'
import { makeTwinCertificate } from '../twins/certificate.ts'
import { http } from './http.ts'
import { httpConfig } from './http-config.ts'
import { effectOf, httpContext, messageOf, WebService } from './http-world.ts'

let service: WebService
const opened: Receiver[] = []
beforeEach(async () => {
  service = await new WebService().start()
})
afterEach(async () => {
  for (const receiver of opened.splice(0)) await receiver.close()
  await service.stop()
})

async function open(config: object, credential?: CredentialValue): Promise<Receiver> {
  const receiver = await http.open(httpContext(config, credential && (async () => credential)))
  opened.push(receiver)
  return receiver
}
async function failureOf(promise: Promise<unknown>): Promise<HubError> {
  return promise.then(
    () => expect.unreachable('it succeeded'),
    (error: HubError) => error,
  )
}
async function send(config: object, message: Message, more: Partial<Effect> = {}, credential?: CredentialValue) {
  return (await open(config, credential)).deliver(message, effectOf(message, more))
}

test('the very bytes arrive, with the headers, the query and the key of the flow, and the answer comes back', async () => {
  service.replies = [
    {
      status: 201,
      headers: { location: '/orders/4711', 'content-type': 'application/json', etag: '"7"' },
      body: '{"id":4711}',
    },
  ]
  const message = messageOf('{"order":"4711"}', { headers: { region: 'EU' }, attributes: { customer: 'A&B ltd' } })
  const effect = effectOf(message)
  const receiver = await open({
    url: `${service.url}/orders`,
    headers: { 'X-Region': '${message.headers.region}', 'Content-Type': 'application/vnd.order+json' },
    query: { customer: '${message.customer}' },
    'idempotency-key': 'Idempotency-Key',
  })
  const receipt = await receiver.deliver(message, effect)
  const [request] = service.requests
  expect(request?.url).toBe('/orders?customer=A%26B+ltd')
  expect(request?.body.toString()).toBe('{"order":"4711"}')
  expect(request?.headers).toMatchObject({
    'x-region': 'EU',
    'content-type': 'application/vnd.order+json',
    'content-length': '16',
    'idempotency-key': '0ABCDEFGHJK/to[0]',
  })
  expect(receipt.summary).toMatch(/^201 from 127\.0\.0\.1:\d+, \/orders\/4711 \(11 bytes\)$/)
  expect(receipt.fields).toEqual({ status: 201, location: '/orders/4711', etag: '"7"' })
  expect(receipt.terms).toEqual(['/orders/4711'])
  expect(Buffer.from(receipt.answer?.body ?? '').toString()).toBe('{"id":4711}')
})

test('a body larger than memory is streamed, and again for a second try', async () => {
  const parts = 64
  const part = Buffer.alloc(64 * 1024, 7)
  let passes = 0
  const body: Body = {
    bytes: parts * part.length,
    type: 'application/octet-stream',
    held: undefined,
    async *stream() {
      passes += 1
      for (let count = 0; count < parts; count += 1) yield part
    },
  }
  service.replies = [{ status: 401 }, { status: 204 }]
  const tokens = ['old', 'new']
  const credential: CredentialValue = {
    kind: 'oauth2',
    user: undefined,
    token: async () => ({ value: tokens.shift() ?? '', expiresAt: 0 }),
  }
  await send({ url: `${service.url}/upload`, method: 'PUT', auth: 'x' }, messageOf(body), {}, credential)
  expect(passes).toBe(2)
  expect(service.requests.map(request => request.body.length)).toEqual([body.bytes, body.bytes])
})

test('connections are kept for the next message', async () => {
  const receiver = await open({ url: `${service.url}/orders` })
  for (let count = 0; count < 20; count += 1) {
    const message = messageOf(`{"n":${count}}`)
    await receiver.deliver(message, effectOf(message))
  }
  expect(service.requests).toHaveLength(20)
  // The second is opened when a message follows in the very moment in which the first connection is still finishing.
  expect(service.connections).toBeLessThanOrEqual(2)
})

test('only what must not be sent again is announced before it goes out', async () => {
  const announced = async (config: object) => {
    const message = messageOf('{"n":1}')
    const effect = effectOf(message)
    await (await open({ url: `${service.url}/orders`, ...config })).deliver(message, effect)
    return effect.intents
  }
  expect(await announced({ method: 'POST' })).toEqual(['intended'])
  expect(await announced({ method: 'PUT', 'on-unknown': 'set-aside' })).toEqual(['intended'])
  expect(await announced({ method: 'PUT' })).toEqual([])
  expect(await announced({ method: 'POST', 'idempotency-key': 'Idempotency-Key' })).toEqual([])
})

test('GET sends no body and announces nothing', async () => {
  const message = messageOf('{"n":1}')
  const effect = effectOf(message)
  await (await open({ url: `${service.url}/status`, method: 'GET' })).deliver(message, effect)
  expect(service.requests[0]?.body.length).toBe(0)
  expect(service.requests[0]?.headers['content-type']).toBeUndefined()
  expect(effect.intents).toEqual([])
})

test('a client certificate is shown to the host of the flow and to no other, and a new one acts at once', async () => {
  const server = await makeTwinCertificate(['localhost'])
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-http-'))
  await writeFile(join(folder, 'ca.pem'), server.ca)
  const shown: string[] = []
  const listen = async (answer: (url: string) => string | undefined) => {
    const options = { cert: server.cert, key: server.key, requestCert: true, rejectUnauthorized: false }
    const tls = createTlsServer(options, (request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate()
      shown.push(String(subject?.CN ?? 'nobody'))
      const location = answer(request.url ?? '')
      response.writeHead(location === undefined ? 200 : 307, location === undefined ? {} : { location }).end()
    })
    await new Promise<void>(resolve => tls.listen(0, '127.0.0.1', resolve))
    const address = tls.address()
    return { tls, port: typeof address === 'object' && address ? address.port : 0 }
  }
  const other = await listen(() => undefined)
  const home = await listen(url => (url === '/away' ? `https://localhost:${other.port}/` : undefined))
  let pair = await makeTwinCertificate(['hub-1'])
  const credential = async () => ({ kind: 'certificate' as const, certificate: pair.cert, privateKey: pair.key })
  const config = {
    url: `https://localhost:${home.port}/\${message.path}`,
    method: 'GET',
    auth: 'client',
    ca: 'ca.pem',
    redirects: 1,
    allow: ['localhost', '127.0.0.0/8'],
  }
  const receiver = await http.open({ ...httpContext(config, credential), folder })
  opened.push(receiver)
  const ask = (path: string) => {
    const message = messageOf('x', { attributes: { path } })
    return receiver.deliver(message, effectOf(message))
  }
  await ask('here')
  await ask('away')
  pair = await makeTwinCertificate(['hub-2'])
  await ask('here')
  expect(shown).toEqual(['hub-1', 'hub-1', 'nobody', 'hub-2'])
  expect(await receiver.check()).toMatchObject({ ok: true })
  for (const { tls } of [home, other]) {
    tls.closeAllConnections()
    tls.close()
  }
  await rm(folder, { recursive: true })
})

test('where the message chooses the host a check is one of the credential alone', async () => {
  const config = { url: '${message.target}', auth: 'x', allow: ['hooks.example.com'] }
  const ready = 'the host is known once a message comes; the credential is ready'
  expect(await (await open(config, { kind: 'secret', secret: 'x' })).check()).toEqual({ ok: true, detail: ready })
  expect(await (await open(config, { kind: 'known-hosts', knownHosts: '' })).check()).toMatchObject({
    ok: false,
    error: { code: 'HTTP_CREDENTIAL_UNFIT' },
  })
})

test('TLS with an authority of the flow', async () => {
  const { cert, key, ca } = await makeTwinCertificate(['localhost'])
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-http-'))
  await writeFile(join(folder, 'ca.pem'), ca)
  const server = createTlsServer({ cert, key }, (_request, response) => response.end('secure'))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const url = `https://localhost:${typeof address === 'object' && address ? address.port : 0}/`
  const message = messageOf('x')
  const trusting = await http.open({ ...httpContext({ url, ca: 'ca.pem' }), folder })
  const doubting = await http.open(httpContext({ url }))
  opened.push(trusting, doubting)
  expect(Buffer.from((await trusting.deliver(message, effectOf(message))).answer?.body ?? '').toString()).toBe('secure')
  expect(await trusting.check()).toMatchObject({ ok: true })
  expect(await failureOf(doubting.deliver(message, effectOf(message)))).toMatchObject({ code: 'NET_TLS_FAILED' })
  expect(await doubting.check()).toMatchObject({ ok: false, error: { code: 'NET_TLS_FAILED' } })
  await expect(http.open({ ...httpContext({ url, ca: 'none.pem' }), folder })).rejects.toMatchObject({
    code: 'HTTP_CA_UNREADABLE',
  })
  server.closeAllConnections()
  server.close()
  await rm(folder, { recursive: true })
})

describe('who the hub is', () => {
  const kinds: readonly [string, CredentialValue, object, Record<string, string>][] = [
    [
      'basic',
      { kind: 'basic', user: 'HUB', password: 'pä:ss' },
      {},
      { authorization: `Basic ${Buffer.from('HUB:pä:ss').toString('base64')}` },
    ],
    ['a secret as bearer', { kind: 'secret', secret: 'k-1' }, {}, { authorization: 'Bearer k-1' }],
    ['a secret in a header', { kind: 'secret', secret: 'k-1' }, { 'auth-header': 'X-API-Key' }, { 'x-api-key': 'k-1' }],
  ]
  test.each(kinds)('%s', async (_title, credential, config, headers) => {
    await send({ url: service.url, auth: 'x', ...config }, messageOf('x'), {}, credential)
    expect(service.requests[0]?.headers).toMatchObject(headers)
  })

  test('a token that is refused is renewed once, and once only', async () => {
    const refused: (string | undefined)[] = []
    const credential: CredentialValue = {
      kind: 'oauth2',
      user: undefined,
      token: async old => {
        refused.push(old)
        return { value: old === undefined ? 't1' : 't2', expiresAt: 0 }
      },
    }
    service.replies = [{ status: 401, headers: { 'content-type': 'text/plain' }, body: 'token revoked' }]
    const error = await failureOf(send({ url: service.url, auth: 'm365' }, messageOf('x'), {}, credential))
    expect(error).toMatchObject({ code: 'HTTP_LOGIN_REFUSED', retry: 'after-change' })
    expect(error.message).toContain('token revoked')
    expect(error.next).toContain('m365')
    expect(refused).toEqual([undefined, 't1'])
    expect(service.requests.map(request => request.headers.authorization)).toEqual(['Bearer t1', 'Bearer t2'])
  })

  test('a password is not offered twice', async () => {
    service.replies = [{ status: 401 }]
    const credential: CredentialValue = { kind: 'basic', user: 'a', password: 'b' }
    await failureOf(send({ url: service.url, auth: 'x' }, messageOf('x'), {}, credential))
    expect(service.requests).toHaveLength(1)
  })
})

describe('what an answer means', () => {
  const answers: readonly [number, string, string][] = [
    [400, 'HTTP_REFUSED', 'never'],
    [404, 'HTTP_REFUSED', 'never'],
    [409, 'HTTP_REFUSED', 'never'],
    [422, 'HTTP_REFUSED', 'never'],
    [401, 'HTTP_LOGIN_REFUSED', 'after-change'],
    [403, 'HTTP_FORBIDDEN', 'after-change'],
    [408, 'HTTP_BUSY', 'soon'],
    [425, 'HTTP_BUSY', 'soon'],
    [429, 'HTTP_BUSY', 'soon'],
    [503, 'HTTP_BUSY', 'soon'],
    [500, 'HTTP_SERVER_FAILED', 'soon'],
    [302, 'HTTP_REDIRECTED', 'after-change'],
  ]
  test.each(answers)('%i is %s, tried %s', async (status, code, retry) => {
    service.replies = [{ status, headers: { 'content-type': 'application/json' }, body: '{"error":"reason"}' }]
    const error = await failureOf(send({ url: service.url }, messageOf('x')))
    expect(error).toMatchObject({ code, retry, isOutcomeUnknown: false })
    if (status !== 302) expect(error.message).toContain('{"error":"reason"}')
  })

  test('Retry-After is taken, in seconds and as a date', async () => {
    service.replies = [{ status: 429, headers: { 'retry-after': '17' } }]
    expect((await failureOf(send({ url: service.url }, messageOf('x')))).retryAfterMs).toBe(17_000)
    const date = new Date(Date.now() + 60_000).toUTCString()
    service.replies = [{ status: 503, headers: { 'retry-after': date } }]
    const waitMs = (await failureOf(send({ url: service.url }, messageOf('x')))).retryAfterMs ?? 0
    expect(waitMs).toBeGreaterThan(50_000)
    expect(waitMs).toBeLessThanOrEqual(60_000)
  })

  test('what counts as success is for the flow to say', async () => {
    service.replies = [{ status: 409 }]
    const receipt = await send({ url: service.url, success: ['2xx', 409] }, messageOf('x'))
    expect(receipt.fields).toMatchObject({ status: 409 })
    service.replies = [{ status: 202 }]
    expect((await failureOf(send({ url: service.url, success: [200] }, messageOf('x')))).code).toBe('HTTP_REFUSED')
  })

  test('an answer without end is not read to its end', async () => {
    service.replies = [{ body: Buffer.alloc(200_000) }]
    const error = await failureOf(send({ url: service.url, 'max-answer': '100KiB' }, messageOf('x')))
    expect(error).toMatchObject({ code: 'HTTP_ANSWER_TOO_LARGE', retry: 'never' })
  })
})

describe('a connection that is lost', () => {
  test('before the request: nothing happened, so it is simply tried again', async () => {
    const url = service.url
    await service.stop()
    const error = await failureOf(send({ url }, messageOf('x')))
    expect(error).toMatchObject({ code: 'NET_CONNECT_REFUSED', retry: 'soon', isOutcomeUnknown: false })
    service = await new WebService().start()
  })

  test.each([
    ['POST', {}, 'never'],
    ['POST', { 'idempotency-key': 'Idempotency-Key' }, 'soon'],
    ['POST', { 'on-unknown': 'send-again' }, 'soon'],
    ['PUT', {}, 'soon'],
    ['PUT', { 'on-unknown': 'set-aside' }, 'never'],
  ])('after the request, with %s and %j: the outcome is unknown, tried %s', async (method, config, retry) => {
    service.replies = [{ end: 'cut' }]
    const error = await failureOf(send({ url: service.url, method, ...config }, messageOf('x')))
    expect(error).toMatchObject({ code: 'HTTP_OUTCOME_UNKNOWN', isOutcomeUnknown: true, retry })
    expect(service.requests).toHaveLength(1)
  })

  test('no answer in time is unknown too', async () => {
    service.replies = [{ end: 'never' }]
    const error = await failureOf(send({ url: service.url, timeout: '80ms' }, messageOf('x')))
    expect(error.code).toBe('HTTP_OUTCOME_UNKNOWN')
    expect(error.message).toContain('no answer within 80 ms')
  })

  const unknown = { code: 'HTTP_OUTCOME_UNKNOWN', isOutcomeUnknown: true, retry: 'never' }
  const failed = { code: 'HTTP_SERVER_FAILED', isOutcomeUnknown: false, retry: 'soon' }
  test.each([
    ['POST', {}, unknown],
    ['POST', { 'idempotency-key': 'Idempotency-Key' }, failed],
    ['POST', { 'on-unknown': 'send-again' }, failed],
    ['PUT', {}, failed],
  ])('a gateway without a valid answer knows no more (502, 504), with %s and %j', async (method, config, expected) => {
    for (const status of [502, 504]) {
      service.replies = [{ status, body: 'upstream went away' }]
      expect(await failureOf(send({ url: service.url, method, ...config }, messageOf('x')))).toMatchObject(expected)
    }
  })

  test.each([
    ['POST', {}, { code: 'HTTP_REDIRECTED', retry: 'never', message: expect.stringContaining('/orders/1') }],
    ['POST', { 'on-unknown': 'send-again' }, { code: 'HTTP_REDIRECTED', retry: 'after-change' }],
    ['GET', {}, { code: 'HTTP_REDIRECTED', retry: 'after-change' }],
  ])('a 303 tells of what was done, and is not asked for twice, with %s and %j', async (method, config, expected) => {
    service.replies = [{ status: 303, headers: { location: '/orders/1' } }]
    expect(await failureOf(send({ url: service.url, method, ...config }, messageOf('x')))).toMatchObject(expected)
    service.replies = [{ status: 303, headers: { location: '/orders/1' } }]
    await send({ url: service.url, method, success: [303], ...config }, messageOf('x'))
  })

  test('an attempt after an unknown one is only made where doing it twice does no harm', async () => {
    const unknown = { isUnknown: true }
    const error = await failureOf(send({ url: service.url }, messageOf('x'), unknown))
    expect(error).toMatchObject({ code: 'HTTP_OUTCOME_UNKNOWN', retry: 'never' })
    expect(service.requests).toHaveLength(0)
    await send({ url: service.url, 'idempotency-key': 'Idempotency-Key' }, messageOf('x'), unknown)
    expect(service.requests).toHaveLength(1)
  })
})

describe('redirects', () => {
  test('are followed only when asked, with the body for 307, and without secrets to another origin', async () => {
    const other = await new WebService().start()
    service.replies = [
      { status: 307, headers: { location: '/moved' } },
      { status: 308, headers: { location: `${other.url}/new` } },
    ]
    const config = {
      url: `${service.url}/old`,
      auth: 'x',
      redirects: 2,
      headers: { 'X-Api-Key': 'k' },
      allow: ['127.0.0.1', '127.0.0.0/8'],
    }
    await send(config, messageOf('{"n":1}'), {}, { kind: 'secret', secret: 's3cret' })
    expect(service.requests.map(request => request.headers.authorization)).toEqual(['Bearer s3cret', 'Bearer s3cret'])
    expect(other.requests[0]).toMatchObject({ method: 'POST', url: '/new' })
    expect(other.requests[0]?.body.toString()).toBe('{"n":1}')
    expect(other.requests[0]?.headers.authorization).toBeUndefined()
    expect(other.requests[0]?.headers['x-api-key']).toBeUndefined()
    await other.stop()
  })

  test('to an address inside are refused, and a POST is never turned into a GET', async () => {
    const inside = await new WebService().start()
    service.replies = [{ status: 307, headers: { location: inside.url } }]
    const error = await failureOf(send({ url: service.url, redirects: 3 }, messageOf('x')))
    expect(error.code).toBe('NET_ADDRESS_FORBIDDEN')
    service.replies = [{ status: 303, headers: { location: '/elsewhere' } }]
    expect((await failureOf(send({ url: service.url, redirects: 3 }, messageOf('x')))).code).toBe('HTTP_REDIRECTED')
    service.replies = [{ status: 301, headers: { location: '/again' } }]
    const circle = await failureOf(send({ url: service.url, redirects: 3, method: 'GET' }, messageOf('x')))
    expect(circle.code).toBe('HTTP_REDIRECTED')
    expect(inside.requests).toHaveLength(0)
    await inside.stop()
  })
})

describe('a url that the message has a part in', () => {
  const hostile = [
    'http://127.0.0.1:1/',
    'http://2130706433/',
    'http://[::ffff:127.0.0.1]/',
    'http://169.254.169.254/latest/meta-data/',
    'http://localhost/',
    'http://１２７.０.０.１/',
    'file:///etc/passwd',
    'gopher://127.0.0.1/',
    'http://user:pw@93.184.215.14/',
    'not a url',
    '',
  ]
  test.each(hostile)('as a whole: %j is not called', async url => {
    const message = messageOf('x', { attributes: { target: url } })
    const error = await failureOf(send({ url: '${message.target}', timeout: '500ms' }, message))
    expect(['NET_ADDRESS_FORBIDDEN', 'HTTP_URL_REFUSED']).toContain(error.code)
    expect(error.retry).toBe('never')
  })

  test('as a whole, in a network of the allow list: it is called', async () => {
    const message = messageOf('x', { attributes: { target: `${service.url}/callback?a=1` } })
    await send({ url: '${message.target}', allow: ['127.0.0.0/8'] }, message)
    expect(service.requests[0]?.url).toBe('/callback?a=1')
  })

  test('behind the host, values cannot leave their place', async () => {
    const path = '/${params.base}/orders/${message.key}/items?v=${message.key}'
    const config = { url: `${service.url}${path}` }
    for (const key of ['10/20', 'a?b=c', 'x#y', 'ü &', '@evil.example', '%2e%2e', 'http://evil.example/']) {
      await send(config, messageOf('x', { attributes: { key } }))
      const encoded = encodeURIComponent(key)
      expect(service.requests.at(-1)?.url).toBe(`/api/orders/${encoded}/items?v=${encoded}`)
    }
    for (const key of ['..', '.', '../..', '..\\..']) {
      const count = service.requests.length
      const error = await failureOf(send(config, messageOf('x', { attributes: { key } })))
      expect(error.code).toBe('HTTP_URL_REFUSED')
      expect(service.requests).toHaveLength(count)
    }
  })

  test('next to the host, a value makes the guard decide', async () => {
    const message = messageOf('x', { attributes: { tail: '.evil.example' } })
    const error = await failureOf(
      send({ url: 'http://api${message.tail}/', allow: ['api.example'], timeout: '500ms' }, message),
    )
    expect(error.code).toBe('NET_ADDRESS_FORBIDDEN')
  })
})

test('line breaks from a message do not make headers', async () => {
  for (const value of ['a\r\nx-admin: 1', 'a\nb', 'a\0b', 'grün']) {
    const message = messageOf('x', { attributes: { value } })
    const error = await failureOf(send({ url: service.url, headers: { 'X-Note': '${message.value}' } }, message))
    expect(error.code).toBe('HTTP_HEADER_REFUSED')
  }
  expect(service.requests).toHaveLength(0)
})

const mistakes: readonly [object, RegExp][] = [
  [{ url: 'ftp://x.example/' }, /begins with https/],
  [{ url: '${message.target}', auth: 'x' }, /who gets the credential/],
  [{ url: 'https://${message.host}/', auth: 'x', allow: ['10.0.0.0/8'] }, /who gets the credential/],
  [{ url: 'http://sap.example/', auth: 'x' }, /cleartext/],
  [{ url: 'https://x.example/', headers: { 'Content-Length': '0' } }, /hub sets itself/],
  [{ url: 'https://x.example/', headers: { 'a b': 'c' } }, /name of a header/],
  [{ url: 'https://x.example/', success: ['ok'] }, /class of them/],
  [{ url: 'https://x.example/', allow: ['http://y.example'] }, /host name/],
  [{ url: 'https://x.example/', redirects: 50 }, /3/],
  [{ url: 'https://x.example/${nonsense(' }, /not valid/],
  [{ url: 'https://x.example/', retries: 3 }, /retries/],
]
test.each(mistakes)('a document with %j is refused', (config, reason) => {
  expect(JSON.stringify(httpConfig.safeParse(config).error?.issues)).toMatch(reason)
})

test('every example parses', () => {
  for (const { config } of http.examples) expect(httpConfig.safeParse(config).error).toBeUndefined()
})
