import type { Json } from '../../kernel/json.ts'
import { edmxOf } from './edmx.ts'
import { type Query, readQuery } from './query.ts'
import { errorBody, refusals, SapError } from './sap-error.ts'
import {
  type EntityKind,
  entityKinds,
  kindNamed,
  type Navigation,
  namespaces,
  navigationOf,
  operationKinds,
  type Property,
  roots,
  typeName,
  type Version,
} from './schema.ts'
import { etagOf, jsonText, pathTo, type Shape, type Shown, showEntity } from './show.ts'
import type { EntityStore, Row } from './store.ts'
import { literalAt, type Value, valueFor, valueInBody } from './values.ts'

/** A request behind the root of a service, alone or as part of a batch. */
export interface ServiceRequest {
  readonly version: Version
  readonly method: string
  /** Behind the root, still percent-encoded, with the query. */
  readonly target: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface ServiceAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface ServiceWorld {
  readonly store: EntityStore
  readonly origin: () => string
  readonly pageSize: number
  /** See S4ODataOptions. */
  readonly hasPlainBoundaries: boolean
}

/** Answers a request for one resource; never throws. */
export function answerResource(world: ServiceWorld, request: ServiceRequest): ServiceAnswer {
  try {
    return new ResourceRequest(world, request).answer()
  } catch (thrown) {
    const error =
      thrown instanceof SapError ? thrown : new SapError(500, '/IWFND/CM_BEC/001', `Runtime error: ${String(thrown)}`)
    return answerError(request.version, error)
  }
}

let transactions = 0

export function answerError(version: Version, error: SapError): ServiceAnswer {
  transactions += 1
  const transaction = `6A1F${String(transactions).padStart(28, '0')}`
  return {
    status: error.status,
    headers: { 'content-type': contentType(version) },
    body: JSON.stringify(errorBody(version, error, transaction)),
  }
}

function contentType(version: Version): string {
  return version === 'v2' ? 'application/json' : 'application/json;odata.metadata=minimal;charset=utf-8'
}

class ResourceRequest {
  readonly #world: ServiceWorld
  readonly #request: ServiceRequest
  readonly #version: Version
  readonly #path: string
  readonly #fields: URLSearchParams

  constructor(world: ServiceWorld, request: ServiceRequest) {
    this.#world = world
    this.#request = request
    this.#version = request.version
    const [path = '', query = ''] = request.target.split('?', 2)
    this.#path = decode(path)
    this.#fields = new URLSearchParams(query)
  }

