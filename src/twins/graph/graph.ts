import http from 'node:http'
import https from 'node:https'
import type { Json, JsonObject } from '../../kernel/json.ts'
import { type Clock, systemClock } from '../../kernel/time.ts'
import { listenOnLoopback } from '../listen.ts'
import { readFaults, type Twin } from '../twin.ts'
import { DeltaRounds } from './delta.ts'
import { type GraphFaultDocument, type GraphFaults, graphFaults } from './faults.ts'
import { type GraphCounters, makeHandler, rootPath, type SeenGraphRequest } from './http.ts'
import { GraphMailbox } from './mailbox.ts'
import type { AppClaims, GraphWorld } from './service.ts'
import { type SendOut, Subscriptions } from './subscriptions.ts'

export interface GraphTwinOptions {
  readonly port?: number
  /** PEM; without it the twin speaks HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly clock?: Clock
  /** The claims of a token that is valid now: `verify` of the sign-in twin. */
  readonly verify: (token: string) => AppClaims | undefined
  /** Addresses that have a mailbox. */
  readonly mailboxes: readonly string[]
  /** Items of one page at most. */
  readonly pageSize?: number
  /** How notifications leave; without it by HTTP to loopback only. */
  readonly sendOut?: SendOut
}

export interface GraphTwin extends Twin {
  readonly port: number
  /** `http://127.0.0.1:40443/v1.0/` */
  readonly root: string
  /** Throws where there is no such mailbox. */
  mailbox(address: string): GraphMailbox
  addMailbox(address: string): GraphMailbox
  /** Items of a type in a mailbox. */
  count(address: string, type: 'event' | 'message' | 'contact' | 'todoTask'): number
  /** The last requests, oldest first; those of a batch one by one. */
  readonly requests: readonly SeenGraphRequest[]
  readonly counters: GraphCounters
  readonly subscriptions: Subscriptions
  /** Called after each event that was created. */
  afterCreate: (() => void) | undefined
  /** Ids of EWS by which translateExchangeIds finds items. */
  readonly ewsIds: Map<string, string>
  setFaults(document: GraphFaultDocument): void
}

/** Starts a look-alike of Microsoft Graph (mail, calendar, contacts, To Do; app-only) on loopback. */
export async function startGraph(options: GraphTwinOptions): Promise<GraphTwin> {
  const clock = options.clock ?? systemClock
  let faults: GraphFaults = {}
  let root = ''
  const mailboxes = new Map<string, GraphMailbox>()
  const add = (address: string) => {
    const mailbox = new GraphMailbox(address, clock)
    mailboxes.set(mailbox.address, mailbox)
    return mailbox
  }
  for (const address of options.mailboxes) add(address)
  const rounds = new DeltaRounds()
  const subscriptions = new Subscriptions(clock, options.sendOut ?? sendToLoopback, () => faults)
  const ewsIds = new Map<string, string>()
  const world: GraphWorld = {
    clock,
    mailboxes,
    rounds,
    subscriptions,
    pageSize: options.pageSize ?? 100,
    root: () => root,
    ewsIds,
    created: () => twin.afterCreate?.(),
  }
  const handler = makeHandler({ world, verify: options.verify, faults: () => faults })
  const server = options.tls ? https.createServer(options.tls, handler.handle) : http.createServer(handler.handle)
  const listener = await listenOnLoopback(server, options.port)
  const protocol = options.tls ? 'https' : 'http'
  root = `${protocol}://127.0.0.1:${listener.port}${rootPath}`

  const twin: GraphTwin = {
    afterCreate: undefined,
    name: 'graph',
    about:
      'Microsoft Graph: mail, calendar, contacts and To Do of many mailboxes, app-only, with delta and notifications.',
    port: listener.port,
    ports: { [protocol]: listener.port },
    root,
    mailbox(address) {
      const found = mailboxes.get(address.toLowerCase())
      if (!found) throw new Error(`The Graph twin has no mailbox ${address}.`)
      return found
    },
    addMailbox: add,
    count: (address, type) =>
      [...(mailboxes.get(address.toLowerCase())?.items.values() ?? [])].filter(item => item.type === type).length,
    requests: handler.requests,
    counters: handler.counters,
    subscriptions,
    ewsIds,
    faultSchema: graphFaults,
    setFaults(document) {
      faults = readFaults('graph', graphFaults, document)
      if (faults.expireDeltas) rounds.forgetAll()
      if (faults.endSubscriptions) subscriptions.endAll()
    },
    clearFaults() {
      faults = {}
    },
    state: (): Json => ({
      root,
      faults: JSON.parse(JSON.stringify(faults)),
      subscriptions: subscriptions.count,
      counters: { ...handler.counters, byTarget: { ...handler.counters.byTarget } },
      mailboxes: [...mailboxes.values()].map(summarize),
      requests: handler.requests.slice(-100).map(request => ({ ...request })),
    }),
    stop: () => listener.stop(),
  }
  return twin
}

function summarize(mailbox: GraphMailbox): JsonObject {
  const counts: Record<string, number> = {}
  for (const { type } of mailbox.items.values()) counts[type] = (counts[type] ?? 0) + 1
  return { address: mailbox.address, inScope: mailbox.inScope, isOnline: mailbox.isOnline, ...counts }
}

/** The twin never sends anything to another machine. */
const sendToLoopback: SendOut = async (url, body, type) => {
  if (!/^https?:\/\/(127\.0\.0\.1|localhost)(:|\/)/.test(url)) throw new Error('The twin sends to loopback only.')
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': type }, body })
  return { status: answer.status, text: await answer.text() }
}
