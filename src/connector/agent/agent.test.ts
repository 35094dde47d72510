import { once } from 'node:events'
import { stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Clock, DAY, HOUR, systemClock } from '../../kernel/time.ts'
import { checkAnswer, connectorStatus, hello, wirePaths } from '../wire.ts'
import { startAgent } from './agent.ts'
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
import { askStatus, serveStatus } from './status-socket.ts'

let hub: StandInHub
let target: Target
const closing: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  hub = await startStandInHub()
  target = await startTarget(socket => socket.pipe(socket))
})

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
  await target.close()
  await hub.close()
})

async function connector(yaml: string): Promise<ConnectorWorld> {
  const world = await startConnector(yaml, hub)
  closing.push(() => world.close())
  return world
}

const hostLines = (...names: string[]) =>
  names.map(name => `  ${name}: { protocol: tcp, targets: ['${target.address}'], health: { every: 0s } }\n`).join('')
const hosts = (...names: string[]) => `virtual-hosts:\n${hostLines(...names)}`
const upCount = (world: ConnectorWorld) => world.agent.status().tunnels.filter(({ state }) => state === 'up').length

test('the hub hears who the connector is, what it lists, and how its targets are', async () => {
  const world = await connector(hosts('a.virtual:1', 'b.virtual:2'))
  const said = await hub.ask(wirePaths.hello)
  expect(hello.parse(said.body)).toMatchObject({ mode: 'active', virtualHosts: ['a.virtual:1', 'b.virtual:2'] })

  const drain = { virtualHost: 'a.virtual:1', target: target.address, drained: true }
  const drained = connectorStatus.parse((await hub.ask(wirePaths.drain, drain)).body)
  expect(drained.virtualHosts[0]?.targets[0]?.state).toBe('drained')
  expect((await openStream(await hub.session(), 'a.virtual:1')).status).toBe(503)
  await hub.ask(wirePaths.drain, { ...drain, virtualHost: 'A.Virtual:1', drained: false })
  expect((await openStream(await hub.session(), 'a.virtual:1')).status).toBe(200)

  const checked = await hub.ask(wirePaths.check, { virtualHost: 'b.virtual:2' })
  expect(checkAnswer.parse(checked.body)).toMatchObject({ ok: true, targets: [{ address: target.address, ok: true }] })
  expect((await hub.ask(wirePaths.check, { virtualHost: 'c.virtual:1' })).status).toBe(403)
  expect((await hub.ask(wirePaths.drain, { ...drain, target: '10.0.0.1:25' })).status).toBe(400)
  expect((await hub.ask(wirePaths.drain, { virtualHost: 7 })).status).toBe(400)
  expect((await hub.ask('/secrets')).status).toBe(400)
  await auditOf(world.folder, lines => lines.filter(({ action }) => action === 'target.drained').length === 2)
})

test('a change of connector.yaml acts at once: what it removes is cut, what it keeps goes on', async () => {
  const world = await connector(hosts('a.virtual:1', 'b.virtual:2'))
  await waitFor(() => upCount(world) === 2 && hub.sessions.size === 2)
  const before = [...hub.sessions]
  const session = await hub.session()
  const removed = await openStream(session, 'a.virtual:1')
  const kept = await openStream(session, 'b.virtual:2')
  removed.stream.resume()
  await world.write(hosts('b.virtual:2', 'c.virtual:3'))
  await waitFor(() => removed.stream.closed)
  expect(removed.stream.rstCode).toBe(8)
  kept.stream.end('still here')
  expect((await readAll(kept.stream)).toString()).toBe('still here')
  // The hub asks anew, over new tunnels, and hears the new list.
  await waitFor(() => before.every(each => each.closed || each.destroyed))
  expect((await hub.ask(wirePaths.hello)).body).toMatchObject({ virtualHosts: ['b.virtual:2', 'c.virtual:3'] })
  const now = await hub.session()
  expect((await openStream(now, 'a.virtual:1')).status).toBe(403)
  expect((await openStream(now, 'c.virtual:3')).status).toBe(200)

  await world.write('virtual-hosts:\n  d.virtual:4: { protocol: tcp, targts: [] }\n')
  const told = await waitFor(() => world.lines.find(({ event }) => event === 'config.refused'))
  expect(told.fields.text).toContain('connector.yaml:2:33: virtual-hosts > d.virtual:4 > targts')
  expect(world.agent.status().configError).toContain('targts')
  expect((await openStream(now, 'c.virtual:3')).status).toBe(200)
  await world.write(hosts('d.virtual:4'))
  await waitFor(() => world.agent.status().configError === undefined)
  const entries = await auditOf(
    world.folder,
    lines => lines.filter(each => each.action === 'config.changed').length === 2,
  )
  expect(entries.find(({ action }) => action === 'config.changed')?.detail).toMatchObject({
    added: ['c.virtual:3'],
    removed: ['a.virtual:1'],
  })
  expect(entries.some(({ action }) => action === 'config.refused')).toBe(true)
})

