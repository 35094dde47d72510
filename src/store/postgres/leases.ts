import { optionalNumberOf } from '../columns.ts'
import type { Records } from '../port.ts'
import type { Committer } from './committer.ts'

const take = {
  name: 'lease-take',
  text: `
    insert into lease values ($1, $2, $3, 1)
    on conflict (name) do update set owner = excluded.owner, until = excluded.until,
      fence = lease.fence + case when lease.owner = excluded.owner then 0 else 1 end
    where lease.owner = excluded.owner or lease.until <= $4
    returning fence`,
}
const end = { name: 'lease-end', text: `update lease set owner = '', until = 0 where name = $1 and owner = $2` }

/** Whoever held a lease before this hub owned the store holds it no longer. */
export const endLeases = { name: 'leases-end', text: `update lease set owner = '', until = 0` }

/** Leases of pollers. The fencing number grows each time another owner (or another start of the hub) takes one. */
export function openLeases(committer: Committer): Pick<Records, 'lease' | 'endLease'> {
  return {
    lease: (name, owner, leaseMs, now) =>
      committer.commit(async sql => {
        const [row] = await sql.query(take, [name, owner, Math.round(now + leaseMs), Math.round(now)])
        return optionalNumberOf(row?.['fence'])
      }),
    endLease: (name, owner) => committer.commit(async sql => void (await sql.query(end, [name, owner]))),
  }
}
