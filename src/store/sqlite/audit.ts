import type { DatabaseSync } from 'node:sqlite'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { entryOf, followChain, hashOf, headOf, lastBefore, linkOf } from '../audit-chain.ts'
import { optionalNumberOf, textOf } from '../columns.ts'
import type { NewAuditEntry, Records } from '../port.ts'
import type { Facts } from './facts.ts'
import type { StoreParts } from './parts.ts'

const entriesPerPage = 1000
const headFact = 'audit.head'
/** The last entry that was purged: there the chain begins. */
const tailFact = 'audit.tail'

/**
 * The audit log. Each entry carries the sha256 of its content and of the entry before it, and the store remembers the
 * last one, so a changed, inserted, removed or cut-off entry shows.
 */
export function openAudit({
  database,
  committer,
  facts,
}: Pick<StoreParts, 'database' | 'committer' | 'facts'>): Pick<
  Records,
  'audit' | 'auditAll' | 'auditLog' | 'auditBreak' | 'purgeAudit'
> {
  const write = auditWriter(database, facts)
  const selectPage = database.prepare('select * from audit where number > ? order by number limit ?')
  const selectNewest = database.prepare('select * from audit where number < ? order by number desc limit ?')
  const selectOldest = database.prepare(`
    select number, at, hash from audit where number < (select max(number) from audit) order by number limit ?`)
  const removeUpTo = database.prepare('delete from audit where number <= ?')

  async function auditBreak(): Promise<number | undefined> {
    let last = linkOf(facts.readText(tailFact))
    for (;;) {
      const page = selectPage.all(last.number, entriesPerPage)
      const followed = followChain(last, page)
      if ('breakAt' in followed) return followed.breakAt
      last = followed.last
      if (page.length < entriesPerPage) break
      await nextTurn()
    }
    return (facts.readText(headFact) ?? headOf(0, '')) === headOf(last.number, last.hash) ? undefined : last.number + 1
  }

  return {
    audit: entry => committer.commit(() => write(entry)),
    auditAll: entries => committer.commit(() => entries.forEach(write)),
    async auditLog({ before, limit }) {
      const rows = selectNewest.all(before ?? Number.MAX_SAFE_INTEGER, Math.max(0, Math.floor(limit)))
      return rows.map(entryOf)
    },
    auditBreak,
    purgeAudit: ({ before, max }) =>
      committer.commit(() => {
        const { count, last } = lastBefore(before, selectOldest.all(max))
        if (count === 0) return 0
        removeUpTo.run(last.number)
        facts.write(tailFact, headOf(last.number, last.hash))
        return count
      }),
  }
}

/** Appends an entry; called within a transaction. */
export function auditWriter(database: DatabaseSync, facts: Facts): (entry: NewAuditEntry) => void {
  const insert = database.prepare('insert into audit values (?, ?, ?, ?, ?, ?)')
  const selectLast = database.prepare('select number, hash from audit order by number desc limit 1')
  return ({ at, who, action, detail }) => {
    const last = selectLast.get()
    const number = (optionalNumberOf(last?.['number']) ?? 0) + 1
    const row = { number, at: Math.round(at), who, action, detail: JSON.stringify(detail) }
    const hash = hashOf(last ? textOf(last['hash']) : '', row)
    insert.run(number, row.at, who, action, row.detail, hash)
    facts.write(headFact, headOf(number, hash))
  }
}
