import { aleTwinErrors } from './errors.ts'
import { internal, type Table, type TableName, tables } from './tables.ts'

export type Row = Readonly<Record<string, string>>

/** What a transaction changed at one object, as SAP's change documents hold it (tables CDHDR and CDPOS). */
export interface ChangeDocument {
  readonly objectClass: string
  readonly objectId: string
  readonly changes: readonly FieldChange[]
}

export interface FieldChange {
  readonly table: TableName
  readonly tableKey: string
  /** `KEY` where a row came or went. */
  readonly field: string
  /** I: a row came, U: a field changed, D: a row went. */
  readonly kind: 'I' | 'U' | 'D'
}

/** Master and transaction data. Every change goes through here, so that change documents are complete. */
export class MasterData {
  readonly #rows = new Map<TableName, Map<string, Row>>()
  readonly #onChange: (document: ChangeDocument) => void

  constructor(onChange: (document: ChangeDocument) => void) {
    this.#onChange = onChange
  }

  /** A new row; fields left out are initial (empty). */
  create(table: TableName, given: Row): void {
    const row = checked(table, given)
    const key = keyOf(table, row)
    const rows = this.#table(table)
    if (rows.has(key)) throw aleTwinErrors.ROW_EXISTS({ table, key })
    const whole: Record<string, string> = {}
    for (const field of Object.keys(tables[table].fields)) whole[field] = row[field] ?? ''
    rows.set(key, whole)
    this.#tell(table, whole, [{ table, tableKey: key, field: 'KEY', kind: 'I' }])
  }

  /** Changes fields of a row; those that have the value already are no change. */
  change(table: TableName, keyFields: Row, given: Row): void {
    const key = keyOf(table, checked(table, keyFields))
    const before = this.#table(table).get(key)
    if (!before) throw aleTwinErrors.NO_SUCH_ROW({ table, key })
    const wanted = checked(table, given)
    const changed = Object.keys(wanted).filter(field => wanted[field] !== before[field])
    if (changed.length === 0) return
    const after = { ...before, ...wanted }
    this.#table(table).set(key, after)
    this.#tell(
      table,
      after,
      changed.map(field => ({ table, tableKey: key, field, kind: 'U' as const })),
    )
  }

  remove(table: TableName, keyFields: Row): void {
    const key = keyOf(table, checked(table, keyFields))
    const row = this.#table(table).get(key)
    if (!row) throw aleTwinErrors.NO_SUCH_ROW({ table, key })
    this.#table(table).delete(key)
    this.#tell(table, row, [{ table, tableKey: key, field: 'KEY', kind: 'D' }])
  }

  /** Rows of which these fields have these values, in the order of their keys. */
  find(table: TableName, wanted: Row = {}): readonly Row[] {
    const fields = Object.entries(checked(table, wanted))
    return [...this.#table(table).entries()]
      .filter(([, row]) => fields.every(([field, value]) => row[field] === value))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([, row]) => row)
  }

  #tell(table: TableName, row: Row, changes: readonly FieldChange[]): void {
    const { changes: trace }: Table = tables[table]
    if (trace) this.#onChange({ objectClass: trace.objectClass, objectId: row[trace.objectId] ?? '', changes })
  }

  #table(name: TableName): Map<string, Row> {
    const known = this.#rows.get(name)
    if (known) return known
    const rows = new Map<string, Row>()
    this.#rows.set(name, rows)
    return rows
  }
}

/** The key as one text, as CDPOS-TABKEY has it: the fields one after the other. */
function keyOf(table: TableName, row: Row): string {
  const { key, fields }: Table = tables[table]
  return key.map(field => (row[field] ?? '').padEnd(fields[field] ?? 0)).join('')
}

function checked(table: TableName, given: Row): Row {
  const { fields }: Table = tables[table]
  const row: Record<string, string> = {}
  for (const [field, value] of Object.entries(given)) {
    const length = fields[field]
    if (length === undefined) throw aleTwinErrors.NO_SUCH_FIELD({ table, field })
    if (value.length > length) throw aleTwinErrors.TOO_LONG({ table, field, length, value })
    row[field] = internal(field, value)
  }
  return row
}
