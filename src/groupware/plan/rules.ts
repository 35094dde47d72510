import { DAY } from '../../kernel/time.ts'
import { isOfPerson, type Scope, type Side } from '../drivers.ts'
import { lastStartOf } from '../occurrences.ts'
import type { Item, ItemKind, Recurrence } from './items.ts'

/** What an organization, its profile or a user wants to have synced. */
export interface SyncRules {
  readonly kinds: Readonly<Record<ItemKind, KindRules>>
  /** The category that shows people which items are synced; drivers set and clear it with the mark. It is not compared. */
  readonly markCategory: string
  /** Mail addresses, and domains as `x.example`: mail and appointments with nobody but these stay out. */
  readonly blocked: readonly string[]
  /** Mail domains of the company itself: mail among colleagues alone stays out. */
  readonly ownDomains: readonly string[]
  readonly brake: BrakeRules
  readonly series: SeriesRules
}

/** How a series stands in a CRM that has single appointments only. */
export interface SeriesRules {
  /** `occurrences`: each one for itself, as far ahead as `aheadMs` says; `one`: the first one stands for all. */
  readonly as: 'occurrences' | 'one'
  readonly aheadMs: Readonly<Record<Recurrence['unit'], number>>
}

export interface KindRules {
  readonly direction: 'off' | 'both' | 'to-crm' | 'to-exchange'
  /** Whose value stands where both sides changed the same part. */
  readonly conflict: 'newest' | 'exchange' | 'crm'
  /** `mirror`: what is deleted on one side is deleted on the other one; `keep`: the two only part. */
  readonly deletions: 'mirror' | 'keep'
  /** Only items of the mailbox that somebody marked so come to the CRM; undefined: all. */
  readonly onlyCategory: string | undefined
  readonly onlyFolder: string | undefined
  /** Items before and after now by more than this are not taken in; undefined: no end. Links stay. */
  readonly pastMs: number | undefined
  readonly futureMs: number | undefined
}

export interface BrakeRules {
  /** Up to so many deletions within minutes pass whatever their share. */
  readonly freeCount: number
  /** Share of the linked items (0 to 1) above which deletions are held back. */
  readonly share: number
}

const usual = {
  direction: 'both',
  conflict: 'newest',
  deletions: 'mirror',
  pastMs: undefined,
  futureMs: undefined,
} as const
const anything = { onlyCategory: undefined, onlyFolder: undefined } as const

const markCategory = 'SAP Cloud for Customer'

/** What a careful administrator would start with. */
export const defaultRules: SyncRules = {
  kinds: {
    // Mail goes to the CRM only when somebody says so, and a mailbox that is tidied up does not empty the CRM.
    mail: {
      ...usual,
      direction: 'to-crm',
      deletions: 'keep',
      onlyCategory: markCategory,
      onlyFolder: undefined,
      pastMs: 30 * DAY,
    },
    appointment: { ...usual, ...anything, pastMs: 30 * DAY },
    contact: { ...usual, ...anything },
    task: { ...usual, ...anything },
  },
  markCategory,
  blocked: [],
  ownDomains: [],
  brake: { freeCount: 10, share: 0.2 },
  // In their CRM people look for next Tuesday's meeting, not for how it repeats.
  series: { as: 'occurrences', aheadMs: { day: 60 * DAY, week: 60 * DAY, month: 180 * DAY, year: 400 * DAY } },
}

export type SkipReason =
  | 'kind-off'
  | 'wrong-direction'
  | 'private'
  | 'service-mail'
  | 'blocked'
  | 'not-marked'
  | 'other-folder'
  | 'outside-window'
  | 'cancelled'
  | 'copy'
  | 'series'
  | 'deleted-before'
  | 'released'
  | 'other-mailbox-leads'
  | 'refused-before'

/** Reasons that hold also for an item that a person wants to have back. */
export const firmReasons: ReadonlySet<SkipReason> = new Set(['kind-off', 'private'])

/** Each reason as a sentence for the person who asks why an item did not come over. */
export const skipWords: Readonly<Record<SkipReason, string>> = {
  'kind-off': 'Items of this kind are switched off.',
  'wrong-direction': 'Items of this kind go the other way only.',
  private: 'The item is private or confidential; such items stay in the mailbox.',
  'service-mail': 'The mail was written by a machine (a receipt, a response to a meeting, a bounce).',
  blocked: 'Everybody on it is on the block list or works for the company itself.',
  'not-marked': 'It does not carry the category that brings items of this kind to the CRM.',
  'other-folder': 'It does not lie in the folder that brings items of this kind to the CRM.',
  'outside-window': 'It is older or lies further ahead than the window that is synced.',
  cancelled: 'The meeting is cancelled.',
  series: 'It is a series, and the other side cannot hold one.',
  copy: 'It is a copy of an item that is synced already.',
  'deleted-before': 'It was deleted by the sync and has not changed since.',
  released: 'It was let go when its other half was deleted; in the mailbox its category, put on again, brings it back.',
  'other-mailbox-leads': "It belongs to a meeting that another mailbox syncs; this mailbox's copy only follows.",
  'refused-before': 'The other side refused it; it is tried again later, or when it changes.',
}

