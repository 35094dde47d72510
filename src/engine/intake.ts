import { hash } from 'node:crypto'
import type { Accepted, Incoming, Intake, Known, Outcome } from '../flow/adapter.ts'
import type { LoadedFlow } from '../flow/document.ts'
import type { Expression } from '../flow/expression.ts'
import { checksumOf } from '../kernel/checksum.ts'
import type { Limits } from '../kernel/limit.ts'
import type { Message } from '../kernel/message.ts'
import { KiB } from '../kernel/size.ts'
import { type Clock, SECOND } from '../kernel/time.ts'
import { storeErrors } from '../store/errors.ts'
import type { KnownDelivery, NewDelivery, Store, StoredBody } from '../store/port.ts'
import { engineErrors } from './errors.ts'
import { keptResult } from './kept-result.ts'
import type { Outcomes } from './outcomes.ts'
import { bodyOf, withUnreadable } from './stored-message.ts'

const queueFullWaitMs = 30 * SECOND
const fingerprintHeadBytes = 4 * KiB

export interface IntakeOptions {
  readonly flow: LoadedFlow
  readonly store: Pick<Store, 'accept' | 'acceptAll' | 'known' | 'get' | 'bodies'>
  readonly clock: Clock
  readonly limits: Limits
  readonly outcomes: Outcomes
  /** Deliveries of the flow that wait or run. */
  queued(): number
  /** True while the delivery is known to travel in this process. */
  isTravelling(id: string): boolean
  onAccepted(accepted: Accepted, bytes: number, isProbe: boolean): void
  /** Answers for a message that is durable, or was so before; must not answer twice. */
  answer(id: string, incoming: Incoming): Promise<void>
}

