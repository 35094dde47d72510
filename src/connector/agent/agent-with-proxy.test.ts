import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { run } from '../../cli/connector-agent/run.ts'
import { DAY } from '../../kernel/time.ts'
import { type ProxyWorld, startProxy } from '../../protocols/net/proxy-world.ts'
import { wirePaths } from '../wire.ts'
import {
  auditOf,
  type ConnectorWorld,
  openStream,
  readAll,
  type StandInHub,
  startConnector,
  startStandInHub,
  startTarget,
  type Target,
  waitFor,
} from './agent-world.ts'

const logIn = { user: 'svc-isthmus', password: 'a secret for the proxy' }
const encoded = Buffer.from(`${logIn.user}:${logIn.password}`).toString('base64')

let hub: StandInHub
let target: Target
let proxy: ProxyWorld
let folder: string
const closing: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  hub = await startStandInHub()
  target = await startTarget(socket => socket.pipe(socket))
  proxy = await startProxy({ logIn })
  folder = await mkdtemp(join(tmpdir(), 'isthmus-proxy-'))
  await writeFile(join(folder, 'proxy.txt'), `${logIn.password}\n`)
})

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
  await proxy.close()
  await target.close()
  await hub.close()
  await rm(folder, { recursive: true, force: true })
})

const proxyLines = (address: string) =>
  `hub:\n  proxy: { address: "${address}", user: ${logIn.user}, password-file: ${join(folder, 'proxy.txt')} }\n`
const hosts = () =>
  `virtual-hosts:\n  a.virtual:1: { protocol: tcp, targets: ['${target.address}'], health: { every: 0s } }\n`

async function connector(yaml = proxyLines(proxy.address) + hosts()): Promise<ConnectorWorld> {
  const world = await startConnector(yaml, hub)
  closing.push(() => world.close())
  return world
}

const upCount = (world: ConnectorWorld) => world.agent.status().tunnels.filter(({ state }) => state === 'up').length

/** A command of isthmus-connector beside the running one. */
async function command(world: ConnectorWorld, ...line: readonly string[]) {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  stdin.end(hub.token)
  const { signal } = new AbortController()
  const code = await run(line, { stdin, stdout, stderr, cwd: world.folder, signal })
  return { code, output: (await text(stdout.end())) + (await text(stderr.end())) }
}

test('enrolment, tunnels and renewal go through the proxy, which sees host and port of the hub and nothing else', async () => {
  hub.lifeMs = 4000
  await connector()
  hub.lifeMs = DAY
  await waitFor(() => hub.requests.some(({ path }) => path === wirePaths.renew))
  const { stream } = await openStream(await hub.session(), 'a.virtual:1')
  stream.end('an order for SAP')
  expect((await readAll(stream)).toString()).toBe('an order for SAP')
  // Enrolment dials twice, then two tunnels, the renewal, and two tunnels with the new certificate.
  await waitFor(() => proxy.asked.length >= 7)
  expect(new Set(proxy.asked.map(each => `${each.target} ${each.status}`))).toEqual(
    new Set([`127.0.0.1:${hub.port} 200`]),
  )
  expect(proxy.carried.text).not.toMatch(/an order for SAP|isthmus-enrol|a\.virtual/)
  // The target lies in the network of the connector: its way is its own.
  expect(proxy.asked.some(({ target: asked }) => asked === target.address)).toBe(false)
})

test('check and status name the proxy; its password stands nowhere', async () => {
  const world = await connector()
  await waitFor(() => upCount(world) === 2)
  const check = await command(world, 'check')
  expect(check).toMatchObject({ code: 0 })
  expect(check.output).toMatch(
    new RegExp(`good +proxy ${proxy.address} +it opens the way to 127.0.0.1:${hub.port} for user svc-isthmus`),
  )
  expect(check.output).toMatch(new RegExp(`good +hub 127.0.0.1:${hub.port} +reached over TLSv1.3`))
  const status = await command(world, 'status', '--json')
  expect(JSON.parse(status.output)).toMatchObject({ proxy: proxy.address })
  expect((await command(world, 'status')).output).toMatch(new RegExp(`Proxy: +${proxy.address}`))

  await writeFile(join(folder, 'proxy.txt'), 'another wr0ng one')
  proxy.cut()
  await waitFor(() => world.lines.some(({ fields }) => fields.code === 'NET_PROXY_SIGN_IN'))
  const wrong = await command(world, 'check')
  expect(wrong.code).toBe(1)
  expect(wrong.output).toMatch(new RegExp(`BAD +proxy ${proxy.address} +The proxy .* does not take user svc-isthmus`))
  expect(wrong.output).not.toMatch(/(?:good|BAD) +hub/)
  const told = [JSON.stringify(world.lines), JSON.stringify(world.agent.status()), check.output, wrong.output]
  const audit = JSON.stringify(await auditOf(world.folder, () => true))
  for (const each of [...told, status.output, audit]) {
    expect(each).not.toContain(logIn.password)
    expect(each).not.toContain(encoded)
    expect(each).not.toContain('wr0ng one')
  }
})

