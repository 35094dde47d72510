import { flagNumbers, stateNumbers } from '../columns.ts'
import { entryOfRow } from '../queue/entry-of-row.ts'
import type { StoreParts } from './parts.ts'

/** Reads the queue back at the start: everything queued, and the set-aside deliveries that hold their order key. */
export function rebuildQueue(parts: Pick<StoreParts, 'database' | 'flows' | 'queue'>): void {
  const { database, flows, queue } = parts
  const select = database.prepare(`
    select seq, flow, state, at, order_key, flags, attempts, since, accepted_at from delivery
    where flow = ? and (state = ${stateNumbers.queued}
      or state = ${stateNumbers['set-aside']} and order_key is not null and flags & ${flagNumbers.holds} != 0)
    order by seq`)
  for (const { name, number } of flows.all()) {
    for (const row of select.iterate(number)) queue.add(entryOfRow(row, name))
  }
}
