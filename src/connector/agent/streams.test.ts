import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type net from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { MiB } from '../../kernel/size.ts'
import { otherServerHeader } from '../../protocols/net/other-server.ts'
import { wireHeaders, wirePaths } from '../wire.ts'
import {
  auditOf,
  type ConnectorWorld,
  openStream,
  readAll,
  type StandInHub,
  startConnector,
  startRelay,
  startStandInHub,
  startTarget,
  type Target,
  waitFor,
} from './agent-world.ts'
import { streamLimits } from './streams.ts'

let hub: StandInHub
let world: ConnectorWorld | undefined
const targets: Target[] = []

beforeEach(async () => {
  hub = await startStandInHub()
})

afterEach(async () => {
  await world?.close()
  world = undefined
  for (const target of targets.splice(0)) await target.close()
  await hub.close()
})

async function target(serve: (socket: net.Socket) => void): Promise<Target> {
  const started = await startTarget(serve)
  targets.push(started)
  return started
}

const echo = (socket: net.Socket) => socket.pipe(socket)

/** No probes: the targets of a test see the streams alone. */
const host = (name: string, address: string, more = '') =>
  `  ${name}:\n    protocol: tcp\n    targets: ['${address}']\n    health: { every: 0s }\n${more}`

async function connectorWith(...hosts: string[]): Promise<ConnectorWorld> {
  world = await startConnector(`virtual-hosts:\n${hosts.join('')}`, hub)
  return world
}

test('sixteen MiB go there and back byte for byte, and both ends close in good order', async () => {
  const server = await target(echo)
  await connectorWith(host('echo.virtual:7', server.address))
  const { stream, status, headers } = await openStream(await hub.session(), 'echo.virtual:7')
  expect(status).toBe(200)
  expect(headers[wireHeaders.target]).toBe(server.address)
  const sent = randomBytes(16 * MiB)
  const back = readAll(stream)
  await pipeline(Readable.from(slices(sent)), stream, { end: true })
  const got = await back
  expect(hashOf(got)).toBe(hashOf(sent))
  await waitFor(() => stream.closed)
  expect(stream.rstCode).toBe(0)
  await waitFor(() => server.sockets.size === 0)
})

test('each side may end its half alone', async () => {
  const heard: string[] = []
  const server = await target(socket => {
    socket.write('hello')
    socket.on('data', chunk => heard.push(chunk.toString()))
    // The server has nothing more to say, and goes on listening.
    socket.once('data', () => socket.end('bye'))
  })
  await connectorWith(host('half.virtual:7', server.address))
  const { stream } = await openStream(await hub.session(), 'half.virtual:7')
  const all = readAll(stream)
  stream.write('one')
  expect((await all).toString()).toBe('hellobye')
  stream.write('two')
  await waitFor(() => heard.join('') === 'onetwo')
  stream.end('three')
  await waitFor(() => heard.join('') === 'onetwothree')
  await waitFor(() => stream.closed)
  expect(stream.rstCode).toBe(0)
})

test('a reset of the server is a reset of the stream, and the other way round', async () => {
  let accepted: net.Socket | undefined
  const server = await target(socket => {
    accepted = socket
    socket.on('data', () => {})
  })
  await connectorWith(host('reset.virtual:7', server.address))
  const session = await hub.session()

  const first = await openStream(session, 'reset.virtual:7')
  const socket = await waitFor(() => accepted)
  first.stream.resume()
  socket.resetAndDestroy()
  await waitFor(() => first.stream.closed)
  expect(first.stream.rstCode).toBe(10)

  accepted = undefined
  const second = await openStream(session, 'reset.virtual:7')
  const other = await waitFor<net.Socket>(() => accepted)
  const reset = once(other, 'error')
  second.stream.close(8)
  const [error] = (await reset) as [NodeJS.ErrnoException]
  expect(error.code).toBe('ECONNRESET')
})

test('what is not on the list is refused with a sentence and audited', async () => {
  const server = await target(echo)
  const { folder } = await connectorWith(host('echo.virtual:7', server.address))
  const session = await hub.session()
  for (const authority of ['echo.virtual:8', 'other.virtual:7', server.address, '127.0.0.1:22', 'echo.virtual', '']) {
    const refused = await openStream(session, authority, 'orders').catch(() => undefined)
    if (authority === '') continue
    expect(refused?.status, authority).toBe(403)
    expect(refused?.headers[wireHeaders.error]).toBe('CONNECTOR_NOT_ALLOWED')
    expect(decodeURIComponent(String(refused?.headers[wireHeaders.text]))).toContain(authority)
  }
  // Upper case is the same name.
  expect((await openStream(session, 'ECHO.virtual:7')).status).toBe(200)
  const entries = await auditOf(folder, lines => lines.filter(({ action }) => action === 'stream.refused').length >= 5)
  expect(entries.find(({ action }) => action === 'stream.refused')?.detail).toMatchObject({
    code: 'CONNECTOR_NOT_ALLOWED',
    virtualHost: 'echo.virtual:8',
    purpose: 'orders',
  })
})

