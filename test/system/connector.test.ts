import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { run } from '../../src/cli/run.ts'
import { hubLimits } from '../../src/connector/hub/limits.ts'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { type S4SmtpTwin, startS4Smtp } from '../../src/twins/s4-smtp/s4-smtp.ts'
import { freePorts } from '../foreign/servers/wait.ts'
import { ConnectorUnderTest } from '../hub/connector-process.ts'
import {
  type FlowChanges,
  type MailWorld,
  mail,
  mailWorld,
  orders,
  pause,
  stopWorlds,
  whenTestEnds,
} from './mail-world.ts'
import { webhookServer } from './webhook-server.ts'

afterEach(stopWorlds)

const via: FlowChanges = { smtp: { via: 'dc-frankfurt', host: 's4-smtp.virtual', port: 25 } }
const listen = { host: '127.0.0.1', port: 0, nodes: [] }

function worldWith(changes: FlowChanges = via): Promise<MailWorld> {
  return mailWorld({ flows: [changes], hub: { connectors: listen } })
}

/** Runs a command of isthmus against the hub of the world. */
async function isthmus(world: MailWorld, ...line: readonly string[]): Promise<{ code: number; output: string }> {
  let output = ''
  const write = (text: string | Uint8Array) => {
    output += text.toString()
  }
  const code = await run(['--url', world.hub.adminUrl, ...line], {
    stdin: (async function* () {})(),
    stdout: { write },
    stderr: { write },
    env: { ISTHMUS_TOKEN: world.hub.adminToken },
    cwd: world.folder,
    signal: new AbortController().signal,
    program: () => import('../../src/main.ts'),
  })
  return { code, output }
}

async function makeToken(world: MailWorld, location = 'dc-frankfurt'): Promise<string> {
  const { output } = await isthmus(world, 'connector', 'enrol', location)
  const token = /isthmus-enrol\.\S+/.exec(output)?.[0]
  if (token === undefined) throw new Error(output)
  return token
}

const hostsOf = (targets: readonly { readonly port: number }[]) => ({
  'virtual-hosts': {
    's4-smtp.virtual:25': { protocol: 'smtp', targets: targets.map(({ port }) => `127.0.0.1:${port}`) },
  },
})

/** Enrols a connector for dc-frankfurt and waits until it is connected. */
async function connector(world: MailWorld, name: string, config: object = hostsOf([world.s4])) {
  const made = new ConnectorUnderTest(join(world.folder, name), config)
  const token = await makeToken(world)
  const { code, output } = await made.enrol(world.hub.connectorsAddress ?? '', token, name)
  if (code !== 0) throw new Error(output)
  whenTestEnds(() => made.stop())
  made.start()
  const id = world.hub.connectors?.list().find(each => each.name === name)?.id ?? ''
  await isConnected(world, id, made)
  return { made, id, token }
}

async function isConnected(world: MailWorld, id: string, made: ConnectorUnderTest): Promise<void> {
  await world
    .until(`connector ${id} to be connected`, () => world.hub.connectors?.get(id).tunnels.length === 2)
    .catch((error: unknown) => {
      throw new Error(`${String(error)}\n${made.output()}`, { cause: error })
    })
}

const auditOf = async (world: MailWorld) =>
  (await world.ask<{ entries: { action: string; who: string; detail: object }[] }>('GET', '/api/audit?limit=1000'))
    .entries

/** The audit log that the connector itself keeps. */
function ownAudit(made: ConnectorUnderTest): string {
  const folder = join(made.folder, 'data', 'audit')
  return readdirSync(folder)
    .map(file => readFileSync(join(folder, file), 'utf8'))
    .join('')
}

const timesArrived = (twins: readonly S4SmtpTwin[]) => {
  const counts = new Map<string, number>()
  for (const { messageId } of twins.flatMap(({ received }) => received)) {
    counts.set(messageId, (counts.get(messageId) ?? 0) + 1)
  }
  return counts
}

