import { once } from 'node:events'
import type net from 'node:net'
import tls from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { HOUR, SECOND, systemClock } from '../../kernel/time.ts'
import { makeConnect } from '../../protocols/net/connect.ts'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import { startSmtpServer } from '../../twins/smtp/server.ts'
import {
  closedPort,
  closePools,
  options,
  poolOf,
  server,
  smtpTwin,
  stateOf,
  talk,
  until,
  virtual,
  willClose,
} from './pool-world.ts'

afterEach(closePools)

const mail = ['EHLO hub.example', 'MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>', 'DATA', 'Hello\r\n.']

describe('opening a mail server', () => {
  test('gives the greeting back as it came, and counts the stream until it is closed', async () => {
    const greeting = '220-one of two\r\n220 ready, and more\r\n'
    const address = await server(socket => {
      socket.write(greeting.slice(0, 9))
      setImmediate(() => socket.write(greeting.slice(9)))
      socket.pipe(socket)
    })
    const pool = poolOf({ targets: [address] })
    const { socket, target } = await pool.open(virtual, options())
    expect(target).toBe(address)
    expect(stateOf(pool, address)).toMatchObject({ state: 'unknown', open: 1, opened: 1 })
    let text = ''
    for await (const chunk of socket) {
      text += String(chunk)
      if (text === greeting) socket.end('through')
    }
    expect(text).toBe(`${greeting}through`)
    await until(() => stateOf(pool, address)?.open === 0)
  })

  const bad: readonly [string, (socket: net.Socket) => void, RegExp][] = [
    ['421', socket => socket.end('421 4.3.2 too busy\r\n'), /421 4\.3\.2 too busy/],
    ['450', socket => socket.end('450 later\r\n'), /450 later/],
    ['554', socket => socket.end('554 5.7.1 not you\r\n'), /554 5\.7\.1 not you/],
    ['a close without a word', socket => socket.end(), /closed it/],
    ['a reset', socket => socket.resetAndDestroy(), /ECONNRESET|closed it/],
    ['garbage', socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), /not SMTP/],
    ['a greeting without end', socket => socket.write('220-more\r\n'.repeat(2000)), /endless|lines|too long/],
    ['half a greeting', socket => socket.end('22'), /closed it/],
    ['250 where 220 is due', socket => socket.write('250 hello\r\n'), /250 hello/],
  ]
  test.each(bad)('%s: the next target takes it, and the failure is counted', async (_name, behave, words) => {
    const broken = await server(behave)
    const good = await smtpTwin()
    const pool = poolOf({ targets: [broken, good.address] })
    // Whichever comes first by chance: after some streams the broken one has been met.
    for (let stream = 0; stream < 20 && stateOf(pool, broken)?.failed === 0; stream++) {
      const { socket, target } = await pool.open(virtual, options())
      expect(target).toBe(good.address)
      socket.destroy()
    }
    expect(stateOf(pool, broken)?.failed).toBeGreaterThan(0)
    const alone = poolOf({ targets: [broken] })
    await expect(alone.open(virtual, options())).rejects.toMatchObject({ code: 'CONNECTOR_NO_TARGET' })
    await expect(alone.open(virtual, options())).rejects.toThrow(words)
  })

  test('a silent server gets its share of the time, and the next one the rest', async () => {
    const silent = await server(() => {})
    const good = await smtpTwin()
    const pool = poolOf({ targets: [{ address: silent, weight: 100 }, good.address] })
    const { socket, target } = await pool.open(virtual, { ...options(), timeoutMs: 1000 })
    expect(target).toBe(good.address)
    socket.destroy()
    await expect(poolOf({ targets: [silent] }).open(virtual, { ...options(), timeoutMs: 100 })).rejects.toThrow(
      /at greeting .* was not done within \d+ ms/i,
    )
  })

  test('when nobody takes it, the reasons of each are told', async () => {
    const refusing = await closedPort()
    const busy = await server(socket => socket.end('421 too busy\r\n'))
    const error = await poolOf({ targets: [refusing, busy] })
      .open(virtual, options())
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'CONNECTOR_NO_TARGET', retry: 'soon' })
    expect(String(error)).toContain(`${refusing}: Nothing takes connections`)
    expect(String(error)).toContain(`${busy}: `)
    expect(String(error)).toContain('421 too busy')
  })

  test('a hub that gives up meanwhile leaves nothing open', async () => {
    const sockets = new Set<net.Socket>()
    const silent = await server(socket => sockets.add(socket.once('close', () => sockets.delete(socket))))
    const pool = poolOf({ targets: [silent] })
    const stop = new AbortController()
    const opening = pool.open(virtual, { signal: stop.signal, timeoutMs: 5000 }).catch((thrown: unknown) => thrown)
    await until(() => sockets.size === 1)
    stop.abort()
    expect(await opening).toMatchObject({ code: 'HUB_STOPPING' })
    await until(() => sockets.size === 0)
    expect(stateOf(pool, silent)).toMatchObject({ open: 0, failed: 0 })
  })

  test('a name with several addresses: the one that listens is found', async () => {
    const good = await smtpTwin()
    const connect = makeConnect({
      lookup: (_name, _options, done) =>
        done(null, [
          { address: '127.0.0.9', family: 4 },
          { address: '127.0.0.1', family: 4 },
        ]),
    })
    const pool = poolOf({ targets: [`s4.intern:${good.port}`] }, connect)
    const { socket } = await pool.open(virtual, options())
    expect(await talk(socket, ['NOOP', 'QUIT'])).toHaveLength(3)
    socket.destroy()
  })
})