test('a target that does not answer is told with what it said; the limits of streams answer 429', async () => {
  const server = await target(echo)
  const closed = await startTarget(echo)
  await closed.close()
  await connectorWith(
    host('dead.virtual:7', closed.address),
    host('few.virtual:7', server.address, '    streams-max: 2\n'),
  )
  const session = await hub.session()
  const dead = await openStream(session, 'dead.virtual:7')
  expect(dead.status).toBe(502)
  expect(dead.headers[wireHeaders.error]).toBe('CONNECTOR_NO_TARGET')
  const [first] = await Promise.all([openStream(session, 'few.virtual:7'), openStream(session, 'few.virtual:7')])
  const third = await openStream(session, 'few.virtual:7')
  expect(third.status).toBe(429)
  expect(third.headers[wireHeaders.error]).toBe('CONNECTOR_TOO_MANY_STREAMS')
  first.stream.close(8)
  await waitFor(() => world?.agent.status().streams === 1)
  expect((await openStream(session, 'few.virtual:7')).status).toBe(200)
})

test('a stream that nobody reads does not hold the others back', async () => {
  const server = await target(socket => {
    const piece = Buffer.alloc(64 * 1024)
    const fill = () => {
      while (socket.write(piece));
    }
    socket.on('drain', fill)
    fill()
  })
  const other = await target(echo)
  await connectorWith(host('flood.virtual:7', server.address), host('echo.virtual:7', other.address))
  const session = await hub.session()
  const floods = await Promise.all(Array.from({ length: 4 }, () => openStream(session, 'flood.virtual:7')))
  // Nobody reads: each fills its window and stops.
  for (const { stream } of floods) stream.pause()
  await waitFor(() => floods.every(({ stream }) => stream.readableLength >= 4 * MiB - 64 * 1024))
  const sent = randomBytes(8 * MiB)
  const { stream } = await openStream(session, 'echo.virtual:7')
  const back = readAll(stream)
  await pipeline(Readable.from(slices(sent)), stream)
  expect(hashOf(await back)).toBe(hashOf(sent))
  for (const flood of floods) flood.stream.close(8)
})

test('a stream without a byte for the idle time is reset', async () => {
  const server = await target(echo)
  await connectorWith(host('idle.virtual:7', server.address, '    idle: 500ms\n'))
  const { stream } = await openStream(await hub.session(), 'idle.virtual:7')
  stream.resume()
  await waitFor(() => stream.closed)
  expect(stream.rstCode).toBe(8)
})

test('bytes that wait for slow servers have a limit: the stream that holds most is shed', async () => {
  const slow = await target(socket => void socket.pause())
  const other = await target(echo)
  world = await startConnector(
    `limits: { bytesInFlight: 6MiB }\nvirtual-hosts:\n${host('slow.virtual:7', slow.address)}${host('echo.virtual:7', other.address)}`,
    hub,
  )
  const session = await hub.session()
  const waiting = await Promise.all(Array.from({ length: 3 }, () => openStream(session, 'slow.virtual:7')))
  const good = await openStream(session, 'echo.virtual:7')
  // Beyond what the kernels on the way take, each holds a window of 4 MiB in the connector.
  for (const { stream } of waiting) stream.write(randomBytes(16 * MiB))
  const shed = await waitFor(() => waiting.find(({ stream }) => stream.closed))
  expect(shed.stream.rstCode).toBe(11)
  good.stream.end('still here')
  expect((await readAll(good.stream)).toString()).toBe('still here')
})

