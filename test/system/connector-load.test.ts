import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ExchangeImapTwin, startExchangeImap } from '../../src/twins/exchange-imap/exchange-imap.ts'
import { contoso, contosoClientId, contosoSecret } from '../../src/twins/sign-in/contoso.ts'
import { startSignIn } from '../../src/twins/sign-in/sign-in.ts'
import { freePorts, waitFor } from '../foreign/servers/wait.ts'
import { ConnectorUnderTest } from '../hub/connector-process.ts'
import { HubUnderTest, type SeenMessage } from '../hub/hub-under-test.ts'
import { MailServer, type TakenMail } from '../hub/mail-server.ts'
import { mail, orders, pause } from './mail-world.ts'

/** A mail every so many milliseconds, all the time. */
const paceMs = 25
/** Mails before a fault, while it lasts, and after it. */
const [calm, during, after] = [40, 120, 120] as const
const parallel = 8
const settleMs = 90_000
/** A mail that took no longer noticed nothing of the fault. */
const usualMs = 500
/** The longest a mail may take, whatever dies meanwhile, on a machine that is busy with other tests too. */
const mailMsMax = 30_000

let folder: string
let exchange: ExchangeImapTwin
let hub: HubUnderTest
let connectors: readonly [ConnectorUnderTest, ConnectorUnderTest]
let servers: readonly [MailServer, MailServer, MailServer]
const closing: (() => Promise<unknown>)[] = []

const flow = (exchangePort: number) => `
flow: mail
from:
  imap:
    host: 127.0.0.1
    port: ${exchangePort}
    security: none
    user: ${orders}
    auth: m365-mail
    every: 1s
    timeout: 5s
    done: { move: Processed, failed: Failed }
to:
  smtp:
    via: dc-frankfurt
    host: s4-smtp.virtual
    port: 25
    security: none
    to: orders@s4.example
    timeouts: { connect: 5s, greeting: 5s, command: 3s, data-start: 3s, data-block: 3s, data-end: 5s }
delivery:
  parallel: ${parallel}
  once-by: message.headers['message-id']
  retry: { every: 500ms, up-to: 1s, for: 5m }
`

/** Two connectors of one location, three mail servers behind them, a hub before them: each a process of its own. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-load-'))
  closing.push(async () => rmSync(folder, { recursive: true, force: true }))
  const signIn = await startSignIn({ tenants: [contoso()] })
  closing.push(() => signIn.stop())
  signIn.grantAdminConsent()
  exchange = await startExchangeImap({ signIn, mailboxes: { [orders]: { fullAccess: [contosoClientId] } } })
  closing.push(() => exchange.stop())

  const [connectorPort = 0, ...serverPorts] = await freePorts(4)
  const [one, two, three] = serverPorts.map(port => new MailServer(port, join(folder, `taken-${port}.txt`)))
  if (!one || !two || !three) throw new Error('there are not enough free ports')
  servers = [one, two, three]
  for (const server of servers) closing.push(() => server.stop())
  await Promise.all(servers.map(server => server.start()))

  mkdirSync(join(folder, 'flow'))
  writeFileSync(join(folder, 'flow', 'flow.yaml'), flow(exchange.port))
  hub = new HubUnderTest({
    dataFolder: join(folder, 'data'),
    flowFiles: [join(folder, 'flow', 'flow.yaml')],
    connectors: { host: '127.0.0.1', port: connectorPort, nodes: [] },
    credentials: {
      'm365-mail': {
        kind: 'oauth2-client-credentials',
        provider: { microsoft365: { tenant: 'contoso.com', authority: signIn.origin } },
        clientId: contosoClientId,
        clientSecret: contosoSecret,
      },
    },
  })
  closing.push(() => hub.stop())
  await hub.start()
  connectors = [await startConnector('vm-1', connectorPort), await startConnector('vm-2', connectorPort)]
  await allAreConnected()
}, 120_000)
afterAll(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function startConnector(name: string, hubPort: number): Promise<ConnectorUnderTest> {
  const targets = servers.map(({ port }) => `127.0.0.1:${port}`)
  const connector = new ConnectorUnderTest(join(folder, name), {
    'virtual-hosts': {
      's4-smtp.virtual:25': {
        protocol: 'smtp',
        targets,
        timeout: '2s',
        health: { every: '1s', timeout: '1s', 'down-after': 2, 'up-after': 1 },
        ejection: { first: '2s' },
        'slow-start': '2s',
      },
    },
  })
  const { token } = await hub.call<{ token: string }>('POST', '/api/connectors/enrol', { location: 'dc-frankfurt' })
  const { code, output } = await connector.enrol(`127.0.0.1:${hubPort}`, token, name)
  if (code !== 0) throw new Error(output)
  closing.push(() => connector.stop())
  connector.start()
  return connector
}

async function allAreConnected(): Promise<void> {
  await waitFor('both connectors to be connected', 60_000, async () => {
    const list = await hub.call<{ connectors: { tunnels: unknown[] }[] }>('GET', '/api/connectors')
    return list.connectors.length === 2 && list.connectors.every(({ tunnels }) => tunnels.length === 2)
  })
}

interface Fault {
  readonly name: string
  strike(): void | Promise<void>
  /** Resolves when everything runs again. */
  mend(): Promise<void>
}