test('a connector that was enrolled by command line carries the mails of a flow, and is shown with all it does', async () => {
  const world = await worldWith()
  const { id } = await connector(world, 'vm-17')
  for (let number = 1; number <= 20; number++) world.exchange.deliver(orders, mail(`order ${number}`))
  await world.reached(20)
  await world.emptied()

  const list = await isthmus(world, 'connector', 'list')
  expect(list.output).toMatch(new RegExp(`dc-frankfurt +vm-17 +${id} +connected +active`))
  expect((await isthmus(world, 'connector', 'show', id)).output).toMatch(/Virtual hosts: +s4-smtp.virtual:25/)
  const hosts = await isthmus(world, 'connector', 'hosts', id)
  expect(hosts.output).toMatch(new RegExp(`s4-smtp.virtual:25 +smtp +127.0.0.1:${world.s4.port} +up`))
  const check = await isthmus(world, 'connector', 'check', 'dc-frankfurt', 's4-smtp.virtual:25')
  expect(check).toMatchObject({ code: 0, output: expect.stringContaining(`127.0.0.1:${world.s4.port}`) })
  expect(await world.counted('isthmus_connector_opened_total{location="dc-frankfurt"}')).toBeGreaterThan(0)
  expect(await world.counted('isthmus_connector_bytes_total{location="dc-frankfurt",direction="out"}')).toBeGreaterThan(
    20 * 100,
  )
  expect((await auditOf(world)).map(({ action }) => action)).toEqual(
    expect.arrayContaining(['connector.enrol-token', 'connector.enrolled']),
  )

  const target = `127.0.0.1:${world.s4.port}`
  expect((await isthmus(world, 'connector', 'drain', id, 's4-smtp.virtual:25', target)).output).toMatch(/drained/)
  world.exchange.deliver(orders, mail('order while drained'))
  await world.until('the refusal', async () =>
    (await world.find('state=queued')).find(each => each.error?.code === 'LOCATION_NONE_HEALTHY'),
  )
  expect((await isthmus(world, 'connector', 'undrain', id, 's4-smtp.virtual:25', target)).output).not.toMatch(/drained/)
  await world.reached(21)
})

test('a token that somebody else has used already is told as that, and a wrong one opens nothing', async () => {
  const world = await worldWith()
  const { token, id } = await connector(world, 'vm-17')
  const thief = new ConnectorUnderTest(join(world.folder, 'thief'), hostsOf([world.s4]))
  const second = await thief.enrol(world.hub.connectorsAddress ?? '', token, 'thief')
  expect(second.code).not.toBe(0)
  expect(second.output).toMatch(new RegExp(`used already.*\\n.*revoke connector ${id}`))
  const foreign = token.replace(/\w{8}$/, '00000000')
  expect((await thief.enrol(world.hub.connectorsAddress ?? '', foreign, 'thief')).output).toContain('is not the hub')
  expect(world.hub.connectors?.list()).toHaveLength(1)
  const refusals = (await auditOf(world)).filter(({ action }) => action === 'connector.enrol-refused')
  expect(refusals).toMatchObject([{ detail: { code: 'ENROL_TOKEN_USED' } }])
})

test('what is not listed is refused, and stands in the audit logs of both sides', async () => {
  const world = await worldWith({ smtp: { via: 'dc-frankfurt', host: 'database.intern', port: 5432 } })
  const { made, id } = await connector(world, 'vm-17')
  world.exchange.deliver(orders, mail('order'))
  await world.until('the refusal', async () =>
    (await world.find('limit=10')).find(each => each.error?.code === 'LOCATION_NOT_ALLOWED'),
  )
  const entry = (await auditOf(world)).find(({ action }) => action === 'connector.refused-stream')
  expect(entry).toMatchObject({
    who: 'flow:mail',
    detail: { connector: id, virtualHost: 'database.intern:5432', code: 'LOCATION_NOT_ALLOWED' },
  })
  await world.until('the entry over there', () => ownAudit(made).includes('database.intern:5432'))
  expect(ownAudit(made)).toMatch(/CONNECTOR_NOT_ALLOWED/)
  const check = await isthmus(world, 'connector', 'check', 'dc-frankfurt', 'database.intern:5432')
  expect(check).toMatchObject({ code: 1, output: expect.stringContaining('not on the allow-list') })

  // The operator over there lists it after all: it acts without a restart.
  made.configure({
    'virtual-hosts': { 'database.intern:5432': { protocol: 'tcp', targets: [`127.0.0.1:${world.s4.port}`] } },
  })
  await world.reached(1)
})

test('a revoked connector is cut at once and does not come back; the flow says so', async () => {
  const world = await worldWith()
  const { made, id } = await connector(world, 'vm-17')
  world.exchange.deliver(orders, mail('before'))
  await world.reached(1)
  const at = performance.now()
  expect(await isthmus(world, 'connector', 'revoke', id, '--reason', 'laptop lost')).toMatchObject({ code: 0 })
  expect(world.hub.connectors?.get(id)).toMatchObject({ state: 'revoked', tunnels: [] })
  expect(performance.now() - at).toBeLessThan(2000)
  world.exchange.deliver(orders, mail('after'))
  await world.until('the delivery to wait', async () =>
    (await world.find('state=queued')).find(each => each.error?.code === 'NET_NO_CONNECTOR'),
  )
  await world.until('the connector to hear why', () => /revoked/.test(made.output()))
  await pause(2000)
  expect(world.hub.connectors?.get(id).tunnels).toEqual([])
  // A new enrolment takes its place, and the delivery goes on.
  await connector(world, 'vm-18')
  await world.reached(2)
})

