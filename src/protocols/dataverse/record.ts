import type { Json, JsonObject } from '../../kernel/json.ts'
import { isGroup } from '../odata/json.ts'
import type { RecordKey } from './key.ts'

/** Key under which a record has the fields that only a new one takes (see src/mapping). */
const createOnlyKey = '@create'
/** The same for the fields of a new one that is made without the references of those. */
const unlinkedKey = '@unlinked'

/** A record on its way, its key apart from its fields. */
export interface RecordToWrite {
  readonly key: RecordKey | undefined
  /** Without the columns of the key. */
  readonly values: JsonObject
  /** What only a new record takes, without the columns of the key. */
  readonly createOnly: JsonObject
  /** The whole of a new record, the columns of the key among it. */
  readonly forNew: JsonObject
  /** The whole of a new record without what `createOnly` refers to; undefined: it is not made without. */
  readonly unlinked: JsonObject | undefined
}

export function recordOf(key: RecordKey | undefined, body: JsonObject): RecordToWrite {
  const { values, createOnly, unlinked } = fieldsOf(body)
  const columns = key && 'columns' in key ? key.columns : {}
  const names = Object.keys(columns)
  // What an address calls _name_value is no column that a body can have.
  const own = Object.fromEntries(Object.entries(columns).filter(([name]) => !/^_\w+_value$/.test(name)))
  const bare = withoutColumns(createOnly, names)
  const unbound = Object.fromEntries(Object.entries(bare).filter(([name]) => !name.endsWith('@odata.bind')))
  const without = unlinked && { ...own, ...values, ...unbound, ...unlinked }
  const references = Object.entries(bare).filter(([name]) => name.endsWith('@odata.bind'))
  const refersToNone = references.length === 0 || references.some(([, value]) => value === null)
  return {
    key,
    values: withoutColumns(values, names),
    createOnly: bare,
    forNew: without && refersToNone ? without : { ...own, ...values, ...bare },
    unlinked: without,
  }
}

/** True when a new record is nothing else than a changed one. */
export function isPlainRecord({ createOnly, unlinked }: RecordToWrite): boolean {
  return Object.keys(createOnly).length === 0 && unlinked === undefined
}

/** The columns of an alternate key. */
export function columnsOf(key: RecordKey | undefined): readonly string[] {
  return key && 'columns' in key ? Object.keys(key.columns) : []
}

function fieldsOf(body: JsonObject) {
  const { [createOnlyKey]: createOnly, [unlinkedKey]: unlinked, ...values } = body
  return {
    values,
    createOnly: isGroup(createOnly) ? createOnly : {},
    unlinked: isGroup(unlinked) ? unlinked : undefined,
  }
}

/** The fields of a change: the values of the key are in the address, and Dataverse does not want them twice. */
export function withoutColumns(values: JsonObject, columns: readonly string[]): JsonObject {
  if (columns.length === 0) return values
  return Object.fromEntries(Object.entries(values).filter(([name]) => !columns.includes(name)))
}

// JSON.rawJSON writes a number as it was read (TC39 "JSON.parse source text access"); the types do not know it yet.
const { parse, rawJSON } = JSON as unknown as {
  parse(text: string, reviver?: (key: string, value: unknown, context: { readonly source?: string }) => unknown): Json
  rawJSON(text: string): Json
}

/** JSON of which no digit is lost when JSON.stringify writes it again. */
export function parseKeepingDigits(text: string): Json {
  if (!/\d[\d.]{15}|\d[eE]\d/.test(text)) return parse(text)
  return parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? rawJSON(source) : value,
  )
}
