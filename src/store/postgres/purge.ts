import { flagNumbers, numberOf, stateNumbers } from '../columns.ts'
import type { BookedFlow } from '../flow-counts.ts'
import type { FinishedState, Inspection } from '../port.ts'
import { purgeInBatches } from '../purge-batches.ts'
import type { StoreParts } from './parts.ts'

// Compared as rows, as in `find`.
const selectOldest = {
  name: 'purge-oldest',
  text: `
    select seq, flags from delivery
    where (flow, state, seq) >= ($1, $2, 0) and (flow, state, seq) <= ($1, $2, $3) and at < $4
    order by flow, state, seq limit $5`,
}
// One look at the index for each key and word, as in `accept`.
const removeKeys = {
  name: 'purge-keys',
  text: `
    delete from once where ctid = any (array(
      select owned.row from (select flow, unnest(once_keys) as key, seq from delivery where seq = any ($1::bigint[])) as gone
      cross join lateral (
        select ctid as row from once where once.flow = gone.flow and once.key = gone.key and once.seq = gone.seq offset 0) as owned))`,
}
const removeTerms = {
  name: 'purge-terms',
  text: `
    delete from term where ctid = any (array(
      select owned.row from (select unnest(terms) as word, seq from delivery where seq = any ($1::bigint[])) as gone
      cross join lateral (
        select ctid as row from term where term.word = gone.word and term.seq = gone.seq offset 0) as owned))`,
}
const removeOthers = ['content', 'original', 'receipt', 'attempt', 'body_use', 'delivery'].map(table => ({
  name: `purge-${table}`,
  text: `delete from ${table} where seq = any ($1::bigint[])`,
}))

/** Deletes what was kept long enough, a small transaction at a time, with everything that belongs to it. */
export function openPurge(parts: StoreParts): Inspection['purge'] {
  const { limits, committer, flows, facts, sequence, queue, recent } = parts

  async function purgeBatch(flow: BookedFlow, state: FinishedState, before: number, countMax: number): Promise<number> {
    const purged = await committer.commit(
      async sql => {
        // What ended before a time was accepted before it, so the oldest numbers are all there is to look at.
        const highest = sequence.highest(before)
        const ended = Number.isFinite(before) ? Math.ceil(before) : Number.MAX_SAFE_INTEGER
        const rows = await sql.query(selectOldest, [
          flow.number,
          stateNumbers[state],
          Math.min(highest, Number.MAX_SAFE_INTEGER),
          ended,
          countMax,
        ])
        const seqs = rows.map(row => numberOf(row['seq']))
        if (seqs.length === 0) return seqs
        // Numbers of deleted deliveries are not given again, not even when the newest ones go.
        facts.write('sequence.last', sequence.last)
        for (const statement of [removeKeys, removeTerms, ...removeOthers]) await sql.query(statement, [seqs])
        for (const row of rows) {
          if ((numberOf(row['flags']) & flagNumbers.probe) === 0) flows.move(flow, state, undefined)
        }
        return seqs
      },
      {
        isAlone: true,
        committed(seqs) {
          for (const seq of seqs) {
            recent.forget(seq)
            const held = queue.get(seq)
            if (held) queue.remove(held)
          }
          if (seqs.length > 0) parts.announceWork()
        },
      },
    )
    return purged.length
  }

  return async request => {
    const flow = flows.find(request.flow)
    if (!flow) return 0
    return purgeInBatches(request, limits.purgeBatch, (state, before, countMax) => {
      return purgeBatch(flow, state, before, countMax)
    })
  }
}
