import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/time.ts'
import { HOUR, MINUTE } from '../../kernel/time.ts'
import type { Scope, Side, SideDriver } from '../drivers.ts'
import type { Item } from '../plan/items.ts'
import type { PlanContext } from '../plan/link-plan.ts'
import { type Parts, partsOf } from '../plan/parts.ts'
import { isPrivate, type SkipReason, type SyncRules } from '../plan/rules.ts'
import type { Claims } from './claims.ts'
import type { SyncStore } from './sync-store.ts'

export const syncLimits = {
  /** Pages of one listing; at 512 ids a page of EWS this is five million items. */
  pagesMax: 10_000,
  /** Times one listing begins again because its token is lost. */
  restartsMax: 3,
  /** Items that are read, planned and written together. */
  chunkItems: 100,
  /** Ids of links that are compared with a listing at a time. */
  pairsPerPage: 2000,
  /**
   * Items of a feed that are kept in memory as they came, for all kinds of a mailbox together; further ones are read again
   * when their turn comes.
   */
  heldItemsMax: 2000,
  /** How often the keys of a side are compared that tells no deletions. */
  keysEveryMs: 30 * MINUTE,
  /** An item that we created and that its side tells nothing of is read in each round for so long. */
  unseenMs: 30 * MINUTE,
  /** Deletions within this time are one mass deletion, however many rounds they come in. */
  brakeWindowMs: 10 * MINUTE,
  /** Tokens of rounds in which nothing was told are stored at most so often. */
  tokenRestMs: 30 * MINUTE,
  /** A create whose answer was lost may still arrive for so long; until then it is searched for and not repeated. */
  lateMs: 3 * MINUTE,
  /** First and longest wait before an item that was refused alone is tried again. */
  refusedFirstMs: 5 * MINUTE,
  refusedUpToMs: 6 * HOUR,
  /** Rounds that follow at once while something is left over from the last one. */
  roundsInARow: 5,
} as const

export type SyncLimits = { readonly [K in keyof typeof syncLimits]: number }

/** What one round of one scope works with. */
export interface RoundContext {
  readonly scope: Scope
  readonly drivers: { readonly exchange: SideDriver; readonly crm: SideDriver }
  readonly store: SyncStore
  readonly rules: SyncRules
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Makes keys that never come again. */
  readonly newKey: () => string
  readonly limits: SyncLimits
  /** Items that are kept as they came, counted by all rounds that run beside each other. */
  readonly broughtCount?: Record<Side, number>
  /** What rounds of other mailboxes are about to create; left out where there are none. */
  readonly claims?: Claims
  readonly log: Log
  /** Told what became of each item that was looked at, and why. */
  readonly journal: (decision: Decision) => void
}

export interface Decision {
  readonly at: number
  readonly what:
    | 'created'
    | 'updated'
    | 'removed'
    | 'linked'
    | 'renamed'
    | 'parted'
    | 'held'
    | 'skipped'
    | 'left'
    | 'refused'
    | 'postponed'
    | 'conflict'
  /** The side that was written to, or, where nothing was written, the side of the item. */
  readonly side: Side
  readonly exchangeId: string | undefined
  readonly crmId: string | undefined
  /** Subject of the item, name of the contact. */
  readonly title: string
  readonly reason?: SkipReason
  /** Fields that were written, or that both sides had changed. */
  readonly fields?: readonly string[]
  /** Whose value stands after a conflict. */
  readonly winner?: Side
  readonly error?: { readonly code: string; readonly message: string; readonly next: string }
}

export function otherSide(side: Side): Side {
  return side === 'exchange' ? 'crm' : 'exchange'
}

/** What the planner needs; made once per round. */
export function planContextOf({ drivers, rules, scope }: RoundContext): PlanContext {
  const { exchange, crm } = drivers
  return {
    rules,
    crmHoldsMark: crm.abilities(scope.kind).holdsMark,
    common: item => withoutMarkCategory(exchange.normalise(crm.normalise(item)), rules.markCategory),
  }
}

/** The parts of an item in the form that both sides can hold. */
export function commonParts(context: PlanContext, item: Item): Parts {
  return partsOf(context.common(item))
}

/** Whether a request that was sent then, whose answer was lost, may yet be carried out; also by a clock that was set back. */
export function mayStillCome({ clock, limits }: Pick<RoundContext, 'clock' | 'limits'>, sentAt: number): boolean {
  return Math.abs(clock.now() - sentAt) < limits.lateMs
}

/** What an item is called where administrators read; what is private has no name there. */
export function titleOf(item: Item): string {
  if (isPrivate(item)) return ''
  return item.kind === 'contact' ? [item.givenName, item.surname, item.company].filter(Boolean).join(' ') : item.subject
}

export function* chunksOf<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += size) yield items.slice(from, from + size)
}

function withoutMarkCategory(item: Item, markCategory: string): Item {
  if (!item.categories.includes(markCategory)) return item
  return { ...item, categories: item.categories.filter(name => name !== markCategory) }
}
