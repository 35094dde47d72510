import { type C4CClient, type C4CRow, equals } from '../../protocols/c4c/client.ts'
import type { C4CEntity } from '../../protocols/c4c/types.ts'
import { partsOf } from './kinds.ts'
import type { ContactBook } from './relations.ts'
import { textAt } from './values.ts'

export interface Marked {
  readonly entity: C4CEntity
  readonly row: C4CRow
}

/** Entities of these sets that carry one of these marks. Whom new items are about is asked along: their creation needs it next. */
export async function findMarked(
  client: C4CClient,
  { entities, marks }: { readonly entities: readonly C4CEntity[]; readonly marks: readonly string[] },
  along: { readonly contacts: ContactBook; readonly addresses: readonly string[] },
  signal: AbortSignal,
): Promise<readonly Marked[]> {
  const { contacts, addresses } = along
  const byMark = entities.flatMap(entity => {
    const expand = partsOf(entity)
    return marks.map(mark => ({ entity, mark, query: { filter: equals('GroupwareItemID', mark), expand } }))
  })
  const byAddress = addresses.map(address => ({ entity: 'Contact' as const, query: contacts.queryOf(address) }))
  const found = await client.findEach([...byMark, ...byAddress], signal)
  for (const [index, address] of addresses.entries()) contacts.take(address, found[byMark.length + index] ?? [])
  // A star in a mark stands for any letters: only what carries the very mark is meant.
  return byMark.flatMap(({ entity, mark }, index) =>
    (found[index] ?? []).flatMap(row => (textAt(row.values, 'GroupwareItemID') === mark ? [{ entity, row }] : [])),
  )
}
