import net from 'node:net'
import tls from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import { listenOnLoopback } from '../../twins/listen.ts'
import {
  closedPort,
  closePools,
  hostOf,
  options,
  poolOf,
  server,
  smtpTwin,
  stateOf,
  until,
  virtual,
  willClose,
} from './pool-world.ts'

afterEach(closePools)

const quick = { every: '20ms', timeout: '2s' }
const idle = () => new AbortController().signal

describe('a mail server', () => {
  test('that answers is up after the first probe; its banner is shown, and no mail is begun', async () => {
    const twin = await smtpTwin()
    const pool = poolOf({ targets: [twin.address], health: quick })
    await until(() => stateOf(pool, twin.address)?.state === 'up')
    expect(stateOf(pool, twin.address)?.lastProbe).toMatch(/^220 twin\.example/)
    expect(stateOf(pool, twin.address)?.responseMs).toBeGreaterThan(0)
    expect(stateOf(pool, twin.address)?.opened).toBe(0)
    await until(() => twin.connections().total > 3)
    expect(twin.received).toHaveLength(0)
  })

  test('goes down after three bad probes, is refused with the reason, and comes back after two good ones', async () => {
    const twin = await smtpTwin()
    const pool = poolOf({ targets: [twin.address], health: quick })
    await until(() => stateOf(pool, twin.address)?.state === 'up')
    twin.faults.set({ refuse: [{ at: 'ehlo', code: 451, text: 'the queue is full', times: 1000 }] })
    await until(() => stateOf(pool, twin.address)?.state === 'down')
    expect(stateOf(pool, twin.address)?.reason).toContain('451 the queue is full')
    await expect(pool.open(virtual, options())).rejects.toThrow(/is down .*451 the queue is full/)
    await expect(pool.open(virtual, options())).rejects.toMatchObject({ code: 'CONNECTOR_NONE_HEALTHY', retry: 'soon' })
    twin.faults.clear()
    await until(() => stateOf(pool, twin.address)?.state === 'up')
    expect(stateOf(pool, twin.address)?.effectiveWeight).toBeLessThan(0.5)
    const { socket } = await pool.open(virtual, options())
    socket.destroy()
  })

  const bad: readonly [string, (socket: net.Socket) => void, RegExp][] = [
    ['a greeting of 554', socket => socket.end('554 go away\r\n'), /554 go away/],
    ['garbage', socket => socket.end('<html>\r\n'), /not SMTP/],
    ['silence', () => {}, /at greeting .* was not done within \d+ ms/i],
    ['silence at NOOP', socket => answering(socket, ['250 hello\r\n']), /at NOOP .* was not done within \d+ ms/i],
    ['500 for everything', socket => answering(socket, ['500 what?\r\n', '500 what?\r\n']), /at HELO: 500 what\?/],
    ['a reset', socket => socket.resetAndDestroy(), /lost|ECONNRESET/],
  ]
  test.each(bad)('a check of %s says so in words', async (_name, behave, words) => {
    const address = await server(behave)
    const pool = poolOf({ targets: [address], health: { every: '0s', timeout: '100ms' } })
    const answer = await pool.check(virtual, idle())
    expect(answer).toMatchObject({ ok: false, targets: [{ address, ok: false }] })
    expect(answer.targets[0]?.detail).toMatch(words)
  })

  test('a check goes to each target and tells every step; one that works is enough', async () => {
    const twin = await smtpTwin()
    const nobody = await closedPort()
    const pool = poolOf({ targets: [twin.address, nobody] })
    pool.drain(virtual, nobody, true)
    const answer = await pool.check(virtual, idle())
    expect(answer.ok).toBe(true)
    expect(answer.targets[0]?.detail.split('\n')).toEqual([
      expect.stringMatching(/^connected to 127\.0\.0\.1:\d+ in [\d.]+ ms$/),
      expect.stringMatching(/^220 twin\.example/),
      expect.stringMatching(/^EHLO: 250/),
      expect.stringMatching(/^NOOP: 250/),
    ])
    expect(answer.targets[1]).toMatchObject({ ok: false })
    expect(answer.targets[1]?.detail).toContain('Nothing takes connections')
    expect(answer.targets[1]?.detail).toContain('drained: taken out by an operator')
    await until(() => twin.connections().open === 0)
  })
})

