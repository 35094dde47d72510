import type { Json } from '../../kernel/json.ts'
import { SmtpFaults, smtpFaultSchema } from '../smtp/faults.ts'
import type { ReceivedMail } from '../smtp/mailbag.ts'
import type { SmtpServerAuth, SmtpServerExtensions } from '../smtp/options.ts'
import { type SmtpTwinServer, startSmtpServer } from '../smtp/server.ts'
import type { Twin } from '../twin.ts'
import { findProcess, type InboundRule, knowsRecipient } from './inbound-processing.ts'

/** One client (`mandant`) of the system: its port, the addresses it knows and what becomes of a mail. */
interface S4Client {
  /** Three digits. */
  readonly client: string
  /** 0 takes a free one. */
  readonly port?: number
  /** Domains of which every address is known, and single addresses. */
  readonly domains?: readonly string[]
  readonly addresses?: readonly string[]
  /** Inbound processing as in transaction SO50; the first rule that fits decides. */
  readonly processing?: readonly InboundRule[]
}

export interface S4SmtpOptions {
  /** What the twin is called, where several stand side by side as application servers. */
  readonly name?: string
  readonly clients?: readonly S4Client[]
  readonly hostName?: string
  /** PEM; with it STARTTLS is announced, like `TLS=1` of icm/server_port. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Like `AUTHUSERS` of icm/server_port: who may log in with AUTH PLAIN. */
  readonly users?: Readonly<Record<string, string>>
  readonly extensions?: Partial<SmtpServerExtensions>
  readonly keep?: 'octets' | 'digest'
}

/** A mail as SAPconnect took it. */
interface S4Mail extends ReceivedMail {
  readonly client: string
  /** Exit class or process that got it, per recipient. */
  readonly processes: Readonly<Record<string, string>>
}

export interface S4SmtpTwin extends Twin {
  /** Port of the first client. */
  readonly port: number
  readonly received: readonly S4Mail[]
  /** Mails by business process, a mail to two recipients counted for each. */
  counts(): Readonly<Record<string, number>>
  readonly faults: SmtpFaults
  /** Resolves when so many mails have come in all; rejects after `timeoutMs`. */
  reached(count: number, timeoutMs?: number): Promise<void>
  connections(): { readonly open: number; readonly total: number }
}

const defaultClients: readonly S4Client[] = [
  {
    client: '100',
    domains: ['s4.example'],
    processing: [
      { recipient: 'orders@s4.example', process: 'ZCL_INBOUND_ORDERS' },
      { recipient: 'invoices@s4.example', process: 'ZCL_INBOUND_INVOICES' },
      { recipient: '*', process: 'SAPOFFICE' },
    ],
  },
]

// Which keywords the ICM announces is not documented; these are the ones that any ESMTP server of its age has.
// Extensions beyond them can be switched on.
const icmExtensions: SmtpServerExtensions = {
  pipelining: false,
  eightBitMime: true,
  smtpUtf8: false,
  chunking: false,
  binaryMime: false,
  enhancedStatusCodes: false,
  startTls: true,
  sizeMax: 0,
}

/**
 * SAPconnect inbound mail of an S/4HANA system: the SMTP plug-in of the ICM with one port per client. It knows its own
 * recipients only, forwards nothing, and the envelope recipient decides the business process.
 */
export async function startS4Smtp(options: S4SmtpOptions = {}): Promise<S4SmtpTwin> {
  const clients = options.clients ?? defaultClients
  const host = options.hostName ?? 's4app01.example'
  const name = options.name ?? 's4-smtp'
  const faults = new SmtpFaults(name)
  const received: S4Mail[] = []
  const counts: Record<string, number> = {}
  const servers: { readonly client: string; readonly server: SmtpTwinServer }[] = []
  for (const setup of clients) {
    const take = (mail: ReceivedMail) => {
      const processes = Object.fromEntries(mail.to.map(to => [to, findProcess(setup.processing ?? [], to)]))
      for (const process of Object.values(processes)) counts[process] = (counts[process] ?? 0) + 1
      received.push({ ...mail, number: received.length + 1, client: setup.client, processes })
      // The number under which SAPoffice keeps a document: type, year, sequence.
      const document = `FOL38000000000004EXT${String(received.length).padStart(14, '0')}`
      return `250 Mail accepted, document ${document}`
    }
    const server = await startSmtpServer({
      name: host,
      ...(setup.port !== undefined && { port: setup.port }),
      ...(options.tls && { tls: options.tls }),
      ...(options.users && { auth: plainAuth(options.users) }),
      keep: options.keep ?? 'octets',
      // The mails are kept here, with their process.
      mailsMax: 1,
      extensions: { ...icmExtensions, ...options.extensions },
      faults,
      policy: {
        onReceived: take,
        onRecipient: recipient =>
          knowsRecipient(setup, recipient)
            ? undefined
            : `550 <${recipient}> unknown recipient in client ${setup.client}`,
      },
      words: {
        greeting: `220 ${host} SAP ESMTP service ready`,
        hello: `${host} Hello`,
        senderOk: '250 Sender accepted',
        recipientOk: '250 Recipient accepted',
        authOk: '235 Authentication successful',
        authNeeded: '530 Authentication required',
        tooLarge: '552 Message too large',
        goodbye: `221 ${host} closing connection`,
      },
    })
    servers.push({ client: setup.client, server })
  }
  const connections = () => {
    const each = servers.map(({ server }) => server.connections())
    return {
      open: each.reduce((sum, { open }) => sum + open, 0),
      total: each.reduce((sum, { total }) => sum + total, 0),
    }
  }
  return {
    name,
    about: 'Inbound mail of S/4HANA: SAPconnect behind the SMTP plug-in of the ICM, a port for each client.',
    port: servers[0]?.server.port ?? 0,
    ports: Object.fromEntries(servers.map(({ client, server }) => [`client ${client}`, server.port])),
    received,
    counts: () => counts,
    faults,
    faultSchema: smtpFaultSchema,
    setFaults: document => faults.set(document),
    clearFaults: () => faults.clear(),
    connections,
    reached: (count, timeoutMs = 5000) => reached(() => received.length, count, timeoutMs),
    state: (): Json => ({
      mails: received.length,
      processes: counts,
      connections: connections().open,
      recent: received.slice(-20).map(({ number, client, from, to, bytes, sha256, messageId }) => {
        return { number, client, from, to, bytes, sha256, messageId }
      }),
    }),
    async stop() {
      await Promise.all(servers.map(({ server }) => server.stop()))
    },
  }
}

function plainAuth(users: Readonly<Record<string, string>>): SmtpServerAuth {
  return {
    mechanisms: ['PLAIN'],
    needsTls: false,
    isRequired: true,
    check: ({ user, secret }) =>
      Object.hasOwn(users, user) && users[user] === secret ? undefined : '535 Log-in failed',
  }
}

async function reached(have: () => number, count: number, timeoutMs: number): Promise<void> {
  const endsAt = Date.now() + timeoutMs
  while (have() < count) {
    if (Date.now() > endsAt) throw new Error(`only ${have()} of ${count} mails came within ${timeoutMs} ms`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
