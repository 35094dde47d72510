import { numberOf, textOf } from '../columns.ts'
import type { Records } from '../port.ts'
import type { StoreParts } from './parts.ts'

/** Leases of pollers. The fencing number grows each time another owner (or another start of the hub) takes one. */
export function openLeases({
  database,
  committer,
}: Pick<StoreParts, 'database' | 'committer'>): Pick<Records, 'lease' | 'endLease'> {
  const select = database.prepare('select owner, until, fence from lease where name = ?')
  const upsert = database.prepare(`
    insert into lease values (?, ?, ?, ?)
    on conflict do update set owner = excluded.owner, until = excluded.until, fence = excluded.fence`)
  const end = database.prepare(`update lease set owner = '', until = 0 where name = ? and owner = ?`)
  // Whoever held a lease in an earlier process is gone: the lock of the folder says so.
  database.exec(`update lease set owner = '', until = 0`)

  return {
    lease: (name, owner, leaseMs, now) =>
      committer.commit(() => {
        const row = select.get(name)
        const isOurs = row !== undefined && textOf(row['owner']) === owner
        if (row && !isOurs && numberOf(row['until']) > now) return undefined
        const fence = (row ? numberOf(row['fence']) : 0) + (isOurs ? 0 : 1)
        upsert.run(name, owner, Math.round(now + leaseMs), fence)
        return fence
      }),
    endLease: (name, owner) => committer.commit(() => void end.run(name, owner)),
  }
}
