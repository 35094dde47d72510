import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../src/kernel/time.ts'
import { type Hub, type HubOptions, startHub } from '../../src/main.ts'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { type ExchangeImapOptions, startExchangeImap } from '../../src/twins/exchange-imap/exchange-imap.ts'
import { startExchangeSmtp } from '../../src/twins/exchange-smtp/exchange-smtp.ts'
import { type S4SmtpOptions, startS4Smtp } from '../../src/twins/s4-smtp/s4-smtp.ts'
import { contoso, contosoClientId, contosoSecret } from '../../src/twins/sign-in/contoso.ts'
import { type SignInOptions, startSignIn } from '../../src/twins/sign-in/sign-in.ts'
import { waitFor } from '../foreign/servers/wait.ts'

export const orders = 'orders@contoso.com'
export const invoices = 'invoices@contoso.com'
export const delegate = 'svc@contoso.com'
const redirectUri = 'http://localhost/oauth/callback'
const waitMs = 10_000
const near = { host: '127.0.0.1', security: 'none' }

/** What a test changes of the standard flow: from the mailbox orders, moved when done, to orders@s4.example. */
export interface FlowChanges {
  readonly flow?: string
  readonly imap?: object
  readonly steps?: readonly object[]
  readonly smtp?: object
  readonly to?: unknown
  readonly delivery?: object
  readonly expect?: object
  readonly keep?: object
  readonly alert?: readonly string[]
}

/** Ports of the stand-ins. */
interface Ports {
  readonly exchange: number
  readonly s4: number
  /** smtp.office365.com; its authority is exchange-ca.pem beside the flow. */
  readonly submission: number
}

export interface MailWorldOptions {
  /** Flows of the hub; the standard one where they are left out. A text is taken as the document itself. */
  readonly flows?: readonly (FlowChanges | string | ((ports: Ports) => FlowChanges))[]
  readonly signIn?: SignInOptions
  readonly exchange?: Partial<ExchangeImapOptions>
  readonly s4?: S4SmtpOptions
  readonly hub?: Partial<HubOptions> | ((ports: Ports) => Partial<HubOptions>)
  /** The time of hub and twins; the real one where it is left out. */
  readonly clock?: Clock
  /** `authorised` (the default): m365-mail exists and the delegate has signed in. `none`: the test makes its own. */
  readonly credential?: 'authorised' | 'none'
}

export interface Seen {
  readonly id: string
  readonly flow: string
  readonly state: string
  readonly attempts: number
  readonly summary?: string
  readonly error?: { readonly code: string; readonly message: string; readonly next: string; readonly side: string }
  readonly replayOf?: string
  readonly isProbe: boolean
}

export interface SeenDetail extends Seen {
  readonly terms: readonly string[]
  readonly receipts: readonly { readonly effect: string; readonly state: string; readonly summary: string }[]
  readonly failures: readonly { readonly attempt: number; readonly error: { readonly code: string } }[]
  readonly original?: object
}

interface SeenAlert {
  readonly id: string
  readonly kind: string
  readonly state: string
  readonly what: string
  readonly next: string
}

interface SeenLink {
  readonly link: string
  readonly state: string
  readonly error?: { readonly code: string; readonly message: string; readonly next: string }
}

const closing: (() => Promise<unknown>)[] = []

/** Stops what the tests of a file started, last one first; to be called after each test. */
export async function stopWorlds(): Promise<void> {
  for (const close of closing.splice(0).toReversed()) await close()
}

/** Ends with the test. */
export function whenTestEnds(close: () => Promise<unknown>): void {
  closing.push(close)
}

