import { compileFilter, type Follow, order, type Predicate } from './filter.ts'
import { refusals } from './sap-error.ts'
import { type EntityKind, kindNamed, navigationOf, typeName, type Version } from './schema.ts'
import type { Shape } from './show.ts'
import type { Row } from './store.ts'

/** The query of a collection, understood. */
export interface Query {
  readonly shape: Shape
  readonly filter: Predicate | undefined
  readonly compare: ((one: Row, other: Row) => number) | undefined
  readonly top: number | undefined
  readonly skip: number
  readonly hasCount: boolean
  /** Where the page begins; the service's own. */
  readonly from: number
}

const known: Readonly<Record<Version, ReadonlySet<string>>> = {
  v2: new Set(['$filter', '$select', '$expand', '$orderby', '$top', '$skip', '$inlinecount', '$skiptoken', '$format']),
  v4: new Set(['$filter', '$select', '$expand', '$orderby', '$top', '$skip', '$count', '$skiptoken', '$format']),
}

/** Reads the system query options; unknown ones and wrong ones are refused, other fields let be. */
export function readQuery(fields: URLSearchParams, kind: EntityKind, version: Version, follow: Follow): Query {
  for (const name of fields.keys()) {
    if (name.startsWith('$') && !known[version].has(name)) {
      throw refusals.malformed(`the system query option '${name}' is not supported`)
    }
  }
  const format = fields.get('$format')
  if (format !== null && !/^json(;|$)|^application\/json/.test(format)) throw refusals.notAcceptable(format)
  const filter = fields.get('$filter')
  const inlineCount = fields.get('$inlinecount')
  if (inlineCount !== null && inlineCount !== 'allpages' && inlineCount !== 'none') {
    throw refusals.malformed(`$inlinecount=${inlineCount}`)
  }
  return {
    shape: readShape(kind, version, list(fields.get('$select')), splitExpand(fields.get('$expand') ?? '')),
    filter: filter === null ? undefined : compileFilter(filter, kind, version, follow),
    compare: readOrder(fields.get('$orderby'), kind, version),
    top: whole(fields, '$top'),
    skip: whole(fields, '$skip') ?? 0,
    hasCount: inlineCount === 'allpages' || fields.get('$count') === 'true',
    from: whole(fields, '$skiptoken') ?? 0,
  }
}

function readShape(kind: EntityKind, version: Version, select: readonly string[], expand: readonly string[]): Shape {
  const type = typeName(kind, version)
  const expanded = expand.map(text => {
    const [, name = '', inner = ''] = /^([A-Za-z_]\w*)(?:\((.*)\))?$/.exec(text) ?? []
    const navigation = navigationOf(kind, version, name)
    if (!navigation || (version === 'v2' && inner !== '')) throw refusals.noSuchProperty(text, type)
    const to = kindNamed(navigation.to)
    const nested = version === 'v4' ? new URLSearchParams(inner.replaceAll(';', '&')) : new URLSearchParams()
    // V2 selects behind a navigation with a path.
    const below = select.filter(path => path.startsWith(`${name}/`)).map(path => path.slice(name.length + 1))
    const wanted = version === 'v4' ? list(nested.get('$select')) : below
    return { navigation, shape: readShape(to, version, wanted, []) }
  })
  for (const name of select) {
    const [first = ''] = name.split('/')
    const isKnown =
      first === '*' || kind.properties.some(each => each.name === first) || navigationOf(kind, version, first)
    if (!isKnown) throw refusals.noSuchProperty(name, type)
  }
  return { kind, select: select.length === 0 || select.includes('*') ? undefined : select, expand: expanded }
}

/** Splits at commas that stand in no brackets. */
function splitExpand(text: string): readonly string[] {
  return text === '' ? [] : text.split(/,(?![^(]*\))/).map(part => part.trim())
}

function readOrder(text: string | null, kind: EntityKind, version: Version): Query['compare'] {
  if (text === null) return undefined
  const keys = text.split(',').map(part => {
    const [, name = '', direction = 'asc'] = /^\s*(\w+)(?:\s+(asc|desc))?\s*$/.exec(part) ?? []
    const property = kind.properties.find(each => each.name === name)
    if (!property) throw refusals.noSuchProperty(part.trim(), typeName(kind, version))
    return { name, kind: property.kind, sign: direction === 'desc' ? -1 : 1 }
  })
  return (one, other) => {
    for (const { name, kind: type, sign } of keys) {
      const difference = order(type, one.values[name] ?? null, other.values[name] ?? null)
      if (difference !== 0) return sign * difference
    }
    return 0
  }
}

function list(text: string | null): readonly string[] {
  return text === null || text === '' ? [] : text.split(',').map(part => part.trim())
}

function whole(fields: URLSearchParams, name: string): number | undefined {
  const text = fields.get(name)
  if (text === null) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw refusals.malformed(`${name}=${text}`)
}
