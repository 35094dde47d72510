import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { MiB } from '../kernel/size.ts'
import { systemClock } from '../kernel/time.ts'
import { standInClock } from '../monitor/stand-ins.ts'
import { createTokenCheck, ensureAdminToken, tokenLimits } from './admin-token.ts'
import { type ApiWorld, type ApiWorldOptions, apiWorld } from './api-world.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function open(options?: ApiWorldOptions): Promise<ApiWorld> {
  const world = await apiWorld(options)
  closing.push(() => world.close())
  return world
}

/** Sends bytes as they are and resolves with everything that came until the connection ended or fell silent. */
async function sendRaw(port: number, text: string, silenceMs = 700): Promise<{ answer: string; isClosed: boolean }> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.setTimeout(silenceMs)
  const chunks: Buffer[] = []
  socket.on('data', chunk => chunks.push(chunk))
  socket.write(text)
  const isClosed = await new Promise<boolean>(resolve => {
    socket.on('close', () => resolve(true))
    socket.on('error', () => resolve(true))
    socket.on('timeout', () => resolve(false))
  })
  socket.destroy()
  return { answer: Buffer.concat(chunks).toString(), isClosed }
}

test('every route but those of health, setup and log-in asks for a proof, unknown ones too', async () => {
  const world = await open()
  const { paths } = (await world.openapi()) as { paths: Record<string, Record<string, unknown>> }
  // Without a body nobody is set up or logged in.
  const statusOf = new Map([
    ['get /healthz', 200],
    ['get /readyz', 200],
    ['post /api/setup', 400],
    ['post /api/session', 400],
    ['get /api/session/ways', 200],
  ])
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(method => ({ path, method })),
  )
  expect(routes.length).toBeGreaterThan(20)
  for (const { path, method } of [
    ...routes,
    { path: '/nothing', method: 'get' },
    { path: '/api/openapi.json', method: 'get' },
  ]) {
    const url = `${world.url}${path.replaceAll(/\{\w+\}/g, 'x')}`
    const { status } = await fetch(url, { method: method.toUpperCase() })
    // Past the limit of failures it would be 429.
    await world.clock.advance(tokenLimits.withinMs)
    expect(`${method} ${path} ${status}`).toBe(`${method} ${path} ${statusOf.get(`${method} ${path}`) ?? 401}`)
  }
})

const tokens: [string, (token: string) => string][] = [
  ['none', () => ''],
  ['a wrong one', () => `Bearer isthmus_${'A'.repeat(43)}`],
  ['half of it', token => `Bearer ${token.slice(0, -1)}`],
  ['one letter more', token => `Bearer ${token}A`],
  ['another scheme', token => `Basic ${Buffer.from(`admin:${token}`).toString('base64')}`],
  ['the bare token', token => token],
]
test.each(tokens)('a call with %s is refused with a problem that says what to do', async (_which, header) => {
  const world = await open()
  const authorization = header(world.token)
  const response = await fetch(`${world.url}/api/flows`, { headers: authorization ? { authorization } : {} })
  expect(response.status).toBe(401)
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/)
  expect(await response.json()).toMatchObject({
    status: 401,
    side: 'caller',
    next: expect.stringContaining('admin.token'),
  })
})

test('a token of nothing but dots is refused at once: no stranger keeps the hub busy with its own header', async () => {
  const world = await open()
  const startedAt = performance.now()
  const { status } = await fetch(`${world.url}/api/flows`, {
    headers: { authorization: `Bearer ${'.e'.repeat(1500)} e` },
  })
  expect(status).toBe(401)
  // Where every pair of dots is tried it takes 3 s, and minutes for one of 16 KiB, which is as long as it may be.
  expect(performance.now() - startedAt).toBeLessThan(1000)
})

test('wrong tokens are limited per address; the right one passes all the same', async () => {
  const { clock, pass } = standInClock()
  const check = createTokenCheck('isthmus_right', clock)
  for (let count = 0; count < tokenLimits.failuresMax; count++) {
    expect(check('Bearer wrong', '10.0.0.1')?.code).toBe('API_TOKEN_WRONG')
  }
  expect(check('Bearer wrong', '10.0.0.1')).toMatchObject({ code: 'API_TOO_MANY_FAILURES', retryAfterMs: 60_000 })
  expect(check('Bearer isthmus_right', '10.0.0.1')).toBeUndefined()
  expect(check('Bearer wrong', '10.0.0.2')?.code).toBe('API_TOKEN_WRONG')
  await pass(tokenLimits.withinMs)
  expect(check('Bearer wrong', '10.0.0.1')?.code).toBe('API_TOKEN_WRONG')
})

