import type { Side, SideItem } from '../drivers.ts'
import type { Pulled } from './pull.ts'
import type { Round } from './round-state.ts'

interface Known {
  /** Listed, and not read so far. */
  readonly unread: Set<string>
  readonly byMark: Map<string, SideItem[]>
}

const known = new WeakMap<Round, Known>()

/**
 * Where nothing is linked yet and the mailbox was listed whole, all its items are read: which of them carry marks (of a
 * memory that was lost) is known then, and need not be searched for.
 */
export async function expectMarks(round: Round, side: Side, { touched, isFull }: Pulled): Promise<void> {
  const { drivers, scope, store } = round.context
  if (side !== 'exchange' || !isFull || !drivers.exchange.abilities(scope.kind).listsMarks) return
  if ((await store.countLinks(scope)) > 0) return
  known.set(round, { unread: new Set(touched.keys()), byMark: new Map() })
}

export function noteMarks(round: Round, side: Side, asked: readonly string[], items: Iterable<SideItem>): void {
  const marks = side === 'exchange' ? known.get(round) : undefined
  if (!marks) return
  for (const item of items) {
    if (item.mark === null || !marks.unread.has(item.id)) continue
    const same = marks.byMark.get(item.mark)
    if (same) same.push(item)
    else marks.byMark.set(item.mark, [item])
  }
  for (const id of asked) marks.unread.delete(id)
}

/** The items of the mailbox by their marks; undefined while they are not all known. */
export function knownMarks(round: Round): ReadonlyMap<string, readonly SideItem[]> | undefined {
  const marks = known.get(round)
  return marks?.unread.size === 0 ? marks.byMark : undefined
}
