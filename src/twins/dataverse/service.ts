import type { Json, JsonObject } from '../../kernel/json.ts'
import { type RecordAddress, readAddress, readLiteral, requireAddressed, splitOutsideQuotes } from './address.ts'
import { type CustomApi, callCustomApi } from './custom-apis.ts'
import { answerError, type DataverseAnswer, DataverseError, refusals } from './dataverse-error.ts'
import { showDefinitions, showMetadata } from './definitions.ts'
import type { Table } from './model.ts'
import { type QueryFields, queryRecords, readFields, showRecord } from './query.ts'
import type { Row, RowStore } from './rows.ts'
import {
  createMultiple,
  createRecord,
  deleteRecord,
  etagOf,
  isGroup,
  patchRecord,
  upsertMultiple,
  type WriteWorld,
} from './write.ts'

export const root = '/api/data/v9.2/'

/** One request as the service sees it, from the wire or out of a batch. */
export interface ServiceRequest {
  readonly method: string
  /** Behind the root, percent-encoded, with its query. */
  readonly target: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** The application user who asks. */
  readonly user: string
}

export interface ServiceWorld {
  readonly store: RowStore
  readonly apis: readonly CustomApi[]
  readonly now: () => number
  readonly origin: () => string
  /** Throws where a fault says that the next write is refused. */
  beforeWrite(request: ServiceRequest): void
}

const jsonHeaders = { 'content-type': 'application/json; odata.metadata=minimal', 'odata-version': '4.0' }

/** Answers one request; what is refused is an answer too. `references`: records of the same changeset by Content-ID. */
export function answerRequest(
  world: ServiceWorld,
  request: ServiceRequest,
  references?: ReadonlyMap<string, RecordAddress>,
): DataverseAnswer & { readonly record?: RecordAddress } {
  try {
    return world.store.together(() => route(world, request, references))
  } catch (thrown) {
    if (thrown instanceof DataverseError) return answerError(thrown)
    throw thrown
  }
}

type Answered = DataverseAnswer & { readonly record?: RecordAddress }

function route(
  world: ServiceWorld,
  request: ServiceRequest,
  references?: ReadonlyMap<string, RecordAddress>,
): Answered {
  const { method, headers } = request
  requireHeaders(headers)
  const [path = '', ...search] = request.target.split('?')
  const fields = readFields(search.join('?'))
  const segments = splitOutsideQuotes(path, '/').map(decoded)
  const [first = '', second, ...more] = segments
  if (more.length > 0) throw refusals.segment(more[0] ?? '')
  const writes: WriteWorld = { store: world.store, now: world.now, ...(references && { references }) }
  const isWrite = method !== 'GET' && method !== 'HEAD'
  if (isWrite) world.beforeWrite(request)
  if (first === '') return ok({ '@odata.context': `${world.origin()}${root}$metadata`, value: [] })
  if (!isWrite && first === '$metadata') {
    return {
      status: 200,
      headers: { 'content-type': 'application/xml', 'odata-version': '4.0' },
      body: showMetadata(world.store.tables),
    }
  }
  if (!isWrite && /^WhoAmI(\(\))?$/.test(first)) {
    return ok({
      '@odata.context': `${world.origin()}${root}$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse`,
      UserId: request.user,
    })
  }
  if (!isWrite && first === 'EntityDefinitions')
    return ok(showDefinitions(world.store.tables, fields, `${world.origin()}${root}`))
  const api = apiOf(world, first)
  if (api) return callApi(world, writes, api, request, first, fields)
  const table = world.store.tableOfSet(first)
  if (table)
    return second === undefined
      ? onSet(world, writes, table, request, fields)
      : boundToSet(writes, table, second, request)
  const address = /^\$\d+$/.test(first) ? referenced(references, first) : readAddress(world.store, first)
  if (second !== undefined) throw refusals.segment(second)
  return onRecord(world, writes, address, request, fields)
}

function onSet(
  world: ServiceWorld,
  writes: WriteWorld,
  table: Table,
  request: ServiceRequest,
  fields: QueryFields,
): Answered {
  const { method, headers } = request
  if (method === 'GET') {
    const size = /odata\.maxpagesize=(\d{1,5})/.exec(headers['prefer'] ?? '')?.[1]
    const wanted = size === undefined ? undefined : Math.max(1, Number(size))
    return ok(queryRecords(world.store, table, fields, { origin: world.origin(), root, wanted }))
  }
  if (method !== 'POST')
    throw new DataverseError(405, '0x80060888', `The requested resource does not support http method '${method}'.`)
  const row = createRecord(writes, table, jsonBody(request))
  return written(world, { table, id: row.id, key: {} }, row, true, request, fields)
}

function boundToSet(writes: WriteWorld, table: Table, name: string, request: ServiceRequest): Answered {
  if (request.method !== 'POST') throw refusals.segment(name)
  const body = jsonBody(request)
  if (name === 'Microsoft.Dynamics.CRM.UpsertMultiple') {
    upsertMultiple(writes, table, body)
    return { status: 204, headers: { 'odata-version': '4.0' }, body: undefined }
  }
  if (name === 'Microsoft.Dynamics.CRM.CreateMultiple') return ok({ Ids: createMultiple(writes, table, body) })
  throw refusals.segment(name)
}