export interface RuleContext {
  readonly rules: SyncRules
  readonly now: number
  /** Whose items they are. */
  readonly person: Pick<Scope, 'mailbox' | 'owner'>
}

/** Why a new item of a side stays out, or undefined when it comes over. */
export function skipReason(
  side: Side,
  { item, folder }: { readonly item: Item; readonly folder: string | null },
  { rules, now, person }: RuleContext,
): SkipReason | undefined {
  const kind = rules.kinds[item.kind]
  if (kind.direction === 'off') return 'kind-off'
  if (kind.direction === (side === 'exchange' ? 'to-exchange' : 'to-crm')) return 'wrong-direction'
  if (isPrivate(item)) return 'private'
  if (item.kind === 'mail' && item.nature === 'service') return 'service-mail'
  if (isCancelled(item)) return 'cancelled'
  if (side === 'exchange') {
    if (isBlocked(item, rules, person)) return 'blocked'
    if (kind.onlyCategory !== undefined && !item.categories.includes(kind.onlyCategory)) return 'not-marked'
    if (kind.onlyFolder !== undefined && folder !== kind.onlyFolder) return 'other-folder'
  }
  return isOutside(item, kind, now) ? 'outside-window' : undefined
}

/** Whose value stands where both sides changed a part. */
export function winnerOf(
  rule: KindRules['conflict'],
  exchange: { readonly modifiedAt: number | null },
  crm: { readonly modifiedAt: number | null },
): Side {
  if (rule !== 'newest') return rule
  // Where a side does not say when, and where both say the same, the CRM's word counts: more people see it.
  return (exchange.modifiedAt ?? 0) > (crm.modifiedAt ?? Number.MAX_SAFE_INTEGER) ? 'exchange' : 'crm'
}

export function isPrivate(item: Item): boolean {
  return item.sensitivity === 'private' || item.sensitivity === 'confidential'
}

export function isCancelled(item: Item): boolean {
  return item.kind === 'appointment' && item.isCancelled
}

/**
 * True when nobody outside the company and its block list is on it; whose mailbox it is is on everything. A letter to one
 * free address is not blocked, nor are appointments among colleagues.
 */
function isBlocked(item: Item, { blocked, ownDomains }: SyncRules, person: RuleContext['person']): boolean {
  const isListed = (list: readonly string[], address: string) =>
    list.includes(address) || list.some(domain => address.endsWith(`@${domain}`))
  const isBlockedAddress = (address: string) => isListed(blocked, address)
  const isOwn = (address: string) => isListed(ownDomains, address)
  const all = addressesOf(item)
  const others = orElse(
    all.filter(address => !isOfPerson(person, address)),
    all,
  )
  if (others.length === 0) return false
  if (item.kind === 'mail') return others.every(address => isBlockedAddress(address) || isOwn(address))
  const outside = others.filter(address => !isOwn(address))
  return orElse(outside, others).every(isBlockedAddress)
}

function orElse<T>(some: readonly T[], all: readonly T[]): readonly T[] {
  return some.length > 0 ? some : all
}

function addressesOf(item: Item): readonly string[] {
  if (item.kind === 'mail') {
    return [...(item.from ? [item.from] : []), ...item.to, ...item.cc].map(person => person.address)
  }
  if (item.kind === 'appointment') {
    return [...(item.organizer ? [item.organizer] : []), ...item.attendees].map(person => person.address)
  }
  return item.kind === 'contact' ? item.emails : []
}

function isOutside(item: Item, { pastMs, futureMs }: KindRules, now: number): boolean {
  const isTooOld = (at: string | null) => pastMs !== undefined && at !== null && Date.parse(at) < now - pastMs
  if (item.kind === 'mail') return isTooOld(item.sentAt)
  if (item.kind !== 'appointment') return false
  if (futureMs !== undefined && Date.parse(item.start) > now + futureMs) return true
  if (!item.recurrence) return isTooOld(item.end)
  return isTooOld(item.recurrence.count === null ? item.recurrence.lastDay : lastStartOf(item))
}
