import { flagNumbers, numberOf, stateNumbers } from '../columns.ts'
import type { BookedFlow } from '../flow-counts.ts'
import type { FinishedState, Inspection } from '../port.ts'
import { purgeInBatches } from '../purge-batches.ts'
import type { StoreParts } from './parts.ts'

/** Deletes what was kept long enough, a small transaction at a time, with everything that belongs to it. */
export function openPurge(parts: StoreParts): Inspection['purge'] {
  const { database, limits, committer, flows, facts, sequence, queue, contents, words, receipts, attempts, bodies } =
    parts
  const selectOldest = database.prepare(
    'select seq, flags from delivery where flow = ? and state = ? and seq <= ? and at < ? order by seq limit ?',
  )
  const remove = database.prepare('delete from delivery where seq = ?')

  function purgeBatch(flow: BookedFlow, state: FinishedState, before: number, countMax: number): Promise<number> {
    return committer
      .commit(
        () => {
          // What ended before a time was accepted before it, so the oldest numbers are all there is to look at.
          const highest = sequence.highest(before)
          const rows = selectOldest.all(flow.number, stateNumbers[state], highest, Math.ceil(before), countMax)
          // Numbers of deleted deliveries are not given again, not even when the newest ones go.
          if (rows.length > 0) facts.write('sequence.last', sequence.last)
          return rows.map(row => {
            const seq = numberOf(row['seq'])
            removeRows(seq)
            if ((numberOf(row['flags']) & flagNumbers.probe) === 0) flows.move(flow, state, undefined)
            return seq
          })
        },
        purged => {
          for (const seq of purged) {
            contents.forget(seq)
            const held = queue.get(seq)
            if (held) queue.remove(held)
          }
          if (purged.length > 0) parts.announceWork()
        },
      )
      .then(purged => purged.length)
  }

  function removeRows(seq: number): void {
    words.purge(seq)
    contents.purge(seq)
    receipts.purge(seq)
    attempts.purge(seq)
    bodies.unuse(seq)
    remove.run(seq)
  }

  return async request => {
    const flow = flows.find(request.flow)
    if (!flow) return 0
    return purgeInBatches(request, limits.purgeBatch, (state, before, countMax) => {
      return purgeBatch(flow, state, before, countMax)
    })
  }
}