describe('how far the bytes of a stream came that the hub lost', () => {
  const ask = async (stream: string, question: { mailAt?: number; written?: number; waitMs?: number } = {}) =>
    (await hub.ask(wirePaths.passedOn, { stream, mailAt: 0, written: 0, waitMs: 0, ...question })).body

  test('is told after its tunnel broke, and of nothing else', async () => {
    const got: Buffer[] = []
    const server = await target(socket => void socket.on('data', chunk => got.push(chunk)))
    await connectorWith(host('s4.virtual:25', server.address))
    const session = await hub.session()
    const { stream } = await openStream(session, 's4.virtual:25', 'test', 'one')
    stream.write('a mail')
    await waitFor(() => Buffer.concat(got).toString() === 'a mail')
    session.destroy()
    await waitFor(() => server.sockets.size === 0)
    expect([await ask('one'), await ask('another')]).toEqual([{ bytes: 6 }, {}])
  })

  test('is told of one that stands, too, and then nothing more passes', async () => {
    const got: Buffer[] = []
    const server = await target(socket => void socket.on('data', chunk => got.push(chunk)))
    const { folder } = await connectorWith(host('s4.virtual:25', server.address))
    const { stream } = await openStream(await hub.session(), 's4.virtual:25', 'test', 'two')
    stream.write('half ')
    await waitFor(() => got.length > 0)
    expect(await ask('two')).toEqual({ bytes: 5 })
    stream.write('of it')
    await waitFor(() => server.sockets.size === 0)
    expect([Buffer.concat(got).toString(), await ask('two')]).toEqual(['half ', { bytes: 5 }])
    const cut = ({ action }: { readonly action: string }) => action === 'stream.cut'
    const entries = await auditOf(folder, lines => lines.some(cut))
    expect(entries.find(cut)?.detail).toMatchObject({ virtualHost: 's4.virtual:25', because: 'the hub lost it' })
  })

  test('is not told of HTTP, where what comes in is not what goes out', async () => {
    const server = await target(() => {})
    const config = `    protocol: http\n    targets: ['${server.address}']\n    health: { every: 0s }\n    allow: [{ path: / }]\n`
    await connectorWith(`  s4.virtual:80:\n${config}`)
    const { stream } = await openStream(await hub.session(), 's4.virtual:80', 'test', 'web')
    stream.write('GET / HTTP/1.1\r\nHost: s4.virtual\r\n\r\n')
    await waitFor(() => server.sockets.size === 1)
    expect([await ask('web'), await ask('web')]).toEqual([{}, {}])
    await waitFor(() => server.sockets.size === 0)
  })

  test('counts as passed what a slow server has not taken yet', async () => {
    const server = await target(socket => void socket.pause())
    await connectorWith(host('slow.virtual:25', server.address))
    const session = await hub.session()
    const { stream } = await openStream(session, 'slow.virtual:25', 'test', 'three')
    await new Promise(resolve => stream.write(Buffer.alloc(100_000), resolve))
    // Frames are read in their order.
    await new Promise(resolve => session.ping(resolve))
    session.destroy()
    expect(await ask('three')).toEqual({ bytes: 100_000 })
  })

  describe('of a mail server', () => {
    const mail = 'MAIL FROM:<a@b>\r\nDATA\r\nA: b\r\n\r\ntext\r\n.\r\n'
    const begin = 23
    const [greeting, goOn] = ['220 s4 SAPconnect\r\n', '250 ok\r\n354 go on\r\n']
    const base64 = (text: string) => Buffer.from(text).toString('base64')

    /** A mail, or as much of it, for a server that answers it when it is told to; then the tunnel breaks. */
    async function lost(octets = mail) {
      const got: Buffer[] = []
      const server = await target(socket => {
        socket.write(greeting)
        socket.on('error', () => {})
        socket.on('data', chunk => {
          got.push(chunk)
          if (String(chunk).endsWith('DATA\r\n')) socket.write(goOn)
        })
      })
      const smtp = host('s4.virtual:25', server.address).replace('protocol: tcp', 'protocol: smtp')
      const { folder } = await connectorWith(smtp)
      const session = await hub.session()
      const { stream } = await openStream(session, 's4.virtual:25', 'test', 'mail')
      const heard: Buffer[] = []
      stream.on('data', (chunk: Buffer) => heard.push(chunk))
      stream.write(octets.slice(0, begin))
      await waitFor(() => String(Buffer.concat(heard)) === greeting + goOn)
      stream.write(octets.slice(begin))
      await waitFor(() => String(Buffer.concat(got)) === octets)
      const answer = (text: string) => {
        for (const socket of server.sockets) socket.write(text)
      }
      return { server, stream, session, got, heard, answer, folder }
    }

    test('what it answers to a whole mail is kept, also when nobody asks yet; then the connection ends', async () => {
      const { server, session, answer, folder } = await lost()
      session.destroy()
      await hub.session()
      expect(server.sockets.size).toBe(1)
      answer('250-queued\r\n')
      answer('250 as 4711\r\n')
      await waitFor(() => server.sockets.size === 0)
      expect(await ask('mail', { written: mail.length })).toEqual({
        bytes: mail.length,
        reply: base64('250-queued\r\n250 as 4711\r\n'),
      })
      // Nobody else's.
      expect(await ask('mail', { mailAt: 1, written: mail.length })).toEqual({ bytes: mail.length })
      const closed = await auditOf(folder, lines => lines.some(({ action }) => action === 'stream.closed'))
      expect(closed.at(-1)?.detail).toMatchObject({ how: 'hub reset', up: mail.length })
    })

    test('who asks before it answers waits for it, and asks again when that takes long', async () => {
      const { session, answer } = await lost()
      session.destroy()
      const question = { written: mail.length }
      expect(await ask('mail', { ...question, waitMs: 50 })).toEqual({ bytes: mail.length, isDue: true })
      const asked = ask('mail', { ...question, waitMs: 5000 })
      const begun = performance.now()
      await pause(300)
      answer('451 busy\r\n')
      expect(await asked).toEqual({ bytes: mail.length, reply: base64('451 busy\r\n') })
      // As soon as it is there.
      expect(performance.now() - begun).toBeLessThan(4000)
    })

    test('of a mail that is answered nobody waits, though the next one is due', async () => {
      const { server, stream, got, heard, answer } = await lost()
      const before = heard.length
      answer('250 first\r\n')
      await waitFor(() => heard.length > before)
      stream.write(mail.slice(0, begin))
      await waitFor(() => String(Buffer.concat(heard)).endsWith(goOn))
      stream.write(mail.slice(begin))
      await waitFor(() => String(Buffer.concat(got)) === mail + mail)
      const known = { mailAt: 0, written: mail.length, waitMs: 5000 }
      const begun = performance.now()
      expect(await ask('mail', known)).toMatchObject({ reply: base64('250 first\r\n') })
      expect(await ask('mail', known)).not.toHaveProperty('isDue')
      expect(performance.now() - begun).toBeLessThan(4000)
      expect(server.sockets.size).toBe(1)
    })

    test('an answer that went into the broken tunnel is told, too', async () => {
      const { server, stream, heard, answer } = await lost()
      const before = heard.length
      answer('250 queued\r\n')
      await waitFor(() => heard.length > before)
      expect(await ask('mail', { written: mail.length })).toEqual({
        bytes: mail.length,
        reply: base64('250 queued\r\n'),
      })
      await waitFor(() => stream.closed && server.sockets.size === 0)
    })

    test('a server that ends without an answer is not waited for', async () => {
      const { server, session } = await lost()
      session.destroy()
      await hub.session()
      const asked = ask('mail', { written: mail.length, waitMs: 5000 })
      const begun = performance.now()
      for (const socket of server.sockets) socket.end()
      expect(await asked).toEqual({ bytes: mail.length })
      expect(performance.now() - begun).toBeLessThan(4000)
      await waitFor(() => server.sockets.size === 0)
    })

    test('with half a mail it is left at once', async () => {
      const { server, session } = await lost(mail.slice(0, -3))
      session.destroy()
      await waitFor(() => server.sockets.size === 0)
      expect(await ask('mail', { written: mail.length })).toEqual({ bytes: mail.length - 3 })
    })

    test('with a mail to which the hub says there is more, too', async () => {
      const { server, session, folder } = await lost()
      session.destroy()
      await hub.session()
      expect(server.sockets.size).toBe(1)
      expect(await ask('mail', { written: mail.length + 1, waitMs: 5000 })).toMatchObject({ bytes: mail.length })
      await waitFor(() => server.sockets.size === 0)
      const cut = ({ action }: { readonly action: string }) => action === 'stream.cut'
      const entries = await auditOf(folder, lines => lines.some(cut))
      expect(entries.find(cut)?.detail).toMatchObject({ because: 'the hub lost it' })
    })

    test('a hub that stands is not heard any more once it has asked', async () => {
      const { server, stream, answer } = await lost()
      expect(await ask('mail', { written: mail.length })).toEqual({ bytes: mail.length, isDue: true })
      stream.write('MAIL FROM:<a@b>\r\n')
      answer('250 queued\r\n')
      await waitFor(() => server.sockets.size === 0)
      expect(await ask('mail', { written: mail.length })).toEqual({
        bytes: mail.length,
        reply: base64('250 queued\r\n'),
      })
    })

    test('that was silent for too long when the hub left has failed, and not only when the connector leaves it, too', async () => {
      const clock = vi.spyOn(performance, 'now')
      try {
        const { server, session } = await lost()
        const later = performance.now() + 11_000
        clock.mockImplementation(() => later)
        session.destroy()
        await waitFor(() => world?.agent.status().virtualHosts[0]?.targets[0]?.failed === 1)
        expect(server.sockets.size).toBe(1)
      } finally {
        clock.mockRestore()
      }
    })

    test('that never answers is left after a while, and when it is taken off the list', async () => {
      const clock = vi.spyOn(performance, 'now')
      try {
        const { server, session, folder } = await lost()
        session.destroy()
        await hub.session()
        await pause(2 * streamLimits.lookEveryMs)
        expect(server.sockets.size).toBe(1)
        const later = performance.now() + streamLimits.stayMs
        clock.mockImplementation(() => later)
        await waitFor(() => server.sockets.size === 0)
        const cut = ({ action }: { readonly action: string }) => action === 'stream.cut'
        const entries = await auditOf(folder, lines => lines.some(cut))
        expect(entries.find(cut)?.detail).toMatchObject({ because: 'no answer' })
      } finally {
        clock.mockRestore()
      }
      await world?.close()
      const { server, session } = await lost()
      session.destroy()
      await hub.session()
      expect(server.sockets.size).toBe(1)
      await world?.write('virtual-hosts: {}\n')
      await waitFor(() => server.sockets.size === 0)
    })
  })
})

