import type { Scope } from '../flow/expression.ts'
import { renderValue, type ValueTemplate } from '../flow/value-template.ts'
import { bodyErrors, readBody, refuseTooManyGroups } from '../kernel/body.ts'
import { HubError } from '../kernel/error.ts'
import { type Json, type JsonObject, parseExact } from '../kernel/json.ts'
import type { Limits } from '../kernel/limit.ts'
import type { Message } from '../kernel/message.ts'
import { odataErrors } from '../protocols/odata/errors.ts'
import { isGroup, isList, writeEntity } from '../protocols/odata/json.ts'
import { type EntityType, entityTypeOf, type Model, nameUnknown, propertyTypeOf } from '../protocols/odata/model.ts'
import { entityPath, type KeyValues, type Naming, type QueryOptions } from '../protocols/odata/url.ts'
import type { ODataConfig } from './odata-config.ts'

/** What an operation knows when it fills in its templates. */
export interface Surroundings {
  readonly config: ODataConfig
  readonly naming: Naming
  /** Undefined where the flow goes without $metadata. */
  readonly model: Model | undefined
  readonly scope: Scope
  readonly message: Message
  readonly limits: Pick<Limits, 'parseBytes'>
}

/** The type of a set: what $metadata says, with what the flow says beside it. */
export function typeOf({ config, model, naming }: Surroundings, set: string): EntityType | undefined {
  const types = Object.entries(config.types)
  const known = model && entityTypeOf(model, set, naming.server)
  if (types.length === 0) return known
  const properties = new Map([...(known?.properties ?? []), ...types])
  return { name: set, key: [], navigation: new Map(), ...known, properties }
}

export async function pathOf(
  surroundings: Surroundings,
  set: string,
  key: Readonly<Record<string, ValueTemplate>>,
): Promise<{ readonly path: string; readonly values: KeyValues; readonly type: EntityType | undefined }> {
  const type = typeOf(surroundings, set)
  const values: Record<string, Json> = {}
  for (const [name, template] of Object.entries(key)) values[name] = await renderValue(template, surroundings.scope)
  return { path: entityPath(surroundings.naming, set, type, values), values, type }
}

/** Select, expand and order in the words of the flow, their names checked where the service says which there are. */
export function checkedNames(
  { naming, model }: Surroundings,
  type: EntityType | undefined,
  given: Pick<QueryOptions, 'select' | 'expand' | 'orderby'>,
): Pick<QueryOptions, 'select' | 'expand' | 'orderby'> {
  if (!model || !type) return given
  for (const path of given.select ?? []) if (!path.includes('*')) propertyTypeOf(type, path, naming.server)
  for (const order of given.orderby ?? []) propertyTypeOf(type, order.split(' ')[0] ?? '', naming.server)
  for (const expand of given.expand ?? []) {
    const [first = ''] = expand.split(/[/(]/)
    if (!type.navigation.has(first))
      throw nameUnknown('navigation property', first, type.navigation.keys(), naming.server)
  }
  return given
}

/** The entity to send, as a value: what the flow says, or the JSON body of the message. */
export async function entityOf(surroundings: Surroundings, template: ValueTemplate | undefined): Promise<JsonObject> {
  const value = template ? await renderValue(template, surroundings.scope) : await bodyOf(surroundings)
  if (isGroup(value)) return value
  throw odataErrors.VALUE_UNFIT({ name: 'body', type: 'an entity', reason: 'it is no group of names and values' })
}

/** One entity, or several where a list stands. */
export async function entitiesOf(
  surroundings: Surroundings,
  template: ValueTemplate | undefined,
): Promise<readonly JsonObject[]> {
  const value = template ? await renderValue(template, surroundings.scope) : await bodyOf(surroundings)
  const list = isList(value) ? value : [value]
  return list.map((entity, index) => {
    if (isGroup(entity)) return entity
    const reason = `number ${index + 1} is no group of names and values`
    throw odataErrors.VALUE_UNFIT({ name: 'body', type: 'an entity', reason })
  })
}

/** The key of an entity stands in its address; some services refuse to be told it twice. */
export function withoutKey(entity: JsonObject, key: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(entity).filter(([name]) => !Object.hasOwn(key, name)))
}

async function bodyOf({ message, limits }: Surroundings): Promise<Json> {
  const bytes = await readBody(message.body, limits.parseBytes, 'reading a body into memory (parseBytes)')
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    refuseTooManyGroups(text)
    return parseExact(text)
  } catch (cause) {
    if (cause instanceof HubError) throw cause
    const text = cause instanceof Error ? cause.message : String(cause)
    throw bodyErrors.NOT_TEXT({ format: 'JSON', text }, { cause })
  }
}

export function entityJson({ naming, model }: Surroundings, type: EntityType | undefined, entity: Json): string {
  const unknown = (name: string, inner: EntityType) =>
    nameUnknown('property', name, [...inner.properties.keys(), ...inner.navigation.keys()], naming.server)
  return writeEntity(naming.version, type, entity, model && unknown)
}

/** A whole number out of a template. */
export async function wholeOf(
  name: string,
  given: number | { render(scope: Scope): Json | Promise<Json> } | undefined,
  scope: Scope,
): Promise<number | undefined> {
  if (given === undefined || typeof given === 'number') return given
  const value = await given.render(scope)
  const text = typeof value === 'number' || typeof value === 'string' ? String(value) : ''
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw odataErrors.VALUE_UNFIT({ name, type: 'a whole number', reason: `it is ${JSON.stringify(value).slice(0, 60)}` })
}
