import { X509Certificate } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'
import type { Json } from '../../kernel/json.ts'
import { type Clock, systemClock } from '../../kernel/time.ts'
import { channelBinding } from '../../protocols/ews/ntlm.ts'
import { readEwsXml } from '../../protocols/ews/read-xml.ts'
import { namespaces } from '../../protocols/ews/write-xml.ts'
import { listenOnLoopback } from '../listen.ts'
import { readFaults, type Twin } from '../twin.ts'
import type { AutodiscoverForm } from './autodiscover.ts'
import { type EwsFaultDocument, type EwsFaults, ewsFaults } from './faults.ts'
import { type AuthKind, EwsGuard } from './guard.ts'
import { makeHandler, type SeenEwsRequest } from './http.ts'
import { classOf, fillItem, setPart, settleTask } from './item-parts.ts'
import { Notifications } from './notifications.ts'
import type { TwinAccount, TwinDirectory } from './session.ts'
import { showItem } from './show-item.ts'
import { type TwinItem, TwinMailbox } from './world.ts'

export interface ExchangeEwsOptions {
  readonly port?: number
  /** PEM; without it the twin speaks HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly clock?: Clock
  readonly accounts?: readonly TwinAccount[]
  readonly mailboxes?: readonly {
    readonly address: string
    readonly name?: string
    readonly aliases?: readonly string[]
  }[]
  /** What it takes as log-in; NTLM and Basic, and tokens where they can be read. */
  readonly offers?: readonly AuthKind[]
  /** The account (`user`) behind an access token. */
  readonly verifyToken?: (token: string) => string | undefined
  /** Extended Protection: log-ins by NTLM must be bound to the TLS connection. */
  readonly extendedProtection?: boolean
  /** Requests of one account at the same time; 27 as Exchange. */
  readonly concurrencyMax?: number
  /** Mail addresses that Autodiscover answers with another one. */
  readonly redirects?: Readonly<Record<string, string>>
  /** The address that Autodiscover gives; its own where it is left out. */
  readonly ewsUrl?: () => string
  /** The forms of Autodiscover that it knows; older servers have no JSON. */
  readonly autodiscoverForms?: () => readonly AutodiscoverForm[]
}

/** What the owner of a mailbox does in Outlook. Items are elements of EWS: `<t:Task><t:Subject>…</t:Subject></t:Task>`. */
export interface MailboxHand {
  /** Puts an item into a folder (by well-known name) and returns its id. */
  put(folder: string, item: string): string
  /** Replaces the parts that are given. */
  change(id: string, item: string): void
  remove(id: string): void
  /** Moves an item to another folder (by id or well-known name), and returns the id that it has there. */
  move(id: string, folder: string): string
  /** Makes a folder in another one, for items of a class (`IPF.Contact`), and returns its id. */
  addFolder(name: string, folderClass: string, parent?: string): string
  /** All items of a folder as XML with all that is known of them. */
  items(folder: string): readonly { readonly id: string; readonly xml: string }[]
}

export interface ExchangeEwsTwin extends Twin {
  readonly port: number
  readonly origin: string
  readonly url: string
  /** The last requests, oldest first. */
  readonly requests: readonly SeenEwsRequest[]
  /** How many came in all. */
  readonly requestCount: number
  /** The same by operation; `log-in`: those that were answered with 401. */
  readonly byOperation: Readonly<Record<string, number>>
  /** Streams of notifications that stand open. */
  readonly streams: number
  mailbox(address: string): MailboxHand
  addMailbox(address: string, name?: string): void
  setFaults(document: EwsFaultDocument): void
}

/** The service account that the twin knows at the start; it may act for everybody. */
export const exchangeAccount = { user: 'CONTOSO\\svc-sync', password: 'Impersonate-1' } as const