  answer(): ServiceAnswer {
    const { method } = this.#request
    if (this.#path === '') return this.#serviceDocument()
    if (this.#path === '$metadata') {
      return { status: 200, headers: { 'content-type': 'application/xml' }, body: edmxOf(this.#version) }
    }
    const operation = this.#operation()
    if (operation) return operation
    const { kind, key, rest } = this.#resource()
    if (rest !== '') return this.#below(kind, key, rest)
    if (key === undefined) {
      if (method === 'GET') return this.#list(kind, this.#world.store.all(kind))
      if (method === 'POST') return this.#create(kind)
      throw refusals.notAllowed(method)
    }
    switch (method) {
      case 'GET':
        return this.#entity(kind, this.#existing(kind, key))
      case 'PATCH':
      case 'PUT':
        return this.#change(kind, key)
      case 'MERGE':
        if (this.#version === 'v2') return this.#change(kind, key)
        throw refusals.notAllowed(method)
      case 'DELETE':
        this.#refuseOld(kind, this.#existing(kind, key))
        this.#world.store.remove(kind, key)
        return { status: 204, headers: {}, body: '' }
      default:
        throw refusals.notAllowed(method)
    }
  }

  #serviceDocument(): ServiceAnswer {
    const names = entityKinds.map(kind => kind[this.#version])
    const { version } = this.#request
    return this.#json(
      200,
      version === 'v2'
        ? { d: { EntitySets: names } }
        : { '@odata.context': '$metadata', value: names.map(name => ({ name, url: name, kind: 'EntitySet' })) },
    )
  }

  /** `Set`, `Set(key)` and what follows behind a slash. */
  #resource(): { kind: EntityKind; key: Readonly<Record<string, Value>> | undefined; rest: string } {
    const [, name = '', keyText, rest = ''] =
      /^([A-Za-z_]\w*)(?:\(((?:[^')]|'(?:[^']|'')*')*)\))?(?:\/(.*))?$/s.exec(this.#path) ?? []
    const kind = entityKinds.find(each => each[this.#version] === name)
    if (!kind) throw refusals.noSuchSegment(name === '' ? this.#path : name)
    return { kind, key: keyText === undefined ? undefined : this.#key(kind, keyText), rest }
  }

  #key(kind: EntityKind, text: string): Readonly<Record<string, Value>> {
    const values: Record<string, Value> = {}
    const bare = literalAt(this.#version, text)
    const [only] = kind.key
    if (bare && bare.letters === text.length && kind.key.length === 1 && only !== undefined) {
      values[only] = valueFor(propertyOf(kind, only, this.#version), bare.literal)
      return values
    }
    let rest = text
    while (rest !== '') {
      const [whole = '', name = ''] = /^\s*([A-Za-z_]\w*)\s*=\s*/.exec(rest) ?? []
      const found = literalAt(this.#version, rest.slice(whole.length))
      if (whole === '' || !found || name in values) throw refusals.malformed(`invalid key predicate (${text})`)
      values[name] = valueFor(propertyOf(kind, name, this.#version), found.literal)
      rest = rest.slice(whole.length + found.letters)
      if (rest !== '' && !rest.startsWith(',')) throw refusals.malformed(`invalid key predicate (${text})`)
      rest = rest.slice(1)
    }
    const isWhole = kind.key.length === Object.keys(values).length && kind.key.every(name => name in values)
    if (!isWhole) throw refusals.malformed(`the number of keys specified in the URI does not match (${text})`)
    return values
  }

  #below(kind: EntityKind, key: Readonly<Record<string, Value>> | undefined, rest: string): ServiceAnswer {
    if (this.#request.method !== 'GET') throw refusals.notAllowed(this.#request.method)
    if (key === undefined) {
      if (rest !== '$count') throw refusals.noSuchSegment(rest)
      const { filter } = this.#query(kind)
      const count = this.#world.store.all(kind).filter(row => filter?.(row) ?? true).length
      return { status: 200, headers: { 'content-type': 'text/plain' }, body: String(count) }
    }
    const row = this.#existing(kind, key)
    const navigation = navigationOf(kind, this.#version, rest)
    if (!navigation) throw refusals.noSuchSegment(rest)
    const to = kindNamed(navigation.to)
    const related = this.#related(row, navigation)
    if (navigation.isMany) return this.#list(to, related)
    const [one] = related
    if (!one) throw refusals.noSuchEntity(rest)
    return this.#entity(to, one)
  }

  #query(kind: EntityKind): Query {
    return readQuery(this.#fields, kind, this.#version, (row, name) => {
      const navigation = navigationOf(kind, this.#version, name)
      return navigation && this.#related(row, navigation)[0]
    })
  }

  #list(kind: EntityKind, rows: readonly Row[]): ServiceAnswer {
    const { shape, filter, compare, top, skip, hasCount, from } = this.#query(kind)
    const { pageSize } = this.#world
    const matching = filter ? rows.filter(filter) : [...rows]
    if (compare) matching.sort(compare)
    const wanted = matching.slice(skip, top === undefined ? undefined : skip + top)
    const wish = /maxpagesize=(\d{1,5})/.exec(this.#request.headers['prefer'] ?? '')?.[1]
    const size = Math.max(1, this.#version === 'v4' && wish !== undefined ? Math.min(Number(wish), pageSize) : pageSize)
    const page = wanted.slice(from, from + size)
    const next = from + size < wanted.length ? this.#nextLink(from + size) : undefined
    const list = page.map(row => this.#show(shape, row))
    if (this.#version === 'v2') {
      const count = hasCount ? { __count: String(matching.length) } : {}
      return this.#json(200, { d: { ...count, results: list, ...(next !== undefined && { __next: next }) } })
    }
    return this.#json(200, {
      '@odata.context': `$metadata#${kind.v4}`,
      ...(hasCount && { '@odata.count': matching.length }),
      value: list,
      ...(next !== undefined && { '@odata.nextLink': next }),
    })
  }

  #nextLink(from: number): string {
    const fields = [...this.#fields].filter(([name]) => name !== '$skiptoken')
    const query = [...fields, ['$skiptoken', String(from)]].map(
      ([name = '', value = '']) => `${encodeURIComponent(name).replace('%24', '$')}=${encodeURIComponent(value)}`,
    )
    const path = this.#request.target.split('?')[0] ?? ''
    // The gateway writes whole addresses in V2 and relative ones in V4.
    const root = this.#version === 'v2' ? `${this.#world.origin()}${roots.v2}` : ''
    return `${root}${path}?${query.join('&')}`
  }

  #entity(kind: EntityKind, row: Row, status = 200): ServiceAnswer {
    const { shape } = this.#query(kind)
    const shown = this.#show(shape, row)
    const etag = kind.hasEtag ? { etag: etagOf(row) } : {}
    const location =
      status === 201
        ? { location: `${this.#world.origin()}${roots[this.#version]}${pathTo(kind, row, this.#version)}` }
        : {}
    const context = { '@odata.context': `$metadata#${kind.v4}/$entity` }
    const body = this.#version === 'v2' ? { d: shown } : { ...context, ...(shown as Record<string, Shown>) }
    return this.#json(status, body, { ...etag, ...location })
  }

  #create(kind: EntityKind): ServiceAnswer {
    const values = this.#body(kind)
    for (const name of kind.key) {
      if (values[name] === undefined || values[name] === null || values[name] === '')
        throw refusals.wrongValue(name, 'initial')
    }
    if (this.#world.store.find(kind, values))
      throw refusals.exists(`${kind[this.#version]} ${String(values[kind.key.at(-1) ?? ''])}`)
    const blank = Object.fromEntries(kind.properties.map(({ name, kind: type }) => [name, type === 'text' ? '' : null]))
    return this.#entity(kind, this.#world.store.put(kind, { ...blank, ...values }), 201)
  }

  #change(kind: EntityKind, key: Readonly<Record<string, Value>>): ServiceAnswer {
    const row = this.#existing(kind, key)
    this.#refuseOld(kind, row)
    const values = this.#body(kind)
    if (kind.key.some(name => name in values && values[name] !== key[name]))
      throw refusals.malformed('a key cannot be changed')
    const blank = Object.fromEntries(kind.properties.map(({ name, kind: type }) => [name, type === 'text' ? '' : null]))
    const before = this.#request.method === 'PUT' ? { ...blank, ...key } : row.values
    const changed = this.#world.store.put(kind, { ...before, ...values })
    return { status: 204, headers: kind.hasEtag ? { etag: etagOf(changed) } : {}, body: '' }
  }

  #refuseOld(kind: EntityKind, row: Row): void {
    if (!kind.hasEtag) return
    const wanted = this.#request.headers['if-match']
    if (wanted === undefined) throw refusals.etagWanted()
    if (wanted !== '*' && wanted !== etagOf(row)) throw refusals.etagOld()
  }

  #body(kind: EntityKind): Record<string, Value> {
    const type = this.#request.headers['content-type'] ?? ''
    if (!/^application\/json(;|$)/i.test(type)) throw refusals.notAcceptable(type)
    let document: Json
    try {
      document = JSON.parse(this.#request.body, this.#reviver()) as Json
    } catch {
      throw refusals.malformed('the payload is no JSON')
    }
    if (typeof document !== 'object' || document === null || Array.isArray(document))
      throw refusals.malformed('an entity is an object')
    const values: Record<string, Value> = {}
    for (const [name, json] of Object.entries(document)) {
      if (name === '__metadata' || name.startsWith('@')) continue
      const property = propertyOf(kind, name, this.#version)
      const digits = digitsOf(json)
      values[name] = digits === undefined ? valueInBody(this.#version, property, json) : valueOfDigits(property, digits)
    }
    return values
  }

  /** Numbers keep their digits, marked with a letter that no text of JSON begins with by chance here. */
  #reviver() {
    return (_key: string, value: unknown, context?: { readonly source?: string }) =>
      typeof value === 'number' && context?.source !== undefined && !Number.isSafeInteger(value)
        ? { $digits: context.source }
        : value
  }

  #operation(): ServiceAnswer | undefined {
    const { method } = this.#request
    const { store } = this.#world
    const version = this.#version
    if (version === 'v2') {
      const operation = operationKinds.find(each => each.v2 === this.#path)
      if (!operation) return undefined
      if ((method === 'POST') !== operation.changes) throw refusals.notAllowed(method)
      const given: Record<string, Value> = {}
      for (const property of operation.parameters) {
        const text = this.#fields.get(property.name)
        const found = text === null ? undefined : literalAt(version, text)
        if (!found || found.letters !== text?.length) throw refusals.wrongLiteral(property.name, text ?? 'missing')
        given[property.name] = valueFor(property, found.literal)
      }
      if (operation.returns === 'long') return this.#json(200, { d: { [operation.v2]: String(this.#count(given)) } })
      return this.#block(this.#existing(kindNamed('A_CostCenter'), given))
    }
    const [, name = '', inner] = /^([A-Za-z_]\w*)\((.*)\)$/s.exec(this.#path) ?? []
    const unbound = operationKinds.find(each => !each.isBound && each.v4 === name)
    if (unbound) {
      if (method !== 'GET') throw refusals.notAllowed(method)
      const [parameter] = unbound.parameters
      const found = literalAt(version, (inner ?? '').replace(/^\w+=/, ''))
      if (!parameter || !found) throw refusals.malformed(`the parameters (${inner})`)
      const value = valueFor(parameter, found.literal)
      return this.#json(200, {
        '@odata.context': '$metadata#Edm.Int64',
        value: this.#count({ [parameter.name]: value }),
      })
    }
    const bound = operationKinds.find(each => each.isBound && this.#path.endsWith(`/${namespaces.v4}.${each.v4}`))
    const short = operationKinds.find(each => each.isBound && this.#path.endsWith(`/SAP__self.${each.v4}`))
    const operation = bound ?? short
    if (!operation) return undefined
    if (method !== 'POST') throw refusals.notAllowed(method)
    const kind = kindNamed('A_CostCenter')
    const keyText = /^CostCenter\((.*)\)\//s.exec(this.#path)?.[1] ?? ''
    const row = this.#existing(kind, this.#key(kind, keyText))
    this.#refuseOld(kind, row)
    return this.#block(store.find(kind, row.values) ?? row)
  }

  #count(given: Readonly<Record<string, Value>>): number {
    return this.#world.store
      .all(kindNamed('A_CostCenter'))
      .filter(row => row.values['CompanyCode'] === given['CompanyCode']).length
  }

  #block(row: Row): ServiceAnswer {
    const kind = kindNamed('A_CostCenter')
    const blocked = this.#world.store.put(kind, { ...row.values, IsBlkdForPrimaryCostsPosting: 'X' })
    const shape: Shape = { kind, select: undefined, expand: [] }
    const shown = this.#show(shape, blocked)
    return this.#json(200, this.#version === 'v2' ? { d: shown } : shown, { etag: etagOf(blocked) })
  }

  #existing(kind: EntityKind, key: Readonly<Record<string, Value>>): Row {
    const row = this.#world.store.find(kind, key)
    if (!row) throw refusals.noSuchEntity(kind[this.#version])
    return row
  }

  #related(row: Row, { to, by }: Navigation): readonly Row[] {
    return this.#world.store
      .all(kindNamed(to))
      .filter(other => by.every(name => other.values[name] === row.values[name]))
  }

  #show(shape: Shape, row: Row): Shown {
    const { origin } = this.#world
    return showEntity(
      { version: this.#version, origin: origin(), related: (of, navigation) => this.#related(of, navigation) },
      shape,
      row,
    )
  }

  #json(status: number, document: Shown, headers: Readonly<Record<string, string>> = {}): ServiceAnswer {
    const version = this.#version === 'v2' ? { dataserviceversion: '2.0' } : { 'odata-version': '4.0' }
    return {
      status,
      headers: { 'content-type': contentType(this.#version), ...version, ...headers },
      body: jsonText(document),
    }
  }
}

function propertyOf(kind: EntityKind, name: string, version: Version): Property {
  const property = kind.properties.find(each => each.name === name)
  if (!property) throw refusals.noSuchProperty(name, typeName(kind, version))
  return property
}

function digitsOf(json: Json): string | undefined {
  return typeof json === 'object' && json !== null && '$digits' in json ? String(json['$digits']) : undefined
}

function valueOfDigits(property: Property, digits: string): Value {
  if (property.kind !== 'decimal' && property.kind !== 'long') throw refusals.wrongValue(property.name, digits)
  const literal = { kinds: [property.kind], value: digits, text: digits }
  return valueFor(property, literal)
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw refusals.malformed('a broken percent escape')
  }
}
