import { flagNumbers, numberOf, optionalTextOf, type Row, stateNumbers, stateOf } from './columns.ts'
import type { StoreParts } from './parts.ts'
import { newEntry, type QueueEntry } from './queue.ts'

/** Reads the queue back at the start: everything queued, and the set-aside deliveries that hold their order key. */
export function rebuildQueue(parts: Pick<StoreParts, 'database' | 'flows' | 'queue'>): void {
  const { database, flows, queue } = parts
  const select = database.prepare(`
    select seq, flow, state, at, order_key, flags, attempts, since, accepted_at from delivery
    where flow = ? and (state = ${stateNumbers.queued}
      or state = ${stateNumbers['set-aside']} and order_key is not null and flags & ${flagNumbers.holds} != 0)
    order by seq`)
  for (const { number } of flows.all()) {
    for (const row of select.iterate(number)) queue.add(rebuildEntry(parts, row))
  }
}

/** The queue's entry for a `delivery` row. */
export function rebuildEntry({ flows }: Pick<StoreParts, 'flows'>, row: Row): QueueEntry {
  const flags = numberOf(row['flags'])
  const attemptCount = numberOf(row['attempts'])
  const entry = newEntry(numberOf(row['seq']), {
    flow: flows.nameOf(numberOf(row['flow'])),
    orderKey: optionalTextOf(row['order_key']),
    holds: (flags & flagNumbers.holds) !== 0,
    isProbe: (flags & flagNumbers.probe) !== 0,
    acceptedAt: numberOf(row['accepted_at']),
  })
  entry.since = numberOf(row['since'])
  entry.attemptCount = attemptCount
  // Before its first attempt a delivery is due, whatever the clock says now.
  entry.dueAt = attemptCount === 0 ? 0 : numberOf(row['at'])
  entry.awaitsChange = (flags & flagNumbers.awaitsChange) !== 0
  entry.mayHaveReceipts = true
  entry.rowIntent = ''
  if (stateOf(row['state']) === 'set-aside') entry.place = 'held'
  return entry
}
