import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import { afterEach, expect, test } from 'vitest'
import type { Guard } from '../auth/service/model.ts'
import { type Log, silentLog } from '../kernel/log.ts'
import { systemClock } from '../kernel/time.ts'
import { makeTwinCertificate } from '../twins/certificate.ts'
import { openEndpointTls } from './endpoint-tls.ts'
import { endpointsOfTest, sendRaw, writeThenRead } from './endpoint-world.ts'

const { open, closing, closeAll } = endpointsOfTest()
afterEach(closeAll)

const head = 'POST /flows/orders HTTP/1.1\r\nHost: localhost\r\n'
const good = `${head}Content-Length: 5\r\n\r\nhello`
const countAnswers = (answer: string) => answer.match(/HTTP\/1\.1 \d{3} /g)?.length
const problemIn = (answer: string): unknown => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))

test('what comes behind a request after which the connection closes reaches no flow', async () => {
  const twice = await open()
  const malformed = `${head}Content-Type: a/b\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello`
  const refused = await sendRaw(twice.port, `${malformed}${good}`)
  expect(refused).toMatch(/^HTTP\/1\.1 400 /)
  expect(countAnswers(refused)).toBe(1)
  expect(twice.seen).toHaveLength(0)

  const guard: Guard = {
    admit: () => ({ refusal: { status: 401, correlationId: 'c', retryAfterMs: undefined, challenges: ['Basic'] } }),
  }
  const stranger = await open({ role: 'R' }, { guard })
  const opened = { flow: 'open', path: '/open', methods: ['POST'], role: undefined, bodyBytesMax: 10 }
  let taken = 0
  stranger.endpoints.serve({
    ...opened,
    async handle() {
      taken += 1
      return { status: 200, headers: {}, body: '' }
    },
  })
  const socket = connect(stranger.port, '127.0.0.1')
  const ended = once(socket, 'close')
  socket.write(`${head}Content-Length: 5\r\n\r\nhe`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(String(answer)).toMatch(/^HTTP\/1\.1 401 .*connection: close/is)
  socket.write(`llo${good.replace('/orders', '/open')}`)
  socket.resume()
  await ended
  expect(taken).toBe(0)
})

test('a request that is refused as malformed is read to its end, so that its caller reads why', async () => {
  const { port } = await open()
  const refused = await writeThenRead(
    port,
    `${head}Authorization: Basic YQ==\r\nAuthorization: Basic Yg==\r\n`,
    20_000_000,
  )
  expect(refused).toMatch(/^HTTP\/1\.1 400 .*API_REQUEST_MALFORMED.*2 authorization headers/s)
})

const unparsed: [string, string, number, string][] = [
  [
    'a header that is too long',
    `${head}Authorization: Bearer ${'a'.repeat(20_000)}\r\n\r\n`,
    431,
    'ENDPOINT_HEADERS_TOO_LARGE',
  ],
  ['a target that is too long', head.replace('orders', 'a'.repeat(20_000)), 431, 'ENDPOINT_HEADERS_TOO_LARGE'],
  ['too many headers', `${head}${'a:\r\n'.repeat(5000)}\r\n`, 431, 'ENDPOINT_HEADERS_TOO_LARGE'],
  [
    'a length and chunks',
    `${head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
    'API_REQUEST_MALFORMED',
  ],
  ['a negative length', `${head}Content-Length: -1\r\n\r\n`, 400, 'API_REQUEST_MALFORMED'],
  ['a method that there is not', 'FROB / HTTP/1.1\r\nHost: localhost\r\n\r\n', 400, 'API_REQUEST_MALFORMED'],
  ['no HTTP at all', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000', 400, 'API_REQUEST_MALFORMED'],
  ['a broken chunk', `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 400, 'API_REQUEST_MALFORMED'],
  [
    'chunks of HTTP/1.0',
    `${head.replace('1.1', '1.0')}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
    'API_REQUEST_MALFORMED',
  ],
  [
    'a body of HTTP/1.0 without a length',
    `${head.replace('1.1', '1.0')}Content-Type: text/plain\r\n\r\nhello`,
    400,
    'API_REQUEST_MALFORMED',
  ],
  [
    'the same, its body on its way',
    `${head.replace('1.1', '1.0')}Content-Type: text/plain\r\n\r\n`,
    400,
    'API_REQUEST_MALFORMED',
  ],
]
test.each(unparsed)(
  '%s: answered with a problem, told in the log, and no flow sees it',
  async (_what, bytes, status, code) => {
    const events: unknown[] = []
    const log: Log = { ...silentLog, debug: (event, fields) => void events.push({ event, ...fields }) }
    const { port, seen } = await open({}, { log })
    const answer = await sendRaw(port, bytes)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} \\w.*\r\nconnection: close\r\n`, 'is'))
    expect(answer).toMatch(/\r\ncontent-type: application\/problem\+json\r\n/i)
    expect(countAnswers(answer)).toBe(1)
    expect(problemIn(answer)).toMatchObject({ code, status, side: 'caller' })
    expect(events).toContainEqual(expect.objectContaining({ event: 'endpoint.refused', code }))
    expect(seen).toHaveLength(0)
  },
)