test('a certificate that comes after the file that names it puts the file in force; the mistake is told once', async () => {
  const world = await connector(hosts('a.virtual:1'))
  const withTls = `  b.virtual:2: { protocol: tcp-tls, targets: ['s4.example:443'], tls: { ca: company-ca.pem }, health: { every: 0s } }\n`
  await world.write(hosts('a.virtual:1') + withTls)
  await waitFor(() => world.agent.status().configError?.includes('company-ca.pem'))
  await world.agent.lookAtConfig()
  await writeFile(join(world.folder, 'company-ca.pem'), hub.authority)
  await waitFor(() => world.agent.status().configError === undefined)
  expect(world.agent.status().virtualHosts.map(({ address }) => address)).toEqual(['a.virtual:1', 'b.virtual:2'])
  expect(world.lines.filter(({ event }) => event === 'config.refused')).toHaveLength(1)
})

test('a target that is taken off the list loses its streams, the others of the virtual host do not', async () => {
  const other = await startTarget(socket => socket.pipe(socket))
  closing.push(() => other.close())
  const both = (...targets: string[]) =>
    `virtual-hosts:\n  a.virtual:1: { protocol: tcp, targets: [${targets.map(each => `'${each}'`).join(', ')}], health: { every: 0s } }\n`
  const world = await connector(both(target.address, other.address))
  const session = await hub.session()
  const opened: Awaited<ReturnType<typeof openStream>>[] = []
  for (let count = 0; count < 12; count++) opened.push(await openStream(session, 'a.virtual:1'))
  const of = (address: string) => opened.filter(({ headers }) => headers['isthmus-target'] === address)
  expect(of(target.address).length * of(other.address).length).toBeGreaterThan(0)
  for (const { stream } of opened) stream.resume()
  await world.write(both(other.address))
  await waitFor(() => of(target.address).every(({ stream }) => stream.closed))
  expect(of(other.address).every(({ stream }) => !stream.closed)).toBe(true)
})

test('a link that dies without a word is found within seconds, and comes back by itself', async () => {
  const relay = await startRelay(hub.port)
  closing.push(() => relay.close())
  hub.nodes = [`127.0.0.1:${relay.port}`]
  const world = await connector(hosts('a.virtual:1'))
  await waitFor(() => upCount(world) === 2 && hub.sessions.size === 2)
  const session = await hub.session()
  await openStream(session, 'a.virtual:1')
  await waitFor(() => target.sockets.size === 1)
  relay.isDead = true
  const begun = performance.now()
  // The stream is given up, so that the server does not wait for its rest.
  await waitFor(() => target.sockets.size === 0)
  expect(performance.now() - begun).toBeLessThan(6000)
  expect(world.lines.find(({ event }) => event === 'tunnel.lost')?.fields.text).toContain('no answer to 2 pings')
  relay.isDead = false
  hub.sessions.clear()
  await waitFor(() => hub.sessions.size >= 1)
  expect((await openStream(await hub.session(), 'a.virtual:1')).status).toBe(200)
})

