import type { C4CClient, C4CRow, C4CWrite } from '../../protocols/c4c/client.ts'
import { equals } from '../../protocols/c4c/client.ts'
import type { Scope, SideItem, Update } from '../drivers.ts'
import type { Appointment, Day } from '../plan/items.ts'
import { appointmentTexts, readAppointment } from './appointment.ts'
import type { C4CCodes } from './codes.ts'
import {
  type C4CSeries,
  hasOccurrences,
  headIdOf,
  isSeries,
  occurrencesFrom,
  seriesOf,
  seriesWrites,
  upkeepAt,
  versionOf,
  withOccurrences,
} from './series.ts'
import { textAt } from './values.ts'

/** Series whose occurrences are counted in memory, so that one that is gone is noticed with the next census. */
const countedMax = 100_000

const nodeId = 'RecurringBusinessActivityNodeID'

/** Series of Cloud for Customer with the appointments of their occurrences. */
export class SeriesBook {
  readonly #client: C4CClient
  readonly #codes: C4CCodes
  readonly #now: () => number
  /** How many occurrences from which day on a series had when it was last read, by its id. */
  readonly #counts = new Map<string, { readonly since: Day; readonly count: number }>()

  constructor(client: C4CClient, codes: C4CCodes, now: () => number) {
    this.#client = client
    this.#codes = codes
    this.#now = now
  }

  /** The series among these appointments, by id. Their occurrences are asked for only where there may be any. */
  async load(scope: Scope, rows: readonly C4CRow[], signal: AbortSignal): Promise<ReadonlyMap<string, C4CSeries>> {
    const heads = rows.filter(row => headIdOf(row) === undefined && isSeries(row, this.#codes))
    const isSpread = (row: C4CRow) => scope.series?.as === 'occurrences' || hasOccurrences(row, this.#codes)
    const spread = await this.#read(heads.filter(isSpread), signal)
    return new Map(heads.map(head => [head.id, spread.get(head.id) ?? seriesOf(head, [])]))
  }

  /** The same for those that a change makes a series: there are occurrences where a note was lost. */
  becoming(
    { series }: Scope,
    changes: readonly Update[],
    rows: ReadonlyMap<number, C4CRow>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, C4CSeries>> {
    const heads = [...rows].flatMap(([index, row]) => {
      const item = changes[index]?.after
      const isSeriesNow = series?.as === 'occurrences' && item?.kind === 'appointment' && item.recurrence !== null
      return isSeriesNow && !isSeries(row, this.#codes) ? [row] : []
    })
    return this.#read(heads, signal)
  }

  async #read(heads: readonly C4CRow[], signal: AbortSignal): Promise<ReadonlyMap<string, C4CSeries>> {
    const since = occurrencesFrom(this.#now())
    const ahead = `OccurrenceDate ge datetime'${since}T00:00:00'`
    const queries = heads.map(({ id }) => {
      const query = { filter: `${equals(nodeId, id)} and ${ahead}`, expand: [appointmentTexts] }
      return { entity: 'Appointment' as const, query }
    })
    const found = await this.#client.findEach(queries, signal)
    const series = new Map<string, C4CSeries>()
    for (const [index, head] of heads.entries()) {
      const rowsOfHead = found[index] ?? []
      series.set(head.id, seriesOf(head, rowsOfHead))
      if (this.#counts.size >= countedMax) this.#counts.clear()
      this.#counts.set(head.id, { since, count: rowsOfHead.length })
    }
    return series
  }

  /** What of the sync's item of a series hangs on its occurrences. */
  facts(
    scope: Scope,
    series: C4CSeries,
  ): Pick<SideItem, 'item' | 'version'> & { readonly isStale?: true; readonly upkeepAt?: number } {
    const now = this.#now()
    const context = { rules: scope.series, codes: this.#codes, now }
    const item = withOccurrences(readAppointment(series.head, this.#codes), series, this.#codes, now)
    const isPlain = scope.series?.as !== 'occurrences' && !hasOccurrences(series.head, this.#codes)
    if (isPlain && series.rows.size === 0) return { item, version: series.head.etag }
    const isStale = seriesWrites(item, series, { ...context, fields: new Set() }).length > 0
    const at = upkeepAt(item, context)
    return {
      item,
      version: versionOf(series),
      ...(isStale && { isStale }),
      ...(at !== undefined && { upkeepAt: at }),
    }
  }

  /** Writes below the head of a series that has just become one, is one, or is one no longer. */
  writes(scope: Scope, after: Appointment, series: C4CSeries, fields: ReadonlySet<string>): readonly C4CWrite[] {
    return seriesWrites(after, series, { rules: scope.series, codes: this.#codes, now: this.#now(), fields })
  }

  /** Removals of all occurrences that were ever made of these series, by the id of the series. */
  async removals(ids: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, readonly C4CWrite[]>> {
    const select = ['ObjectID', 'ETag', 'GroupwareItemID', nodeId]
    const removals = new Map<string, readonly C4CWrite[]>()
    for (const id of ids) {
      const writes: C4CWrite[] = []
      for await (const row of this.#client.list('Appointment', { filter: equals(nodeId, id), select }, signal)) {
        if (headIdOf(row) === id) writes.push({ kind: 'remove', entity: 'Appointment', id: row.id, etag: row.etag })
      }
      removals.set(id, writes)
    }
    return removals
  }

  /** Keys of all appointments; without those of series of which occurrences are gone, so that they are looked at. */
  async keys(filter: string | undefined, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const keys = new Set<string>()
    const days = new Map<string, Day[]>()
    const select = ['ObjectID', 'GroupwareItemID', nodeId, 'OccurrenceDate']
    for await (const row of this.#client.list('Appointment', { filter, select }, signal)) {
      const head = headIdOf(row)
      if (head === undefined) keys.add(row.id)
      else days.set(head, [...(days.get(head) ?? []), textAt(row.values, 'OccurrenceDate')])
    }
    for (const head of keys) {
      const { since = '', count = 0 } = this.#counts.get(head) ?? {}
      const left = (days.get(head) ?? []).filter(day => day >= since)
      if (left.length < count) keys.delete(head)
    }
    return keys
  }
}