describe('what passes by on a connection', () => {
  test('a mail and QUIT are good, a reset at RCPT is a failure; three in a row eject', async () => {
    const good = await smtpTwin()
    const bad = await smtpTwin()
    bad.faults.set({ drop: [{ at: 'rcpt', times: 100 }] })
    const pool = poolOf({ targets: [good.address, bad.address] })
    pool.drain(virtual, good.address, true)
    for (let count = 1; count <= 3; count++) {
      const { socket } = await pool.open(virtual, options())
      await expect(talk(socket, mail)).rejects.toThrow()
      await until(() => stateOf(pool, bad.address)?.failed === count)
    }
    expect(stateOf(pool, bad.address)).toMatchObject({ state: 'ejected', failed: 3 })
    expect(stateOf(pool, bad.address)?.reason).toMatch(/left out for \d+ s after failures: it (broke|closed)/)
    pool.drain(virtual, good.address, false)
    const { socket, target } = await pool.open(virtual, options())
    expect(target).toBe(good.address)
    await talk(socket, [...mail, 'QUIT'])
    socket.destroy()
    await until(() => stateOf(pool, good.address)?.open === 0)
    expect(stateOf(pool, good.address)).toMatchObject({ failed: 0, state: 'unknown' })
  })

  test('a machine whose clock is set back leaves a server out for no longer, and says the date of its probe', async () => {
    const good = await smtpTwin()
    const address = await server(socket => socket.resetAndDestroy())
    let now = Date.now()
    const rules = { ejection: { after: 1, first: '10s' }, health: { every: '50ms', 'down-after': 100 } }
    const clock = { ...systemClock, now: () => now }
    const pool = poolOf({ targets: [address, good.address], ...rules }, makeConnect(), clock)
    pool.drain(virtual, good.address, true)
    await expect(pool.open(virtual, options())).rejects.toMatchObject({ code: 'CONNECTOR_NO_TARGET' })
    expect(stateOf(pool, address)?.reason).toContain('left out for 10 s')
    now -= HOUR
    expect(stateOf(pool, address)?.reason).toContain('left out for 10 s')
    now += 10 * SECOND
    await until(() => stateOf(pool, address)?.lastProbeAt === now)
    expect(stateOf(pool, address)?.state).not.toBe('ejected')
  })

  test('421 in the dialogue is a failure, 451 for one recipient is none', async () => {
    const twin = await smtpTwin()
    const pool = poolOf({ targets: [twin.address] })
    twin.faults.refuse({ at: 'rcpt', code: 451 })
    const first = await pool.open(virtual, options())
    expect((await talk(first.socket, [...mail.slice(0, 3), 'QUIT'])).slice(-2).join('')).toMatch(/^451.*\r\n221/)
    first.socket.destroy()
    await until(() => stateOf(pool, twin.address)?.open === 0)
    expect(stateOf(pool, twin.address)?.failed).toBe(0)
    twin.faults.refuse({ at: 'mail', code: 421 })
    const second = await pool.open(virtual, options())
    await talk(second.socket, mail.slice(0, 2))
    await until(() => stateOf(pool, twin.address)?.failed === 1)
    second.socket.destroy()
  })

  test('a hub that hangs up in the middle says nothing against the server', async () => {
    const twin = await smtpTwin()
    const pool = poolOf({ targets: [twin.address] })
    const { socket } = await pool.open(virtual, options())
    await talk(socket, mail.slice(0, 4))
    socket.destroy()
    await until(() => stateOf(pool, twin.address)?.open === 0 && twin.connections().open === 0)
    expect(stateOf(pool, twin.address)?.failed).toBe(0)
    expect(twin.received).toHaveLength(0)
  })

  test('after STARTTLS only the bytes pass: TLS stands end to end', async () => {
    const certificate = await makeTwinCertificate(['localhost'])
    const twin = await startSmtpServer({ name: 'twin.example', tls: certificate })
    willClose(() => twin.stop())
    const pool = poolOf({ targets: [`127.0.0.1:${twin.port}`] })
    const { socket } = await pool.open(virtual, options())
    const plain: string[] = []
    socket.on('data', (chunk: Buffer) => plain.push(chunk.toString()))
    await until(() => plain.join('').includes('220'))
    socket.write('EHLO hub.example\r\n')
    await until(() => plain.join('').includes('250 '))
    socket.write('STARTTLS\r\n')
    await until(() => plain.join('').includes('Ready to start TLS'))
    socket.removeAllListeners('data')
    const secure = tls.connect({ socket, ca: certificate.ca, servername: 'localhost' })
    await once(secure, 'secureConnect')
    secure.write('EHLO hub.example\r\nQUIT\r\n')
    const words: string[] = []
    for await (const chunk of secure) words.push(String(chunk))
    expect(words.join('')).toContain('221')
    await until(() => stateOf(pool, `127.0.0.1:${twin.port}`)?.open === 0)
    expect(stateOf(pool, `127.0.0.1:${twin.port}`)?.failed).toBe(0)
  })

  test('a large mail passes byte for byte against a slow reader', async () => {
    const twin = await smtpTwin()
    const pool = poolOf({ targets: [twin.address] })
    const { socket } = await pool.open(virtual, options())
    const lines = Array.from({ length: 40_000 }, (_, index) => `line ${index} of the mail`).join('\r\n')
    const heard = await talk(socket, [...mail.slice(0, 4), `${lines}\r\n.`])
    expect(heard.at(-1)).toMatch(/^250/)
    expect(twin.received[0]?.octets?.toString()).toBe(`${lines}\r\n`)
    socket.destroy()
  })
})

