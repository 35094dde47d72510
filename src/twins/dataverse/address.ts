import type { Json } from '../../kernel/json.ts'
import { DataverseError, refusals } from './dataverse-error.ts'
import { columnNamed, type Table } from './model.ts'
import type { Row, RowStore } from './rows.ts'
import { checkValue, isGuid } from './values.ts'

/** A record by its address: the id, or the values of an alternate key. */
export interface RecordAddress {
  readonly table: Table
  readonly id: string | undefined
  readonly key: Readonly<Record<string, Json>>
}

/** `accounts(accountnumber='1001')` or `accounts(<guid>)`, percent-decoded already. */
export function readAddress(store: RowStore, segment: string): RecordAddress {
  const [, set = '', inner] = /^(\w+)\((.*)\)$/s.exec(segment) ?? []
  const table = store.tableOfSet(set)
  if (!table || inner === undefined) throw refusals.segment(set || segment)
  const bare = inner.replace(new RegExp(`^${table.id}=`), '')
  if (isGuid(bare)) return { table, id: bare.toLowerCase(), key: {} }
  const key: Record<string, Json> = {}
  for (const part of splitOutsideQuotes(inner, ',')) {
    const [, name = '', literal = ''] = /^\s*(\w+)\s*=\s*(.+)$/s.exec(part) ?? []
    const found = columnNamed(table, name)
    if (!found) throw refusals.query(`Bad Request - Error in query syntax. (${table.set})`)
    const value = readLiteral(literal.trim())
    // Microsoft, "Define alternate keys": values with these characters do not work in GET and PATCH.
    if (typeof value === 'string' && /[/<>*%&:\\?+]/.test(value)) {
      throw new DataverseError(400, '0x80060888', 'Bad Request - Error in query syntax.')
    }
    key[found.name] = found.column.kind === 'lookup' ? value : checkValue(table, found.name, found.column, value)
  }
  return { table, id: undefined, key }
}

/** The record of an address; undefined when there is none. */
export function findAddressed(store: RowStore, { table, id, key }: RecordAddress): Row | undefined {
  return id === undefined ? store.byKey(table, key) : store.get(table, id)
}

export function requireAddressed(store: RowStore, address: RecordAddress): Row {
  const row = findAddressed(store, address)
  if (row) return row
  const { table, id } = address
  throw id === undefined ? refusals.noKey(table.logicalName) : refusals.noRecord(table.logicalName, id)
}

/** `'O''Neil'`, a number, true, false, null or a bare GUID. */
export function readLiteral(literal: string): Json {
  const text = /^'((?:[^']|'')*)'$/s.exec(literal)?.[1]
  if (text !== undefined) return text.replaceAll("''", "'")
  if (literal === 'null') return null
  if (literal === 'true' || literal === 'false') return literal === 'true'
  if (isGuid(literal)) return literal.toLowerCase()
  if (/^-?\d+(\.\d+)?$/.test(literal)) return Number(literal)
  if (/^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(literal)) return literal
  throw refusals.query(`Unrecognized literal '${literal.slice(0, 60)}'.`)
}

export function splitOutsideQuotes(text: string, separator: string): readonly string[] {
  const parts: string[] = []
  let part = ''
  let isQuoted = false
  let depth = 0
  for (const letter of text) {
    if (letter === "'") isQuoted = !isQuoted
    if (!isQuoted && letter === '(') depth += 1
    if (!isQuoted && letter === ')') depth -= 1
    if (letter === separator && !isQuoted && depth === 0) {
      parts.push(part)
      part = ''
    } else part += letter
  }
  return [...parts, part]
}