function onRecord(
  world: ServiceWorld,
  writes: WriteWorld,
  address: RecordAddress,
  request: ServiceRequest,
  fields: QueryFields,
): Answered {
  const { method, headers } = request
  const { store } = world
  const { table } = address
  const ifNoneMatch = headers['if-none-match'] === 'null' ? undefined : headers['if-none-match']
  const ifMatch = headers['if-match']
  switch (method) {
    case 'GET': {
      const row = requireAddressed(store, address)
      if (ifNoneMatch === etagOf(row)) return { status: 304, headers: { 'odata-version': '4.0' }, body: undefined }
      const context = `${world.origin()}${root}$metadata#${table.set}/$entity`
      const answer = ok({ '@odata.context': context, ...showRecord(store, table, row, fields) })
      return { ...answer, headers: { ...answer.headers, etag: etagOf(row) } }
    }
    case 'PATCH': {
      const { row, isNew } = patchRecord(writes, address, jsonBody(request), { ifMatch, ifNoneMatch })
      return written(world, address, row, isNew, request, fields)
    }
    case 'DELETE': {
      const row = requireAddressed(store, address)
      if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== etagOf(row)) throw refusals.version()
      deleteRecord(world, table, row)
      return { status: 204, headers: { 'odata-version': '4.0' }, body: undefined }
    }
    default:
      throw new DataverseError(405, '0x80060888', `The requested resource does not support http method '${method}'.`)
  }
}

/** 204 with the address that was used, or the record itself where the caller prefers that. */
function written(
  world: ServiceWorld,
  address: RecordAddress,
  row: Row,
  isNew: boolean,
  { headers, method }: ServiceRequest,
  fields: QueryFields,
): Answered {
  const { table } = address
  const record = { table, id: row.id, key: {} }
  // A PATCH by an alternate key names that key in its answer, not the id.
  const key =
    address.id === undefined
      ? Object.entries(address.key).map(([name, value]) => `${name}=${literal(value)}`)
      : [row.id]
  const location = `${world.origin()}${root}${table.set}(${key.join(',')})`
  const base = { 'odata-version': '4.0', 'odata-entityid': location, ...(method === 'POST' && { location }) }
  if (!/return=representation/.test(headers['prefer'] ?? ''))
    return { status: 204, headers: base, body: undefined, record }
  const context = `${world.origin()}${root}$metadata#${table.set}/$entity`
  return {
    status: isNew ? 201 : 200,
    headers: { ...base, ...jsonHeaders, 'preference-applied': 'return=representation' },
    body: { '@odata.context': context, ...showRecord(world.store, table, row, fields) },
    record,
  }
}

function apiOf(world: ServiceWorld, segment: string): CustomApi | undefined {
  const name = /^(\w+)(?:\(.*\))?$/s.exec(segment)?.[1]
  return world.apis.find(api => api.name === name)
}

function callApi(
  world: ServiceWorld,
  writes: WriteWorld,
  api: CustomApi,
  request: ServiceRequest,
  segment: string,
  fields: QueryFields,
): Answered {
  const wanted = api.kind === 'function' ? 'GET' : 'POST'
  if (request.method !== wanted) {
    throw new DataverseError(
      405,
      '0x80060888',
      `The requested resource does not support http method '${request.method}'.`,
    )
  }
  const parameters = api.kind === 'function' ? inlineParameters(segment, fields) : jsonBody(request)
  return ok(callCustomApi(api, writes, parameters, `${world.origin()}${root}`))
}

/** `new_CheckProduct(Key='1001')`, or `new_CheckProduct(Key=@p)?@p='1001'`. */
function inlineParameters(segment: string, fields: QueryFields): JsonObject {
  const inner = /\((.*)\)$/s.exec(segment)?.[1] ?? ''
  const parameters: Record<string, Json> = {}
  for (const part of splitOutsideQuotes(inner, ',').filter(each => each.trim() !== '')) {
    const [, name = '', value = ''] = /^\s*(\w+)\s*=\s*(.+)$/s.exec(part) ?? []
    parameters[name] = readLiteral(value.startsWith('@') ? (fields.get(value.trim()) ?? 'null') : value.trim())
  }
  return parameters
}

function referenced(references: ReadonlyMap<string, RecordAddress> | undefined, name: string): RecordAddress {
  const address = references?.get(name)
  if (address) return address
  throw new DataverseError(400, '0x80060888', `Content-ID Reference: '${name}' does not exist in the batch context.`)
}

function requireHeaders(headers: Readonly<Record<string, string>>): void {
  for (const name of ['odata-version', 'odata-maxversion']) {
    const value = headers[name]
    if (value !== undefined && !/^4\.0[1]?$/.test(value))
      throw new DataverseError(400, '0x80060888', `The ${name} header value '${value}' is not supported.`)
  }
  if (!/json|\*\/\*|multipart\/mixed|xml/.test(headers['accept'] ?? '*/*')) {
    throw new DataverseError(415, '0x80060888', 'The requested content type is not supported.')
  }
}

function jsonBody({ headers, body }: ServiceRequest): JsonObject {
  if (!/^application\/json\b/i.test(headers['content-type'] ?? '')) {
    throw new DataverseError(
      415,
      '0x80060888',
      'A supported MIME type could not be found that matches the content type of the request.',
    )
  }
  let value: Json
  try {
    value = JSON.parse(body) as Json
  } catch {
    throw refusals.payload('Invalid JSON.')
  }
  if (isGroup(value)) return value
  throw refusals.payload('A request body must be a JSON object.')
}

function ok(body: JsonObject): Answered {
  return { status: 200, headers: jsonHeaders, body }
}

function literal(value: Json): string {
  return typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value)
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw refusals.query('Bad Request - Error in query syntax.')
  }
}