describe('other protocols', () => {
  test('tcp: the socket itself, and a reset by the target counts', async () => {
    const address = await server(socket => socket.once('data', () => socket.resetAndDestroy()))
    const pool = poolOf({ protocol: 'tcp', targets: [address] })
    const { socket } = await pool.open(virtual, options())
    socket.write('hello')
    await until(() => stateOf(pool, address)?.failed === 1)
    expect(stateOf(pool, address)?.open).toBe(0)
  })

  test('tcp-tls: the connector speaks TLS and checks the certificate against ca and servername', async () => {
    const certificate = await makeTwinCertificate(['s4.intern'])
    const address = await server(
      socket => socket.end('from inside'),
      listener => tls.createServer({ cert: certificate.cert, key: certificate.key }, listener),
    )
    const words = { protocol: 'tcp-tls', targets: [address], tls: { ca: certificate.ca, servername: 's4.intern' } }
    const { socket } = await poolOf(words).open(virtual, options())
    const text: string[] = []
    for await (const chunk of socket) text.push(String(chunk))
    expect(text.join('')).toBe('from inside')
    const wrong = poolOf({ ...words, tls: { ca: certificate.ca, servername: 'other.intern' } })
    await expect(wrong.open(virtual, options())).rejects.toThrow(/other.intern|another name/)
  })

  test('http: an end without an answer is a failure', async () => {
    const address = await server(socket => socket.once('data', () => socket.end()))
    const pool = poolOf({ protocol: 'http', allow: [{ path: '/sap/' }], targets: [address] })
    const { socket } = await pool.open(virtual, options())
    socket.resume().write('GET /sap/ HTTP/1.1\r\n\r\n')
    await until(() => stateOf(pool, address)?.failed === 1)
  })

  test('http: a server that takes requests and answers none is left out; one that was cut early is not blamed', async () => {
    const silent = await server(() => {})
    const good = await server(socket => socket.resume())
    let now = Date.now()
    const words = { protocol: 'http', allow: [{ path: '/sap/' }], targets: [silent, good], ejection: { after: 2 } }
    const pool = poolOf(words, makeConnect(), { ...systemClock, now: () => now })
    pool.drain(virtual, good, true)
    const waitInVain = async (ms: number) => {
      const { socket } = await pool.open(virtual, options())
      socket.write('GET /sap/ HTTP/1.1\r\n\r\n')
      now += ms
      socket.destroy()
      await once(socket, 'close')
    }
    await waitInVain(10 * SECOND)
    await waitInVain(SECOND)
    expect(stateOf(pool, silent)).toMatchObject({ failed: 1, state: 'unknown' })
    await waitInVain(10 * SECOND)
    expect(stateOf(pool, silent)).toMatchObject({ failed: 2, state: 'ejected' })
    expect(stateOf(pool, silent)?.reason).toContain('it was silent for 10 s')
  })
})

