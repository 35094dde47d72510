import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MiB } from '../../kernel/size.ts'
import { traceOf } from '../../kernel/socket.ts'
import { HOUR } from '../../kernel/time.ts'
import { type HubWorld, startHubSide } from '../hub/connector-world.ts'
import {
  auditOf,
  type ConnectorWorld,
  readAll,
  startConnector,
  startRelay,
  startTarget,
  type Target,
  waitFor,
} from './agent-world.ts'

/** The connector against the hub's own side of it. */
let hub: HubWorld
let target: Target
let world: ConnectorWorld | undefined

beforeEach(async () => {
  hub = await startHubSide()
  target = await startTarget(socket => socket.pipe(socket))
})

afterEach(async () => {
  await world?.close()
  world = undefined
  await target.close()
  await hub.close()
})

async function connect(more = ''): Promise<{ readonly world: ConnectorWorld; readonly token: string }> {
  const { text: token } = await hub.connectors.makeToken('dc-frankfurt', undefined)
  const yaml = `virtual-hosts:\n  echo.virtual:7: { protocol: tcp, targets: ['${target.address}'], health: { every: 0s } }\n${more}`
  const started = await startConnector(yaml, { port: hub.port, token })
  world = started
  await waitFor(() => hub.connectors.locations()[0]?.tunnels === 2, 60_000)
  return { world: started, token }
}

const open = (host: string, port: number): Promise<Duplex> =>
  hub.connectors.tunnel({ via: 'dc-frankfurt', host, port, timeoutMs: 10_000, purpose: 'flow orders' })

test('enrolment, tunnel, and eight MiB there and back', async () => {
  await connect()
  const stream = await open('echo.virtual', 7)
  const sent = randomBytes(8 * MiB)
  const back = readAll(stream)
  stream.end(sent)
  const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  expect(hash(await back)).toBe(hash(sent))
  await waitFor(() => target.sockets.size === 0)
})

describe('half of a file never looks like a whole one', () => {
  const howItEnds = (stream: Duplex) =>
    new Promise<string>(resolve => {
      stream.on('end', () => resolve('a quiet end')).on('error', error => resolve(error.message))
      stream.resume()
    })

  test('when the server resets the connection', async () => {
    await target.close()
    target = await startTarget(socket =>
      socket.once('data', () => socket.write('half', () => socket.resetAndDestroy())),
    )
    await connect()
    const stream = await open('echo.virtual', 7)
    stream.write('the file, please')
    expect(await howItEnds(stream)).toContain('the server reset it')
  })

  test('when the connector stops', async () => {
    const { world } = await connect()
    const streams = await Promise.all(Array.from({ length: 6 }, () => open('echo.virtual', 7)))
    for (const stream of streams) stream.write('half')
    const ends = Promise.all(streams.map(howItEnds))
    await world.agent.close(100)
    expect(await ends).not.toContain('a quiet end')
  })
})

test('a quiet connection outlives a lost packet on a long line, which is silent then for several pings', async () => {
  const relay = await startRelay(hub.port, 1200)
  const { world } = await connect(`hub: { nodes: ['127.0.0.1:${relay.port}'] }\n`)
  const hasAnswered = ({ roundTripMs = 0 }: { readonly roundTripMs?: number | undefined }) => roundTripMs > 2000
  const tunnels = () => [...world.agent.status().tunnels, ...(hub.connectors.list()[0]?.tunnels ?? [])]
  await waitFor(() => tunnels().filter(hasAnswered).length === 4)
  const stream = await open('echo.virtual', 7)
  relay.heldUntil = performance.now() + 4000
  await pause(4000)
  stream.end('through')
  expect((await readAll(stream)).toString()).toBe('through')
  expect(world.lines.filter(({ event }) => event === 'tunnel.lost')).toEqual([])
  await relay.close()
}, 120_000)

