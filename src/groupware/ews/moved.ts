import type { EwsClient } from '../../protocols/ews/client.ts'
import { globalObjectId } from '../../protocols/ews/global-object-id.ts'
import type { SearchTerm } from '../../protocols/ews/items.ts'
import type { MovedHalf, Scope, SideItem } from '../drivers.ts'
import type { FolderBook, ScopeFolder } from './folder-book.ts'
import { kindFacts } from './kinds.ts'
import { markProperty } from './parts.ts'

const foundMax = 100

interface Search {
  readonly client: EwsClient
  readonly book: FolderBook
  readonly read: (ids: readonly string[], folders: readonly ScopeFolder[]) => Promise<readonly (SideItem | undefined)[]>
  /** Terms of one search. */
  readonly termsMax: number
}

/**
 * The items that these halves of links have become in folders that are not synced: EWS tells of a move as of a deletion,
 * and gives the item another id, but its mark goes with it, and the UID of an appointment. Costs a request for the
 * folders, and one for each that has items.
 */
export async function findMoved(
  { client, book, read, termsMax }: Search,
  scope: Scope,
  halves: readonly MovedHalf[],
  signal: AbortSignal,
): Promise<readonly (SideItem | undefined)[]> {
  // Mail is filed all day, into hundreds of folders.
  if (scope.kind === 'mail') return halves.map(() => undefined)
  const at = { mailbox: scope.mailbox, signal }
  const folders = (await book.othersOf(scope, signal)).filter(({ itemCount }) => itemCount > 0)
  const shape = { itemClass: kindFacts[scope.kind].itemClass, fields: [] }
  const ids: string[] = []
  for (const folder of folders) {
    for (let from = 0; from < halves.length; from += termsMax) {
      const terms = halves.slice(from, from + termsMax).map(termOf)
      for (const { id } of await client.findItems(at, { id: folder.id }, shape, terms, foundMax)) ids.push(id)
    }
  }
  const items = (await read(ids, folders)).filter(item => item !== undefined)
  return halves.map(half => items.find(item => isSame(item, half)))
}

function termOf({ identity, mark }: MovedHalf): SearchTerm {
  if (identity === null) return { property: markProperty, value: mark }
  return { globalObjectId: true, value: globalObjectId(identity).toString('base64') }
}

function isSame(item: SideItem, { identity, mark }: MovedHalf): boolean {
  return identity === null ? item.mark === mark : item.identity === identity
}
