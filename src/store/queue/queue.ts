import { parseId } from '../../kernel/id.ts'
import { TransientMap } from '../../kernel/transient-map.ts'
import type { ClaimRef } from '../port.ts'
import { Heap } from './heap.ts'

/** What the queue knows of a delivery that waits, runs, or holds back its successors. */
export interface QueueEntry {
  readonly seq: number
  readonly flow: string
  readonly orderKey: string | undefined
  readonly holds: boolean
  readonly isProbe: boolean
  readonly acceptedAt: number
  since: number
  attemptCount: number
  requeueCount: number
  /** Due at once when it is 0. */
  dueAt: number
  /** When its next attempt was to begin, before anybody hastened it; undefined before the first. */
  plannedAt: number | undefined
  awaitsChange: boolean
  /** False only when it certainly has no receipt, so that a claim need not look. */
  mayHaveReceipts: boolean
  /** Effect whose intent lies in the row of the delivery; empty where nobody knows whether one does. */
  rowIntent: string | undefined
  /**
   * `behind`: not first of its order key; `ready`: may be claimed; `waiting`: until its due time; `held`: set aside and
   * holding its order key; `gone`: no longer in the queue (heaps may still name it).
   */
  place: 'behind' | 'ready' | 'waiting' | 'running' | 'held' | 'gone'
  /** The claim that owns it, while it runs. */
  fence: number
  /** True from the moment its end is asked for until that is committed; no further write of the claim is taken. */
  isEnding: boolean
  lane: Lane | undefined
  previous: QueueEntry | undefined
  next: QueueEntry | undefined
}

/** The deliveries of one order key, oldest first, as a chain through the entries. */
interface Lane {
  readonly key: string
  first: QueueEntry | undefined
  last: QueueEntry | undefined
  running: QueueEntry | undefined
}

/** The entry of a delivery that may run at once. */
export function newEntry(
  seq: number,
  of: Pick<QueueEntry, 'flow' | 'orderKey' | 'holds' | 'isProbe' | 'acceptedAt'>,
): QueueEntry {
  const { flow, orderKey, holds, isProbe, acceptedAt } = of
  return {
    seq,
    flow,
    orderKey,
    holds,
    isProbe,
    acceptedAt,
    since: acceptedAt,
    attemptCount: 0,
    requeueCount: 0,
    dueAt: 0,
    plannedAt: undefined,
    awaitsChange: false,
    mayHaveReceipts: false,
    rowIntent: undefined,
    place: 'behind',
    fence: 0,
    isEnding: false,
    lane: undefined,
    previous: undefined,
    next: undefined,
  }
}

interface DueTime {
  readonly at: number
  readonly entry: QueueEntry
}

const makeDueHeap = () => new Heap<DueTime>((one, other) => one.at < other.at)

/** Order and due times of the deliveries of one flow. */
class FlowQueue {
  readonly lanes = new TransientMap<string, Lane>()
  readonly ready = new Heap<QueueEntry>((one, other) => one.seq < other.seq)
  due = makeDueHeap()

  /** The oldest ready entry; it stays where it is. Heaps keep entries that moved on, which are dropped here. */
  peekReady(): QueueEntry | undefined {
    for (;;) {
      const entry = this.ready.peek()
      if (entry === undefined || entry.place === 'ready') return entry
      this.ready.pop()
    }
  }

  /** When the next waiting entry is due; those due by `now` become ready. */
  promote(now: number): number | undefined {
    for (;;) {
      const next = this.due.peek()
      if (next === undefined) return undefined
      const isCurrent = next.entry.place === 'waiting' && next.entry.dueAt === next.at
      if (isCurrent && next.at > now) return next.at
      this.due.pop()
      if (isCurrent) this.makeReady(next.entry)
    }
  }

  makeReady(entry: QueueEntry): void {
    entry.place = 'ready'
    this.ready.push(entry)
  }

  /** Places an entry that nothing of its order key stands before. */
  placeFirst(entry: QueueEntry): void {
    if (entry.dueAt === 0) {
      this.makeReady(entry)
    } else {
      entry.place = 'waiting'
      this.due.push({ at: entry.dueAt, entry })
    }
  }
}

