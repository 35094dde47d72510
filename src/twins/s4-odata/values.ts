import type { Json } from '../../kernel/json.ts'
import { refusals } from './sap-error.ts'
import type { Kind, Property, Version } from './schema.ts'

/**
 * A value as the twin keeps it: texts, ISO dates and times, numbers of arbitrary length as digits. Written apart from
 * the hub's own client, so that a mistake there is not repeated here.
 */
export type Value = string | number | boolean | null

/** A literal of a URL with what it claims to be. */
export interface Literal {
  readonly kinds: readonly Kind[]
  readonly value: Value
  readonly text: string
}

interface Form {
  readonly pattern: RegExp
  readonly kinds: readonly Kind[]
  readonly read: (inner: string) => Value
}

const same = (inner: string) => inner
const day = /^\d{4}-\d\d-\d\d/
const unquote = (inner: string) => inner.replaceAll("''", "'")
const pad = (text: string | undefined) => (text ?? '0').padStart(2, '0')

function dayOf(inner: string): Value {
  return /T00:00:00(\.0+)?$/.test(inner) ? (day.exec(inner)?.[0] ?? null) : null
}

function timeOf(inner: string): Value {
  const [, hours, minutes, seconds] = /^PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?$/.exec(inner) ?? []
  return `${pad(hours)}:${pad(minutes)}:${pad(seconds)}`
}

const common: readonly Form[] = [
  { pattern: /^'((?:[^']|'')*)'/, kinds: ['text'], read: unquote },
  { pattern: /^(true|false)(?![\w.-])/, kinds: ['flag'], read: inner => inner === 'true' },
  {
    pattern: /^(null)(?![\w.-])/,
    kinds: ['text', 'date', 'moment', 'time', 'decimal', 'long', 'short', 'flag', 'guid'],
    read: () => null,
  },
]

const uuid = '[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}'

const forms: Readonly<Record<Version, readonly Form[]>> = {
  v2: [
    ...common,
    { pattern: /^datetime'(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,7})?)?)'/, kinds: ['date'], read: dayOf },
    { pattern: /^datetimeoffset'([^']{10,40})'/, kinds: ['moment'], read: momentOf },
    { pattern: /^time'(PT[^']{1,20})'/, kinds: ['time'], read: timeOf },
    { pattern: new RegExp(`^guid'(${uuid})'`), kinds: ['guid'], read: inner => inner.toLowerCase() },
    { pattern: /^(-?\d+(?:\.\d+)?)[mM](?!\w)/, kinds: ['decimal'], read: same },
    { pattern: /^(-?\d+)[lL](?!\w)/, kinds: ['long', 'decimal'], read: same },
    { pattern: /^(-?\d+)(?![\w.])/, kinds: ['short', 'long', 'decimal'], read: same },
  ],
  v4: [
    ...common,
    { pattern: new RegExp(`^(${uuid})(?![\\w-])`), kinds: ['guid'], read: inner => inner.toLowerCase() },
    {
      pattern: /^(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))/,
      kinds: ['moment'],
      read: momentOf,
    },
    { pattern: /^(\d{4}-\d\d-\d\d)(?![\w:-])/, kinds: ['date'], read: same },
    {
      pattern: /^(\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(?![\w:])/,
      kinds: ['time'],
      read: inner => inner.slice(0, 8).padEnd(8, ':00'),
    },
    { pattern: /^(-?\d+\.\d+)(?!\w)/, kinds: ['decimal'], read: same },
    { pattern: /^(-?\d+)(?![\w.-])/, kinds: ['short', 'long', 'decimal'], read: same },
  ],
}

/** The literal at the beginning of a text, with how many letters it takes. */
export function literalAt(
  version: Version,
  text: string,
): { readonly literal: Literal; readonly letters: number } | undefined {
  for (const { pattern, kinds, read } of forms[version]) {
    const match = pattern.exec(text)
    if (match) return { literal: { kinds, value: read(match[1] ?? ''), text: match[0] }, letters: match[0].length }
  }
  return undefined
}

/** The value of a literal that must be of the kind of a property. */
export function valueFor(property: Property, literal: Literal): Value {
  const { name, kind } = property
  if (!literal.kinds.includes(kind)) throw refusals.wrongLiteral(name, literal.text)
  if (literal.value === null && literal.text !== 'null') throw refusals.wrongLiteral(name, literal.text)
  // A text that is too long for its property simply matches nothing.
  if (kind === 'text') return literal.value
  return checked(property, kind === 'short' && literal.value !== null ? Number(literal.value) : literal.value)
}