test('who sends more headers than are taken and a large body reads why', async () => {
  const { port } = await open()
  const refused = await writeThenRead(port, `${head}Cookie: ${'a'.repeat(20_000)}\r\n`, 5_000_000)
  expect(refused).toMatch(/^HTTP\/1\.1 431 .*ENDPOINT_HEADERS_TOO_LARGE/s)
})

test('who does not come to the end of its headers or its body in time is told so', async () => {
  const { port, seen } = await open({}, { limits: { headersMs: 200, requestMs: 400 } })
  for (const part of [`${head}X: `, `${head}Content-Length: 30\r\n\r\nhe`]) {
    const socket = connect(port, '127.0.0.1')
    socket.write(part)
    const answer = await text(socket)
    expect(answer).toMatch(/^HTTP\/1\.1 408 /)
    expect(problemIn(answer)).toMatchObject({ code: 'ENDPOINT_TOO_SLOW', status: 408 })
  }
  expect(seen).toHaveLength(0)
})

test('half a body whose caller says that nothing more comes is no message, and is answered', async () => {
  const { port, seen } = await open()
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.end(`${head}Content-Length: 30\r\n\r\nhe`)
  const answer = await text(socket)
  expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  expect(countAnswers(answer)).toBe(1)
  expect(seen).toHaveLength(0)
})

test('bytes behind a request that is whole do not take its answer away', async () => {
  const { port, seen } = await open()
  const last = `${head}Connection: close\r\nContent-Length: 5\r\n\r\nhello`
  for (const rest of ['GET / HTTP/1.1\r\n', '\u0000\u0000', '\r\n']) {
    const answer = await sendRaw(port, `${last}${rest}`)
    expect(answer).toMatch(/^HTTP\/1\.1 202 .*connection: close/is)
    expect(countAnswers(answer)).toBe(1)
  }
  expect(await sendRaw(port, `${good}\u0000\u0000`)).toMatch(/^HTTP\/1\.1 202 .*connection: close/is)
  expect(seen.map(({ body }) => body)).toEqual(['hello', 'hello', 'hello', 'hello'])
  // Without a length it was taken for a request without a body, and its caller must not think that it was heard.
  expect(await sendRaw(port, `${head.replace('1.1', '1.0')}\r\nhello`)).toMatch(/^HTTP\/1\.1 400 /)
})

test('over TLS too, what is too large is told', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-odd-'))
  closing.push(() => rm(folder, { recursive: true }))
  const { cert, key } = await makeTwinCertificate(['127.0.0.1'])
  const files = { certificate: join(folder, 'hub.crt'), key: join(folder, 'hub.key') }
  await Promise.all([writeFile(files.certificate, cert), writeFile(files.key, key)])
  const { port } = await open({}, { tls: openEndpointTls(files, systemClock, silentLog) })
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
  socket.write(`${head}X: ${'a'.repeat(20_000)}\r\n\r\n`)
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 431 .*ENDPOINT_HEADERS_TOO_LARGE/s)
})
