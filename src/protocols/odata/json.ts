import type { Json, JsonObject } from '../../kernel/json.ts'
import type { EdmType, ODataVersion } from './edm.ts'
import { odataErrors } from './errors.ts'
import { odataLimits } from './limits.ts'
import { durationOfTime } from './literal.ts'
import type { EntityType } from './model.ts'
import { asEdmValue } from './value.ts'

/** An entity as the hub shows it: plain values, no links and deferred parts; the ETag stands as `@odata.etag`. */
export function readEntity(version: ODataVersion, type: EntityType | undefined, given: Json): Json {
  return readValue(version, type, given, 0)
}

function readValue(version: ODataVersion, type: EntityType | undefined, given: Json, depth: number): Json {
  if (depth > odataLimits.depth) throw new RangeError('it is nested too deeply')
  if (isList(given)) return given.map(each => readValue(version, type, each, depth + 1))
  if (!isGroup(given)) return given
  const fields: [string, Json][] = []
  for (const [name, value] of Object.entries(given)) {
    if (version === 'v2' && name === '__metadata') {
      const etag = isGroup(value) ? value['etag'] : undefined
      if (typeof etag === 'string') fields.push(['@odata.etag', etag])
      continue
    }
    const edm = type?.properties.get(name)
    if (edm !== undefined) {
      fields.push([name, readProperty(version, edm, value)])
      continue
    }
    const inner = version === 'v2' ? unwrapped(value) : value
    if (inner === undefined) continue
    fields.push([
      name,
      type === undefined && version === 'v2'
        ? guessed(inner, depth)
        : readValue(version, type?.navigation.get(name), inner, depth + 1),
    ])
  }
  return Object.fromEntries(fields)

  function guessed(value: Json, at: number): Json {
    return typeof value === 'string' ? (dateOf(value) ?? value) : readValue(version, undefined, value, at + 1)
  }
}

/** Deferred navigation is left out, and lists of V2 lose their wrap. */
function unwrapped(value: Json): Json | undefined {
  if (!isGroup(value)) return value
  if (isGroup(value['__deferred'])) return undefined
  return isList(value['results']) ? value['results'] : value
}

/** A property out of JSON; what is not of its type is left as it came, since only the service can tell why. */
function readProperty(version: ODataVersion, type: EdmType, value: Json): Json {
  const date = version === 'v2' && typeof value === 'string' ? dateOf(value) : undefined
  const plain = date ?? value
  try {
    if (type === 'Edm.DateTimeOffset' && date !== undefined) return `${date}Z`
    return asEdmValue(type, plain, '')
  } catch {
    return plain
  }
}

/** `/Date(1763683200000+0060)/` as `2025-11-21T00:00:00`: the ticks are UTC, the offset says only how to show them. */
function dateOf(text: string): string | undefined {
  const ticks = /^\/Date\((-?\d{1,16})([+-]\d{1,4})?\)\/$/.exec(text)?.[1]
  if (ticks === undefined) return undefined
  const at = new Date(Number(ticks))
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString().replace(/(?:\.000)?Z$/, '')
}

/**
 * A body in the form the service takes: by the types of its model, nested entities included. Without a type it goes as
 * it is. Throws ODATA_VALUE_UNFIT, and what `unknown` makes of a name that the type does not have.
 */
export function writeEntity(
  version: ODataVersion,
  type: EntityType | undefined,
  body: Json,
  unknown: ((name: string, type: EntityType) => Error) | undefined,
): string {
  return exactJson(formed(version, type, body, unknown, 0))
}

function formed(
  version: ODataVersion,
  type: EntityType | undefined,
  value: Json,
  unknown: ((name: string, type: EntityType) => Error) | undefined,
  depth: number,
): Formed {
  if (depth > odataLimits.depth) {
    throw odataErrors.VALUE_UNFIT({ name: 'body', type: 'an entity', reason: 'it is nested too deeply' })
  }
  if (isList(value)) return value.map(each => formed(version, type, each, unknown, depth + 1))
  if (!isGroup(value)) return value
  const fields: [string, Formed][] = []
  for (const [name, each] of Object.entries(value)) {
    // The ETag travels in If-Match, not in the entity.
    if (name === '@odata.etag') continue
    if (type && !name.includes('@')) {
      const edm = type.properties.get(name)
      if (edm !== undefined) {
        fields.push([name, writeProperty(version, edm, each, name)])
        continue
      }
      if (unknown && !type.properties.has(name) && !type.navigation.has(name)) throw unknown(name, type)
    }
    fields.push([name, formed(version, type?.navigation.get(name), each, unknown, depth + 1)])
  }
  return Object.fromEntries(fields)
}

class ExactNumber {
  readonly digits: string
  constructor(digits: string) {
    this.digits = digits
  }
}
type Formed = Json | ExactNumber | readonly Formed[] | { readonly [name: string]: Formed }

function writeProperty(version: ODataVersion, type: EdmType, given: Json, name: string): Formed {
  const value = asEdmValue(type, given, name)
  if (value === null) return null
  if (version === 'v4') {
    return type === 'Edm.Int64' || type === 'Edm.Decimal' ? new ExactNumber(numberText(String(value))) : value
  }
  if (type === 'Edm.DateTime' || type === 'Edm.DateTimeOffset') {
    const text = String(value)
    return `/Date(${Date.parse(type === 'Edm.DateTime' ? `${text}Z` : text)})/`
  }
  return type === 'Edm.Time' ? durationOfTime(String(value)) : value
}

/** A number of JSON has no leading zeros. */
function numberText(digits: string): string {
  return digits.replace(/^(-?)0+(?=\d)/, '$1')
}

function exactJson(value: Formed): string {
  if (value instanceof ExactNumber) return value.digits
  if (Array.isArray(value)) return `[${value.map(each => exactJson(each as Formed)).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value as Readonly<Record<string, Formed>>)
  return `{${fields.map(([name, each]) => `${JSON.stringify(name)}:${exactJson(each)}`).join(',')}}`
}

export function isGroup(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}
