import type { Json } from '../../kernel/json.ts'
import type { EdmType, ODataVersion } from './edm.ts'
import { odataErrors } from './errors.ts'
import { writeEntity } from './json.ts'
import { formatLiteral, formatUntyped } from './literal.ts'
import { type EntityType, type Model, nameUnknown, type Operation } from './model.ts'

/** System query options. Texts are in the words of the service; `filter` must hold literals already. */
export interface QueryOptions {
  readonly filter?: string | undefined
  readonly select?: readonly string[] | undefined
  readonly expand?: readonly string[] | undefined
  readonly orderby?: readonly string[] | undefined
  readonly top?: number | undefined
  readonly skip?: number | undefined
  /** Asks for the number of all that match: `$count=true` (V4), `$inlinecount=allpages` (V2). */
  readonly count?: boolean | undefined
}

export interface Naming {
  readonly version: ODataVersion
  readonly server: string
}

/** Values of a key by name; one value alone where the key has one part. */
export type KeyValues = Readonly<Record<string, Json>>

/**
 * `A_CostCenter(ControllingArea='A000',CostCenter='1710',…)`, percent-encoded. With a type the parts are checked and
 * take its types, without one they are untyped. Throws ODATA_KEY_INCOMPLETE, ODATA_VALUE_UNFIT.
 */
export function entityPath(naming: Naming, set: string, type: EntityType | undefined, key: KeyValues): string {
  return `${encodeURIComponent(set)}(${keyPredicate(naming, set, type, key)})`
}

function keyPredicate({ version, server }: Naming, set: string, type: EntityType | undefined, key: KeyValues): string {
  const names = Object.keys(key)
  // A type that only tells types of properties has no key to hold this one against.
  const own = type && type.key.length > 0 ? type.key : undefined
  const isOwn = own !== undefined && names.every(name => own.includes(name))
  const given = names.join(', ') || 'nothing'
  if (names.length === 0 || (isOwn && names.length !== own.length)) {
    throw odataErrors.KEY_INCOMPLETE({ set, wanted: own?.join(', ') ?? 'not empty', given })
  }
  if (own && !isOwn) {
    // V4 knows alternate keys beside the one that the type names.
    if (version === 'v2') throw odataErrors.KEY_INCOMPLETE({ set, wanted: own.join(', '), given })
    const unknown = names.find(name => !type?.properties.has(name))
    if (unknown !== undefined) throw nameUnknown('property', unknown, type?.properties.keys() ?? [], server)
  }
  const ordered = isOwn ? own : names
  const parts = ordered.map(name => {
    const value = key[name] ?? null
    if (value === null) throw odataErrors.KEY_INCOMPLETE({ set, wanted: `not empty in ${name}`, given: 'null' })
    const literal = encodeURIComponent(literalOf(version, type?.properties.get(name), value, name))
    return isOwn && ordered.length === 1 ? literal : `${encodeURIComponent(name)}=${literal}`
  })
  return parts.join(',')
}

export function literalOf(version: ODataVersion, type: EdmType | undefined, value: Json, name: string): string {
  return type === undefined ? formatUntyped(version, value, name) : formatLiteral(version, type, value, name)
}

/** `?$filter=…&sap-client=100`, or nothing. `more` are fields that go with every request. */
export function queryString(
  version: ODataVersion,
  options: QueryOptions,
  more: Readonly<Record<string, string>> = {},
): string {
  const fields: [string, string][] = Object.entries(more)
  if (options.filter !== undefined && options.filter !== '') fields.push(['$filter', options.filter])
  if (options.select?.length) fields.push(['$select', options.select.join(',')])
  if (options.expand?.length) fields.push(['$expand', options.expand.join(',')])
  if (options.orderby?.length) fields.push(['$orderby', options.orderby.join(',')])
  if (options.top !== undefined) fields.push(['$top', String(options.top)])
  if (options.skip !== undefined) fields.push(['$skip', String(options.skip)])
  if (options.count) fields.push(version === 'v2' ? ['$inlinecount', 'allpages'] : ['$count', 'true'])
  return fieldString(fields)
}

/** Fields of a query, the names of system options left readable. */
export function fieldString(fields: readonly (readonly [string, string])[]): string {
  if (fields.length === 0) return ''
  // A plus sign means a space to some services and a plus to others; %20 and %2B mean one thing to all.
  return `?${fields.map(([name, value]) => `${encodeURIComponent(name).replace(/^%24/, '$')}=${encodeURIComponent(value)}`).join('&')}`
}

/** The operation of that name, qualified or not; throws ODATA_NAME_UNKNOWN. */
export function operationOf(model: Model, name: string, server: string): Operation {
  const operation = model.operations.get(name.slice(name.lastIndexOf('.') + 1))
  if (!operation) throw nameUnknown('function or action', name, model.operations.keys(), server)
  return operation
}

export interface OperationCall {
  readonly method: 'GET' | 'POST'
  /** Path and own query fields, percent-encoded. */
  readonly path: string
  readonly fields: readonly (readonly [string, string])[]
  /** Body of an action of V4, JSON text. */
  readonly body: string | undefined
}

/**
 * How an operation is called. V2: a function import, its parameters are query fields. V4: a function carries them in
 * its path, an action in its body; a bound one stands behind the path `on` with its namespace.
 */
export function operationCall(
  { version, server }: Naming,
  name: string,
  operation: Operation | undefined,
  parameters: Readonly<Record<string, Json>>,
  options: { readonly method?: 'GET' | 'POST' | undefined; readonly on?: string | undefined } = {},
): OperationCall {
  const method = options.method ?? operation?.method ?? 'POST'
  const given = Object.entries(parameters).map(([parameter, value]) => {
    if (operation && !operation.parameters.has(parameter)) {
      throw nameUnknown('parameter', parameter, operation.parameters.keys(), server)
    }
    return [parameter, value, operation?.parameters.get(parameter)] as const
  })
  if (version === 'v2') {
    const fields = given.map(([key, value, type]) => [key, literalOf(version, type, value, key)] as const)
    return { method, path: encodeURIComponent(name), fields, body: undefined }
  }
  const called = options.on !== undefined && operation && !name.includes('.') ? operation.qualifiedName : name
  const path = `${options.on === undefined ? '' : `${options.on}/`}${encodeURIComponent(called)}`
  if (method === 'POST') {
    const type = { name, key: [], properties: new Map(operation?.parameters), navigation: new Map() }
    return { method, path, fields: [], body: writeEntity(version, type, parameters, undefined) }
  }
  const inline = given.map(
    ([key, value, type]) => `${encodeURIComponent(key)}=${encodeURIComponent(literalOf(version, type, value, key))}`,
  )
  return { method, path: `${path}(${inline.join(',')})`, fields: [], body: undefined }
}
