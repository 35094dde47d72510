import { flagNumbers, numberOf, optionalTextOf, type Row, stateOf } from '../columns.ts'
import { newEntry, type QueueEntry } from './queue.ts'

/** The queue's entry for a `delivery` row. */
export function entryOfRow(row: Row, flow: string): QueueEntry {
  const flags = numberOf(row['flags'])
  const attemptCount = numberOf(row['attempts'])
  const entry = newEntry(numberOf(row['seq']), {
    flow,
    orderKey: optionalTextOf(row['order_key']),
    holds: (flags & flagNumbers.holds) !== 0,
    isProbe: (flags & flagNumbers.probe) !== 0,
    acceptedAt: numberOf(row['accepted_at']),
  })
  entry.since = numberOf(row['since'])
  entry.attemptCount = attemptCount
  entry.requeueCount = Math.floor(flags / flagNumbers.requeued)
  // Before its first attempt a delivery is due, whatever the clock says now.
  entry.dueAt = attemptCount === 0 ? 0 : numberOf(row['at'])
  entry.plannedAt = entry.dueAt || undefined
  entry.awaitsChange = (flags & flagNumbers.awaitsChange) !== 0
  entry.mayHaveReceipts = true
  entry.rowIntent = ''
  if (stateOf(row['state']) === 'set-aside') entry.place = 'held'
  return entry
}