test('the token is made once, for its owner alone, and one that others can read is refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-token-'))
  closing.push(() => rm(folder, { recursive: true }))
  const first = await ensureAdminToken(folder)
  const file = join(folder, 'admin.token')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await ensureAdminToken(folder)).toEqual({ token: first.token, isNew: false })
  expect((await readFile(file, 'utf8')).trim()).toMatch(/^isthmus_[\w-]{43}$/)
  await chmod(file, 0o644)
  await expect(ensureAdminToken(folder)).rejects.toMatchObject({ code: 'API_TOKEN_FILE_OPEN' })
  await chmod(file, 0o600)
  await writeFile(file, '')
  await expect(ensureAdminToken(folder)).rejects.toMatchObject({ code: 'API_TOKEN_FILE_BAD' })
})

test('the comparison does not tell how much of a token was right', () => {
  const right = `isthmus_${'q'.repeat(43)}`
  const check = createTokenCheck(right, systemClock)
  const time = (sent: string) => {
    const times: number[] = []
    for (let count = 0; count < 4000; count++) {
      const from = process.hrtime.bigint()
      check(`Bearer ${sent}`, '10.0.0.1')
      times.push(Number(process.hrtime.bigint() - from))
    }
    return times.toSorted((one, other) => one - other)[2000] ?? 0
  }
  time('warm up')
  const none = time('x'.repeat(right.length))
  const nearly = time(`${right.slice(0, -1)}x`)
  expect(Math.max(none, nearly) / Math.min(none, nearly)).toBeLessThan(1.5)
})

