import type { Json } from '../../kernel/json.ts'
import { isObject } from './refusal.ts'

/** The mark that an item carries, as an extended property: `String {guid} Name CrmObjectId`. */
export interface LinkProperty {
  /** The property set: the product's own, the same in EWS, never changed. */
  readonly set: string
  readonly name: string
}

export function propertyId({ set, name }: LinkProperty): string {
  return `String {${set.toLowerCase()}} Name ${name}`
}

/** For `$expand` of a query: the property comes with the item. */
export function expandProperty(property: LinkProperty): string {
  return `singleValueExtendedProperties($filter=id eq '${propertyId(property)}')`
}

/** For `$filter`: the items that carry the mark. */
export function propertyEquals(property: LinkProperty, mark: string): string {
  const literal = mark.replaceAll("'", "''")
  return `singleValueExtendedProperties/Any(ep: ep/id eq '${propertyId(property)}' and ep/value eq '${literal}')`
}

/** For the body of a create or a change. */
export function propertyValue(property: LinkProperty, mark: string) {
  return { id: propertyId(property), value: mark }
}

/** The mark of an item that was read with `expandProperty`, or null. */
export function markOf(item: { readonly singleValueExtendedProperties?: Json }, property: LinkProperty): string | null {
  const list = item.singleValueExtendedProperties
  if (!Array.isArray(list)) return null
  const wanted = propertyId(property).toLowerCase()
  const found: Json | undefined = list.find(
    (each: Json) => isObject(each) && String(each['id']).toLowerCase() === wanted,
  )
  const value = isObject(found) ? found['value'] : undefined
  return typeof value === 'string' && value !== '' ? value : null
}