test('a password that is refused is not tried over and over; once it is corrected the connector is back at once', async () => {
  const world = await connector()
  await waitFor(() => upCount(world) === 2)
  await writeFile(join(folder, 'proxy.txt'), 'outdated')
  await waitFor(() => world.lines.filter(({ fields }) => fields.code === 'NET_PROXY_SIGN_IN').length >= 2)
  // The tunnels that stand are left alone.
  expect(upCount(world)).toBe(2)
  proxy.cut()
  await waitFor(() => upCount(world) === 0)
  const waits = world.lines.flatMap(({ fields }) =>
    fields.code === 'NET_PROXY_SIGN_IN' ? [Number(fields.retryInMs)] : [],
  )
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(150_000)
  await writeFile(join(folder, 'proxy.txt'), logIn.password)
  await waitFor(() => upCount(world) === 2)
  expect((await openStream(await hub.session(), 'a.virtual:1')).status).toBe(200)
})

test('a password that is corrected while the proxy still looks at the wrong one counts at once, too', async () => {
  const looking: net.Socket[] = []
  const slow = net.createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', asked => {
      if (!asked.includes(encoded)) {
        looking.push(socket)
        return
      }
      const far = net.connect(proxy.port, '127.0.0.1').on('error', () => {})
      far.write(asked)
      socket.pipe(far).pipe(socket)
    })
  })
  await new Promise<void>(resolve => slow.listen(0, '127.0.0.1', resolve))
  closing.push(async () => slow.close())
  const world = await connector(proxyLines(`127.0.0.1:${(slow.address() as net.AddressInfo).port}`) + hosts())
  await waitFor(() => upCount(world) === 2)
  await writeFile(join(folder, 'proxy.txt'), 'outdated')
  await waitFor(() => looking.length === 2)
  const changes = () => world.lines.filter(({ event }) => event === 'config.changed').length
  const before = changes()
  await writeFile(join(folder, 'proxy.txt'), logIn.password)
  await waitFor(() => changes() > before)
  const asked = proxy.asked.length
  for (const socket of looking) {
    socket.end('HTTP/1.1 407 No\r\nproxy-authenticate: Basic realm="contoso"\r\ncontent-length: 0\r\n\r\n')
  }
  await waitFor(() => proxy.asked.length === asked + 2)
})

test('a proxy that dies takes the tunnels with it, and they come back with it', async () => {
  const world = await connector()
  await waitFor(() => upCount(world) === 2 && hub.sessions.size === 2)
  const { stream } = await openStream(await hub.session(), 'a.virtual:1')
  stream.resume()
  await proxy.close()
  await waitFor(() => upCount(world) === 0)
  await waitFor(() => stream.closed && target.sockets.size === 0)
  const lost = await waitFor(() => world.lines.find(({ fields }) => fields.code === 'NET_PROXY_UNREACHABLE'))
  expect(lost.fields.text).toBe(`The proxy ${proxy.address} does not answer: ECONNREFUSED.`)
  expect(lost.fields.next).toContain('hub.proxy in connector.yaml')
  proxy = await startProxy({ logIn }, proxy.port)
  await waitFor(() => upCount(world) === 2 && hub.sessions.size === 2)
  expect((await openStream(await hub.session(), 'a.virtual:1')).status).toBe(200)
})

test('a proxy that is named, or taken away, in connector.yaml acts without a restart; streams that are open go on', async () => {
  const world = await connector(hosts())
  await waitFor(() => upCount(world) === 2 && hub.sessions.size === 2)
  const session = await hub.session()
  const { stream } = await openStream(session, 'a.virtual:1')
  await world.write(proxyLines(proxy.address) + hosts())
  await waitFor(() => proxy.asked.length === 2)
  await waitFor(() => session.closed)
  stream.end('still here')
  expect((await readAll(stream)).toString()).toBe('still here')
  await world.write(hosts())
  await waitFor(() => proxy.open() === 0 && upCount(world) === 2)
  expect(world.agent.status().proxy).toBeUndefined()
})

test('enrol by a proxy that a command line names', async () => {
  const open = await startProxy()
  closing.push(() => open.close())
  const world = await connector(hosts())
  const node = `127.0.0.1:${hub.port}`
  const line = ['enrol', '--hub', node, '--name', 'x', '--data', join(folder, 'data')]
  const refused = await command(world, ...line, '--proxy', proxy.address)
  expect(refused).toMatchObject({ code: 3, output: expect.stringContaining('wants a user and a password (407)') })
  const enrolled = await command(world, ...line, '--proxy', open.address)
  expect(enrolled).toMatchObject({ code: 0, output: expect.stringContaining('name the proxy under hub.proxy') })
  expect(open.asked).toEqual([
    { target: node, status: 200 },
    { target: node, status: 200 },
  ])
})
