import { asHubError, HubError } from '../../kernel/error.ts'
import { type Json, type JsonObject, parseExact } from '../../kernel/json.ts'
import { Gather } from '../net/gather.ts'
import type { BatchAnswer, BatchPart, BatchRequest, BatchResult } from '../odata/batch.ts'
import { ODataClient } from '../odata/client.ts'
import { odataErrors } from '../odata/errors.ts'
import type { ExchangeOptions } from '../odata/exchange.ts'
import { isGroup, isList, readEntity, writeEntity } from '../odata/json.ts'
import { formatLiteral } from '../odata/literal.ts'
import type { EntityType } from '../odata/model.ts'
import { failureOf } from '../odata/service-error.ts'
import { type QueryOptions, queryString } from '../odata/url.ts'
import { c4cErrors } from './errors.ts'
import { explain } from './explain.ts'
import { type C4CEntity, c4cTypes, setOf } from './types.ts'

/** An entity with plain values; `ObjectID` is its key. */
export interface C4CRow {
  readonly id: string
  readonly etag: string
  readonly values: JsonObject
}

export type C4CWrite =
  | { readonly kind: 'create'; readonly entity: C4CEntity; readonly body: JsonObject }
  /** `entity` may be that of a part below (AppointmentTextCollection), named by its parent's navigation. */
  | {
      readonly kind: 'create-below'
      readonly entity: C4CEntity
      readonly id: string
      readonly part: string
      readonly body: JsonObject
    }
  | {
      readonly kind: 'update'
      readonly entity: C4CEntity
      readonly id: string
      readonly etag: string
      readonly body: JsonObject
    }
  | {
      readonly kind: 'update-below'
      readonly entity: C4CEntity
      readonly part: string
      readonly id: string
      readonly body: JsonObject
    }
  | { readonly kind: 'remove'; readonly entity: C4CEntity; readonly id: string; readonly etag?: string | undefined }
  | { readonly kind: 'remove-below'; readonly part: string; readonly id: string }

export interface C4CRead {
  readonly entity: C4CEntity
  readonly id: string
  readonly expand: readonly string[]
  /** Where it is one below an entity: its set, as its parent's navigation names it. */
  readonly part?: string
}

export type C4CStep = { readonly read: C4CRead } | { readonly write: readonly C4CWrite[] }

export interface C4CQuery {
  /** With literals already; `and` of comparisons, as the service knows it. */
  readonly filter?: string | undefined
  readonly select?: readonly string[] | undefined
  readonly expand?: readonly string[] | undefined
  readonly top?: number | undefined
  readonly orderby?: readonly string[] | undefined
}

/** Requests that go in one, when several are made in the same moment. */
const gatheredMax = 100

/** A client of the OData service of SAP Cloud for Customer. Throws C4C_…, ODATA_… and NET_… errors. */
export class C4CClient {
  readonly #odata: ODataClient
  readonly #reads: Gather<BatchPart, BatchResult>
  readonly #writes: Gather<BatchPart, BatchResult>
  readonly #credential: string
  readonly #now: () => number
  /** How far the clock of the service is ahead of the hub's, as its last answer said. */
  #aheadMs = 0

