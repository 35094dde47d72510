import type { EdmType } from './edm.ts'
import { odataErrors } from './errors.ts'

/** What a service says of itself in $metadata, as far as keys, literals and names need it. */
export interface Model {
  readonly sets: ReadonlyMap<string, EntityType>
  /** Function imports of V2; functions and actions of V4 by their last name. */
  readonly operations: ReadonlyMap<string, Operation>
}

export interface EntityType {
  readonly name: string
  readonly key: readonly string[]
  /** Types of the properties; undefined for those that are no single value (complex, collections, enumerations). */
  readonly properties: ReadonlyMap<string, EdmType | undefined>
  /** Where navigation properties lead, as far as it is said. */
  readonly navigation: ReadonlyMap<string, EntityType | undefined>
}

export interface Operation {
  readonly name: string
  /** The name with its namespace, as bound operations of V4 are called. */
  readonly qualifiedName: string
  readonly method: 'GET' | 'POST'
  readonly isBound: boolean
  readonly parameters: ReadonlyMap<string, EdmType | undefined>
  /** V2: the entity set that its result is of. */
  readonly set?: string | undefined
}

/** The type of an entity set; throws ODATA_NAME_UNKNOWN. */
export function entityTypeOf(model: Model, set: string, server: string): EntityType {
  const type = model.sets.get(set)
  if (!type) throw nameUnknown('entity set', set, model.sets.keys(), server)
  return type
}

/**
 * The type of a property, also behind a navigation (`to_Text/Language`). Undefined where the model does not say, throws
 * ODATA_NAME_UNKNOWN where it knows better.
 */
export function propertyTypeOf(type: EntityType, path: string, server: string): EdmType | undefined {
  let at: EntityType | undefined = type
  const parts = path.split('/')
  for (const [index, name] of parts.entries()) {
    if (!at) return undefined
    if (at.properties.has(name)) return index === parts.length - 1 ? at.properties.get(name) : undefined
    if (!at.navigation.has(name)) {
      throw nameUnknown('property', name, [...at.properties.keys(), ...at.navigation.keys()], server)
    }
    at = at.navigation.get(name)
  }
  return undefined
}

export function nameUnknown(kind: string, name: string, known: Iterable<string>, server: string) {
  const lower = name.toLowerCase()
  const near = [...known].find(other => other.toLowerCase() === lower || other.toLowerCase().includes(lower))
  return odataErrors.NAME_UNKNOWN({ server, kind, name, hint: near === undefined ? '' : ` (there is ${near})` })
}
