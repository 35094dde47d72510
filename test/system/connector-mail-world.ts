import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { startExchangeImap } from '../../src/twins/exchange-imap/exchange-imap.ts'
import { contoso, contosoClientId, contosoSecret } from '../../src/twins/sign-in/contoso.ts'
import { startSignIn } from '../../src/twins/sign-in/sign-in.ts'
import { freePorts, waitFor } from '../foreign/servers/wait.ts'
import { ConnectorUnderTest } from '../hub/connector-process.ts'
import { HubUnderTest, type SeenMessage } from '../hub/hub-under-test.ts'
import { MailServer, type TakenMail } from '../hub/mail-server.ts'
import { mail, orders, pause } from './mail-world.ts'

/** A mail every so many milliseconds, all the time. */
const paceMs = 25
const parallel = 8
const settleMs = 90_000

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

export interface ConnectorMailOptions {
  /** Where connectors reach the hub, when not at its own port. */
  line?(hubPort: number): Promise<{ readonly port: number; close(): Promise<void> }>
  /** host:port of the proxy that connectors go through. */
  readonly proxy?: string
}

/** Two connectors of one location, three mail servers behind them, a hub before them: each a process of its own. */
export async function startConnectorMail(options: ConnectorMailOptions = {}) {
  const closing: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const each of closing.splice(0).toReversed()) await each()
  }
  try {
    return { ...(await start(closing, options)), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function start(closing: (() => Promise<unknown>)[], { line, proxy }: ConnectorMailOptions) {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-load-'))
  closing.push(async () => rmSync(folder, { recursive: true, force: true }))
  const signIn = await startSignIn({ tenants: [contoso()] })
  closing.push(() => signIn.stop())
  signIn.grantAdminConsent()
  const exchange = await startExchangeImap({ signIn, mailboxes: { [orders]: { fullAccess: [contosoClientId] } } })
  closing.push(() => exchange.stop())

  const [connectorPort = 0, ...serverPorts] = await freePorts(4)
  const [one, two, three] = serverPorts.map(port => new MailServer(port, join(folder, `taken-${port}.txt`)))
  if (!one || !two || !three) throw new Error('there are not enough free ports')
  const servers = [one, two, three] as const
  for (const server of servers) closing.push(() => server.stop())
  await Promise.all(servers.map(server => server.start()))

  const way = await line?.(connectorPort)
  if (way) closing.push(() => way.close())
  const address = `127.0.0.1:${way?.port ?? connectorPort}`

  mkdirSync(join(folder, 'flow'))
  writeFileSync(join(folder, 'flow', 'flow.yaml'), flow(exchange.port))
  const hub = new HubUnderTest({
    dataFolder: join(folder, 'data'),
    flowFiles: [join(folder, 'flow', 'flow.yaml')],
    connectors: { host: '127.0.0.1', port: connectorPort, nodes: [address] },
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
  const connectors = [await startConnector('vm-1'), await startConnector('vm-2')] as const
  await allAreConnected()

  async function startConnector(name: string): Promise<ConnectorUnderTest> {
    const targets = servers.map(({ port }) => `127.0.0.1:${port}`)
    const connector = new ConnectorUnderTest(join(folder, name), {
      ...(proxy !== undefined && { hub: { proxy } }),
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
    const { code, output } = await connector.enrol(address, token, name)
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

  const sentAt = new Map<string, number>()
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

  /** None came twice, and what did not come is in doubt: between the final dot and its answer nobody can know. */
  function compare(ids: readonly string[], inDoubt: readonly SeenMessage[]) {
    const arrived = arrivals()
    expect([...arrived].filter(([, times]) => times.length > 1)).toEqual([])
    const missing = ids.filter(id => !arrived.has(id))
    // Such a mail waits for a person, with its Message-ID.
    const doubted = new Set(inDoubt.map(({ error }) => /<[^>]+>/.exec(error?.next ?? '')?.[0]))
    expect(missing.filter(id => !doubted.has(id))).toEqual([])
    return { arrived, missing }
  }

  return { hub, connectors, servers, sentAt, parallel, allAreConnected, send, allEnded, compare }
}