/**
 * Who may run next, in memory: it holds what `delivery` rows in state queued say, and the set-aside ones that hold their
 * order key. At most one delivery per order key runs; the first of a key decides for the key.
 */
export class DeliveryQueue {
  readonly #entries = new TransientMap<number, QueueEntry>()
  readonly #flows = new Map<string, FlowQueue>()
  #seenAt = 0

  get(seq: number): QueueEntry | undefined {
    return this.#entries.get(seq)
  }

  /** The entry of a claim that is still the owner. */
  claimed({ id, fence }: ClaimRef): QueueEntry | undefined {
    const seq = parseId(id)
    const entry = seq === undefined ? undefined : this.#entries.get(seq)
    return entry?.place === 'running' && entry.fence === fence && !entry.isEnding ? entry : undefined
  }

  /** Ids of claims that are no longer the owner. One ends with the process, so there is nothing to prolong. */
  lost(claims: readonly ClaimRef[]): readonly string[] {
    return claims.filter(claim => !this.claimed(claim)).map(({ id }) => id)
  }

  /** The end could not be written; the claim stands and its owner may ask again. */
  reopen(entry: QueueEntry): void {
    entry.isEnding = false
  }

  /** As `claimed`, and from now on no other write of this claim is taken. */
  ending(ref: ClaimRef): QueueEntry | undefined {
    const entry = this.claimed(ref)
    if (entry) entry.isEnding = true
    return entry
  }

  /** Adds an entry in its place by age: at the end for new ones, further ahead for one that is queued again. */
  add(entry: QueueEntry): void {
    this.#entries.set(entry.seq, entry)
    const flow = this.#flow(entry.flow)
    if (entry.orderKey === undefined) {
      if (entry.place !== 'held') flow.placeFirst(entry)
      return
    }
    const lane = laneOf(flow, entry.orderKey)
    const before = lane.first
    link(lane, entry)
    if (lane.first === entry && before && before.place !== 'held' && before.place !== 'running') before.place = 'behind'
    if (entry.place !== 'held') entry.place = 'behind'
    this.#settle(flow, lane)
  }

  /** Takes an entry out (its delivery ended); the next of its order key moves up. */
  remove(entry: QueueEntry): void {
    this.#entries.delete(entry.seq)
    entry.place = 'gone'
    const lane = entry.lane
    if (!lane) return
    const flow = this.#flow(entry.flow)
    unlink(lane, entry)
    if (lane.first) this.#settle(flow, lane)
    else flow.lanes.delete(lane.key)
  }

  /** Nobody may claim it while somebody ends it by hand; undone by `putBack` or `hold`, or over with `remove`. */
  reserve(entry: QueueEntry): void {
    entry.place = 'running'
    const { lane } = entry
    if (lane && lane.first === entry && !lane.running) lane.running = entry
  }

  /** Ends the claim of an entry that stays queued (or held); what its lane allows now is worked out anew. */
  putBack(entry: QueueEntry): void {
    entry.isEnding = false
    const flow = this.#flow(entry.flow)
    const lane = entry.lane
    if (!lane) {
      if (entry.place !== 'held') flow.placeFirst(entry)
      return
    }
    if (lane.running === entry) lane.running = undefined
    if (entry.place !== 'held') entry.place = 'behind'
    this.#settle(flow, lane)
  }

  /** The set-aside entry stays and holds its order key. */
  hold(entry: QueueEntry): void {
    entry.place = 'held'
    this.putBack(entry)
  }

  /** An entry whose due time changed while it waited. */
  hasten(entry: QueueEntry): void {
    entry.dueAt = 0
    if (entry.place === 'waiting') this.#flow(entry.flow).makeReady(entry)
  }

