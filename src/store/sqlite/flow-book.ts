import type { DatabaseSync } from 'node:sqlite'
import type { DeliveryState } from '../port.ts'
import { numberOf, optionalNumberOf, stateColumns, textOf } from './columns.ts'
import type { GroupMember } from './committer.ts'

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

/** Numbers and counters of flows. Counters change in the transaction of what they count, one row per flow and group. */
export class FlowBook implements GroupMember {
  readonly #byName = new Map<string, BookedFlow>()
  readonly #byNumber = new Map<number, BookedFlow>()
  #changed: BookedFlow[] = []
  readonly #insert
  readonly #update

  constructor(database: DatabaseSync) {
    this.#insert = database.prepare('insert into flow (name) values (?)')
    this.#update = database.prepare(`
      update flow set queued = queued + ?, delivered = delivered + ?, dropped = dropped + ?, rejected = rejected + ?,
        set_aside = set_aside + ?, skipped = skipped + ?, last_accepted_at = coalesce(?, last_accepted_at)
      where number = ?`)
    for (const row of database.prepare('select * from flow').iterate()) {
      const counts = noCounts()
      for (const [state, column] of stateColumns) counts[state] = numberOf(row[column])
      this.#book(numberOf(row['number']), textOf(row['name']), counts, optionalNumberOf(row['last_accepted_at']))
    }
  }

  find(name: string): BookedFlow | undefined {
    return this.#byName.get(name)
  }

  all(): Iterable<BookedFlow> {
    return this.#byName.values()
  }

  nameOf(number: number): string {
    return this.#byNumber.get(number)?.name ?? `flow ${number}`
  }

  /** The flow of a name; a new name is written at once, in a transaction of its own. */
  named(name: string): BookedFlow {
    const known = this.#byName.get(name)
    if (known) return known
    return this.#book(Number(this.#insert.run(name).lastInsertRowid), name, noCounts(), undefined)
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

  beforeCommit(): void {
    for (const { number, change, acceptedAtChange } of this.#changed) {
      this.#update.run(
        change.queued,
        change.delivered,
        change.dropped,
        change.rejected,
        change['set-aside'],
        change.skipped,
        acceptedAtChange ?? null,
        number,
      )
    }
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

  #touch(flow: BookedFlow): void {
    if (flow.isChanged) return
    flow.isChanged = true
    this.#changed.push(flow)
  }

  #book(number: number, name: string, counts: Counts, lastAcceptedAt: number | undefined): BookedFlow {
    const flow: BookedFlow = {
      number,
      name,
      counts,
      lastAcceptedAt,
      change: noCounts(),
      acceptedAtChange: undefined,
      isChanged: false,
    }
    this.#byName.set(name, flow)
    this.#byNumber.set(number, flow)
    return flow
  }
}

function noCounts(): Counts {
  return { queued: 0, delivered: 0, dropped: 0, rejected: 0, 'set-aside': 0, skipped: 0 }
}
