import { type EntityKind, entityKinds } from './schema.ts'
import type { Value } from './values.ts'

export interface Row {
  readonly values: Readonly<Record<string, Value>>
  /** Grows with each change. */
  readonly state: number
}

/** All entities of the twin; a changeset takes them back to where they were when one of its requests fails. */
export class EntityStore {
  readonly #rows = new Map<EntityKind, Map<string, Row>>(entityKinds.map(kind => [kind, new Map()]))
  #state = 0

  all(kind: EntityKind): readonly Row[] {
    return [...this.#of(kind).values()]
  }

  find(kind: EntityKind, key: Readonly<Record<string, Value>>): Row | undefined {
    return this.#of(kind).get(keyText(kind, key))
  }

  put(kind: EntityKind, values: Readonly<Record<string, Value>>): Row {
    this.#state += 1
    const row = { values, state: this.#state }
    this.#of(kind).set(keyText(kind, values), row)
    return row
  }

  remove(kind: EntityKind, key: Readonly<Record<string, Value>>): void {
    this.#of(kind).delete(keyText(kind, key))
  }

  /** Undoes everything that `work` changed when it throws or returns false. */
  async together(work: () => Promise<boolean>): Promise<void> {
    const before = new Map([...this.#rows].map(([kind, rows]) => [kind, new Map(rows)]))
    let isKept = false
    try {
      isKept = await work()
    } finally {
      if (!isKept) for (const [kind, rows] of before) this.#rows.set(kind, rows)
    }
  }

  #of(kind: EntityKind): Map<string, Row> {
    return this.#rows.get(kind) ?? new Map<string, Row>()
  }
}

function keyText(kind: EntityKind, values: Readonly<Record<string, Value>>): string {
  return JSON.stringify(kind.key.map(name => values[name]))
}