function* slices(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 60_000) yield bytes.subarray(at, at + 60_000)
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

describe('an HTTP server that answers 503, 502 or 504', () => {
  const answering = (head: string) => (socket: net.Socket) =>
    socket.on(
      'data',
      () => void socket.write(`HTTP/1.1 ${head}\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi`),
    )

  async function getThrough(path = '/') {
    const { stream, headers } = await openStream(await hub.session(), 's4.virtual:80')
    stream.write(`GET ${path} HTTP/1.1\r\nHost: s4.virtual\r\n\r\n`)
    let text = ''
    for await (const chunk of stream) {
      text += String(chunk)
      if (text.endsWith('hi')) break
    }
    stream.close()
    return { text, target: String(headers[wireHeaders.target]) }
  }

  test.each(['503 Service Unavailable', '502 Bad Gateway', '504 Gateway Timeout'])(
    'is left out for a while (%s), and its connection is not used again',
    async head => {
      const [away, good] = [await target(answering(head)), await target(answering('200 OK'))]
      const targets = `targets: [{ address: '${away.address}', weight: 4 }, '${good.address}']`
      await connectorWith(
        `  s4.virtual:80:\n    protocol: http\n    ${targets}\n    health: { every: 0s }\n    allow: [{ path: / }]\n`,
      )
      const answers: Awaited<ReturnType<typeof getThrough>>[] = []
      for (let count = 0; count < 40; count++) answers.push(await getThrough())
      const refused = answers.filter(({ target: each }) => each === away.address)
      expect(refused.length).toBeGreaterThan(0)
      expect(refused.length).toBeLessThanOrEqual(3)
      for (const { text } of refused) {
        expect(text).toMatch(/\r\nconnection: close\r\n/)
        expect(text).not.toContain('keep-alive')
        expect(text).toContain(`\r\n${otherServerHeader}: yes\r\n`)
      }
      for (const { text } of answers.filter(each => !refused.includes(each))) expect(text).toContain('keep-alive')
    },
  )

  test('that is the only one is asked on, and nobody is told of another', async () => {
    const away = await target(answering('503 Service Unavailable'))
    await connectorWith(
      `  s4.virtual:80:\n    protocol: http\n    targets: ['${away.address}']\n    health: { every: 0s }\n    allow: [{ path: / }]\n`,
    )
    for (let count = 0; count < 5; count++) expect((await getThrough()).text).not.toContain(otherServerHeader)
  })
})

test('over a distance of 100 ms the windows carry it, in both directions', async () => {
  const relay = await startRelay(hub.port, 50)
  try {
    hub.nodes = [`127.0.0.1:${relay.port}`]
    const bytes = 12 * MiB
    const server = await target(socket => {
      socket.on('data', () => {})
      socket.once('end', () => socket.end(Buffer.alloc(bytes)))
    })
    await connectorWith(host('far.virtual:7', server.address))
    const { stream } = await openStream(await hub.session(), 'far.virtual:7')
    const begun = performance.now()
    stream.end(Buffer.alloc(bytes))
    expect((await readAll(stream)).length).toBe(bytes)
    // With windows of 64 KiB each way alone takes 12 MiB / 64 KiB * 100 ms = 19 s; with 4 MiB it is below a second.
    expect(performance.now() - begun).toBeLessThan(15_000)
  } finally {
    await relay.close()
  }
})