  constructor(options: ExchangeOptions) {
    const onTime = (at: number) => {
      this.#aheadMs = at - options.now()
    }
    // No descriptions beside codes: they double the size of an answer, and nobody reads them here.
    this.#odata = new ODataClient({ ...options, onTime, version: 'v2', headers: { 'odata-no-codedescs': 'true' } })
    this.#credential = options.credential
    this.#now = options.now
    this.#reads = new Gather(
      gatheredMax,
      (parts, signal) => this.#batch(parts, signal, true),
      error => error.isAboutMessage || error.code === odataErrors.ANSWER_TOO_LARGE.code,
    )
    this.#writes = new Gather(gatheredMax, (parts, signal) => this.#batch(parts, signal, false))
  }

  get server(): string {
    return this.#odata.naming.server
  }

  /** A moment of the hub's clock by the one of the service, whose times are compared with it. */
  timeOf(at: number): number {
    return at + this.#aheadMs
  }

  /** The service stands and knows the credential. */
  async check(signal: AbortSignal): Promise<string> {
    return this.#explained('', () => this.#odata.check(signal))
  }

  /** The entities of a query, page by page as the service cuts them. */
  async *list(entity: C4CEntity, query: C4CQuery, signal: AbortSignal): AsyncGenerator<C4CRow> {
    const path = listPath(entity, query)
    try {
      for await (const page of this.#odata.pages({ path, signal })) {
        for (const each of page.entities) yield rowOf(c4cTypes[entity], each, setOf(entity))
      }
    } catch (thrown) {
      throw explain(thrown, setOf(entity))
    }
  }

  /** ObjectIDs of everything there is: a census, by which deletions are found. */
  async keys(entity: C4CEntity, filter: string | undefined, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const keys = new Set<string>()
    for await (const row of this.list(entity, { filter, select: ['ObjectID'] }, signal)) keys.add(row.id)
    return keys
  }

  /** Entities by ObjectID, many in one request; undefined for those that are not there. */
  async read(
    entity: C4CEntity,
    ids: readonly string[],
    expand: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly (C4CRow | undefined)[]> {
    const rows = await this.run(
      ids.map(id => ({ read: { entity, id, expand } })),
      signal,
    )
    return rows.map(row => {
      if (row && 'code' in row) throw row
      return row
    })
  }

  /** Many queries in one request; the first page of each. */
  find(entity: C4CEntity, queries: readonly C4CQuery[], signal: AbortSignal): Promise<readonly (readonly C4CRow[])[]> {
    return this.findEach(
      queries.map(query => ({ entity, query })),
      signal,
    )
  }

  /** The same for queries of several sets. */
  async findEach(
    asked: readonly { readonly entity: C4CEntity; readonly query: C4CQuery }[],
    signal: AbortSignal,
  ): Promise<readonly (readonly C4CRow[])[]> {
    return this.#lists(
      asked.map(({ entity, query }) => ({
        path: listPath(entity, query),
        type: c4cTypes[entity],
        name: setOf(entity),
      })),
      signal,
    )
  }

  /** What stands below each of these entities, only with the properties that are named; nothing below one that is gone. */
  findBelow(
    entity: C4CEntity,
    ids: readonly string[],
    part: string,
    select: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly (readonly C4CRow[])[]> {
    const type = c4cTypes[entity].navigation.get(part)
    return this.#lists(
      ids.map(id => {
        const path = withJson(`${entityUrl(entity, id)}/${part}${queryString('v2', { select })}`)
        return { path, type, name: part, mayBeGone: true }
      }),
      signal,
    )
  }

  #lists(asked: readonly AskedList[], signal: AbortSignal): Promise<readonly (readonly C4CRow[])[]> {
    return inPortions(asked, async some => {
      const requests = some.map(({ path }): BatchPart => {
        return { request: { method: 'GET', path, headers: { accept: 'application/json' } } }
      })
      const results = await this.#explained(some[0]?.name ?? '', () => this.#reads.ask(requests, signal))
      return results.map((result, index) => {
        const { type, name = '', mayBeGone = false } = some[index] ?? {}
        const answer = answerOf(result)
        if (mayBeGone && answer.status === 404) return []
        if (answer.status >= 300) throw this.#refusal(answer, name)
        const list = this.#document(answer, name)
        if (!isList(list)) throw odd(name, 'a list was asked for, and it is none')
        return list.map(each => rowOf(type, each, name))
      })
    })
  }

  /**
   * Steps in one request, in their order: reads, and writes that are done together or not at all. For each the entity
   * (that of the first write) where one came back, undefined where there is none, or why it was refused. A thrown error
   * says nothing about what of the writes was done.
   */
  async run(steps: readonly C4CStep[], signal: AbortSignal): Promise<readonly (C4CRow | undefined | HubError)[]> {
    const isRead = steps.every(step => 'read' in step)
    return isRead ? inPortions(steps, some => this.#run(some, signal, true)) : this.#run(steps, signal, false)
  }

  async #run(
    steps: readonly C4CStep[],
    signal: AbortSignal,
    isRead: boolean,
  ): Promise<readonly (C4CRow | undefined | HubError)[]> {
    const parts = steps.map((step): BatchPart => {
      if ('write' in step) return { changeset: step.write.map(requestOf) }
      const { entity, id, expand, part = entity } = step.read
      const path = withJson(`${entityUrl(part, id)}${queryString('v2', { expand })}`)
      return { request: { method: 'GET', path, headers: { accept: 'application/json' } } }
    })
    const name = isRead && steps[0] ? nameOf(steps[0]) : '$batch'
    const results = await this.#explained(name, () => (isRead ? this.#reads : this.#writes).ask(parts, signal))
    return results.map((result, index) => {
      const step = steps[index]
      const answer = answerOf(result)
      const path = step ? nameOf(step) : ''
      if (step && 'read' in step && answer.status === 404) return undefined
      if (answer.status >= 300) return this.#refusal(answer, path)
      if (answer.status === 204 || answer.body.length === 0 || !step) return undefined
      const type = 'read' in step ? typeOfRead(step.read) : step.write[0] && typeOf(step.write[0])
      return rowOf(type, this.#document(answer, path), path, answer.headers['etag'])
    })
  }

  /** Writes in one request, each done or not done for itself. */
  write(writes: readonly C4CWrite[], signal: AbortSignal): Promise<readonly (C4CRow | undefined | HubError)[]> {
    return this.run(
      writes.map(write => ({ write: [write] })),
      signal,
    )
  }

  /** True where the service has an item of that GroupwareItemID already; cheaper than looking for it. */
  async isKnown(entity: 'Appointment' | 'EMail', groupwareId: string, signal: AbortSignal): Promise<boolean> {
    const name = entity === 'EMail' ? 'CheckEmailByGroupwareID' : 'CheckAppointmentByGroupwareID'
    const literal = formatLiteral('v2', 'Edm.String', groupwareId, 'GroupwareItemID')
    const path = withJson(`${name}?GroupwareItemID=${encodeURIComponent(literal)}`)
    const change = { method: 'POST', path, signal, isRepeatable: true } as const
    const { value } = await this.#explained(name, () => this.#odata.change(change))
    const bare = isGroup(value) ? (value['results'] ?? value[name]) : value
    if (typeof bare !== 'boolean') throw odd(name, 'neither yes nor no')
    return bare
  }

  async #batch(parts: readonly BatchPart[], signal: AbortSignal, isRead: boolean): Promise<readonly BatchResult[]> {
    const results = await this.#odata.batch(parts, { signal, isRepeatable: isRead })
    if (results.length === parts.length) return results
    const reason = `${results.length} answers came for ${parts.length} requests`
    throw isRead ? odd('$batch', reason) : c4cErrors.OUTCOME_UNKNOWN({ path: '$batch', reason })
  }

  async #explained<T>(path: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (thrown) {
      throw explain(thrown, path)
    }
  }

  #refusal(answer: BatchAnswer, path: string): HubError {
    const failure = failureOf(answer, { server: this.server, credential: this.#credential, path, now: this.#now() })
    return asHubError(explain(failure, path))
  }

  /** What stands in the wrap `d`, and in `results`, which this service puts around a single entity too. */
  #document({ body }: BatchAnswer, path: string): Json {
    try {
      const document = parseExact(new TextDecoder('utf-8', { fatal: true }).decode(body))
      const inner = isGroup(document) ? document['d'] : undefined
      const value = isGroup(inner) && 'results' in inner ? inner['results'] : inner
      if (value !== undefined) return value
    } catch (thrown) {
      throw odd(path, thrown instanceof Error ? thrown.message.slice(0, 200) : String(thrown))
    }
    throw odd(path, 'it is no entity')
  }
}

