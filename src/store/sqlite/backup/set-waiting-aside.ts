import type { DatabaseSync } from 'node:sqlite'
import { formatId } from '../../../kernel/id.ts'
import { errorColumn, flagNumbers, numberOf, stateNumbers } from '../../columns.ts'
import { storeErrors } from '../../errors.ts'
import { auditWriter } from '../audit.ts'
import { Facts } from '../facts.ts'
import { backupLimits } from './limits.ts'

export interface Restore {
  readonly takenAt: number
  readonly now: number
  readonly who: string
  /** Leaves them waiting. */
  readonly deliverWaiting: boolean
}

/**
 * What waited when the backup was taken may have arrived since, so it is set aside, where it goes on holding its order key.
 * Probes go on: they carry nothing. Notes the restore in the audit log. Returns how many are set aside.
 */
export function setWaitingAside(database: DatabaseSync, { takenAt, now, who, deliverWaiting }: Restore): number {
  const selectWaiting = database.prepare(`
    select seq from delivery
    where flow = ? and state = ${stateNumbers.queued} and seq > ? and flags & ${flagNumbers.probe} = 0
    order by seq limit ${backupLimits.rowsAtOnce}`)
  const setAside = database.prepare(`
    update delivery set state = ${stateNumbers['set-aside']}, at = ?, flags = flags & ~${flagNumbers.awaitsChange},
      summary = ?, error = ? where seq = ?`)
  const count = database.prepare('update flow set queued = queued - ?1, set_aside = set_aside + ?1 where number = ?2')
  const at = new Date(takenAt).toISOString()
  let total = 0
  database.exec('begin immediate')
  for (const row of deliverWaiting ? [] : database.prepare('select number from flow').all()) {
    const flow = numberOf(row['number'])
    let last = 0
    for (;;) {
      const page = selectWaiting.all(flow, last)
      for (const { seq } of page) {
        last = numberOf(seq)
        const { code, side, message, next } = storeErrors.RESTORED({ at, id: formatId(last) })
        setAside.run(now, message, errorColumn({ code, side, message, next }), last)
      }
      count.run(page.length, flow)
      total += page.length
      if (page.length < backupLimits.rowsAtOnce) break
    }
  }
  const detail = { takenAt: at, setAside: total }
  auditWriter(database, new Facts(database))({ at: now, who, action: 'store.restore', detail })
  database.exec('commit')
  return total
}
