import { randomUUID } from 'node:crypto'
import type { Json } from '../../kernel/json.ts'
import { refusals } from './dataverse-error.ts'
import type { Table } from './model.ts'

/** A record. Lookups hold the id of the other record. */
export interface Row {
  readonly id: string
  readonly version: number
  readonly values: Readonly<Record<string, Json>>
}

interface TableRows {
  readonly table: Table
  readonly byId: Map<string, Row>
  /** By alternate key (its columns) and then by the values, in lower case as SQL Server compares them. */
  readonly byKey: Map<string, Map<string, string>>
}

/** The records of all tables, with unique alternate keys and changes that can be taken back together. */
export class RowStore {
  readonly tables: readonly Table[]
  readonly #rows = new Map<string, TableRows>()
  #version = 470_000
  #undo: (() => void)[] | undefined

  constructor(tables: readonly Table[]) {
    this.tables = tables
    for (const table of tables) {
      const byKey = new Map(table.keys.map(({ columns }) => [columns.join(','), new Map<string, string>()]))
      this.#rows.set(table.logicalName, { table, byId: new Map(), byKey })
    }
  }

  tableOfSet(set: string): Table | undefined {
    return this.tables.find(table => table.set === set)
  }

  table(logicalName: string): Table {
    return this.#of(logicalName).table
  }

  all(table: Table): readonly Row[] {
    return [...this.#of(table.logicalName).byId.values()]
  }

  get(table: Table, id: string): Row | undefined {
    return this.#of(table.logicalName).byId.get(id.toLowerCase())
  }

  /** The record with these values of an alternate key; undefined for none, throws when that is no active key. */
  byKey(table: Table, values: Readonly<Record<string, Json>>): Row | undefined {
    const names = Object.keys(values)
    const key = table.keys.find(
      ({ columns }) => columns.length === names.length && columns.every(each => names.includes(each)),
    )
    if (!key || (key.state ?? 'Active') !== 'Active') {
      throw refusals.query(`The specified key attributes are not a defined key for the ${table.logicalName} entity`)
    }
    const rows = this.#of(table.logicalName)
    const id = rows.byKey.get(key.columns.join(','))?.get(keyValue(key.columns, values) ?? '')
    return id === undefined ? undefined : rows.byId.get(id)
  }

  /** Throws 412 when an alternate key is taken, or the id. */
  insert(table: Table, values: Readonly<Record<string, Json>>, id: string = randomUUID()): Row {
    if (this.get(table, id)) throw refusals.exists()
    return this.#put(table, undefined, { id: id.toLowerCase(), values })
  }

  update(table: Table, row: Row, values: Readonly<Record<string, Json>>): Row {
    return this.#put(table, row, { id: row.id, values: { ...row.values, ...values } })
  }

  delete(table: Table, row: Row): void {
    const rows = this.#of(table.logicalName)
    rows.byId.delete(row.id)
    this.#index(rows, row, undefined)
    this.#undo?.push(() => {
      rows.byId.set(row.id, row)
      this.#index(rows, undefined, row)
    })
  }

  /** All of it, or nothing when it throws. */
  together<T>(work: () => T): T {
    if (this.#undo) return work()
    const undo: (() => void)[] = []
    this.#undo = undo
    try {
      return work()
    } catch (thrown) {
      this.#undo = undefined
      for (const step of undo.toReversed()) step()
      throw thrown
    } finally {
      this.#undo = undefined
    }
  }

  #put(table: Table, before: Row | undefined, { id, values }: Pick<Row, 'id' | 'values'>): Row {
    const rows = this.#of(table.logicalName)
    for (const { columns } of table.keys) {
      const value = keyValue(columns, values)
      const other = value === undefined ? undefined : rows.byKey.get(columns.join(','))?.get(value)
      if (other !== undefined && other !== id) throw refusals.keyTaken(columns.join(', '))
    }
    this.#version += 1
    const row: Row = { id, version: this.#version, values }
    rows.byId.set(id, row)
    this.#index(rows, before, row)
    this.#undo?.push(() => {
      if (before) rows.byId.set(id, before)
      else rows.byId.delete(id)
      this.#index(rows, row, before)
    })
    return row
  }

  #index({ table, byKey }: TableRows, before: Row | undefined, after: Row | undefined): void {
    for (const { columns } of table.keys) {
      const index = byKey.get(columns.join(','))
      const old = before && keyValue(columns, before.values)
      const value = after && keyValue(columns, after.values)
      if (old !== undefined && index?.get(old) === before?.id) index?.delete(old)
      if (value !== undefined && after) index?.set(value, after.id)
    }
  }

  #of(logicalName: string): TableRows {
    const rows = this.#rows.get(logicalName)
    if (!rows) throw refusals.segment(logicalName)
    return rows
  }
}

/** A key that has an empty part is no key: it is not held unique. */
function keyValue(columns: readonly string[], values: Readonly<Record<string, Json>>): string | undefined {
  const parts = columns.map(column => values[column] ?? null)
  return parts.includes(null) ? undefined : JSON.stringify(parts).toLowerCase()
}
