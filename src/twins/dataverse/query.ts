import type { Json, JsonObject } from '../../kernel/json.ts'
import { readLiteral, splitOutsideQuotes } from './address.ts'
import { refusals } from './dataverse-error.ts'
import { readFilter } from './filter.ts'
import { columnNamed, shownName, type Table } from './model.ts'
import type { Row, RowStore } from './rows.ts'
import { etagOf } from './write.ts'

/** Query options by name, decoded. */
export type QueryFields = ReadonlyMap<string, string>

const known = new Set(['$select', '$filter', '$top', '$orderby', '$expand', '$count', '$skiptoken'])
const pageSize = 5000

export function readFields(search: string): QueryFields {
  const fields = new Map<string, string>()
  for (const part of search
    .replace(/^\?/, '')
    .split('&')
    .filter(each => each !== '')) {
    const [name = '', ...value] = part.split('=')
    const decode = (text: string) => decodeURIComponent(text.replaceAll('+', '%20'))
    try {
      fields.set(decode(name), decode(value.join('=')))
    } catch {
      throw refusals.query('Bad Request - Error in query syntax.')
    }
  }
  return fields
}

/** A record as JSON: with its ETag and id, and the columns of $select or all of them. */
export function showRecord(store: RowStore, table: Table, row: Row, fields: QueryFields): JsonObject {
  requireKnown(fields)
  const select = selected(table, fields.get('$select'))
  const shown: Record<string, Json> = { '@odata.etag': etagOf(row) }
  for (const [name, column] of Object.entries(table.columns)) {
    const as = shownName(name, column)
    if (!select || select.has(as)) shown[as] = row.values[name] ?? null
  }
  shown[table.id] = row.id
  for (const { navigation, options } of expandsOf(fields.get('$expand') ?? '')) {
    const [column, target] = navigationOf(table, navigation)
    const other = store.table(target)
    const id = row.values[column] ?? null
    const related = id === null ? undefined : store.get(other, String(id))
    shown[navigation] = related ? showRecord(store, other, related, readFields(options.replaceAll(';', '&'))) : null
  }
  return shown
}

/** The records of a set that a query asks for. `wanted`: records of one page, by Prefer: odata.maxpagesize. */
export function queryRecords(
  store: RowStore,
  table: Table,
  fields: QueryFields,
  { origin, root, wanted }: { readonly origin: string; readonly root: string; readonly wanted: number | undefined },
): JsonObject {
  requireKnown(fields)
  // What is wrong with a query is said also where there is no record to show.
  requireShape(table, fields)
  const filter = fields.get('$filter')
  const matches = filter === undefined ? () => true : readFilter(filter, name => requireColumn(table, name))
  const all = ordered(
    table,
    candidates(store, table, filter).filter(row => matches(name => valueNamed(table, row, name))),
    fields.get('$orderby'),
  )
  const top = wholeOf(fields.get('$top'), '$top')
  const start = wholeOf(fields.get('$skiptoken'), '$skiptoken') ?? 0
  const limited = top === undefined ? all : all.slice(0, top)
  const size = Math.min(wanted ?? pageSize, pageSize)
  const page = limited.slice(start, start + size)
  const rest = new Map([...fields].filter(([name]) => name !== '$skiptoken'))
  const query = [...rest, ['$skiptoken', String(start + size)] as const]
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join('&')
  return {
    '@odata.context': `${origin}${root}$metadata#${table.set}`,
    ...(fields.get('$count') === 'true' && { '@odata.count': Math.min(all.length, 5000) }),
    value: page.map(row => showRecord(store, table, row, fields)),
    ...(start + size < limited.length && { '@odata.nextLink': `${origin}${root}${table.set}?${query}` }),
  }
}

function requireKnown(fields: QueryFields): void {
  const unknown = [...fields.keys()].find(name => name.startsWith('$') && !known.has(name))
  if (unknown !== undefined) throw refusals.query(`The query parameter ${unknown} is not supported`)
}

/** The records that can match: one at most where the filter asks for a key, as an index of the database would have it. */
function candidates(store: RowStore, table: Table, filter: string | undefined): readonly Row[] {
  const [, name = '', literal = ''] = /^(\w+) eq ('(?:[^']|'')*')$/.exec(filter ?? '') ?? []
  const isKey = table.keys.some(({ columns, state }) => columns.join() === name && (state ?? 'Active') === 'Active')
  if (!isKey) return store.all(table)
  const row = store.byKey(table, { [name]: readLiteral(literal) })
  return row ? [row] : []
}

function requireShape(table: Table, fields: QueryFields): void {
  selected(table, fields.get('$select'))
  for (const { name } of ordersOf(fields.get('$orderby') ?? '')) requireColumn(table, name)
  for (const { navigation } of expandsOf(fields.get('$expand') ?? '')) navigationOf(table, navigation)
}

function expandsOf(text: string) {
  return splitOutsideQuotes(text, ',')
    .filter(each => each.trim() !== '')
    .map(each => {
      const [, navigation = '', options = ''] = /^(\w+)(?:\((.*)\))?$/s.exec(each.trim()) ?? []
      return { navigation, options }
    })
}

function ordersOf(text: string) {
  if (text === '') return []
  return text.split(',').map(part => {
    const [, name = '', direction = 'asc'] = /^\s*(\w+)(?:\s+(asc|desc))?\s*$/.exec(part) ?? []
    return { name, sign: direction === 'desc' ? -1 : 1 }
  })
}

function selected(table: Table, text: string | undefined): ReadonlySet<string> | undefined {
  if (text === undefined || text === '') return undefined
  const names = text.split(',').map(name => name.trim())
  for (const name of names) requireColumn(table, name)
  return new Set(names)
}

function requireColumn(table: Table, name: string) {
  const found = columnNamed(table, name)
  if (found) return found
  const type = `Microsoft.Dynamics.CRM.${table.logicalName}`
  throw refusals.query(`Could not find a property named '${name}' on type '${type}'.`)
}

function valueNamed(table: Table, row: Row, name: string): Json {
  const found = requireColumn(table, name)
  return found.name === table.id ? row.id : (row.values[found.name] ?? null)
}

function navigationOf(table: Table, navigation: string): readonly [column: string, target: string] {
  for (const [name, column] of Object.entries(table.columns)) {
    const target = column.kind === 'lookup' ? column.navigation[navigation] : undefined
    if (target !== undefined) return [name, target]
  }
  throw refusals.query(
    `Could not find a property named '${navigation}' on type 'Microsoft.Dynamics.CRM.${table.logicalName}'.`,
  )
}

function ordered(table: Table, rows: readonly Row[], orderby: string | undefined): readonly Row[] {
  if (orderby === undefined) return rows
  const orders = ordersOf(orderby)
  return rows.toSorted((one, other) => {
    for (const { name, sign } of orders) {
      const [first, second] = [valueNamed(table, one, name) ?? '', valueNamed(table, other, name) ?? '']
      if (first !== second) return first < second ? -sign : sign
    }
    return 0
  })
}

function wholeOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw refusals.query(`Invalid value '${text.slice(0, 60)}' for ${name} query option.`)
}
