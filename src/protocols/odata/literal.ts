import type { Json } from '../../kernel/json.ts'
import { type EdmType, isTypeOf, type ODataVersion } from './edm.ts'
import { odataErrors } from './errors.ts'
import { asEdmValue } from './value.ts'

/**
 * A value as it stands in a key, a filter or a parameter of a function, not yet percent-encoded. V2: MS-ODATA 2.2.2,
 * `datetime'2026-11-21T00:00:00'`; V4: OData URL Conventions section 5.1.1.6.1, bare. Whatever a message says, it stays
 * one literal: quotes are doubled, all other types are checked. Throws ODATA_VALUE_UNFIT.
 */
export function formatLiteral(version: ODataVersion, type: EdmType, value: Json, name: string): string {
  if (!isTypeOf(version, type)) {
    throw odataErrors.VALUE_UNFIT({ name, type, reason: `OData ${version.toUpperCase()} has no such type` })
  }
  const edm = asEdmValue(type, value, name)
  if (edm === null) return 'null'
  const text = String(edm)
  if (type === 'Edm.String') return quoted(text, name)
  return version === 'v2' ? formatV2(type, text) : formatV4(type, text)
}

/** The literal of a value whose type nobody named: text is quoted, numbers and booleans stand as they are. */
export function formatUntyped(version: ODataVersion, value: Json, name: string): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return quoted(value, name)
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number') {
    return formatLiteral(version, Number.isSafeInteger(value) ? 'Edm.Int32' : 'Edm.Decimal', value, name)
  }
  throw odataErrors.VALUE_UNFIT({ name, type: 'a single value', reason: 'it is a list or a group of keys' })
}

/** The value of a literal; the way back of formatLiteral. Throws ODATA_VALUE_UNFIT. */
export function parseLiteral(version: ODataVersion, type: EdmType, literal: string, name: string): Json {
  if (literal === 'null') return null
  const unfit = () => odataErrors.VALUE_UNFIT({ name, type, reason: `${literal.slice(0, 60)} is no literal of it` })
  if (type === 'Edm.String') {
    const inner = /^'((?:[^']|'')*)'$/s.exec(literal)?.[1]
    if (inner === undefined) throw unfit()
    return inner.replaceAll("''", "'")
  }
  if (type === 'Edm.Boolean') {
    if (literal === 'true' || literal === 'false') return literal === 'true'
    throw unfit()
  }
  const inner = version === 'v2' ? innerV2(type, literal) : innerV4(type, literal)
  if (inner === undefined) throw unfit()
  return asEdmValue(type, inner, name)
}

const prefixes: Partial<Record<EdmType, string>> = {
  'Edm.DateTime': 'datetime',
  'Edm.DateTimeOffset': 'datetimeoffset',
  'Edm.Guid': 'guid',
  'Edm.Time': 'time',
}
const suffixes: Partial<Record<EdmType, string>> = {
  'Edm.Decimal': 'M',
  'Edm.Double': 'd',
  'Edm.Int64': 'L',
  'Edm.Single': 'f',
}

function formatV2(type: EdmType, text: string): string {
  if (type === 'Edm.Binary') return `X'${Buffer.from(text, 'base64').toString('hex')}'`
  if (type === 'Edm.Time') return `time'${durationOfTime(text)}'`
  const prefix = prefixes[type]
  if (prefix !== undefined) return `${prefix}'${text}'`
  return /^(NaN|-?INF)$/.test(text) ? text : `${text}${suffixes[type] ?? ''}`
}

function innerV2(type: EdmType, literal: string): string | undefined {
  if (type === 'Edm.Binary') {
    const hex = /^(?:X|binary)'((?:[0-9a-f]{2})*)'$/i.exec(literal)?.[1]
    return hex === undefined ? undefined : Buffer.from(hex, 'hex').toString('base64')
  }
  const prefix = prefixes[type]
  if (prefix !== undefined) return new RegExp(`^${prefix}'([^']*)'$`).exec(literal)?.[1]
  const suffix = suffixes[type]
  if (suffix === undefined || /^(NaN|-?INF)$/.test(literal)) return literal
  return new RegExp(`^(.*)${suffix}$`, 'i').exec(literal)?.[1]
}

function formatV4(type: EdmType, text: string): string {
  if (type === 'Edm.Binary') return `binary'${Buffer.from(text, 'base64').toString('base64url')}'`
  return type === 'Edm.Duration' ? `duration'${text}'` : text
}

function innerV4(type: EdmType, literal: string): string | undefined {
  if (type === 'Edm.Duration') return /^(?:duration)?'([^']*)'$/.exec(literal)?.[1]
  if (type !== 'Edm.Binary') return literal
  const inner = /^binary'([A-Za-z0-9_-]*={0,2})'$/.exec(literal)?.[1]
  return inner === undefined ? undefined : Buffer.from(inner, 'base64url').toString('base64')
}

/** `09:30:00` as `PT9H30M0S` (XML Schema duration, as V2 writes times of day). */
export function durationOfTime(text: string): string {
  const [hours = '0', minutes = '0', seconds = '0'] = text.split(':')
  return `PT${Number(hours)}H${Number(minutes)}M${seconds.replace(/^0(?=\d)/, '')}S`
}

function quoted(text: string, name: string): string {
  // JSON can carry half of a surrogate pair (\ud800), an address cannot.
  if (!text.isWellFormed()) {
    throw odataErrors.VALUE_UNFIT({ name, type: 'Edm.String', reason: 'it holds half of a character' })
  }
  return `'${text.replaceAll("'", "''")}'`
}