test('however often a way is checked at the same moment, each server is asked once', async () => {
  let connections = 0
  const silent = await server(() => connections++)
  const pool = poolOf({ targets: [silent], health: { every: '0s', timeout: '300ms' } })
  const { signal } = options()
  const checkOften = () => Promise.all(Array.from({ length: 100 }, () => pool.check(virtual, signal)))
  expect((await checkOften()).some(({ ok }) => ok)).toBe(false)
  expect(connections).toBe(1)
  await checkOften()
  expect(connections).toBe(2)
})

test('who asks for a check does not lose the answer when another one goes who asked first', async () => {
  const { address } = await smtpTwin()
  const pool = poolOf({ targets: [address] })
  const [first, second] = [new AbortController(), new AbortController()]
  const answers = [pool.check(virtual, first.signal), pool.check(virtual, second.signal)]
  first.abort()
  expect((await Promise.all(answers)).at(-1)).toMatchObject({ ok: true })
})

test('a check that nobody waits for any more ends, and the next one asks anew', async () => {
  let open = 0
  const silent = await server(socket => {
    open++
    socket.once('close', () => open--)
  })
  const pool = poolOf({ targets: [silent], health: { every: '0s', timeout: '5s' } })
  const gone = new AbortController()
  const left = pool.check(virtual, gone.signal)
  await until(() => open === 1)
  gone.abort()
  const next = new AbortController()
  const asked = pool.check(virtual, next.signal)
  expect((await left).ok).toBe(false)
  await until(() => open === 1)
  next.abort()
  await asked
})
