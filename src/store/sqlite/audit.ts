import { setImmediate as nextTurn } from 'node:timers/promises'
import { entryOf, followChain, hashOf, headOf, noEntry } from '../audit-chain.ts'
import { optionalNumberOf, textOf } from '../columns.ts'
import type { Records } from '../port.ts'
import type { StoreParts } from './parts.ts'

const entriesPerPage = 1000
const headFact = 'audit.head'

/**
 * The audit log. Each entry carries the sha256 of its content and of the entry before it, and the store remembers the
 * last one, so a changed, inserted, removed or cut-off entry shows.
 */
export function openAudit({
  database,
  committer,
  facts,
}: Pick<StoreParts, 'database' | 'committer' | 'facts'>): Pick<Records, 'audit' | 'auditLog' | 'auditBreak'> {
  const insert = database.prepare('insert into audit values (?, ?, ?, ?, ?, ?)')
  const selectLast = database.prepare('select number, hash from audit order by number desc limit 1')
  const selectPage = database.prepare('select * from audit where number > ? order by number limit ?')
  const selectNewest = database.prepare('select * from audit where number < ? order by number desc limit ?')

  async function auditBreak(): Promise<number | undefined> {
    let last = noEntry
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
    audit: ({ at, who, action, detail }) =>
      committer.commit(() => {
        const last = selectLast.get()
        const number = (optionalNumberOf(last?.['number']) ?? 0) + 1
        const row = { number, at: Math.round(at), who, action, detail: JSON.stringify(detail) }
        const hash = hashOf(last ? textOf(last['hash']) : '', row)
        insert.run(number, row.at, who, action, row.detail, hash)
        facts.write(headFact, headOf(number, hash))
      }),
    async auditLog({ before, limit }) {
      const rows = selectNewest.all(before ?? Number.MAX_SAFE_INTEGER, Math.max(0, Math.floor(limit)))
      return rows.map(entryOf)
    },
    auditBreak,
  }
}
