import type { EntityKind } from './schema.ts'
import type { Row } from './store.ts'
import type { Value } from './values.ts'

interface Moment {
  readonly id: string
  readonly at: number
}

/** The rows of one kind, and short ways to those that a query names: half a million of them answer as fast as ten. */
export class KindRows {
  readonly #kind: EntityKind
  #rows = new Map<string, Row>()
  /** Ids by the value of a property; made with the first query that asks for that property. */
  readonly #byValue = new Map<string, Map<Value, Set<string>>>()
  /** What was written, in the order of time, as long as time goes forward. */
  #moments: Moment[] = []
  #isInOrder = true

  constructor(kind: EntityKind) {
    this.#kind = kind
  }

  get count(): number {
    return this.#rows.size
  }

  /** In the order in which they were made. */
  all(): Iterable<Row> {
    return this.#rows.values()
  }

  put(row: Row): void {
    const before = this.#rows.get(row.id)
    this.#rows.set(row.id, row)
    for (const [name, ids] of this.#byValue) {
      const [old, now] = [before && valueAt(before, name), valueAt(row, name)]
      if (before && old === now) continue
      if (old !== undefined) ids.get(old)?.delete(row.id)
      idsOf(ids, now).add(row.id)
    }
    this.#note({ id: row.id, at: row.changedAt })
  }

  delete({ id }: Row): void {
    const row = this.#rows.get(id)
    if (!row || !this.#rows.delete(id)) return
    for (const [name, ids] of this.#byValue) ids.get(valueAt(row, name))?.delete(id)
  }

  /** As it was before a change that did not come to be. */
  restore(row: Row): void {
    const isBack = !this.#rows.has(row.id)
    this.put(row)
    if (isBack) this.#rows = new Map([...this.#rows].toSorted(([, one], [, other]) => one.place - other.place))
  }

  /** Those with this value. */
  having(name: string, value: Value): readonly Row[] {
    let ids = this.#byValue.get(name)
    if (!ids) {
      ids = new Map()
      for (const row of this.#rows.values()) idsOf(ids, valueAt(row, name)).add(row.id)
      this.#byValue.set(name, ids)
    }
    return this.#named(ids.get(value) ?? [])
  }

  /** Those written at that time or later; undefined where nobody knows without looking at all of them. */
  changedSince(at: number): readonly Row[] | undefined {
    if (!this.#isInOrder) return undefined
    const ids = new Set<string>()
    for (let place = this.#moments.length - 1; place >= 0; place -= 1) {
      const moment = this.#moments[place]
      if (!moment || moment.at < at) break
      ids.add(moment.id)
    }
    return this.#named(ids)
  }

  #named(ids: Iterable<string>): readonly Row[] {
    const rows = [...ids].flatMap(id => this.#rows.get(id) ?? [])
    return rows.toSorted((one, other) => one.place - other.place)
  }

  #note(moment: Moment): void {
    if (!this.#kind.properties.some(({ name }) => name === 'EntityLastChangedOn')) return
    this.#isInOrder &&= (this.#moments.at(-1)?.at ?? Number.NEGATIVE_INFINITY) <= moment.at
    this.#moments.push(moment)
    if (this.#moments.length < 2 * this.#rows.size + momentsSpare) return
    // Only the last word on each row counts.
    const last = new Map<string, Moment>()
    for (const each of this.#moments) {
      last.delete(each.id)
      if (this.#rows.has(each.id)) last.set(each.id, each)
    }
    this.#moments = [...last.values()]
  }
}

const momentsSpare = 1000

function valueAt({ values }: Row, name: string): Value {
  return values[name] ?? null
}

function idsOf(ids: Map<Value, Set<string>>, value: Value): Set<string> {
  const known = ids.get(value) ?? new Set()
  ids.set(value, known)
  return known
}
