import { entryOf, followChain, hashOf, headOf, lastBefore, linkOf } from '../audit-chain.ts'
import { optionalNumberOf, optionalTextOf, textOf } from '../columns.ts'
import type { NewAuditEntry, Records } from '../port.ts'
import type { Committer } from './committer.ts'
import { type ReadConnections, type Sql, storableText } from './connection.ts'
import { writeFact } from './facts.ts'

const entriesPerPage = 1000
const headFact = 'audit.head'
/** The last entry that was purged: there the chain begins. */
const tailFact = 'audit.tail'

const insert = {
  name: 'audit-write',
  text: 'insert into audit select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])',
}
const selectLast = { name: 'audit-last', text: 'select number, hash from audit order by number desc limit 1' }
const selectPage = { name: 'audit-page', text: 'select * from audit where number > $1 order by number limit $2' }
const selectFact = { name: 'audit-fact', text: 'select value from fact where name = $1' }
const selectNewest = {
  name: 'audit-newest',
  text: 'select * from audit where number < $1 order by number desc limit $2',
}
const selectOldest = {
  name: 'audit-oldest',
  text: 'select number, at, hash from audit where number < (select max(number) from audit) order by number limit $1',
}
const removeUpTo = { name: 'audit-purge', text: 'delete from audit where number <= $1' }

/** Adds entries, within a transaction that adds no others beside them. */
export async function writeAudit(sql: Sql, entries: readonly NewAuditEntry[]): Promise<void> {
  const [last] = await sql.query(selectLast)
  let number = optionalNumberOf(last?.['number']) ?? 0
  let hash = last ? textOf(last['hash']) : ''
  const rows = entries.map(({ at, who, action, detail }) => {
    const by = storableText(who.toWellFormed())
    const row = { number: ++number, at: Math.round(at), who: by, action, detail: JSON.stringify(detail) }
    hash = hashOf(hash, row)
    return { ...row, hash }
  })
  const columns = (['number', 'at', 'who', 'action', 'detail', 'hash'] as const).map(name => rows.map(row => row[name]))
  await sql.query(insert, columns)
  await sql.query(writeFact, [headFact, headOf(number, hash)])
}

/**
 * The audit log. Each entry carries the sha256 of its content and of the entry before it, and the store remembers the
 * last one, so a changed, inserted, removed or cut-off entry shows.
 */
export function openAudit(
  reads: ReadConnections,
  committer: Committer,
): Pick<Records, 'audit' | 'auditAll' | 'auditLog' | 'auditBreak' | 'purgeAudit'> {
  async function auditAll(entries: readonly NewAuditEntry[]): Promise<void> {
    if (entries.length > 0) await committer.commit(sql => writeAudit(sql, entries), { isAlone: true })
  }

  return {
    audit: entry => auditAll([entry]),
    auditAll,
    async auditLog({ before, limit }) {
      const rows = await reads.query(selectNewest, [before ?? Number.MAX_SAFE_INTEGER, Math.max(0, Math.floor(limit))])
      return rows.map(entryOf)
    },
    auditBreak: () =>
      reads.snapshot(async sql => {
        const [tail] = await sql.query(selectFact, [tailFact])
        let last = linkOf(optionalTextOf(tail?.['value']))
        for (;;) {
          const page = await sql.query(selectPage, [last.number, entriesPerPage])
          const followed = followChain(last, page)
          if ('breakAt' in followed) return followed.breakAt
          last = followed.last
          if (page.length < entriesPerPage) break
        }
        const [head] = await sql.query(selectFact, [headFact])
        const known = optionalTextOf(head?.['value']) ?? headOf(0, '')
        return known === headOf(last.number, last.hash) ? undefined : last.number + 1
      }),
    purgeAudit: ({ before, max }) =>
      committer.commit(
        async sql => {
          const { count, last } = lastBefore(before, await sql.query(selectOldest, [max]))
          if (count === 0) return 0
          await sql.query(removeUpTo, [last.number])
          await sql.query(writeFact, [tailFact, headOf(last.number, last.hash)])
          return count
        },
        { isAlone: true },
      ),
  }
}
