import { storeErrors } from '../errors.ts'
import type { FinishedState, Inspection } from '../port.ts'
import { flagNumbers, numberOf, stateNumbers } from './columns.ts'
import type { StoreParts } from './parts.ts'

type PurgeRequest = Parameters<Inspection['purge']>[0]

const endedStates: readonly FinishedState[] = ['delivered', 'dropped', 'rejected', 'skipped']

/** Deletes what was kept long enough, a small transaction at a time, with everything that belongs to it. */
export async function purgeDeliveries(parts: StoreParts, request: PurgeRequest): Promise<number> {
  let purged = 0
  for (const state of [...endedStates, 'set-aside'] as const) {
    const before = state === 'set-aside' ? request.setAsideBefore : request.deliveredBefore
    for (let isMore = true; isMore && purged < request.max; ) {
      const batch = Math.min(parts.limits.purgeBatch, request.max - purged)
      const count = await purgeBatch(parts, request.flow, state, before, batch)
      purged += count
      isMore = count === batch
    }
  }
  return purged
}

function purgeBatch(
  parts: StoreParts,
  flowName: string,
  state: FinishedState,
  before: number,
  batch: number,
): Promise<number> {
  const { database, committer, flows, facts, sequence, queue, contents } = parts
  const flow = flows.find(flowName)
  if (!flow) return Promise.resolve(0)
  // What ended before a time was accepted before it, so the oldest numbers are all there is to look at.
  const select = database.prepare(
    'select seq, flags from delivery where flow = ? and state = ? and seq <= ? and at < ? order by seq limit ?',
  )
  return committer
    .commit(
      () => {
        const rows = select.all(flow.number, stateNumbers[state], sequence.highest(before), Math.ceil(before), batch)
        if (rows.length === 0) return []
        // Numbers of deleted deliveries are not given again, not even when the newest ones go.
        facts.write('sequence.last', sequence.last)
        return rows.map(row => {
          const seq = numberOf(row['seq'])
          purgeRows(parts, seq)
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

function purgeRows({ database, words, contents, receipts, attempts, bodies }: StoreParts, seq: number): void {
  words.purge(seq)
  contents.purge(seq)
  receipts.purge(seq)
  attempts.purge(seq)
  bodies.unuse(seq)
  const { changes } = database.prepare('delete from delivery where seq = ?').run(seq)
  if (changes !== 1) throw storeErrors.DAMAGED({ text: `delivery row ${seq} vanished during a purge` })
}
