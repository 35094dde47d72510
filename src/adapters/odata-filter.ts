import type { Scope } from '../flow/expression.ts'
import type { Json } from '../kernel/json.ts'
import type { EdmType } from '../protocols/odata/edm.ts'
import { odataErrors } from '../protocols/odata/errors.ts'
import { type EntityType, propertyTypeOf } from '../protocols/odata/model.ts'
import { literalOf, type Naming } from '../protocols/odata/url.ts'
import { splitTemplate, type TemplatePiece } from './template-pieces.ts'

/**
 * A `$filter` with `${…}` parts. Each part is one whole literal: the hub writes its quotes and its prefix, by the type
 * of the property it is compared with, so that no value of a message can add a condition.
 */
export class FilterTemplate {
  readonly text: string
  readonly #pieces: readonly TemplatePiece[]

  constructor(text: string) {
    this.text = text
    this.#pieces = splitTemplate(text)
  }

  /** What is wrong with the text, as far as it shows without a message. */
  get mistake(): string | undefined {
    let before = ''
    for (const piece of this.#pieces) {
      if ('literal' in piece) before += piece.literal
      else if (before.split("'").length % 2 === 0) {
        return 'a ${…} stands inside quotes; leave them out, the hub writes them'
      }
    }
    return undefined
  }

  /** `isWhole`: the type has all properties, so that a name it does not have is a mistake. */
  async render(scope: Scope, naming: Naming, type: EntityType | undefined, isWhole: boolean): Promise<string> {
    let text = ''
    for (const [index, piece] of this.#pieces.entries()) {
      if ('literal' in piece) {
        text += piece.literal
        continue
      }
      const next = this.#pieces[index + 1]
      const after = next && 'literal' in next ? next.literal : ''
      const place = placeOf(text, after)
      const value = await piece.template.render(scope)
      text += written(naming, place, typeAt(place, type, isWhole, naming.server, this.text), value)
    }
    return text
  }
}

interface Place {
  /** The property that the value is compared with. */
  readonly property: string | undefined
  readonly isText: boolean
  readonly isList: boolean
}

const compared = /([A-Za-z_][\w/]*)\s+(?:eq|ne|gt|ge|lt|le)\s+$/
const listed = /([A-Za-z_][\w/]*)\s+in\s+$/
const comparedAfter = /^\s+(?:eq|ne|gt|ge|lt|le)\s+([A-Za-z_][\w/]*)/
const inTextFunction = /\b(?:substringof|startswith|endswith|contains|indexof|concat|matchesPattern)\([^()]*$/i

function placeOf(before: string, after: string): Place {
  const list = listed.exec(before)?.[1]
  const property = list ?? compared.exec(before)?.[1] ?? comparedAfter.exec(after)?.[1]
  return { property, isText: property === undefined && inTextFunction.test(before), isList: list !== undefined }
}

function typeAt(
  { property, isText }: Place,
  type: EntityType | undefined,
  isWhole: boolean,
  server: string,
  text: string,
): EdmType | undefined {
  if (isText) return 'Edm.String'
  if (property === undefined || !type) return undefined
  // In any(…) and all(…) the first name is a variable.
  const first = property.split('/')[0] ?? ''
  if (new RegExp(`\\b(?:any|all)\\(\\s*${first}\\s*:`).test(text)) return undefined
  return isWhole ? propertyTypeOf(type, property, server) : type.properties.get(property)
}

function written(naming: Naming, place: Place, type: EdmType | undefined, value: Json): string {
  const name = place.property ?? 'a part of the filter'
  const { version } = naming
  if (!place.isList) return literalOf(version, type, value, name)
  if (!Array.isArray(value) || value.length === 0) {
    throw odataErrors.VALUE_UNFIT({ name, type: 'a list', reason: 'in wants a list with at least one value' })
  }
  return `(${value.map(each => literalOf(version, type, each as Json, name)).join(',')})`
}