/** A whole hub with its API, between stand-ins for sign-in, Exchange and S/4HANA. */
export async function mailWorld(options: MailWorldOptions = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-mail-'))
  whenTestEnds(async () => rmSync(folder, { recursive: true, force: true }))
  const { clock } = options
  const signIn = await startSignIn({
    tenants: [contoso([redirectUri])],
    isAutomatic: true,
    ...(clock && { clock }),
    ...options.signIn,
  })
  whenTestEnds(() => signIn.stop())
  const shared = { fullAccess: [delegate] }
  const exchange = await startExchangeImap({
    signIn,
    mailboxes: { [orders]: shared, [invoices]: shared, [delegate]: {} },
    ...(clock && { clock }),
    ...options.exchange,
  })
  whenTestEnds(() => exchange.stop())
  const s4 = await startS4Smtp(options.s4)
  whenTestEnds(() => s4.stop())
  const certificate = await makeTwinCertificate()
  const submission = await startExchangeSmtp({
    tls: certificate,
    check({ mechanism, secret }) {
      const claims = mechanism === 'XOAUTH2' ? signIn.verify(secret) : undefined
      const maySend = claims?.scp?.split(' ').includes('SMTP.Send')
      return maySend && claims?.upn ? { mailbox: claims.upn, maySendAs: [orders] } : 'refused'
    },
  })
  whenTestEnds(() => submission.stop())

  const flowFolder = join(folder, 'flows')
  mkdirSync(flowFolder)
  writeFileSync(join(flowFolder, 'exchange-ca.pem'), certificate.ca)
  const ports = { exchange: exchange.port, s4: s4.port, submission: submission.port }
  const flowFiles = (options.flows ?? [{}]).map((flow, index) => {
    const file = join(flowFolder, `flow-${index}.yaml`)
    // JSON is YAML too.
    const changes = typeof flow === 'function' ? flow(ports) : flow
    writeFileSync(file, typeof changes === 'string' ? changes : JSON.stringify(document(changes)))
    return file
  })

  function document(changes: FlowChanges): object {
    const { imap, smtp, flow = 'mail', to, delivery, ...rest } = changes
    return {
      flow,
      from: {
        imap: {
          ...near,
          port: exchange.port,
          user: orders,
          auth: 'm365-mail',
          every: '200ms',
          timeout: '10s',
          done: { move: 'Processed', failed: 'Failed' },
          ...imap,
        },
      },
      to: to ?? { smtp: { ...near, port: s4.port, to: 'orders@s4.example', ...smtp } },
      delivery: { retry: { every: '200ms', 'up-to': '400ms', for: '1m' }, ...delivery },
      ...rest,
    }
  }

  /** What the log said, one JSON document a line. */
  const log: string[] = []
  let hub: Hub

  async function start(): Promise<void> {
    hub = await startHub({
      dataFolder: join(folder, 'data'),
      stage: 'test',
      flowFiles,
      admin: { host: '127.0.0.1', port: 0 },
      endpoints: { host: '127.0.0.1', port: 0 },
      log: { level: 'info', format: 'json', output: { write: (text: string) => log.push(text) } },
      beforeFlows: prepare,
      ...(clock && { clock }),
      ...(typeof options.hub === 'function' ? options.hub(ports) : options.hub),
    })
  }

  async function prepare({ credentials }: Pick<Hub, 'credentials'>): Promise<void> {
    if (options.credential === 'none' || (await credentials.list()).length > 0) return
    await credentials.create('m365-mail', credentialInput)
    const session = randomUUID()
    const { url } = await credentials.beginAuthorisation('m365-mail', { redirectUri, session })
    const { headers } = await fetch(url, { redirect: 'manual' })
    await credentials.completeAuthorisation(new URL(headers.get('location') ?? '').searchParams, session)
  }

  const credentialInput = {
    kind: 'oauth2-authorization-code' as const,
    provider: { microsoft365: { tenant: 'contoso.com', authority: signIn.origin } },
    clientId: contosoClientId,
    clientSecret: contosoSecret,
    loginHint: delegate,
  }

  async function call(method: string, path: string, body?: unknown): Promise<Response> {
    return fetch(`${hub.adminUrl}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${hub.adminToken}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  }

  /** A call that must succeed. */
  async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await call(method, path, body)
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text}`)
    return (text === '' ? undefined : JSON.parse(text)) as T
  }

  const find = async (query: string): Promise<readonly Seen[]> =>
    (await ask<{ messages: Seen[] }>('GET', `/api/messages?${query}`)).messages

  /** Waits; when it is in vain, tells what the hub knows. */
  async function until<T>(
    what: string,
    probe: () => T | undefined | false | Promise<T | undefined | false>,
    withinMs = waitMs,
  ) {
    try {
      return await waitFor(what, withinMs, probe)
    } catch (error) {
      const messages = await find('limit=20').catch(() => [])
      const health = await call('GET', '/api/health').then(answer => answer.text(), String)
      const told = `${JSON.stringify(messages, null, 1)}\n${health}\n${log.slice(-20).join('')}`
      throw new Error(`${String(error)}\n${told}`, { cause: error })
    }
  }

  await start()
  whenTestEnds(() => hub.close())

  return {
    folder,
    flowFiles,
    signIn,
    exchange,
    s4,
    submission,
    log,
    credentialInput,
    get hub() {
      return hub
    },
    call,
    ask,
    find,
    until,
    document,
    detail: (id: string) => ask<SeenDetail>('GET', `/api/messages/${id}`),
    /** The one message in that state. */
    only: (state: string) =>
      until(`one message that is ${state}`, async () => {
        const found = await find(`state=${state}`)
        return found.length === 1 ? found[0] : undefined
      }),
    /** Mails of a folder by their subjects. */
    subjects: (mailbox: string, name = 'INBOX') =>
      (exchange.mailboxes.get(mailbox)?.folder(name)?.mails() ?? []).map(({ content }) => subjectOf(content())),
    /** Subjects of what S/4HANA took, in the order in which it came. */
    arrived: () => s4.received.map(({ octets }) => subjectOf(octets ?? Buffer.alloc(0))),
    reached: (count: number) => until(`${count} mails in S/4HANA`, () => s4.received.length >= count),
    emptied: (mailbox = orders) => until(`${mailbox} to be empty`, () => exchange.list(mailbox).length === 0),
    link: (name: string, state: 'up' | 'down') =>
      until(`link ${name} to be ${state}`, async () => {
        const { flows } = await ask<{ flows: { links: SeenLink[] }[] }>('GET', '/api/health')
        return flows.flatMap(({ links }) => links).find(each => each.link === name && each.state === state)
      }),
    alert: (kind: string, state: 'open' | 'resolved' = 'open') =>
      until(`an alert ${kind} that is ${state}`, async () => {
        const { alerts } = await ask<{ alerts: SeenAlert[] }>('GET', '/api/alerts')
        return alerts.find(alert => alert.kind === kind && alert.state === state)
      }),
    counted: async (line: string) => {
      const answer = await call('GET', '/metrics')
      const found = (await answer.text()).split('\n').find(each => each.startsWith(line))
      return found === undefined ? undefined : Number(found.slice(found.lastIndexOf(' ')))
    },
    /** The hub ends and begins again on the same data folder. */
    async restart() {
      await hub.close()
      await start()
    },
    stop: () => hub.close(),
    start,
  }
}

export type MailWorld = Awaited<ReturnType<typeof mailWorld>>

/** A mail with CRLF; further header lines as they are given. */
export function mail(
  subject: string,
  more: { readonly header?: readonly string[]; readonly body?: string } = {},
): Buffer {
  const header = more.header ?? []
  const has = (name: string) => header.some(line => line.toLowerCase().startsWith(`${name}:`))
  const lines = [
    ...(has('from') ? [] : ['From: Adatum Purchasing <purchasing@adatum.example>']),
    ...(has('to') ? [] : [`To: ${orders}`]),
    `Subject: ${subject}`,
    ...(has('message-id') ? [] : [`Message-ID: <${subject.replaceAll(' ', '-')}@adatum.example>`]),
    ...header,
    '',
    more.body ?? `This is ${subject}.`,
    '',
  ]
  return Buffer.from(lines.join('\r\n'))
}

function subjectOf(bytes: Uint8Array): string {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1', 0, 64 * 1024)
  return /^Subject: (.*?)\r?$/m.exec(head)?.[1] ?? ''
}

/** Waits in real time, for what must not happen. */
export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