const faults: readonly Fault[] = [
  {
    name: 'kill -9 of one of two connectors',
    strike: () => connectors[0].kill9(),
    async mend() {
      connectors[0].start()
      await allAreConnected()
    },
  },
  {
    name: 'SIGSTOP of one of two connectors',
    strike: () => connectors[1].signal('SIGSTOP'),
    async mend() {
      connectors[1].signal('SIGCONT')
      await allAreConnected()
    },
  },
  {
    name: 'kill -9 of one of three mail servers',
    strike: () => servers[0].kill9(),
    mend: () => servers[0].start(),
  },
  {
    name: 'SIGSTOP of one of three mail servers',
    strike: () => servers[1].signal('SIGSTOP'),
    mend: async () => servers[1].signal('SIGCONT'),
  },
  {
    name: 'kill -9 of the hub',
    strike: async () => {
      await hub.kill9()
      await hub.start()
    },
    mend: allAreConnected,
  },
  {
    name: 'SIGSTOP of the hub for two seconds',
    strike: async () => {
      process.kill(hub.pid, 'SIGSTOP')
      await pause(2000)
      process.kill(hub.pid, 'SIGCONT')
    },
    mend: allAreConnected,
  },
]

const sentAt = new Map<string, number>()

test.each(faults)(
  '$name under a constant load: no mail is lost, none doubled, and the pace comes back',
  async fault => {
    const first = sentAt.size
    await send(calm)
    const struckAt = Date.now()
    const striking = Promise.resolve(fault.strike())
    // Also when a mail cannot be sent: what was begun is awaited.
    await Promise.allSettled([striking, send(during)])
    await striking
    await fault.mend()
    await send(after)
    const inDoubt = await allEnded()

    const arrived = arrivals()
    const ids = [...sentAt.keys()].slice(first)
    expect([...arrived].filter(([, times]) => times.length > 1)).toEqual([])
    const missing = ids.filter(id => !arrived.has(id))
    // Between the final dot and its answer nobody can know: such a mail waits for a person, with its Message-ID.
    const doubted = new Set(inDoubt.map(({ error }) => /<[^>]+>/.exec(error?.next ?? '')?.[0]))
    expect(missing.filter(id => !doubted.has(id))).toEqual([])
    const told = recoveryOf(ids, arrived, struckAt)
    console.info(
      `${fault.name}: ${ids.length} mails, ${missing.length} of ${inDoubt.length} in doubt not there; ` +
        `slowest mail ${seconds(told.slowestMs)}, usual pace after ${seconds(told.recoveredMs)}`,
    )
    expect(told.slowestMs).toBeLessThan(mailMsMax)
    for (const { id } of inDoubt) await hub.call('POST', `/api/messages/${id}/skip`, { reason: 'looked at' })
  },
  240_000,
)

async function send(count: number): Promise<void> {
  for (let sent = 0; sent < count; sent++) {
    const number = sentAt.size + 1
    sentAt.set(`<order-${number}@adatum.example>`, Date.now())
    exchange.deliver(orders, mail(`order ${number}`))
    await pause(paceMs)
  }
}

/** Waits until nothing is under way; returns what was set aside, which is nothing but mails whose outcome is unknown. */
async function allEnded(): Promise<readonly SeenMessage[]> {
  await waitFor('every delivery to end', settleMs, async () => {
    const { counts } = await hub.flow('mail')
    return counts.queued === 0 && exchange.list(orders).length === 0
  }).catch(async (error: Error) => {
    const flows = JSON.stringify(await hub.flow('mail'))
    throw new Error(`${error.message}\n${flows}\n${hub.output().slice(-4000)}`, { cause: error })
  })
  const { messages } = await hub.call<{ messages: SeenMessage[] }>('GET', '/api/messages?state=set-aside&limit=200')
  expect(messages.filter(({ error }) => error?.code !== 'SMTP_OUTCOME_UNKNOWN')).toEqual([])
  expect(messages.length).toBeLessThanOrEqual(parallel)
  return messages
}

/** When each mail was taken, by Message-ID; twice means doubled. */
function arrivals(): Map<string, TakenMail[]> {
  const arrived = new Map<string, TakenMail[]>()
  for (const taken of servers.flatMap(server => server.taken())) {
    arrived.set(taken.messageId, [...(arrived.get(taken.messageId) ?? []), taken])
  }
  return arrived
}

/** How long the slowest mail took, and how long after the fault the last mail was sent that took longer than usual. */
function recoveryOf(ids: readonly string[], arrived: ReadonlyMap<string, readonly TakenMail[]>, struckAt: number) {
  let slowestMs = 0
  let recoveredMs = 0
  for (const id of ids) {
    const [taken] = arrived.get(id) ?? []
    const sent = sentAt.get(id) ?? 0
    if (!taken) continue
    const tookMs = taken.at - sent
    slowestMs = Math.max(slowestMs, tookMs)
    if (tookMs > usualMs) recoveredMs = Math.max(recoveredMs, sent - struckAt)
  }
  return { slowestMs, recoveredMs: Math.max(0, recoveredMs) }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
