import type { Json, JsonObject } from '../../kernel/json.ts'
import { C4CRefusal, refusals } from './c4c-error.ts'
import { edmxOf } from './edmx.ts'
import { type Filter, readFilter } from './filter.ts'
import { checks, type EntityKind, entityKinds, kindOfSet, parentOf, setOf } from './schema.ts'
import { type C4CStore, etagOf, type Row } from './store.ts'
import { jsonOf, type Value, valueInBody } from './values.ts'

export interface C4CRequest {
  readonly method: string
  /** Behind the root, with the query, percent-encoded. */
  readonly target: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface C4CReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface C4CWorld {
  readonly store: C4CStore
  readonly pageSize: number
  /** Sets that the user may not open. */
  readonly withdrawn: readonly string[]
  /** Called with each header that was changed, before the next request of the same batch. */
  changed(row: Row): void
  /** `https://host:port/sap/c4c/odata/v1/c4codataapi/` */
  root(): string
}

const knownOptions = new Set([
  '$filter',
  '$select',
  '$expand',
  '$top',
  '$skip',
  '$skiptoken',
  '$inlinecount',
  '$format',
  '$orderby',
])
/** Time zones by SAP's own names, as far as the twin knows them. */
const zoneCodes = new Set([
  '',
  'UTC',
  'CET',
  'EET',
  'WET',
  'GMTUK',
  'EST',
  'CST',
  'MST',
  'PST',
  'JAPAN',
  'INDIA',
  'AUSNSW',
  'BRZLEA',
  'RUS03',
])

/** Answers one request, alone or in a batch. */
export function answerRequest(world: C4CWorld, request: C4CRequest): C4CReply {
  try {
    return new Visit(world, request).answer()
  } catch (thrown) {
    return replyError(thrown)
  }
}

export function replyError(thrown: unknown): C4CReply {
  const refusal = thrown instanceof C4CRefusal ? thrown : new C4CRefusal(500, 'OData.InternalError', String(thrown))
  const error = { code: refusal.code, message: { lang: 'en', value: refusal.message } }
  return { status: refusal.status, headers: jsonHeaders, body: JSON.stringify({ error }) }
}

const jsonHeaders = { 'content-type': 'application/json; charset=utf-8', dataserviceversion: '2.0' }

class Visit {
  readonly #world: C4CWorld
  readonly #request: C4CRequest
  readonly #path: string
  readonly #fields: URLSearchParams

  constructor(world: C4CWorld, request: C4CRequest) {
    this.#world = world
    this.#request = request
    const [path = '', query = ''] = request.target.split(/\?(.*)/s)
    this.#path = decode(path)
    this.#fields = new URLSearchParams(query.replaceAll('+', '%2B'))
  }

