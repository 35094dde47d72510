import { randomUUID } from 'node:crypto'
import type { Clock } from '../../kernel/time.ts'
import { KindRows } from './indexes.ts'
import { allKinds, type EntityKind, numbered } from './schema.ts'
import type { Value } from './values.ts'

export interface Row {
  readonly kind: EntityKind
  readonly id: string
  readonly values: Readonly<Record<string, Value>>
  /** Ticks of its ETag: 100 ns, so that two changes of one millisecond differ. */
  readonly tag: bigint
  readonly changedAt: number
  /** The earlier made, the lower. */
  readonly place: number
  /** From then on a query by EntityLastChangedOn finds this state. */
  readonly visibleAt: number
}

interface Replaced {
  readonly id: string
  readonly before: Row | undefined
}

/** All entities of the twin. A changeset takes them back to where they were when one of its requests fails. */
export class C4CStore {
  /** How late a change is seen by EntityLastChangedOn, as a tenant under load does it. */
  visibleAfterMs = 0
  readonly #clock: Clock
  readonly #rows = new Map<string, Row>()
  readonly #kinds = new Map<EntityKind, KindRows>()
  readonly #children = new Map<string, Set<string>>()
  /** What the changes of a changeset replaced, in their order; undefined outside of one. */
  #replaced: Replaced[] | undefined
  #lastTag = 0n
  #number = 1_000_000
  #places = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get now(): number {
    return this.#clock.now()
  }

  all(kind: EntityKind): readonly Row[] {
    return [...this.rowsOf(kind).all()]
  }

  rowsOf(kind: EntityKind): KindRows {
    const known = this.#kinds.get(kind) ?? new KindRows(kind)
    this.#kinds.set(kind, known)
    return known
  }

  find(kind: EntityKind, id: string): Row | undefined {
    const row = this.#rows.get(id)
    return row?.kind === kind ? row : undefined
  }

  childrenOf(kind: EntityKind, parent: string): readonly Row[] {
    return [...(this.#children.get(parent) ?? [])].flatMap(id => this.find(kind, id) ?? [])
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
    for (const id of this.#children.get(row.id) ?? []) this.#set(id, undefined)
    this.#set(row.id, undefined)
    this.#touchParent(row)
  }

  /** Undoes everything that `work` changed when it throws or says false. */
  together(work: () => boolean): void {
    const replaced: Replaced[] = []
    this.#replaced = replaced
    let isKept = false
    try {
      isKept = work()
    } finally {
      this.#replaced = undefined
      if (!isKept) for (const { id, before } of replaced.toReversed()) this.#set(id, before, true)
    }
  }

  count(name: string): number {
    return this.rowsOf(this.kind(name)).count
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
      place: this.#rows.get(id)?.place ?? ++this.#places,
      visibleAt: now + this.visibleAfterMs,
    }
    this.#set(id, row)
    this.#touchParent(row)
    return row
  }

  /** The one place where a row comes, changes or goes. */
  #set(id: string, row: Row | undefined, isUndone = false): void {
    const before = this.#rows.get(id)
    const kind = row?.kind ?? before?.kind
    if (!kind) return
    this.#replaced?.push({ id, before })
    const rows = this.rowsOf(kind)
    const parent = String((row ?? before)?.values['ParentObjectID'] ?? '')
    if (row) {
      this.#rows.set(id, row)
      if (isUndone) rows.restore(row)
      else rows.put(row)
      if (parent !== '') this.#below(parent).add(id)
    } else if (before) {
      this.#rows.delete(id)
      rows.delete(before)
      this.#children.get(parent)?.delete(id)
    }
  }

  #below(parent: string): Set<string> {
    const known = this.#children.get(parent) ?? new Set()
    this.#children.set(parent, known)
    return known
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