test('after its machine stood still a connector asks at once whether its tunnels stand, also idle ones', async () => {
  const relay = await startRelay(hub.port)
  closing.push(() => relay.close())
  hub.nodes = [`127.0.0.1:${relay.port}`]
  const world = await connector(hosts('a.virtual:1'))
  await waitFor(() => upCount(world) === 2 && hub.sessions.size === 2)
  relay.isDead = true
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500)
  const begun = performance.now()
  await waitFor(() => world.lines.filter(({ event }) => event === 'tunnel.lost').length >= 2)
  expect(performance.now() - begun).toBeLessThan(8000)
})

test('a clock that is set back by an hour does not blind a connector: a dead link is found within seconds', async () => {
  const relay = await startRelay(hub.port)
  closing.push(() => relay.close())
  hub.nodes = [`127.0.0.1:${relay.port}`]
  let setBackMs = 0
  const clock: Clock = { ...systemClock, now: () => Date.now() - setBackMs }
  const world = await startConnector(`hub: { tunnels: 1 }\n${hosts('a.virtual:1')}`, hub, clock)
  closing.push(() => world.close())
  await waitFor(() => upCount(world) === 1 && hub.sessions.size === 1)
  expect((await openStream(await hub.session(), 'a.virtual:1')).status).toBe(200)
  setBackMs = HOUR
  relay.isDead = true
  await waitFor(() => world.lines.some(({ event }) => event === 'tunnel.lost'))
})

test('a hub that goes away is dialled until it is back', async () => {
  const world = await connector(hosts('a.virtual:1'))
  await waitFor(() => upCount(world) === 2 && hub.sessions.size === 2)
  for (const session of Array.from(hub.sessions)) session.destroy()
  await waitFor(() => world.lines.filter(({ event }) => event === 'tunnel.opened').length >= 4)
  await waitFor(() => upCount(world) === 2 && hub.sessions.size === 2)
})

test('a connector that is turned away says why, and asks seldom', async () => {
  const world = await connector(hosts('a.virtual:1'))
  await waitFor(() => upCount(world) === 2 && hub.sessions.size === 2)
  hub.turnAwayWith = 'The certificate was revoked: notebook stolen.'
  for (const session of Array.from(hub.sessions)) session.destroy()
  const tunnel = await waitFor(() => {
    const { tunnels } = world.agent.status()
    return tunnels.every(each => each.error?.code === 'CONNECTOR_CERTIFICATE_REFUSED') ? tunnels[0] : undefined
  })
  expect(tunnel.error?.message).toContain('notebook stolen')
  expect(tunnel.state).toBe('waiting')
  const waits = world.lines.flatMap(({ fields }) =>
    fields.code === 'CONNECTOR_CERTIFICATE_REFUSED' ? [Number(fields.retryInMs)] : [],
  )
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(30_000)
})

test('successors that the hub does not take leave the present tunnels in their place', async () => {
  const world = await connector(hosts('a.virtual:1'))
  await waitFor(() => upCount(world) === 2 && hub.sessions.size === 2)
  const session = await hub.session()
  hub.turnAwayWith = 'not now'
  await world.write(hosts('a.virtual:1', 'b.virtual:2'))
  const refusals = () => world.lines.filter(({ fields }) => fields?.['code'] === 'CONNECTOR_CERTIFICATE_REFUSED')
  await waitFor(() => refusals().length === 2)
  expect(upCount(world)).toBe(2)
  expect((await openStream(session, 'b.virtual:2')).status).toBe(200)
  // The next successors are tried after half a minute at the earliest; the status does not wait for them.
  for (const each of hub.sessions) each.destroy()
  await waitFor(() => upCount(world) === 0)
})

