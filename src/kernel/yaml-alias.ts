import { type Document, visit } from 'yaml'

export const aliasWords = 'an alias (*) is not taken here; write the value out'

/** Where the first alias of a document stands; undefined where there is none. */
export function findAlias(document: Document.Parsed): number | undefined {
  let found: number | undefined
  visit(document, {
    Alias(_key, { range }) {
      found = range?.[0] ?? 0
      return visit.BREAK
    },
  })
  return found
}
