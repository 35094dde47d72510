import { numberOf, optionalNumberOf, type Row, stateColumns, textOf } from './columns.ts'
import type { DeliveryState, FlowCounts as ShownCounts } from './port.ts'

type Counts = Record<DeliveryState, number>

/** A flow as the store knows it: its small number, and how many of its deliveries are in which state. */
export interface BookedFlow {
  readonly number: number
  readonly name: string
  readonly counts: Counts
  lastAcceptedAt: number | undefined
  /** What the running transaction adds to the counts. */
  readonly change: Counts
  acceptedAtChange: number | undefined
  isChanged: boolean
}

/** What people see of a flow's counters; zeros for one that the store does not know. */
export function shownCounts(flow: BookedFlow | undefined, oldestQueuedAt: number | undefined): ShownCounts {
  const { queued, delivered, dropped, rejected, skipped, 'set-aside': setAside } = flow?.counts ?? noCounts()
  return {
    accepted: queued + delivered + dropped + rejected + setAside + skipped,
    queued,
    delivered,
    dropped,
    rejected,
    setAside,
    skipped,
    oldestQueuedAt,
    lastAcceptedAt: flow?.lastAcceptedAt,
  }
}

/** Numbers and counters of flows. Counters change in the transaction of what they count, one row per flow and group. */
export class FlowCounts {
  readonly #byName = new Map<string, BookedFlow>()
  readonly #byNumber = new Map<number, BookedFlow>()
  #changed: BookedFlow[] = []

  find(name: string): BookedFlow | undefined {
    return this.#byName.get(name)
  }

  all(): Iterable<BookedFlow> {
    return this.#byName.values()
  }

  nameOf(number: number): string {
    return this.#byNumber.get(number)?.name ?? `flow ${number}`
  }

  /** Counts a delivery out of one state and into another (none: it is purged), within the running transaction. */
  move(flow: BookedFlow, from: DeliveryState, to: DeliveryState | undefined): void {
    flow.change[from] -= 1
    if (to) flow.change[to] += 1
    this.#touch(flow)
  }

  accepted(flow: BookedFlow, at: number): void {
    flow.change.queued += 1
    flow.acceptedAtChange = at
    this.#touch(flow)
  }

  afterCommit(): void {
    for (const flow of this.#changed) {
      for (const [state] of stateColumns) flow.counts[state] += flow.change[state]
      flow.lastAcceptedAt = flow.acceptedAtChange ?? flow.lastAcceptedAt
    }
    this.afterRollback()
  }

  afterRollback(): void {
    for (const flow of this.#changed) {
      for (const [state] of stateColumns) flow.change[state] = 0
      flow.acceptedAtChange = undefined
      flow.isChanged = false
    }
    this.#changed = []
  }

  /** What the running transaction adds to each flow: by state, the last acceptance, and the flow's number. */
  protected changes(): readonly (readonly (number | null)[])[] {
    return this.#changed.map(({ number, change, acceptedAtChange }) => [
      change.queued,
      change.delivered,
      change.dropped,
      change.rejected,
      change['set-aside'],
      change.skipped,
      acceptedAtChange ?? null,
      number,
    ])
  }

  /** Takes a row of table `flow` in. */
  protected load(row: Row): BookedFlow {
    const flow = this.book(numberOf(row['number']), textOf(row['name']))
    for (const [state, column] of stateColumns) flow.counts[state] = numberOf(row[column])
    flow.lastAcceptedAt = optionalNumberOf(row['last_accepted_at'])
    return flow
  }

  protected book(number: number, name: string): BookedFlow {
    const flow: BookedFlow = {
      number,
      name,
      counts: noCounts(),
      lastAcceptedAt: undefined,
      change: noCounts(),
      acceptedAtChange: undefined,
      isChanged: false,
    }
    this.#byName.set(name, flow)
    this.#byNumber.set(number, flow)
    return flow
  }

  #touch(flow: BookedFlow): void {
    if (flow.isChanged) return
    flow.isChanged = true
    this.#changed.push(flow)
  }
}

function noCounts(): Counts {
  return { queued: 0, delivered: 0, dropped: 0, rejected: 0, 'set-aside': 0, skipped: 0 }
}