describe('other protocols', () => {
  test('tcp: a port where nobody listens any more is down, and up again when somebody does', async () => {
    const before = await listenOnLoopback(net.createServer())
    willClose(() => before.stop())
    const address = `127.0.0.1:${before.port}`
    const pool = poolOf({ protocol: 'tcp', targets: [address], health: quick })
    await until(() => stateOf(pool, address)?.state === 'up')
    await before.stop()
    await until(() => stateOf(pool, address)?.state === 'down')
    expect(stateOf(pool, address)?.reason).toMatch(/refused|ECONNREFUSED/)
    const after = await listenOnLoopback(net.createServer(), before.port)
    willClose(() => after.stop())
    await until(() => stateOf(pool, address)?.state === 'up')
  })

  test('tcp-tls: a certificate that is not trusted takes a target down', async () => {
    const certificate = await makeTwinCertificate(['s4.intern'])
    const address = await server(
      socket => socket.resume(),
      listener => tls.createServer({ cert: certificate.cert, key: certificate.key }, listener),
    )
    const good = poolOf({
      protocol: 'tcp-tls',
      targets: [address],
      health: quick,
      tls: { ca: certificate.ca, servername: 's4.intern' },
    })
    await until(() => stateOf(good, address)?.state === 'up')
    expect(stateOf(good, address)?.lastProbe).toMatch(/TLSv1\.3, certificate valid to/)
    const strange = poolOf({ protocol: 'tcp-tls', targets: [address], health: quick })
    await until(() => stateOf(strange, address)?.state === 'down')
    expect(stateOf(strange, address)?.reason).toMatch(/authority/)
  })

  test.each([
    [200, 'up'],
    [302, 'up'],
    [404, 'down'],
    [503, 'down'],
  ])('http: a page that answers %i is %s', async (status, state) => {
    const asked: string[] = []
    const address = await server(socket =>
      socket.once('data', (chunk: Buffer) => {
        asked.push(chunk.toString())
        socket.end(`HTTP/1.1 ${status} So\r\nContent-Length: 0\r\n\r\n`)
      }),
    )
    const pool = poolOf({
      protocol: 'http',
      allow: [{ path: '/' }],
      targets: [address],
      health: { ...quick, path: '/sap/public/ping' },
    })
    await until(() => stateOf(pool, address)?.state === state)
    expect(stateOf(pool, address)?.lastProbe).toContain(`GET /sap/public/ping: ${status} So`)
    expect(asked[0]).toMatch(/^GET \/sap\/public\/ping HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n/)
  })
})

describe('while the connector runs', () => {
  test('a new list acts at once; targets that stay keep load and drain', async () => {
    const [one, two] = [await smtpTwin(), await smtpTwin()]
    const pool = poolOf({ targets: [one.address, two.address] })
    pool.drain(virtual, one.address, true)
    const { socket } = await pool.open(virtual, options())
    const before = stateOf(pool, two.address)
    pool.apply([hostOf({ targets: [{ address: two.address, weight: 7 }, one.address] })])
    expect(stateOf(pool, one.address)?.state).toBe('drained')
    expect(stateOf(pool, two.address)).toMatchObject({ weight: 7, open: before?.open, opened: before?.opened })
    pool.apply([hostOf({ targets: [two.address] })])
    expect(stateOf(pool, one.address)).toBeUndefined()
    pool.apply([])
    expect(pool.statuses()).toEqual([])
    await expect(pool.open(virtual, options())).rejects.toMatchObject({ code: 'CONNECTOR_NOT_ALLOWED' })
    expect(socket.destroyed).toBe(false)
    socket.destroy()
  })

  test('however often the list changes, each target has one probe at a time', async () => {
    const open = new Set<net.Socket>()
    let openMax = 0
    const silent = await server(socket => {
      open.add(socket.once('close', () => open.delete(socket)).resume())
      openMax = Math.max(openMax, open.size)
    })
    const words = { targets: [silent], health: { ...quick, timeout: '200ms' } }
    const pool = poolOf(words)
    for (let change = 0; change < 5; change++) {
      await until(() => open.size > 0)
      pool.apply([hostOf(words)])
      const probed = stateOf(pool, silent)?.lastProbeAt
      await until(() => stateOf(pool, silent)?.lastProbeAt !== probed)
    }
    expect(openMax).toBe(1)
  })

  test('a target that is down is tried again when the list says that nobody probes it any more', async () => {
    const refusing = await server(socket => socket.end('421 not now\r\n'))
    const pool = poolOf({ targets: [refusing], health: quick })
    await until(() => stateOf(pool, refusing)?.state === 'down')
    pool.apply([hostOf({ targets: [refusing] })])
    expect(stateOf(pool, refusing)?.state).toBe('unknown')
    await expect(pool.open(virtual, options())).rejects.toMatchObject({ code: 'CONNECTOR_NO_TARGET' })
  })

  test('a target that is drained takes nothing new; all drained: refused, and why', async () => {
    const twin = await smtpTwin()
    const pool = poolOf({ targets: [twin.address] })
    const { socket } = await pool.open(virtual, options())
    pool.drain(virtual, twin.address, true)
    expect(stateOf(pool, twin.address)).toMatchObject({ state: 'drained', open: 1 })
    await expect(pool.open(virtual, options())).rejects.toThrow(/drained \(taken out by an operator\)/)
    expect(() => pool.drain(virtual, 'elsewhere:25', true)).toThrow(/has no target elsewhere:25/)
    socket.destroy()
  })

  test('targets that are full are said to be full, and free again when a stream ends', async () => {
    const twin = await smtpTwin()
    const pool = poolOf({ targets: [{ address: twin.address, 'connections-max': 1 }] })
    const { socket } = await pool.open(virtual, options())
    await expect(pool.open(virtual, options())).rejects.toMatchObject({ code: 'CONNECTOR_TARGETS_FULL' })
    socket.destroy()
    await until(() => stateOf(pool, twin.address)?.open === 0)
    const again = await pool.open(virtual, options())
    again.socket.destroy()
  })

  test('close ends the probes: nothing is connected any more', async () => {
    const twin = await smtpTwin()
    const silent = await server(() => {})
    const pool = poolOf({ targets: [twin.address, silent], health: quick })
    await until(() => twin.connections().total > 0)
    await pool.close()
    await until(() => twin.connections().open === 0)
    const { total } = twin.connections()
    await new Promise(resolve => setTimeout(resolve, 100))
    expect(twin.connections().total).toBe(total)
  })
})

function answering(socket: net.Socket, answers: string[]): void {
  socket.write('220 ready\r\n')
  socket.on('data', () => socket.write(answers.shift() ?? ''))
}
