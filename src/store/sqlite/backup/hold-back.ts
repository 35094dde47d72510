import type { DatabaseSync } from 'node:sqlite'
import { formatId } from '../../../kernel/id.ts'
import { errorColumn, flagNumbers, numberOf, stateNumbers, textOf } from '../../columns.ts'
import { storeErrors } from '../../errors.ts'
import { auditWriter } from '../audit.ts'
import { Facts } from '../facts.ts'
import { backupLimits } from './limits.ts'

export interface Restore {
  readonly takenAt: number
  readonly now: number
  readonly who: string
  /** Nothing is held back. */
  readonly deliverWaiting: boolean
  readonly switches: readonly Switch[]
}

/** A yes or no in each record of an area: whether what it stands for rests until a person lets it go on. */
export interface Switch {
  readonly area: string
  readonly field: string
}

export interface HeldBack {
  /** Messages that are set aside. */
  readonly setAside: number
  /** Ids of the records whose switch was set. */
  readonly paused: readonly string[]
}

/**
 * Holds back what would begin with the start of the hub though the world has gone on since the backup. What waited may have
 * arrived, so it is set aside, where it goes on holding its order key (probes go on: they carry nothing); what has a switch
 * rests. Notes the restore in the audit log.
 */
export function holdBack(database: DatabaseSync, restore: Restore): HeldBack {
  const { takenAt, now, who, deliverWaiting, switches } = restore
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
  const paused = deliverWaiting ? [] : switches.flatMap(each => pause(database, each))
  const detail = { takenAt: at, setAside: total, ...(paused.length > 0 && { paused }) }
  auditWriter(database, new Facts(database))({ at: now, who, action: 'store.restore', detail })
  database.exec('commit')
  return { setAside: total, paused }
}

function pause(database: DatabaseSync, { area, field }: Switch): readonly string[] {
  const set = database.prepare(`
    update record set value = json_set(value, ?2, json('true')), revision = revision + 1
    where area = ?1 and json_extract(value, ?2) = 0 returning id`)
  const rows = set.all(area, `$.${field}`)
  return rows.map(({ id }) => textOf(id)).toSorted()
}