  answer(): C4CReply {
    const { method } = this.#request
    if (this.#path === '') return this.#json(200, { d: { EntitySets: entityKinds.map(setOf) } })
    if (this.#path === '$metadata')
      return { status: 200, headers: { 'content-type': 'application/xml' }, body: edmxOf() }
    if (this.#path in checks) return this.#check(checks[this.#path] ?? '')
    const [, set = '', , key, , rest] = /^(\w+)(\('((?:[^']|'')*)'\))?(\/(.*))?$/s.exec(this.#path) ?? []
    const kind = kindOfSet(set)
    if (!kind) throw refusals.noSet(set || this.#path)
    if (this.#world.withdrawn.includes(set)) throw refusals.forbidden()
    if (key === undefined) {
      if (rest !== undefined) {
        if (rest === '$count' && method === 'GET') return this.#count(kind)
        throw refusals.noSet(rest)
      }
      if (method === 'GET') return this.#list(kind, undefined)
      if (method === 'POST') return this.#create(kind, {})
      throw refusals.notAllowed(method)
    }
    const row = this.#world.store.find(kind, key.replaceAll("''", "'"))
    if (!row) throw refusals.noEntity(key)
    return rest === undefined ? this.#one(row) : this.#below(row, rest)
  }

  #one(row: Row): C4CReply {
    const { method } = this.#request
    const { store } = this.#world
    if (method === 'GET') return this.#json(200, { d: { results: this.#show(row) } }, { etag: etagOf(row) })
    if (row.kind.isReadOnly) throw refusals.readOnly(row.kind.name)
    this.#refuseOld(row)
    if (method === 'DELETE') {
      store.remove(row)
      return { status: 204, headers: {}, body: '' }
    }
    if (!['PATCH', 'MERGE', 'PUT'].includes(method)) throw refusals.notAllowed(method)
    const { values, children } = this.#body(row.kind, 'isUpdatable')
    if (children.length > 0) throw refusals.malformed('children are changed by themselves')
    const before = method === 'PUT' ? emptied(row) : {}
    this.#world.changed(store.change(row, { ...before, ...values }))
    return { status: 204, headers: {}, body: '' }
  }

  #below(row: Row, name: string): C4CReply {
    const kind = row.kind.children.find(each => each.name === name)
    if (!kind) throw refusals.noSet(name)
    if (this.#request.method === 'GET') return this.#list(kind, this.#world.store.childrenOf(kind, row.id))
    if (this.#request.method === 'POST') return this.#create(kind, { ParentObjectID: row.id })
    throw refusals.notAllowed(this.#request.method)
  }

  #check(name: string): C4CReply {
    if (this.#request.method !== 'POST') throw refusals.notAllowed(this.#request.method)
    const literal = /^'((?:[^']|'')*)'$/.exec(this.#fields.get('GroupwareItemID') ?? '')?.[1]
    if (literal === undefined) throw refusals.malformed('parameter GroupwareItemID')
    const wanted = literal.replaceAll("''", "'")
    const kind = entityKinds.find(each => each.name === name)
    const isThere = kind !== undefined && this.#world.store.rowsOf(kind).having('GroupwareItemID', wanted).length > 0
    return this.#json(200, { d: { results: isThere } })
  }

  #create(kind: EntityKind, own: Readonly<Record<string, Value>>): C4CReply {
    if (kind.isReadOnly) throw refusals.readOnly(kind.name)
    const { store } = this.#world
    const { values, children } = this.#body(kind, 'isCreatable')
    const parent = parentOf(kind)
    const parentId = own['ParentObjectID'] ?? values['ParentObjectID'] ?? null
    if (parent && !store.find(parent, String(parentId))) throw refusals.noEntity(String(parentId))
    const row = store.create(kind, { ...values, ...own })
    for (const { kind: below, values: inner } of children) store.create(below, { ...inner, ParentObjectID: row.id })
    const made = store.find(kind, row.id) ?? row
    const location = `${this.#world.root()}${setOf(kind)}('${made.id}')`
    if (/true/i.test(this.#request.headers['odata-no-response-payload'] ?? '')) {
      return { status: 204, headers: { location, etag: etagOf(made) }, body: '' }
    }
    return this.#json(201, { d: { results: this.#show(made) } }, { etag: etagOf(made), location })
  }

  #count(kind: EntityKind): C4CReply {
    const { rows } = this.#matching(kind, undefined)
    return { status: 200, headers: { 'content-type': 'text/plain' }, body: String(rows.length) }
  }

  /** `all`: what stands below one entity; undefined: the whole set. */
  #list(kind: EntityKind, all: readonly Row[] | undefined): C4CReply {
    const { rows, count } = this.#matching(kind, all)
    const skip = this.#whole('$skip') ?? 0
    const top = this.#whole('$top')
    const from = this.#whole('$skiptoken') ?? 1
    const wanted = rows.slice(skip, top === undefined ? undefined : skip + top)
    const page = wanted.slice(from - 1, from - 1 + this.#world.pageSize)
    const next = from - 1 + page.length < wanted.length ? this.#nextLink(from + page.length) : undefined
    return this.#json(200, {
      d: {
        ...(count !== undefined && { __count: String(count) }),
        results: page.map(row => this.#show(row)),
        ...(next !== undefined && { __next: next }),
      },
    })
  }

