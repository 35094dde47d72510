import { randomUUID } from 'node:crypto'
import type { Clock } from '../../kernel/time.ts'
import { allKinds, type EntityKind, numbered } from './schema.ts'
import type { Value } from './values.ts'

export interface Row {
  readonly kind: EntityKind
  readonly id: string
  readonly values: Readonly<Record<string, Value>>
  /** Ticks of its ETag: 100 ns, so that two changes of one millisecond differ. */
  readonly tag: bigint
  readonly changedAt: number
  /** From then on a query by EntityLastChangedOn finds this state. */
  readonly visibleAt: number
}

/** All entities of the twin. A changeset takes them back to where they were when one of its requests fails. */
export class C4CStore {
  /** How late a change is seen by EntityLastChangedOn, as a tenant under load does it. */
  visibleAfterMs = 0
  readonly #clock: Clock
  #rows = new Map<string, Row>()
  #lastTag = 0n
  #number = 1_000_000

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get now(): number {
    return this.#clock.now()
  }

  all(kind: EntityKind): readonly Row[] {
    return [...this.#rows.values()].filter(row => row.kind === kind)
  }

  find(kind: EntityKind, id: string): Row | undefined {
    const row = this.#rows.get(id)
    return row?.kind === kind ? row : undefined
  }

  childrenOf(kind: EntityKind, parent: string): readonly Row[] {
    return this.all(kind).filter(row => row.values['ParentObjectID'] === parent)
  }

  create(kind: EntityKind, given: Readonly<Record<string, Value>>): Row {
    const id = randomUUID().replaceAll('-', '').toUpperCase()
    const values: Record<string, Value> = {}
    for (const property of kind.properties) {
      values[property.name] = property.kind === 'text' ? '' : property.kind === 'flag' ? false : null
    }
    if (kind.properties.some(each => each.name === 'UUID')) values['UUID'] = randomUUID()
    const number = numbered[kind.name]
    if (number !== undefined) {
      this.#number += 1
      values[number] = String(this.#number)
    }
    Object.assign(values, given, { ObjectID: id })
    return this.#put(kind, id, values)
  }

  change(row: Row, given: Readonly<Record<string, Value>>): Row {
    return this.#put(row.kind, row.id, { ...row.values, ...given })
  }

  /** With everything below it. */
  remove(row: Row): void {
    this.#rows.delete(row.id)
    for (const kind of row.kind.children) for (const child of this.childrenOf(kind, row.id)) this.#rows.delete(child.id)
    this.#touchParent(row)
  }

  /** Undoes everything that `work` changed when it throws or says false. */
  async together(work: () => Promise<boolean>): Promise<void> {
    const before = new Map(this.#rows)
    let isKept = false
    try {
      isKept = await work()
    } finally {
      if (!isKept) this.#rows = before
    }
  }

  count(name: string): number {
    return this.all(this.kind(name)).length
  }

  /** Throws where there is no such entity. */
  kind(name: string): EntityKind {
    const kind = allKinds.find(each => each.name === name)
    if (!kind) throw new Error(`The twin of Cloud for Customer has no entity ${name}.`)
    return kind
  }

  #put(kind: EntityKind, id: string, values: Readonly<Record<string, Value>>): Row {
    const now = this.#clock.now()
    const ticks = BigInt(now) * 10_000n
    this.#lastTag = ticks > this.#lastTag ? ticks : this.#lastTag + 1n
    const stamps = kind.properties.some(each => each.name === 'EntityLastChangedOn')
      ? { EntityLastChangedOn: new Date(now).toISOString() }
      : {}
    const row: Row = {
      kind,
      id,
      values: { ...values, ...stamps },
      tag: this.#lastTag,
      changedAt: now,
      visibleAt: now + this.visibleAfterMs,
    }
    this.#rows.set(id, row)
    this.#touchParent(row)
    return row
  }

  /** What is below a header is part of it: its state is another one too. */
  #touchParent({ values }: Row): void {
    const parent = this.#rows.get(String(values['ParentObjectID'] ?? ''))
    if (parent) this.#put(parent.kind, parent.id, parent.values)
  }
}

/** `W/"datetimeoffset'2026-11-21T09:00:00.1234567Z'"` */
export function etagOf({ tag }: Row): string {
  const ms = Number(tag / 10_000n)
  const rest = String(tag % 10_000n).padStart(4, '0')
  return `W/"datetimeoffset'${new Date(ms).toISOString().replace('Z', `${rest}Z`)}'"`
}
