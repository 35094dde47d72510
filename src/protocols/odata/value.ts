import type { Json } from '../../kernel/json.ts'
import { type EdmType, integerRanges } from './edm.ts'
import { odataErrors } from './errors.ts'

/**
 * The value of a property in the one form that the hub knows, whatever version of OData it came by:
 *
 * | type                 | form                                    |
 * | -------------------- | --------------------------------------- |
 * | Int64, Decimal       | text of digits, so that none is lost    |
 * | other numbers        | number; `NaN`, `INF`, `-INF` as text    |
 * | DateTime             | `2026-11-21T09:00:00`, no zone          |
 * | DateTimeOffset       | `2026-11-21T09:00:00Z`, or with offset  |
 * | Date, Time/TimeOfDay | `2026-11-21`, `09:00:00`                |
 * | Duration             | `P1DT2H`                                |
 * | Guid, Binary         | lower case with hyphens; base64         |
 *
 * Throws ODATA_VALUE_UNFIT with the `name` of the property when the value is not of the type.
 */
export function asEdmValue(type: EdmType, value: Json, name: string): Json {
  if (value === null) return null
  const unfit = (reason: string) => odataErrors.VALUE_UNFIT({ name, type, reason })
  const text = typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
  if (type === 'Edm.Boolean') {
    if (typeof value === 'boolean') return value
    throw unfit(`${shown(value)} is neither true nor false`)
  }
  if (text === undefined) throw unfit(`${shown(value)} is no single value`)
  const range = integerRanges[type]
  if (range) {
    if (!/^[+-]?\d{1,40}$/.test(text)) throw unfit(`${shown(value)} is no whole number`)
    const whole = BigInt(text)
    if (whole < range[0] || whole > range[1]) throw unfit(`${shown(value)} is out of range`)
    return type === 'Edm.Int64' ? String(whole) : Number(whole)
  }
  if (type === 'Edm.Double' || type === 'Edm.Single') {
    if (/^(NaN|-?INF)$/.test(text)) return text
    if (!/^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text)) throw unfit(`${shown(value)} is no number`)
    if (!Number.isFinite(Number(text))) throw unfit(`${shown(value)} is out of range`)
    return Number(text)
  }
  if (type === 'Edm.Decimal') {
    const decimal = typeof value === 'number' ? plainDigits(value) : text
    if (!/^[+-]?\d+(\.\d+)?$/.test(decimal)) throw unfit(`${shown(value)} is no decimal number`)
    return decimal.replace(/^\+/, '')
  }
  if (typeof value !== 'string') throw unfit(`${shown(value)} is no text`)
  const form = textForms[type]
  if (form === undefined) return value
  const formed = form(value)
  if (formed === undefined) throw unfit(`${shown(value)} is not of the form ${examples[type] ?? type}`)
  return formed
}

const day = String.raw`\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])`
const clock = String.raw`(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,12})?)?`
const dayOnly = new RegExp(`^${day}$`)
const dayAndTime = new RegExp(`^${day}T${clock}Z?$`)
const moment = new RegExp(`^${day}T${clock}(?:Z|[+-](?:0\\d|1[0-4]):[0-5]\\d)$`)
const timeOfDay = new RegExp(`^${clock}$`)
const shortDuration = /^PT(?:(\d{1,2})H)?(?:(\d{1,2})M)?(?:(\d{1,2})(\.\d{1,12})?S)?$/
const duration = /^-?P(?=.)(?:\d+D)?(?:T(?=.)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d{1,12})?S)?)?$/

const textForms: Partial<Record<EdmType, (text: string) => string | undefined>> = {
  'Edm.Guid': text => (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? text.toLowerCase() : undefined),
  'Edm.Binary': text => (isBase64(text) ? text : undefined),
  'Edm.Date': text => (dayOnly.test(text) && isDay(text) ? text : undefined),
  'Edm.DateTime'(text) {
    if (dayOnly.test(text)) return isDay(text) ? `${text}T00:00:00` : undefined
    // The type has no zone; a Z says no more than what the service means anyway.
    return dayAndTime.test(text) && isDay(text.slice(0, 10)) ? withSeconds(text.replace(/Z$/, '')) : undefined
  },
  'Edm.DateTimeOffset'(text) {
    if (!moment.test(text) || !isDay(text.slice(0, 10))) return undefined
    const zone = /(Z|[+-]\d\d:\d\d)$/.exec(text)?.[0] ?? 'Z'
    return `${withSeconds(text.slice(0, -zone.length))}${zone}`
  },
  'Edm.Time': text => (timeOfDay.test(text) ? withSeconds(text) : timeOfDuration(text)),
  'Edm.TimeOfDay': text => (timeOfDay.test(text) ? withSeconds(text) : undefined),
  'Edm.Duration': text => (duration.test(text) ? text : undefined),
}

const examples: Partial<Record<EdmType, string>> = {
  'Edm.Guid': '3f2504e0-4f89-11d3-9a0c-0305e82c3301',
  'Edm.Binary': 'base64',
  'Edm.Date': '2026-11-21',
  'Edm.DateTime': '2026-11-21T09:00:00',
  'Edm.DateTimeOffset': '2026-11-21T09:00:00Z',
  'Edm.Time': '09:00:00',
  'Edm.TimeOfDay': '09:00:00',
  'Edm.Duration': 'P1DT2H',
}

function isDay(text: string): boolean {
  const at = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text)
}

function withSeconds(text: string): string {
  return /:\d\d:\d\d/.test(text) ? text : `${text}:00`
}

/** `PT9H30M` of V2 as `09:30:00`. */
function timeOfDuration(text: string): string | undefined {
  const [whole, hours = '0', minutes = '0', seconds = '0', fraction = ''] = shortDuration.exec(text) ?? []
  if (whole === undefined || whole === 'PT' || Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59) {
    return undefined
  }
  return `${hours.padStart(2, '0')}:${minutes.padStart(2, '0')}:${seconds.padStart(2, '0')}${fraction}`
}

function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)
}

/** Digits without exponent: a number in a message is written `1e-7` from there on. */
function plainDigits(value: number): string {
  const text = String(value)
  const [, sign = '', lead = '', rest = '', exponent] = /^(-?)(\d+)(?:\.(\d+))?e([+-]\d+)$/.exec(text) ?? []
  if (exponent === undefined) return text
  const digits = lead + rest
  const point = lead.length + Number(exponent)
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  return point >= digits.length
    ? sign + digits.padEnd(point, '0')
    : `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

function shown(value: Json): string {
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
