import { isPlainObject } from '../flow/plain-object.ts'
import { bodyErrors } from '../kernel/body.ts'
import type { Json } from '../kernel/json.ts'

/** Columns that one CSV file may have. */
const csvColumnsMax = 2_000
const tooManyColumns = `there are more than ${csvColumnsMax} columns`

/** Rows of CSV (RFC 4180: quotes doubled inside quotes, CRLF or LF). Strict: throws BODY_NOT_TEXT with the line. */
export function* parseCsv(text: string, separator: string): Generator<readonly string[]> {
  let row: string[] = []
  let line = 1
  let at = text.startsWith('\uFEFF') ? 1 : 0
  const broken = (why: string) => bodyErrors.NOT_TEXT({ format: 'CSV', text: `${why} in line ${line}` })
  while (at < text.length) {
    let field = ''
    if (text[at] === '"') {
      const begun = line
      for (at++; ; ) {
        const quote = text.indexOf('"', at)
        if (quote < 0) {
          line = begun
          throw broken('a quote is not closed')
        }
        const piece = text.slice(at, quote)
        line += piece.split('\n').length - 1
        field += piece
        at = quote + 1
        if (text[at] !== '"') break
        field += '"'
        at++
      }
      if (at < text.length && text[at] !== separator && text[at] !== '\n' && text[at] !== '\r')
        throw broken('text stands behind a quoted field')
    } else {
      const start = at
      while (at < text.length && text[at] !== separator && text[at] !== '\n' && text[at] !== '\r') at++
      field = text.slice(start, at)
      if (field.includes('"')) throw broken('a quote stands inside an unquoted field')
    }
    row.push(field)
    if (row.length > csvColumnsMax) throw broken(tooManyColumns)
    if (text[at] === separator) {
      at++
      if (at === text.length) row.push('')
      continue
    }
    if (text[at] === '\r') at++
    if (text[at] === '\n') at++
    yield row
    row = []
    line++
  }
  if (row.length > 0) yield row
}

/** Rows as objects by the names in the first row. Throws BODY_NOT_TEXT when a row has another number of fields. */
export function* csvRecords(rows: Iterable<readonly string[]>): Generator<Readonly<Record<string, string>>> {
  let names: readonly string[] | undefined
  let number = 0
  for (const row of rows) {
    if (!names) {
      names = namesIn(row)
      continue
    }
    number++
    if (row.length !== names.length) {
      const why = `record ${number} has ${row.length} fields, and there are ${names.length} columns`
      throw bodyErrors.NOT_TEXT({ format: 'CSV', text: why })
    }
    yield Object.fromEntries(names.map((name, column) => [name, row[column] ?? '']))
  }
}

function namesIn(row: readonly string[]): readonly string[] {
  const double = row.find((name, index) => row.indexOf(name) !== index)
  if (double !== undefined) throw bodyErrors.NOT_TEXT({ format: 'CSV', text: `two columns are called "${double}"` })
  return row
}

/** Lines of CSV, each with its CRLF, for a JSON list of objects (columns: all keys, in order of appearance) or of lists. */
export function* formatCsv(value: Json, separator: string, hasHeader: boolean): Generator<string> {
  if (!Array.isArray(value)) throw bodyErrors.NOT_TEXT({ format: 'CSV', text: 'it is not a list of records' })
  const records: readonly Json[] = value
  const line = (fields: readonly Json[]) => `${fields.map(field => formatField(field, separator)).join(separator)}\r\n`
  if (records.every(record => Array.isArray(record))) {
    for (const record of records) yield line(record)
    return
  }
  const names = columnsOf(records)
  if (hasHeader) yield line(names)
  for (const record of records) {
    if (!isPlainObject(record)) throw bodyErrors.NOT_TEXT({ format: 'CSV', text: 'records and other values are mixed' })
    // What stands in no record of its own (`constructor`) stands in every object of JavaScript.
    yield line(names.map(name => (Object.hasOwn(record, name) ? (record[name] as Json) : null)))
  }
}

function columnsOf(records: readonly Json[]): readonly string[] {
  const names = new Set<string>()
  for (const record of records) {
    if (isPlainObject(record)) for (const name of Object.keys(record)) names.add(name)
    if (names.size > csvColumnsMax) throw bodyErrors.NOT_TEXT({ format: 'CSV', text: tooManyColumns })
  }
  return [...names]
}

function formatField(value: Json, separator: string): string {
  if (value === null) return ''
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  return text.includes(separator) || /["\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