/** The hub's side of one flow's sender: takes messages in, durably and once. */
export function makeIntake(options: IntakeOptions): Intake {
  const { flow, store, clock, limits, outcomes } = options
  const { onceBy, orderBy, whenSetAside } = flow.delivery
  /** Messages that are being taken in now: a sender may bring a hundred at once, and each takes a place. */
  let entering = 0

  async function accept(incoming: Incoming): Promise<Accepted> {
    // Our own probes take no place: they say whether the way works, also while much waits.
    if (incoming.probe !== undefined) return takeIn(incoming)
    return withPlaces(1, () => takeIn(incoming))
  }

  function acceptAll(all: readonly Incoming[]): Promise<readonly Accepted[]> {
    return withPlaces(all.length, async () => {
      const group = await Promise.all(all.map(async incoming => ({ incoming, delivery: await deliveryOf(incoming) })))
      const deliveries = group.map(({ delivery }) => delivery)
      const accepted = await store.acceptAll(flow.name, deliveries)
      const settled = accepted.map(async (each, index) => {
        const own = group[index]
        if (own) await settle(each, own.incoming, own.delivery)
      })
      await Promise.all(settled)
      return accepted
    })
  }

  /** A group may fill more than the last place, so that one of more messages than there are places comes in at all. */
  async function withPlaces<T>(count: number, take: () => Promise<T>): Promise<T> {
    const queued = options.queued() + entering
    if (queued >= limits.queuedPerFlow) {
      throw engineErrors.QUEUE_FULL({ flow: flow.name, queued }, { retryAfterMs: queueFullWaitMs })
    }
    entering += count
    try {
      return await take()
    } finally {
      entering -= count
    }
  }

  async function takeIn(incoming: Incoming): Promise<Accepted> {
    const delivery = await deliveryOf(incoming)
    const accepted = await store.accept(delivery)
    await settle(accepted, incoming, delivery)
    return accepted
  }

  async function deliveryOf(incoming: Incoming): Promise<NewDelivery> {
    checkHeaders(incoming, limits.headerBytes)
    const body = await store.bodies.write(incoming.body, {
      type: incoming.type,
      bytesMax: limits.messageBytes,
      hash: false,
    })
    const acceptedAt = clock.now()
    const keys: string[] = []
    const remember: string[] = []
    if (incoming.sourceKey !== undefined) keys.push(sourceKeyOf(incoming.sourceKey))
    // A token is good for one success, whoever sends it again.
    if (incoming.probe !== undefined) keys.push(`probe ${incoming.probe}`)
    if (incoming.repeat) {
      const list = incoming.repeat.refuse ? keys : remember
      list.push(`repeat ${incoming.repeat.key} ${fingerprintOf(body)}`)
    }
    let orderKey: string | undefined
    if ((onceBy || orderBy) && !incoming.unreadable) {
      const message = messageBefore(incoming, body, acceptedAt)
      const once = await keyOf(onceBy, message)
      if (once !== undefined) keys.push(`once ${once}`)
      orderKey = await keyOf(orderBy, message)
    }
    return {
      flow: flow.name,
      keys,
      remember,
      orderKey,
      holds: orderKey !== undefined && whenSetAside === 'hold',
      headers: incoming.headers,
      attributes: incoming.unreadable ? withUnreadable(incoming.attributes, incoming.unreadable) : incoming.attributes,
      body,
      terms: incoming.probe === undefined ? (incoming.terms ?? []) : [...(incoming.terms ?? []), incoming.probe],
      acceptedAt,
      isProbe: incoming.probe !== undefined,
      replayOf: undefined,
    }
  }

  async function settle(accepted: Accepted, incoming: Incoming, { body, isProbe }: NewDelivery): Promise<void> {
    options.onAccepted(accepted, body.bytes, isProbe)
    // Also for a duplicate: the process may have ended between its acceptance and the answer.
    await options.answer(accepted.id, incoming)
  }

  function messageBefore(incoming: Incoming, body: StoredBody, acceptedAt: number): Message {
    const { headers, attributes } = incoming
    return { id: '', headers, attributes, body: bodyOf(body, store.bodies), acceptedAt }
  }

  async function keyOf(expression: Expression | undefined, message: Message): Promise<string | undefined> {
    if (!expression) return undefined
    const scope = { message, params: flow.params, flow: { name: flow.name, stage: flow.stage }, limits }
    const value = expression.evaluate(scope)
    return textOf(value instanceof Promise ? await value : value)
  }

  return {
    accept,
    acceptAll,

    async known(sourceKeys) {
      const found = await store.known(flow.name, sourceKeys.map(sourceKeyOf))
      const known = new Map<string, Known>()
      for (const key of sourceKeys) {
        const entry = found.get(sourceKeyOf(key))
        if (entry) known.set(key, { id: entry.id, state: knownState(entry) })
      }
      return known
    },

    async attributes(id) {
      return (await store.get(id))?.attributes
    },

    async outcome(id, signal, until): Promise<Outcome | undefined> {
      const recent = outcomes.recent(id)
      // A large result is not held in memory, but it may be kept in the store.
      const isElsewhere = recent?.state === 'delivered' && !recent.result && flow.from.declaration.keepsResult
      if (recent && !isElsewhere) return recent
      if (options.isTravelling(id)) return outcomes.wait(id, signal, until)
      // Asked for before the store is, so that an end in between is not missed; given up when it is known already.
      const known = new AbortController()
      const settled = outcomes.wait(id, signal ? AbortSignal.any([signal, known.signal]) : known.signal, until)
      const row = await store.get(id)
      if (row?.state === 'queued') return settled
      known.abort()
      if (!row) throw storeErrors.NOT_FOUND({ id })
      const { state, summary = '', error } = row
      const result = state === 'delivered' ? keptResult(row) : undefined
      return { id, state, summary, ...(error && { error }), ...(result && { result }) }
    },
  }
}

/**
 * Tells contents of one key (a Message-ID) apart. The head, where mails of one Message-ID differ (Received, Date), counts
 * in full strength, the rest by its checksum and its length: a tenth of the cost of a SHA-256 over everything.
 */
function fingerprintOf({ inline, bytes, sha256 = '' }: StoredBody): string {
  if (!inline) return sha256
  const head = hash('sha256', inline.subarray(0, fingerprintHeadBytes)).slice(0, 32)
  return `${bytes}-${checksumOf(inline).toString(16)}-${head}`
}

function sourceKeyOf(sourceKey: string): string {
  return `source ${sourceKey}`
}

function knownState({ state, isHeld }: KnownDelivery): Known['state'] {
  if (state !== 'queued') return state
  return isHeld ? 'held' : 'working'
}

/** An empty or missing value is no key: such a message is neither refused as a repeat nor ordered. */
function textOf(value: unknown): string | undefined {
  if (value === null || value === undefined || value === '') return undefined
  return typeof value === 'string'
    ? value
    : JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}` : part))
}

function checkHeaders({ headers, attributes }: Incoming, bytesMax: number): void {
  let bytes = 0
  for (const name in headers) bytes += name.length + (headers[name]?.length ?? 0)
  // Attributes are few and small; their exact size is only worked out when a long one is among them.
  for (const name in attributes) {
    const value = attributes[name]
    bytes +=
      name.length +
      (typeof value === 'string' ? value.length : typeof value === 'object' ? JSON.stringify(value).length : 8)
  }
  if (bytes > bytesMax) throw engineErrors.HEADERS_TOO_LARGE({ bytes, bytesMax })
}
