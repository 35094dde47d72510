import type { ItemKind } from '../plan/items.ts'
import type { SyncRules } from '../plan/rules.ts'
import { type HeldDeletion, listHeld } from '../sync/held-deletions.ts'
import type { SyncStore } from '../sync/sync-store.ts'
import type { Drivers } from './access-test.ts'
import type { Mailbox } from './model.ts'
import { itemKinds } from './rules-input.ts'
import { scopeOf } from './scopes.ts'

export interface HeldRequest {
  readonly kind?: ItemKind | undefined
  /** `next` of the page before. */
  readonly after?: string | undefined
  readonly limit: number
}

/** Deletions of a mailbox that wait for a person. */
export interface HeldPage {
  readonly items: readonly (HeldDeletion & { readonly kind: ItemKind })[]
  /** How many are held, by kind; kinds without any are left out. */
  readonly counts: Readonly<Partial<Record<ItemKind, number>>>
  readonly next: string | undefined
}

/** A page of the deletions that are held back, kind after kind. Throws what a side throws that cannot be read. */
export async function listHeldOf(
  {
    mailbox,
    rules,
    drivers,
    store,
    now,
    signal,
  }: {
    readonly mailbox: Mailbox
    readonly rules: SyncRules
    readonly drivers: Drivers
    readonly store: SyncStore
    readonly now: number
    readonly signal: AbortSignal
  },
  { kind: only, after, limit }: HeldRequest,
): Promise<HeldPage> {
  const kinds = itemKinds.filter(kind => only === undefined || kind === only)
  const [afterKind, afterKey] = after?.split(' ', 2) ?? []
  const begin = afterKind === undefined ? 0 : kinds.map(String).indexOf(afterKind)
  const counts: Partial<Record<ItemKind, number>> = {}
  const items: (HeldDeletion & { readonly kind: ItemKind })[] = []
  for (const [index, kind] of kinds.entries()) {
    const scope = scopeOf(mailbox, kind, rules, now)
    const count = await store.countHeld(scope)
    if (count > 0) counts[kind] = count
    if (count === 0 || index < begin || items.length > limit) continue
    const request = { after: kind === afterKind ? afterKey : undefined, limit: limit + 1 - items.length }
    for (const held of await listHeld({ store, drivers, scope }, request, signal)) items.push({ ...held, kind })
  }
  const page = items.slice(0, limit)
  const last = items.length > limit ? page.at(-1) : undefined
  return { items: page, counts, next: last && `${last.kind} ${last.key}` }
}