interface AskedList {
  readonly path: string
  readonly type: EntityType | undefined
  /** For people. */
  readonly name: string
  readonly mayBeGone?: boolean
}

/** What would be too large as one answer is asked for in halves. */
async function inPortions<T, R>(
  all: readonly T[],
  ask: (some: readonly T[]) => Promise<readonly R[]>,
): Promise<readonly R[]> {
  if (all.length === 0) return []
  try {
    return await ask(all)
  } catch (thrown) {
    const isTooLarge = thrown instanceof HubError && thrown.code === c4cErrors.ANSWER_TOO_LARGE.code
    if (!isTooLarge || all.length === 1) throw thrown
  }
  const half = Math.ceil(all.length / 2)
  return [...(await inPortions(all.slice(0, half), ask)), ...(await inPortions(all.slice(half), ask))]
}

/** `EntityLastChangedOn ge datetimeoffset'…'` */
export function changedSince(ms: number): string {
  const moment = new Date(ms).toISOString()
  return `EntityLastChangedOn ge ${formatLiteral('v2', 'Edm.DateTimeOffset', moment, 'EntityLastChangedOn')}`
}

/** `Name eq 'value'`; a star in the value would be taken for any letters, so it matches more than it says. */
export function equals(name: string, value: string): string {
  return `${name} eq ${formatLiteral('v2', 'Edm.String', value, name)}`
}