  #matching(kind: EntityKind, all: readonly Row[] | undefined): { rows: readonly Row[]; count: number | undefined } {
    for (const name of this.#fields.keys()) {
      if (name.startsWith('$') && !knownOptions.has(name)) throw refusals.malformed(`system query option ${name}`)
    }
    const text = this.#fields.get('$filter')
    const filter = text === null ? undefined : readFilter(text, kind)
    const { now } = this.#world.store
    const looked = all ?? this.#candidates(kind, filter)
    const rows = looked.filter(
      row => (filter?.matches(row) ?? true) && (!filter?.asksForChanges || row.visibleAt <= now),
    )
    const ordered = this.#ordered(rows, kind)
    return { rows: ordered, count: this.#fields.get('$inlinecount') === 'allpages' ? rows.length : undefined }
  }

  /** Where the filter names values or a time, only what has them is looked at. */
  #candidates(kind: EntityKind, filter: Filter | undefined): readonly Row[] {
    const rows = this.#world.store.rowsOf(kind)
    // A moment may be written in several ways; texts are what queries by value ask for.
    const isText = (name: string) => kind.properties.find(each => each.name === name)?.kind === 'text'
    const texts = (filter?.equal ?? []).filter(({ name }) => isText(name))
    const changed = filter?.since === undefined ? undefined : rows.changedSince(filter.since)
    const found = [...texts.map(({ name, value }) => rows.having(name, value)), ...(changed ? [changed] : [])]
    return found.toSorted((one, other) => one.length - other.length)[0] ?? this.#world.store.all(kind)
  }

  #ordered(rows: readonly Row[], kind: EntityKind): readonly Row[] {
    const [, name = '', direction] = /^(\w+)(?:\s+(asc|desc))?$/.exec(this.#fields.get('$orderby') ?? '') ?? []
    if (name === '') return rows
    if (!kind.properties.some(each => each.name === name)) throw refusals.noProperty(name, kind.name)
    const sign = direction === 'desc' ? -1 : 1
    return rows.toSorted((one, other) => sign * String(one.values[name]).localeCompare(String(other.values[name])))
  }

  #show(row: Row): JsonObject {
    const { kind, id } = row
    const uri = `${this.#world.root()}${setOf(kind)}('${id}')`
    const select = this.#fields
      .get('$select')
      ?.split(',')
      .map(each => each.trim())
    const expand = (this.#fields.get('$expand') ?? '')
      .split(',')
      .map(each => each.trim())
      .filter(each => each !== '')
    for (const name of [...(select ?? []), ...expand]) {
      const [first = ''] = name.split('/')
      const isKnown =
        kind.properties.some(each => each.name === first) || kind.children.some(each => each.name === first)
      if (!isKnown) throw refusals.noProperty(name, kind.name)
    }
    const shown: Record<string, Json> = { __metadata: { uri, type: `c4codata.${kind.name}`, etag: etagOf(row) } }
    for (const { name, kind: type } of kind.properties) {
      if (select && !select.includes(name)) continue
      shown[name] =
        name === 'ETag'
          ? jsonOf('moment', new Date(Number(row.tag / 10_000n)).toISOString())
          : jsonOf(type, row.values[name] ?? null)
    }
    for (const child of kind.children) {
      if (expand.includes(child.name)) {
        shown[child.name] = this.#world.store.childrenOf(child, id).map(each => plainly(each, this.#world.root()))
      } else if (!select) shown[child.name] = { __deferred: { uri: `${uri}/${child.name}` } }
    }
    return shown
  }

