import type { Json, JsonObject } from '../../kernel/json.ts'
import { isGroup } from '../odata/json.ts'

/** Key under which a record has the fields that only a new one takes (see src/mapping). */
const createOnlyKey = '@create'

/** A record as the flow hands it over. */
export interface RecordFields {
  readonly values: JsonObject
  /** What only a new record takes. */
  readonly createOnly: JsonObject
}

export function fieldsOf(body: JsonObject): RecordFields {
  const { [createOnlyKey]: createOnly, ...values } = body
  return { values, createOnly: isGroup(createOnly) ? createOnly : {} }
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
