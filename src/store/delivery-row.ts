import { formatId } from '../kernel/id.ts'
import {
  errorOf,
  flagNumbers,
  numberOf,
  optionalNumberOf,
  optionalTextOf,
  type Row,
  stateOf,
  wordsOf,
} from './columns.ts'
import type { DeliveryRow } from './port.ts'
import type { DeliveryQueue } from './queue/queue.ts'

export interface RowParts {
  readonly flows: { nameOf(number: number): string }
  readonly queue: Pick<DeliveryQueue, 'heldBy'>
}

/** A `delivery` row as people see it. */
export function rowOf(parts: RowParts, row: Row): DeliveryRow {
  const seq = numberOf(row['seq'])
  const state = stateOf(row['state'])
  const flags = numberOf(row['flags'])
  const heldBy = state === 'queued' ? parts.queue.heldBy(seq) : undefined
  const replayOf = optionalNumberOf(row['replay_of'])
  return {
    id: formatId(seq),
    flow: parts.flows.nameOf(numberOf(row['flow'])),
    state,
    orderKey: optionalTextOf(row['order_key']),
    attemptCount: numberOf(row['attempts']),
    acceptedAt: numberOf(row['accepted_at']),
    at: numberOf(row['at']),
    awaitsChange: (flags & flagNumbers.awaitsChange) !== 0,
    heldBy: heldBy === undefined ? undefined : formatId(heldBy),
    summary: optionalTextOf(row['summary']),
    error: errorOf(row['error']),
    isProbe: (flags & flagNumbers.probe) !== 0,
    replayOf: replayOf === undefined ? undefined : formatId(replayOf),
    bytes: numberOf(row['bytes']),
    // PostgreSQL hands a list over as JSON under a name of its own.
    terms: wordsOf(row['words'] ?? row['terms']),
  }
}