/** Starts a look-alike of Exchange Server's web services on loopback. */
export async function startExchangeEws(options: ExchangeEwsOptions = {}): Promise<ExchangeEwsTwin> {
  const clock = options.clock ?? systemClock
  const now = () => clock.now()
  const mailboxes: TwinMailbox[] = []
  const named = new Map<string, TwinMailbox>()
  const addMailbox = (address: string, name = address, aliases: readonly string[] = []) => {
    const mailbox = new TwinMailbox(
      address.toLowerCase(),
      name,
      aliases.map(alias => alias.toLowerCase()),
      now,
    )
    mailboxes.push(mailbox)
    for (const each of [mailbox.address, ...mailbox.aliases]) named.set(each, mailbox)
  }
  for (const { address, name, aliases } of options.mailboxes ?? [
    { address: 'anna@contoso.example', name: 'Anna Schmidt' },
  ]) {
    addMailbox(address, name, aliases)
  }
  const world: TwinDirectory = {
    accounts: options.accounts ?? [{ ...exchangeAccount, impersonates: 'everybody' }],
    mailboxes,
    mailboxNamed: address => named.get(address.toLowerCase()),
  }
  let faults: EwsFaults = {}
  let origin = ''
  const ewsUrl = () => `${origin}/EWS/Exchange.asmx`
  const { tls } = options
  const guard = new EwsGuard({
    accounts: world.accounts,
    offers: options.offers ?? (options.verifyToken ? ['ntlm', 'basic', 'bearer'] : ['ntlm', 'basic']),
    verifyToken: options.verifyToken,
    channel:
      options.extendedProtection && tls ? channelBinding(new X509Certificate(tls.cert).raw, 'sha256') : undefined,
    now,
  })
  const notifications = new Notifications(clock)
  const handler = makeHandler({
    world,
    guard,
    notifications,
    clock,
    concurrencyMax: options.concurrencyMax ?? 27,
    autodiscover: {
      world,
      ewsUrl: options.ewsUrl ?? ewsUrl,
      redirects: options.redirects ?? {},
      forms: options.autodiscoverForms ?? (() => ['json', 'pox', 'soap']),
    },
    faults: () => faults,
  })
  const server = tls ? https.createServer({ ...tls }, handler.handle) : http.createServer(handler.handle)
  // A service account keeps its connections; IIS closes an idle one after two minutes.
  server.keepAliveTimeout = 120_000
  const listener = await listenOnLoopback(server, options.port)
  const protocol = tls ? 'https' : 'http'
  origin = `${protocol}://127.0.0.1:${listener.port}`

  return {
    name: 'exchange-ews',
    about:
      'Exchange Server over EWS: mail, calendar, contacts and tasks, with impersonation, NTLM, sync states and streams.',
    port: listener.port,
    ports: { [protocol]: listener.port },
    origin,
    url: ewsUrl(),
    requests: handler.requests,
    get requestCount() {
      return handler.requestCount
    },
    byOperation: handler.byOperation,
    get streams() {
      return notifications.counts.streams
    },
    mailbox: address => handOf(mailboxNamed(world, address)),
    addMailbox,
    faultSchema: ewsFaults,
    setFaults(document) {
      faults = readFaults('exchange-ews', ewsFaults, document)
      if (faults.loseSyncStates) for (const mailbox of mailboxes) mailbox.generation += 1
      if (faults.loseSubscriptions) notifications.loseAll()
      if (faults.cutStreams) notifications.cutAll()
    },
    clearFaults() {
      faults = {}
    },
    state: (): Json => ({
      origin,
      url: ewsUrl(),
      faults: JSON.parse(JSON.stringify(faults)),
      ...notifications.counts,
      mailboxes: mailboxes.map(({ address, name, items }) => ({ address, name, items: items.size })),
      requests: handler.requestCount,
      byOperation: { ...handler.byOperation },
    }),
    async stop() {
      notifications.stop()
      await listener.stop()
    },
  }
}

function mailboxNamed(world: TwinDirectory, address: string): TwinMailbox {
  const mailbox = world.mailboxNamed(address)
  if (!mailbox) throw new Error(`the twin has no mailbox ${address}`)
  return mailbox
}

const whole = {
  isWhole: true,
  withMime: false,
  bodyType: 'Best',
  fields: new Set<string>(),
  extended: [],
  illegalReferences: false,
}

function handOf(mailbox: TwinMailbox): MailboxHand {
  const read = (item: string) => {
    const root = readEwsXml(`<x xmlns:t="${namespaces.types}">${item}</x>`).children[0]
    if (!root) throw new Error('there is no item')
    return root
  }
  return {
    put(folder, item) {
      const given = read(item)
      const { id: folderId } = mailbox.folder(folder)
      const added = mailbox.add(classOf(given), folderId, fresh => {
        fillItem(mailbox, fresh, given, true)
        settleTask(fresh, mailbox.now)
      })
      return added.id
    },
    change(id, item) {
      const known = mailbox.item(id)
      for (const part of read(item).children) setPart(mailbox, known, part, true)
      settleTask(known, mailbox.now)
      mailbox.touched(known)
    },
    remove: id => mailbox.remove(mailbox.item(id)),
    move(id, folder) {
      const known = new Set(mailbox.items.keys())
      mailbox.remove(mailbox.item(id), mailbox.folder(folder).id)
      return [...mailbox.items.keys()].find(each => !known.has(each)) ?? ''
    },
    addFolder: (name, folderClass, parent = 'msgfolderroot') =>
      mailbox.addFolder(name, mailbox.folder(parent).id, folderClass).id,
    items: folder =>
      mailbox.itemsOf(mailbox.folder(folder).id).map(item => ({ id: item.id, xml: showWhole(mailbox, item) })),
  }
}

function showWhole(mailbox: TwinMailbox, item: TwinItem): string {
  const marks = [...item.extended.values()].map(part => part.children.find(each => each.name === 'ExtendedFieldURI'))
  return showItem(mailbox, item, { ...whole, extended: marks.filter(uri => uri !== undefined) })
}