test.each(['SIGKILL', 'SIGSTOP'] as const)('%s of one of two connectors under load costs no delivery', async signal => {
  const world = await worldWith({
    ...via,
    delivery: { parallel: 8, retry: { every: '200ms', 'up-to': '400ms', for: '2m' } },
  })
  const more = await startS4Smtp()
  whenTestEnds(() => more.stop())
  const twins = [world.s4, more]
  const one = await connector(world, 'vm-1', hostsOf(twins))
  await connector(world, 'vm-2', hostsOf(twins))
  const count = 150
  const arrived = () => twins.reduce((sum, { received }) => sum + received.length, 0)
  for (let number = 1; number <= count; number++) {
    world.exchange.deliver(orders, mail(`order ${number}`))
    if (number === 50) {
      await world.until('some mails to arrive', () => arrived() >= 10)
      one.made.signal(signal)
    }
  }
  // For those in doubt the hub waits a while for the connector, which could tell how far they came.
  await world.until(
    'no delivery to wait',
    async () => (await world.find('state=queued&limit=200')).length === 0 && world.exchange.list(orders).length === 0,
    hubLimits.fateMs + 10_000,
  )
  const setAside = await world.find('state=set-aside&limit=200')
  const counts = timesArrived(twins)
  expect([...counts.values()].every(times => times === 1)).toBe(true)
  // Only what was between the final dot and its answer may wait for a person; nothing is lost, nothing doubled.
  expect(setAside.filter(({ error }) => error?.code !== 'SMTP_OUTCOME_UNKNOWN')).toEqual([])
  expect(counts.size).toBeGreaterThanOrEqual(count - setAside.length)
  expect(setAside.length).toBeLessThanOrEqual(8)
  expect(world.hub.connectors?.get(one.id).state).toBe('away')
  if (signal === 'SIGSTOP') {
    one.made.signal('SIGCONT')
    await isConnected(world, one.id, one.made)
  }
})

test('a mailbox is read and a web service called through it as mails are sent: no adapter knows of it', async () => {
  const hook = await webhookServer()
  const { cert, key, ca } = await makeTwinCertificate(['exchange.virtual'])
  whenTestEnds(() => hook.stop())
  const world = await mailWorld({
    flows: [
      {
        imap: { via: 'dc-frankfurt', host: 'exchange.virtual', port: 993, security: 'tls' },
        steps: [{ map: { set: { body: { subject: '${message.subject}' } } } }],
        to: { http: { via: 'dc-frankfurt', url: 'http://hook.virtual/mails' } },
      },
    ],
    exchange: { tls: { cert, key } },
    hub: { connectors: listen, trustedCertificates: [ca] },
  })
  await connector(world, 'vm-17', {
    'virtual-hosts': {
      'exchange.virtual:993': { protocol: 'tcp', targets: [`127.0.0.1:${world.exchange.port}`] },
      'hook.virtual:80': {
        protocol: 'http',
        targets: [new URL(hook.url).host],
        allow: [{ path: '/mails', methods: ['POST'] }],
      },
    },
  })
  world.exchange.deliver(orders, mail('order 1'))
  await world.until('the call', () => hook.calls.length > 0)
  expect(hook.calls[0]).toMatchObject({ json: { subject: 'order 1' }, headers: { host: 'hook.virtual' } })
  await world.emptied()
  expect(await world.counted('isthmus_connector_opened_total{location="dc-frankfurt"}')).toBeGreaterThanOrEqual(2)
})

test('thousands of connections that the hub breaks off do not cost the tunnel', async () => {
  const world = await worldWith()
  const { id } = await connector(world, 'vm-17')
  const connectors = world.hub.connectors
  const before = connectors?.get(id).tunnels.map(({ address }) => address)
  const request = { via: 'dc-frankfurt', host: 's4-smtp.virtual', port: 25, timeoutMs: 20_000 }
  for (let turn = 0; turn < 100; turn++) {
    const streams = await Promise.all(Array.from({ length: 30 }, async () => connectors?.tunnel(request)))
    for (const stream of streams) stream?.destroy()
  }
  expect(connectors?.get(id).tunnels.map(({ address }) => address)).toEqual(before)
})

test('a hub that starts anew has its connectors back within seconds, and the mails go on', async () => {
  const [port = 0] = await freePorts(1)
  const world = await mailWorld({ flows: [via], hub: { connectors: { ...listen, port } } })
  const { id, made } = await connector(world, 'vm-17')
  world.exchange.deliver(orders, mail('one'))
  await world.reached(1)
  await world.stop()
  world.exchange.deliver(orders, mail('two'))
  await world.start()
  await isConnected(world, id, made)
  await world.reached(2)
  expect((await isthmus(world, 'connector', 'show', id)).code).toBe(0)
})

test('a location that a flow uses and nobody serves raises an alert', async () => {
  const world = await mailWorld({ flows: [via], hub: { connectors: listen, alertPolicy: { lookEveryMs: 500 } } })
  expect(await world.alert('location')).toMatchObject({
    what: 'No connector is enrolled for location dc-frankfurt, which is used by flow mail.',
    next: expect.stringContaining('Enrol a connector'),
  })
})