describe('of a stream whose tunnel is lost', () => {
  const never = new AbortController().signal
  const fateOf = async (stream: Duplex, signal = never) => {
    const trace = traceOf(stream) ?? expect.fail('the stream has no name')
    return hub.connectors.fateOf(trace, { mailAt: 0, written: 1 }, signal)
  }
  let line: Awaited<ReturnType<typeof startRelay>>

  beforeEach(async () => {
    line = await startRelay(hub.port)
    await connect(`hub: { nodes: ['127.0.0.1:${line.port}'] }\n`)
  })
  afterEach(() => line.close())

  /** A stream of whose bytes the server has the first; then the line breaks, and more is written. */
  async function broken(): Promise<Duplex> {
    const stream = await open('echo.virtual', 7)
    stream.on('error', () => {})
    stream.write('the first half')
    await once(stream, 'data')
    line.isDead = true
    stream.write(' and the second')
    line.cut()
    await waitFor(() => stream.destroyed)
    line.isDead = false
    return stream
  }

  test('the hub knows what reached the server, as soon as the connector is back', async () => {
    const other = await open('echo.virtual', 7)
    other.on('error', () => {})
    other.write('two')
    await once(other, 'data')
    const stream = await broken()
    const passedOn = [await fateOf(stream), await fateOf(other)].map(fate => fate?.passedOn)
    expect(passedOn).toEqual(['the first half'.length, 'two'.length])
  })

  test('also when the clock is set forward meanwhile', async () => {
    const stream = await broken()
    const asked = fateOf(stream)
    hub.clock.offsetMs += HOUR
    expect((await asked)?.passedOn).toBe('the first half'.length)
  })

  test('a connector that was started anew knows nothing of it', async () => {
    const stream = await broken()
    await world?.restart()
    expect(await fateOf(stream)).toBeUndefined()
  })

  test('nobody waits for an answer who is to stop, nor when the hub stops', async () => {
    const stream = await broken()
    await world?.agent.close(0)
    expect(await fateOf(stream, AbortSignal.timeout(50))).toBeUndefined()
    const asked = fateOf(stream)
    await hub.connectors.close()
    expect(await asked).toBeUndefined()
  })
})

test('what the connector does not list is refused, and audited on both sides', async () => {
  const { world } = await connect()
  await expect(open('10.0.0.1', 22)).rejects.toMatchObject({ message: expect.stringContaining('10.0.0.1:22') })
  const entries = await auditOf(world.folder, lines => lines.some(({ action }) => action === 'stream.refused'))
  expect(entries.find(({ action }) => action === 'stream.refused')?.detail).toMatchObject({
    virtualHost: '10.0.0.1:22',
    purpose: 'flow orders',
  })
  await waitFor(() => hub.records.entries.some(({ detail }) => JSON.stringify(detail).includes('10.0.0.1')))
})

test('status, drain and check reach the connector', async () => {
  await connect()
  const id = hub.connectors.list()[0]?.id ?? ''
  expect((await hub.connectors.status(id)).virtualHosts[0]?.targets[0]?.address).toBe(target.address)
  const drained = { virtualHost: 'echo.virtual:7', target: target.address, drained: true }
  expect((await hub.connectors.drain(id, drained)).virtualHosts[0]?.targets[0]?.state).toBe('drained')
  await expect(open('echo.virtual', 7)).rejects.toMatchObject({ retry: 'soon' })
  await hub.connectors.drain(id, { ...drained, drained: false })
  expect(await hub.connectors.check('dc-frankfurt', 'echo.virtual:7')).toMatchObject({ ok: true })
})

test('a token is good once; a revoked connector is cut at once and knows why', async () => {
  const { world, token } = await connect()
  const again = startConnector('virtual-hosts: {}\n', { port: hub.port, token })
  await expect(again).rejects.toMatchObject({ code: 'CONNECTOR_HUB_REFUSED' })
  const stream = await open('echo.virtual', 7)
  stream.on('error', () => {})
  stream.resume()
  await hub.connectors.revoke(hub.connectors.list()[0]?.id ?? '', 'the machine was sold', 'admin')
  await waitFor(() => stream.closed)
  await waitFor(() => target.sockets.size === 0)
  const told = await waitFor(() => world.agent.status().tunnels.find(({ error }) => error?.code.includes('REFUSED')))
  expect(told.error?.message).toContain('does not take the certificate of this connector')
})

test('a hub that stops says so in the log of the connector', async () => {
  const { world } = await connect()
  await hub.connectors.close()
  const lost = await waitFor(() => world.lines.find(({ event }) => event === 'tunnel.lost'))
  expect(lost.fields['text']).toBe(`The tunnel to 127.0.0.1:${hub.port} was lost: the hub is stopping.`)
})

test('a reset of either side reaches the other side as one', async () => {
  await connect()
  const stream = await open('echo.virtual', 7)
  stream.on('error', () => {})
  const [socket] = target.sockets
  socket?.resetAndDestroy()
  await waitFor(() => stream.errored)
  const second = await open('echo.virtual', 7)
  second.on('error', () => {})
  const other = await waitFor(() => [...target.sockets].find(each => !each.destroyed))
  let failure: NodeJS.ErrnoException | undefined
  other.on('error', (error: NodeJS.ErrnoException) => (failure = error))
  second.destroy(new Error('given up'))
  expect((await waitFor(() => failure)).code).toBe('ECONNRESET')
})
