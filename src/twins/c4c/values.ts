import type { Json } from '../../kernel/json.ts'
import { refusals } from './c4c-error.ts'
import type { Kind, Property } from './schema.ts'

/** A value as the twin keeps it: texts, ISO moments and dates, digits of decimals. */
export type Value = string | boolean | null

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/** A value of a JSON body (JSON of OData V2: ticks for moments, text for decimals). */
export function valueInBody(property: Property, json: Json): Value {
  const { name, kind, length } = property
  const wrong = () => refusals.wrongValue(name, JSON.stringify(json))
  if (json === null) return kind === 'text' ? '' : null
  if (kind === 'flag') {
    if (typeof json === 'boolean') return json
    throw wrong()
  }
  if (typeof json !== 'string') throw wrong()
  switch (kind) {
    case 'moment':
    case 'date': {
      const ticks = /^\/Date\((-?\d{1,15})(?:[+-]\d{4})?\)\/$/.exec(json)?.[1]
      const iso = ticks === undefined ? isoOf(json) : new Date(Number(ticks)).toISOString()
      if (iso === undefined) throw wrong()
      if (kind === 'moment') return iso
      if (!iso.endsWith('T00:00:00.000Z')) throw wrong()
      return iso.slice(0, 10)
    }
    case 'decimal':
      if (!/^-?\d{1,3}(\.\d{1,2})?$/.test(json)) throw wrong()
      return json
    case 'guid':
      if (!uuid.test(json)) throw wrong()
      return json.toLowerCase()
    case 'binary':
      if (json.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(json)) throw wrong()
      return json
    case 'text':
      if (json.length > length) throw wrong()
      return json
  }
}

/** A value as a body of the service carries it. */
export function jsonOf(kind: Kind, value: Value): Json {
  if (value === null) return null
  if (kind === 'moment') return `/Date(${Date.parse(String(value))}+0000)/`
  if (kind === 'date') return `/Date(${Date.parse(`${String(value)}T00:00:00Z`)})/`
  return value
}

const literals: readonly { readonly kinds: readonly Kind[]; readonly pattern: RegExp; read(inner: string): Value }[] = [
  { kinds: ['text'], pattern: /^'((?:[^']|'')*)'/, read: inner => inner.replaceAll("''", "'") },
  { kinds: ['flag'], pattern: /^(true|false)(?!\w)/, read: inner => inner === 'true' },
  { kinds: ['guid'], pattern: /^guid'([0-9a-fA-F-]{36})'/, read: inner => inner.toLowerCase() },
  { kinds: ['moment'], pattern: /^datetimeoffset'([^']{10,40})'/, read: inner => isoOf(inner) ?? null },
  { kinds: ['date'], pattern: /^datetime'(\d{4}-\d\d-\d\d)T00:00:00'/, read: inner => inner },
  { kinds: ['decimal'], pattern: /^(-?\d+(?:\.\d+)?)[mM]?(?!\w)/, read: inner => inner },
]

/** The literal of a property at the beginning of a text, and how many letters it takes. */
export function literalAt(property: Property, text: string): { readonly value: Value; readonly letters: number } {
  for (const { kinds, pattern, read } of literals) {
    const match = pattern.exec(text)
    if (!match) continue
    const value = read(match[1] ?? '')
    if (!kinds.includes(property.kind) || value === null) throw refusals.wrongValue(property.name, match[0])
    return { value, letters: match[0].length }
  }
  throw refusals.wrongValue(property.name, text)
}

function isoOf(text: string): string | undefined {
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN
  return Number.isNaN(at) ? undefined : new Date(at).toISOString()
}
