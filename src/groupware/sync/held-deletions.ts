import type { Scope, Side, SideDriver, SideItem } from '../drivers.ts'
import { dateOf } from '../plan/items.ts'
import { chunksOf, otherSide, titleOf } from './context.ts'
import type { Link, ScopeKey, SyncStore, Waiting } from './sync-store.ts'

/** What a person says about deletions that the brake holds back: carry them over, or create anew what is gone. */
export type HeldDecision = 'pass' | 'restore'

/** A deletion that waits for a person. */
export interface HeldDeletion {
  /** Key of its link. */
  readonly key: string
  /** Where it was deleted; the half on the other side is still there. */
  readonly deletedOn: Side
  readonly heldAt: number
  /** Ids of both halves; the one of `deletedOn` is gone. */
  readonly exchangeId: string
  readonly crmId: string
  /** Of the half that is left; '' for a private item, and where it could not be read. */
  readonly title: string
  /** Start of an appointment, day of a task, time of a mail. */
  readonly date: string | null
  /** When the half that is left was last changed. */
  readonly modifiedAt: number | null
  /** The other half is gone by now, too. */
  readonly isGone: boolean
}

/**
 * Decides about all deletions of a scope that the brake holds back. `pass`: the next round carries over those that are
 * held now. `restore` takes them for mistakes: the next round creates anew what is gone, from the half that is still
 * there, whatever the rules say of new items. Returns how many.
 */
export async function decideHeld(
  store: SyncStore,
  scope: ScopeKey,
  decision: HeldDecision,
  now: number,
): Promise<number> {
  const held = await store.openLinks(scope, 'held')
  if (held.length === 0) return 0
  if (decision === 'pass') {
    await store.write(scope, { state: { isBrakeReleased: true } })
    return held.length
  }
  const again = held.flatMap((link): readonly Waiting[] => {
    if (!link.held) return []
    const side = otherSide(link.held.side)
    const { id } = link[side]
    return [{ side, id, version: undefined, attemptCount: 0, dueAt: now, at: now, error: undefined, isWanted: true }]
  })
  // An earlier word to let them pass is taken back with it.
  await store.write(scope, {
    dropLinks: held.map(link => link.key),
    putWaiting: again,
    state: { isBrakeReleased: false },
  })
  return held.length
}

/** The deletions of a scope that are held back, by rising key, with the titles of what is left. Throws what a side throws. */
export async function listHeld(
  { store, drivers, scope }: { readonly store: SyncStore; readonly drivers: Sides; readonly scope: Scope },
  { after, limit }: { readonly after: string | undefined; readonly limit: number },
  signal: AbortSignal,
): Promise<readonly HeldDeletion[]> {
  const page = (await store.openLinks(scope, 'held'))
    .filter(({ key }) => after === undefined || key > after)
    .toSorted((one, other) => (one.key < other.key ? -1 : 1))
    .slice(0, limit)
  const items = new Map<string, SideItem>()
  for (const side of ['exchange', 'crm'] as const) {
    const ids = page.flatMap(link => (link.held?.side === otherSide(side) ? [link[side].id] : []))
    for (const chunk of chunksOf(ids, drivers[side].abilities(scope.kind).batch.read)) {
      const read = await drivers[side].read(scope, chunk, signal)
      for (const item of read) if (item) items.set(`${side} ${item.id}`, item)
    }
  }
  return page.flatMap(link => heldDeletionOf(link, items))
}

type Sides = { readonly [S in Side]: SideDriver }

function heldDeletionOf(link: Link, items: ReadonlyMap<string, SideItem>): readonly HeldDeletion[] {
  if (!link.held) return []
  const { side: deletedOn, at: heldAt } = link.held
  const left = otherSide(deletedOn)
  const found = items.get(`${left} ${link[left].id}`)
  return [
    {
      key: link.key,
      deletedOn,
      heldAt,
      exchangeId: link.exchange.id,
      crmId: link.crm.id,
      title: found ? titleOf(found.item) : '',
      date: found ? dateOf(found.item) : null,
      modifiedAt: found?.modifiedAt ?? null,
      isGone: found === undefined,
    },
  ]
}