function listPath(entity: C4CEntity, { filter, select, expand, top, orderby }: C4CQuery): string {
  const options: QueryOptions = { filter, select, expand, top, orderby }
  return withJson(`${setOf(entity)}${queryString('v2', options)}`)
}

function entityUrl(set: string, id: string): string {
  return `${setOf(set)}(${encodeURIComponent(formatLiteral('v2', 'Edm.String', id, 'ObjectID'))})`
}

/** The service answers in Atom unless it is asked for JSON by the query. */
function withJson(path: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}$format=json`
}

function typeOf(write: C4CWrite): EntityType | undefined {
  if (write.kind === 'create' || write.kind === 'update' || write.kind === 'remove') return c4cTypes[write.entity]
  return 'entity' in write ? c4cTypes[write.entity].navigation.get(write.part) : undefined
}

function typeOfRead({ entity, part }: C4CRead): EntityType | undefined {
  return part === undefined ? c4cTypes[entity] : c4cTypes[entity].navigation.get(part)
}

function requestOf(write: C4CWrite): BatchRequest {
  const headers: Record<string, string> = { accept: 'application/json' }
  const body = 'body' in write ? writeEntity('v2', typeOf(write), write.body, undefined) : undefined
  if (body !== undefined) headers['content-type'] = 'application/json'
  if ('etag' in write && write.etag !== undefined) headers['if-match'] = write.etag
  const isCreate = write.kind === 'create' || write.kind === 'create-below'
  const method = isCreate ? 'POST' : write.kind === 'remove' || write.kind === 'remove-below' ? 'DELETE' : 'PATCH'
  return { method, path: isCreate ? withJson(urlOf(write)) : urlOf(write), headers, body }
}

function urlOf(write: C4CWrite): string {
  switch (write.kind) {
    case 'create':
      return setOf(write.entity)
    case 'create-below':
      return `${entityUrl(write.entity, write.id)}/${write.part}`
    case 'update-below':
    case 'remove-below':
      return entityUrl(write.part, write.id)
    case 'update':
    case 'remove':
      return entityUrl(write.entity, write.id)
  }
}

/** What a step is about, as people know it. */
function nameOf(step: C4CStep): string {
  if ('read' in step) return `${setOf(step.read.entity)}('${step.read.id}')`
  const [first] = step.write
  return first ? decodeURIComponent(urlOf(first)) : ''
}

function answerOf(result: BatchResult): BatchAnswer {
  if ('answer' in result) return result.answer
  if ('failed' in result) return result.failed
  const [first] = result.answers
  if (first) return first
  throw c4cErrors.OUTCOME_UNKNOWN({ path: '$batch', reason: 'a changeset was answered with nothing' })
}

function rowOf(type: EntityType | undefined, given: Json, path: string, header?: string): C4CRow {
  const values = readEntity('v2', type, given)
  if (!isGroup(values)) throw odd(path, 'an entity was asked for, and it is none')
  const { '@odata.etag': inside, ObjectID: id, ...rest } = values
  if (typeof id !== 'string' || id === '') throw odd(path, 'an entity has no ObjectID')
  return { id, etag: typeof inside === 'string' ? inside : (header ?? ''), values: rest }
}

function odd(path: string, reason: string): HubError {
  return c4cErrors.ANSWER_ODD({ path, reason })
}