test('the certificate is renewed at two thirds of its life; streams that are open go on', async () => {
  hub.lifeMs = 4000
  const world = await connector(hosts('a.virtual:1'))
  const session = await hub.session()
  const { stream } = await openStream(session, 'a.virtual:1')
  hub.lifeMs = DAY
  const before = world.agent.status().certificateEndsAt
  await waitFor(() => world.agent.status().certificateEndsAt > before + DAY / 2)
  expect(hub.requests.map(({ path, subject }) => `${path} ${subject}`)).toEqual([
    `${wirePaths.enrol} `,
    `${wirePaths.renew} connector-1 dc-frankfurt`,
  ])
  // New tunnels show the new certificate; the old ones take nothing more and end with their last stream.
  await waitFor(() => session.closed)
  await waitFor(() => [...hub.sessions].filter(each => !each.closed).length === 2)
  stream.end('still here')
  expect((await readAll(stream)).toString()).toBe('still here')
  await waitFor(() => session.destroyed)
  expect((await stat(join(world.folder, 'data/identity.json'))).mode & 0o777).toBe(0o600)
})

test('the list of nodes that a renewal brings is dialled at once', async () => {
  const other = await startRelay(hub.port)
  closing.push(() => other.close())
  hub.lifeMs = 4000
  const world = await connector(hosts('a.virtual:1'))
  hub.lifeMs = DAY
  hub.nodes = [`127.0.0.1:${hub.port}`, `127.0.0.1:${other.port}`]
  await waitFor(() => upCount(world) === 4)
  expect(new Set(world.agent.status().tunnels.map(({ node }) => node)).size).toBe(2)
})

test('a stop lets streams end, refuses new ones, and leaves nothing behind', async () => {
  const world = await connector(hosts('a.virtual:1'))
  const session = await hub.session()
  const { stream } = await openStream(session, 'a.virtual:1')
  const stopping = world.agent.close(10_000)
  await waitFor(() => world.agent.status().streams === 1)
  const refused = await openStream(session, 'a.virtual:1')
  expect(refused.status).toBe(410)
  stream.end('the last words')
  expect((await readAll(stream)).toString()).toBe('the last words')
  await stopping
  await waitFor(() => hub.sessions.size === 0 && target.sockets.size === 0)
  await expect(askStatus(join(world.folder, 'data'))).rejects.toMatchObject({ code: 'CONNECTOR_NOT_RUNNING' })
})

test('a second connector on the same data folder does not start; its status is told over the socket', async () => {
  const world = await connector(hosts('a.virtual:1'))
  await waitFor(() => upCount(world) === 2 && hub.sessions.size === 2)
  const dataFolder = join(world.folder, 'data')
  expect((await stat(join(dataFolder, 'connector.sock'))).mode & 0o777).toBe(0o600)
  expect(await askStatus(dataFolder)).toMatchObject({ connector: 'connector-1', location: 'dc-frankfurt', streams: 0 })
  const parts = await import('../balance/pool.ts')
  const { makeConnect } = await import('../../protocols/net/connect.ts')
  const { silentLog } = await import('../../kernel/log.ts')
  const { systemClock } = await import('../../kernel/time.ts')
  const second = startAgent({
    configFile: join(world.folder, 'connector.yaml'),
    version: '0.0.1',
    clock: systemClock,
    log: silentLog,
    connect: makeConnect(),
    createTargetPool: parts.createTargetPool,
  })
  await expect(second).rejects.toMatchObject({ code: 'CONNECTOR_ALREADY_RUNNING' })
})

test('a data folder whose path is too long for a socket is told as that', async () => {
  const long = join(tmpdir(), 'x'.repeat(100))
  await expect(serveStatus(long, () => ({}))).rejects.toMatchObject({ code: 'CONNECTOR_SOCKET_REFUSED' })
})

test('a connection dies while it is opened: nothing of it stays', async () => {
  const silent = await startTarget(socket => socket.resume().once('end', () => socket.end()))
  closing.push(() => silent.close())
  const world = await connector(
    `virtual-hosts:\n  s.virtual:25: { protocol: smtp, targets: ['${silent.address}'], health: { every: 0s }, timeout: 10s }\n`,
  )
  const session = await hub.session()
  const stream = session.request({ ':method': 'CONNECT', ':authority': 's.virtual:25' })
  stream.on('error', () => {})
  await waitFor(() => silent.sockets.size === 1)
  const closed = once(stream, 'close')
  stream.close(8)
  await closed
  await waitFor(() => silent.sockets.size === 0 && world.agent.status().streams === 0)
})