/** A value of a JSON body, which has the form of its version. */
export function valueInBody(version: Version, property: Property, json: Json): Value {
  if (json === null) return null
  const { kind, name } = property
  const wrong = () => refusals.wrongValue(name, JSON.stringify(json).slice(0, 80))
  if (kind === 'flag') {
    if (typeof json === 'boolean') return json
    throw wrong()
  }
  if (kind === 'short') {
    if (typeof json === 'number' && Number.isInteger(json)) return checked(property, json)
    throw wrong()
  }
  if (kind === 'decimal' || kind === 'long') {
    // V2 writes them as texts, V4 as numbers.
    if (typeof json !== (version === 'v2' ? 'string' : 'number')) throw wrong()
    return checked(property, String(json))
  }
  if (typeof json !== 'string') throw wrong()
  if (version === 'v2' && (kind === 'date' || kind === 'moment')) {
    const ticks = /^\/Date\((-?\d+)(?:[+-]\d+)?\)\/$/.exec(json)?.[1]
    if (ticks === undefined) throw wrong()
    const iso = new Date(Number(ticks)).toISOString()
    if (kind === 'date' && !iso.endsWith('T00:00:00.000Z')) throw wrong()
    return kind === 'date' ? iso.slice(0, 10) : iso
  }
  if (version === 'v2' && kind === 'time') {
    if (!/^PT(\d+H)?(\d+M)?(\d+S)?$/.test(json)) throw wrong()
    return timeOf(json)
  }
  if (kind === 'date' && !/^\d{4}-\d\d-\d\d$/.test(json)) throw wrong()
  if (kind === 'time' && !/^\d\d:\d\d:\d\d(\.\d+)?$/.test(json)) throw wrong()
  if (kind === 'moment') {
    const moment = momentOf(json)
    if (moment === null) throw wrong()
    return moment
  }
  if (kind === 'guid' && !new RegExp(`^${uuid}$`).test(json)) throw wrong()
  return checked(property, kind === 'guid' ? json.toLowerCase() : json)
}

/** A value as a body carries it. */
export function jsonOf(version: Version, kind: Kind, value: Value): Json | DigitText {
  if (value === null) return null
  if (version === 'v4') return kind === 'decimal' || kind === 'long' ? new DigitText(String(value)) : value
  if (kind === 'date') return `/Date(${Date.parse(`${String(value)}T00:00:00Z`)})/`
  if (kind === 'moment') return `/Date(${Date.parse(String(value))}+0000)/`
  if (kind !== 'time') return value
  const [hours, minutes, seconds] = String(value).split(':')
  return `PT${hours}H${minutes}M${seconds}S`
}

/** A value as a URL carries it. */
export function literalOf(version: Version, kind: Kind, value: Value): string {
  const text = String(value)
  if (kind === 'text') return `'${text.replaceAll("'", "''")}'`
  if (version === 'v4') return text
  if (kind === 'date') return `datetime'${text}T00:00:00'`
  if (kind === 'moment') return `datetimeoffset'${text}'`
  if (kind === 'guid') return `guid'${text}'`
  if (kind === 'decimal') return `${text}M`
  return kind === 'long' ? `${text}L` : text
}

/** Digits that stand bare in JSON, however many they are. */
export class DigitText {
  readonly digits: string
  constructor(digits: string) {
    this.digits = digits
  }
}

function momentOf(text: string): Value {
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? null : new Date(at).toISOString()
}

function checked(property: Property, value: Value): Value {
  const { name, kind, length, scale } = property
  if (kind === 'text' && String(value ?? '').length > (length ?? 0)) throw refusals.wrongValue(name, String(value))
  if (kind === 'short' && value !== null && Math.abs(Number(value)) > 32_767)
    throw refusals.wrongValue(name, String(value))
  if (kind === 'long' && value !== null && !/^-?\d{1,19}$/.test(String(value)))
    throw refusals.wrongValue(name, String(value))
  if (kind === 'decimal' && value !== null) {
    const [, whole = '', fraction = ''] = /^-?(\d+)(?:\.(\d+))?$/.exec(String(value)) ?? []
    const isTooLong = fraction.length > (scale ?? 0) || whole.length > (length ?? 0) - (scale ?? 0)
    if (whole === '' || isTooLong) throw refusals.wrongValue(name, String(value))
  }
  return value
}
