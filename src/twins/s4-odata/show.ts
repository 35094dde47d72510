import type { Json } from '../../kernel/json.ts'
import { type EntityKind, type Navigation, namespaces, roots, typeName, type Version } from './schema.ts'
import type { Row } from './store.ts'
import { DigitText, jsonOf, literalOf } from './values.ts'

/** What of an entity is shown. */
export interface Shape {
  readonly kind: EntityKind
  readonly select: readonly string[] | undefined
  readonly expand: readonly { readonly navigation: Navigation; readonly shape: Shape }[]
}

export type Shown = Json | DigitText | readonly Shown[] | { readonly [name: string]: Shown }

export interface Showing {
  readonly version: Version
  /** `https://host:port` */
  readonly origin: string
  related(row: Row, navigation: Navigation): readonly Row[]
}

/** `A_CostCenter(ControllingArea='A000',…)` */
export function pathTo(kind: EntityKind, row: Row, version: Version): string {
  const literal = (name: string) => {
    const property = kind.properties.find(each => each.name === name)
    return encodeURIComponent(literalOf(version, property?.kind ?? 'text', row.values[name] ?? null))
  }
  const [only] = kind.key
  const key =
    kind.key.length === 1 && only !== undefined
      ? literal(only)
      : kind.key.map(name => `${name}=${literal(name)}`).join(',')
  return `${kind[version]}(${key})`
}

export function etagOf({ state }: Row): string {
  return `W/"'SADL-${String(state).padStart(12, '0')}'"`
}

export function showEntity(showing: Showing, shape: Shape, row: Row): Shown {
  const { version, origin } = showing
  const { kind, select, expand } = shape
  const uri = `${origin}${roots[version]}${pathTo(kind, row, version)}`
  const fields: [string, Shown][] = []
  if (version === 'v2') {
    const etag = kind.hasEtag ? { etag: etagOf(row) } : {}
    fields.push(['__metadata', { id: uri, uri, type: `${namespaces.v2}.${typeName(kind, 'v2')}`, ...etag }])
  } else if (kind.hasEtag) fields.push(['@odata.etag', etagOf(row)])
  for (const { name, kind: type } of kind.properties) {
    if (select && !select.includes(name)) continue
    fields.push([name, jsonOf(version, type, row.values[name] ?? null)])
  }
  for (const navigation of kind.navigation) {
    const name = navigation[version]
    const expanded = expand.find(each => each.navigation === navigation)
    if (expanded) {
      const list = showing.related(row, navigation).map(each => showEntity(showing, expanded.shape, each))
      const many: Shown = version === 'v2' ? { results: list } : list
      fields.push([name, navigation.isMany ? many : (list[0] ?? null)])
    } else if (version === 'v2' && (!select || select.includes(name))) {
      fields.push([name, { __deferred: { uri: `${uri}/${name}` } }])
    }
  }
  return Object.fromEntries(fields)
}

/** JSON with numbers of any length. */
export function jsonText(value: Shown): string {
  if (value instanceof DigitText) return value.digits
  if (Array.isArray(value)) return `[${value.map(each => jsonText(each as Shown)).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value as Readonly<Record<string, Shown>>)
  return `{${fields.map(([name, each]) => `${JSON.stringify(name)}:${jsonText(each)}`).join(',')}}`
}