  /** Up to `max` ready entries, oldest first over all flows with free places; they run from now on. */
  take(
    max: number,
    now: number,
    places: ReadonlyMap<string, number>,
  ): { readonly taken: readonly QueueEntry[]; readonly nextDueAt: number | undefined } {
    if (now < this.#seenAt) this.#setBack(this.#seenAt - now)
    this.#seenAt = now
    const open: { readonly flow: FlowQueue; free: number }[] = []
    let nextDueAt: number | undefined
    for (const [name, free] of places) {
      const flow = this.#flows.get(name)
      if (!flow) continue
      const dueAt = flow.promote(now)
      if (dueAt !== undefined && (nextDueAt === undefined || dueAt < nextDueAt)) nextDueAt = dueAt
      if (free > 0) open.push({ flow, free })
    }
    const taken: QueueEntry[] = []
    while (taken.length < max) {
      let best: QueueEntry | undefined
      let from: (typeof open)[number] | undefined
      for (const candidate of open) {
        const entry = candidate.free > 0 ? candidate.flow.peekReady() : undefined
        if (entry && (!best || entry.seq < best.seq)) [best, from] = [entry, candidate]
      }
      if (!best || !from) break
      from.free -= 1
      from.flow.ready.pop()
      best.place = 'running'
      if (best.lane) best.lane.running = best
      taken.push(best)
    }
    return { taken, nextDueAt }
  }

  /** The delivery that holds this queued one back: the first of its order key, when that is set aside or failed. */
  heldBy(seq: number): number | undefined {
    const entry = this.#entries.get(seq)
    if (entry?.place !== 'behind') return undefined
    const first = entry.lane?.first
    if (!first || first === entry) return undefined
    return first.place === 'held' || first.attemptCount > 0 ? first.seq : undefined
  }

  /** True for a delivery that waits behind one that is set aside. */
  isHeld(seq: number): boolean {
    const entry = this.#entries.get(seq)
    return entry?.place === 'behind' && entry.lane?.first?.place === 'held'
  }

  /**
   * Entries that wait for somebody to change something, of all flows when none is named; with a time also those that
   * are due only later than it.
   */
  *waiting(flow?: string, dueAfter = Number.POSITIVE_INFINITY): Generator<QueueEntry> {
    for (const entry of this.#entries.values()) {
      const isQueued = entry.place !== 'running' && entry.place !== 'held'
      const waits = entry.awaitsChange || entry.dueAt > dueAfter
      if (waits && isQueued && (flow === undefined || entry.flow === flow)) yield entry
    }
  }

  /** The clock of the machine was set back: what waits goes on waiting for about as long as it would have. */
  #setBack(ms: number): void {
    for (const flow of this.#flows.values()) flow.due = makeDueHeap()
    for (const entry of this.#entries.values()) {
      if (entry.dueAt === 0) continue
      entry.dueAt = Math.max(1, entry.dueAt - ms)
      if (entry.place === 'waiting') this.#flow(entry.flow).due.push({ at: entry.dueAt, entry })
    }
  }

  /** Lets the first of a lane go where nothing of the lane runs. */
  #settle(flow: FlowQueue, lane: Lane): void {
    if (!lane.running && lane.first?.place === 'behind') flow.placeFirst(lane.first)
  }

  #flow(name: string): FlowQueue {
    let flow = this.#flows.get(name)
    if (!flow) {
      flow = new FlowQueue()
      this.#flows.set(name, flow)
    }
    return flow
  }
}

function laneOf(flow: FlowQueue, key: string): Lane {
  let lane = flow.lanes.get(key)
  if (!lane) {
    lane = { key, first: undefined, last: undefined, running: undefined }
    flow.lanes.set(key, lane)
  }
  return lane
}

/** Chains an entry in by age. New ones are the youngest; one that is queued again is mostly the oldest. */
function link(lane: Lane, entry: QueueEntry): void {
  entry.lane = lane
  let after = lane.last
  if (after && after.seq > entry.seq) {
    after = undefined
    for (let next = lane.first; next && next.seq < entry.seq; next = next.next) after = next
  }
  entry.previous = after
  entry.next = after ? after.next : lane.first
  if (entry.previous) entry.previous.next = entry
  else lane.first = entry
  if (entry.next) entry.next.previous = entry
  else lane.last = entry
}

function unlink(lane: Lane, entry: QueueEntry): void {
  if (entry.previous) entry.previous.next = entry.next
  else lane.first = entry.next
  if (entry.next) entry.next.previous = entry.previous
  else lane.last = entry.previous
  if (lane.running === entry) lane.running = undefined
  entry.lane = undefined
  entry.previous = undefined
  entry.next = undefined
}