  #refuseOld(row: Row): void {
    const wanted = this.#request.headers['if-match']
    if (wanted !== undefined && wanted !== '*' && wanted !== etagOf(row)) throw refusals.etagOld()
  }

  #body(kind: EntityKind, flag: 'isCreatable' | 'isUpdatable') {
    const type = this.#request.headers['content-type'] ?? ''
    if (!/^application\/json(;|$)/i.test(type)) throw refusals.notAcceptable(type || 'nothing')
    let document: Json
    try {
      document = JSON.parse(this.#request.body) as Json
    } catch {
      throw refusals.malformed('the payload is no JSON')
    }
    return readEntity(kind, document, flag)
  }

  #nextLink(from: number): string {
    const fields = [...this.#fields].filter(([name]) => name !== '$skiptoken')
    const query = [...fields, ['$skiptoken', String(from)]].map(
      ([name = '', value = '']) => `${encodeURIComponent(name).replace('%24', '$')}=${encodeURIComponent(value)}`,
    )
    return `${this.#world.root()}${this.#request.target.split('?')[0] ?? ''}?${query.join('&')}`
  }

  #whole(name: string): number | undefined {
    const text = this.#fields.get(name)
    if (text === null) return undefined
    if (!/^\d{1,9}$/.test(text)) throw refusals.malformed(`${name}=${text}`)
    return Number(text)
  }

  #json(status: number, document: Json, headers: Readonly<Record<string, string>> = {}): C4CReply {
    return { status, headers: { ...jsonHeaders, ...headers }, body: JSON.stringify(document) }
  }
}

interface ReadEntity {
  readonly values: Record<string, Value>
  readonly children: readonly { readonly kind: EntityKind; readonly values: Record<string, Value> }[]
}

/** A body by the type it is of. What may not be written is refused, except for an ObjectID, which is silently dropped. */
function readEntity(kind: EntityKind, json: Json, flag: 'isCreatable' | 'isUpdatable'): ReadEntity {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw refusals.malformed('an entity is an object')
  const values: Record<string, Value> = {}
  const children: { kind: EntityKind; values: Record<string, Value> }[] = []
  for (const [name, value] of Object.entries(json as JsonObject)) {
    if (name === '__metadata' || name === 'ObjectID') continue
    const child = kind.children.find(each => each.name === name)
    if (child) {
      if (!Array.isArray(value)) throw refusals.malformed(`${name} is no list`)
      for (const each of value) children.push({ kind: child, values: readEntity(child, each, 'isCreatable').values })
      continue
    }
    const property = kind.properties.find(each => each.name === name)
    if (!property) throw refusals.noProperty(name, kind.name)
    if (!property[flag]) throw flag === 'isCreatable' ? refusals.notCreatable(name) : refusals.notUpdatable(name)
    values[name] = valueInBody(property, value)
    if (/zoneCode$/i.test(name) && !zoneCodes.has(String(values[name]))) throw refusals.zone(String(values[name]))
  }
  for (const { name, isMandatory } of kind.properties) {
    const isLeftOut = flag === 'isCreatable' ? (values[name] ?? '') === '' : values[name] === ''
    if (isMandatory && isLeftOut) throw refusals.mandatory(name)
  }
  return { values, children }
}

/** What PUT leaves of an entity before it writes: nothing that may be changed. */
function emptied({ kind }: Row): Record<string, Value> {
  return Object.fromEntries(
    kind.properties
      .filter(each => each.isUpdatable)
      .map(each => [each.name, each.kind === 'text' ? '' : each.kind === 'flag' ? false : null]),
  )
}

function plainly(row: Row, root: string): JsonObject {
  const uri = `${root}${setOf(row.kind)}('${row.id}')`
  const shown: Record<string, Json> = { __metadata: { uri, type: `c4codata.${row.kind.name}`, etag: etagOf(row) } }
  for (const { name, kind } of row.kind.properties)
    if (name !== 'ETag') shown[name] = jsonOf(kind, row.values[name] ?? null)
  return shown
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw refusals.malformed('a broken percent escape')
  }
}