const malformed: [string, (token: string) => string][] = [
  [
    'two Host headers',
    token => `GET /api/flows HTTP/1.1\r\nHost: a\r\nHost: b\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  ],
  ['no Host header', token => `GET /api/flows HTTP/1.1\r\nAuthorization: Bearer ${token}\r\n\r\n`],
  [
    'an absolute URI',
    token => `GET http://evil/api/flows HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  ],
  [
    'a target with two slashes',
    token => `GET //evil/api/flows HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  ],
  [
    'two Authorization headers',
    token =>
      `GET /api/flows HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer ${token}\r\nAuthorization: Bearer x\r\n\r\n`,
  ],
  [
    'length and chunks',
    token =>
      `POST /api/lint HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'two lengths',
    token =>
      `POST /api/lint HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer ${token}\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n{}{}`,
  ],
  ['bare line feeds', token => `GET /api/flows HTTP/1.1\nHost: hub\nAuthorization: Bearer ${token}\n\n`],
  [
    'a folded header',
    token => `GET /api/flows HTTP/1.1\r\nHost: hub\r\nX: a\r\n b\r\nAuthorization: Bearer ${token}\r\nHost : x\r\n\r\n`,
  ],
  [
    '20 KB of headers',
    token =>
      `GET /api/flows HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer ${token}\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`,
  ],
  ['CONNECT', () => 'CONNECT evil:25 HTTP/1.1\r\nHost: evil:25\r\n\r\n'],
]
test.each(malformed)('%s: refused, and the connection is closed', async (_what, request) => {
  const world = await open()
  const { answer, isClosed } = await sendRaw(world.port, request(world.token))
  expect(answer === '' || /^HTTP\/1\.1 4\d\d /.test(answer)).toBe(true)
  expect(answer).not.toContain('"flows"')
  expect(isClosed).toBe(true)
})

test.each(['/%zz', '/api/flows/%', '/api/messages/%ff'])(
  '%s: a broken escape is answered with a problem',
  async path => {
    const world = await open()
    const { answer } = await sendRaw(world.port, `GET ${path} HTTP/1.1\r\nHost: hub\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 400 .*content-type: application\/problem\+json/is)
    expect(answer).toContain('"code":"API_REQUEST_MALFORMED"')
  },
)

test('slow headers, endless bodies and idle connections are ended', async () => {
  const world = await open({ limits: { headersMs: 300, requestMs: 600, idleMs: 5000, keepAliveMs: 300 } })
  const slowHeaders = await sendRaw(world.port, 'GET /api/flows HTTP/1.1\r\nHost: hub\r\nX-Slow: ', 4000)
  expect(slowHeaders).toMatchObject({ isClosed: true, answer: expect.stringMatching(/^HTTP\/1\.1 408 /) })
  const head = `POST /api/lint HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer ${world.token}\r\nContent-Type: application/json\r\n`
  const slowBody = await sendRaw(world.port, `${head}Content-Length: 100\r\n\r\n{"document"`, 4000)
  expect(slowBody).toMatchObject({ isClosed: true, answer: expect.stringMatching(/^HTTP\/1\.1 408 /) })
  const idle = await open({ limits: { idleMs: 300 } })
  expect((await sendRaw(idle.port, '', 4000)).isClosed).toBe(true)
})

const bodies: [string, number, string, string][] = [
  ['text', 415, 'text/plain', '{"document":"x"}'],
  ['a form', 415, 'application/x-www-form-urlencoded', 'document=x'],
  ['no type', 415, '', '{"document":"x"}'],
  ['a type that only begins like JSON', 415, 'application/jsonx', '{"document":"x"}'],
  ['broken JSON', 400, 'application/json', '{"document":'],
  ['__proto__', 400, 'application/json', '{"document":"x","__proto__":{"isAdmin":true}}'],
  ['an escaped __proto__', 400, 'application/json', '{"document":"x","__pro\\u0074o__":{"isAdmin":true}}'],
  ['constructor.prototype', 400, 'application/json', '{"document":"x","constructor":{"prototype":{"isAdmin":true}}}'],
  ['a field too many', 400, 'application/json', '{"document":"x","roles":["admin"]}'],
  ['a wrong type of field', 400, 'application/json', '{"document":["x"]}'],
  ['more than a megabyte', 413, 'application/json', JSON.stringify({ document: 'x'.repeat(1_100_000) })],
]
test.each(bodies)('a body of %s is answered with %i', async (_what, status, type, body) => {
  const world = await open()
  const response = await world.call('POST', '/api/lint', new TextEncoder().encode(body), { 'content-type': type })
  // world.call sends JSON; here the very bytes and the very type are meant.
  await response.body?.cancel()
  const sent = await fetch(`${world.url}/api/lint`, {
    method: 'POST',
    headers: { authorization: `Bearer ${world.token}`, ...(type && { 'content-type': type }) },
    body: new TextEncoder().encode(body),
  })
  expect(sent.status).toBe(status)
  expect(await sent.json()).toMatchObject({ status, side: 'caller', next: expect.any(String) })
  expect(({} as Record<string, unknown>).isAdmin).toBeUndefined()
})

test.each([
  ['above the limit', 'POST', '/api/lint', 'application/json', 413],
  ['without a proof', 'POST', '/api/lint', 'application/json', 401],
  ['of a repair that is above its limit', 'PUT', '/api/messages/$id/body', 'application/octet-stream', 413],
])(
  'whoever still sends a body %s reads the answer; the connection does not break under the rest',
  async (what, method, path, type, status) => {
    const world = await open({ engine: { limits: { messageBytes: MiB } } })
    const { id } = await world.accept('a')
    const socket = connect(world.port, '127.0.0.1')
    const ended = once(socket, 'close')
    const token = what === 'without a proof' ? '' : `Authorization: Bearer ${world.token}\r\n`
    const length = 8 * MiB
    socket.write(
      `${method} ${path.replace('$id', id)} HTTP/1.1\r\nHost: x\r\n${token}Content-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`,
    )
    socket.write(Buffer.alloc(2 * MiB))
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    // Each piece would meet a closed connection.
    for (let sent = 2 * MiB; sent < length; sent += MiB) {
      await new Promise((resolve, reject) =>
        socket.write(Buffer.alloc(MiB), error => (error ? reject(error) : resolve(0))),
      )
    }
    socket.end('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    const [next] = (await once(socket, 'data')) as [Buffer]
    expect(next.toString()).toMatch(/^HTTP\/1\.1 200 /)
    await ended
  },
)

const ids = ['..%2f..%2fetc%2fpasswd', '%00', "' OR 1=1 --", '0'.repeat(200), 'ZZZZZZZZZZZ', '%F0%9F%92%A9']
test.each(ids)('an id like %s is not found', async id => {
  const world = await open()
  for (const path of [`/api/messages/${id}`, `/api/messages/${id}/body`]) {
    const { status } = await world.call('GET', path)
    expect([400, 404]).toContain(status)
  }
})

test.each(["'; DROP TABLE delivery; --", '%', '_', '*', '**', '"', '\\', '\u0000', 'a*b'])(
  'a term %j finds nothing and breaks nothing',
  async term => {
    const world = await open()
    const { id } = await world.accept('x', { terms: ['known'] })
    const found = await world.ask(200, 'GET', `/api/messages?term=${encodeURIComponent(term)}`)
    // A lone star is the beginning of every word.
    expect(found.messages).toHaveLength(term === '*' ? 1 : 0)
    expect(await world.ask(200, 'GET', '/api/messages?term=known')).toMatchObject({ messages: [{ id }] })
  },
)

test('answers may not be framed, sniffed or cached', async () => {
  const world = await open()
  const { headers } = await world.call('GET', '/api/flows')
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('cache-control')).toBe('no-store')
  expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
  expect(headers.get('access-control-allow-origin')).toBeNull()
})

test('X-Forwarded-For does not change who is written to the audit log', async () => {
  const world = await open()
  await world.call('POST', '/api/flows/orders/stop', undefined, { 'x-forwarded-for': '10.9.8.7' })
  expect(await world.ask(200, 'GET', '/api/audit')).toMatchObject({ entries: [{ who: 'admin@127.0.0.1' }] })
})
