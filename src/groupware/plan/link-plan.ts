import type { Side, SideItem } from '../drivers.ts'
import type { Item } from './items.ts'
import { type Merge, mergeItems } from './merge.ts'
import { fieldsOf, withOwnValues, withParts } from './parts.ts'
import { isCancelled, isPrivate, type KindRules, type SyncRules, winnerOf } from './rules.ts'
import type { Stamps } from './stamps.ts'

/** What the plan needs to know of two items that are one. */
export interface LinkFacts {
  readonly exchange: { readonly version: string; readonly identity: string | null }
  readonly crm: { readonly id: string; readonly version: string }
  readonly base: Stamps
  readonly pending: {
    readonly exchange: Readonly<Record<string, readonly string[]>>
    readonly crm: Readonly<Record<string, readonly string[]>>
  }
  readonly isDirty: boolean
  readonly role: 'lead' | 'follower'
}

export interface PlanContext {
  readonly rules: SyncRules
  /** The item in the form that both sides can hold. */
  readonly common: (item: Item) => Item
  /** Whether the CRM keeps the mark of items of this kind; otherwise the mailbox must. */
  readonly crmHoldsMark: boolean
  /** The category that showed until now which items are synced; it is exchanged where the hub has put it on. */
  readonly formerMark?: string
}

export interface PlannedWrite {
  readonly after: Item
  readonly fields: readonly string[]
  /** Paths of the parts that are written. */
  readonly parts: readonly string[]
  readonly mark: string | undefined
}

export type LinkPlan =
  /** Both sides are as we left them. */
  | { readonly do: 'nothing' }
  /** Neither is there any more. */
  | { readonly do: 'forget' }
  /** The other one is gone: this one goes, too. */
  | { readonly do: 'remove'; readonly from: Side }
  /** The other one is gone: this one stays, on its own. */
  | { readonly do: 'part'; readonly stays: Side }
  | {
      readonly do: 'merge'
      readonly exchange: PlannedWrite | undefined
      readonly crm: PlannedWrite | undefined
      readonly base: Stamps
      readonly conflicts: readonly string[]
      readonly winner: Side
    }
  /** Not compared while it is so (private); what changes meanwhile counts later. */
  | { readonly do: 'leave'; readonly reason: 'private' }

/** What becomes of two linked items, from their last common state and what they are now (undefined: not there). */
export function planLink(
  link: LinkFacts,
  exchange: SideItem | undefined,
  crm: SideItem | undefined,
  context: PlanContext,
  /** Another mailbox leads the item of the CRM as well, since its owner is another one now. */
  isLedElsewhere = false,
): LinkPlan {
  const here = exchange ?? crm
  if (!here) return { do: 'forget' }
  const kindRules = context.rules.kinds[here.item.kind]
  if (kindRules.direction === 'off') return { do: 'nothing' }
  if (!exchange || !crm) {
    // Who made it private has taken it back from the CRM: what goes there is another matter.
    if (exchange && isPrivate(exchange.item)) return { do: 'part', stays: 'exchange' }
    // Whoever tidies up what the CRM has given to somebody else does not take it away from them.
    if (crm?.isOthers) return { do: 'part', stays: 'crm' }
    return planLoneHalf(link, exchange ? 'exchange' : 'crm', kindRules)
  }
  const areAsLeft = exchange.version === link.exchange.version && crm.version === link.crm.version
  if (!link.isDirty && areAsLeft && !crm.isStale) {
    return { do: 'nothing' }
  }
  // Nothing of a private item leaves its side, not even that it moved.
  if (isPrivate(exchange.item) || isPrivate(crm.item)) return { do: 'leave', reason: 'private' }
  if (link.role === 'follower') return settled(link.base)
  // Who cancels it in the CRM takes it out of the mailbox, where nobody could cancel an appointment of one's own.
  if (kindRules.direction !== 'to-crm' && isCancelled(crm.item) && !isCancelled(exchange.item)) {
    return planLoneHalf(link, 'exchange', kindRules)
  }
  // The mark in the CRM is one: where it is another mailbox's, this one carries its own.
  const isMarkedInCrm =
    context.crmHoldsMark && exchange.identity !== null && !(isLedElsewhere && isMarkedOtherwise(exchange, crm))
  const onlyFrom = sourceOf(kindRules.direction)
  const winner = winnerOf(onlyFrom ? 'newest' : kindRules.conflict, exchange, crm)
  const common = { exchange: context.common(asInCrm(exchange.item, crm.item)), crm: context.common(crm.item) }
  const merge = mergeItems({
    base: link.base,
    ...common,
    pending: link.pending,
    winner,
    onlyFrom,
    ...(hasLostSeries(exchange.item, crm.item) && { isLostInCrm: isOfSeries }),
  })
  const mark = isMarkedInCrm ? undefined : missingMark(exchange, crm.id)
  return {
    do: 'merge',
    exchange: withoutFormerMark(
      exchange,
      planWrite(exchange, common.exchange, merge.toExchange, mark),
      context.formerMark,
    ),
    crm:
      planWrite(crm, common.crm, merge.toCrm, isMarkedInCrm ? missingMark(crm, exchange.identity) : undefined) ??
      (crm.isStale ? { after: crm.item, fields: [], parts: [], mark: undefined } : undefined),
    base: merge.base,
    conflicts: merge.conflicts,
    winner: onlyFrom ?? winner,
  }
}

/** Whether an item of the CRM names another item of a mailbox than this one. */
export function isMarkedOtherwise({ identity }: SideItem, { mark }: SideItem): boolean {
  return mark !== null && identity !== null && mark !== identity
}

/** The item of a mailbox as far as it goes on with what it has become in the CRM. */
function asInCrm(item: Item, crm: Item): Item {
  // A category says what a new contact becomes; from then on it is what it became.
  if (item.kind === 'contact' && crm.kind === 'contact') return { ...item, party: crm.party }
  if (item.kind === 'appointment' && crm.kind === 'appointment') return { ...item, activity: crm.activity }
  // A mail is kept as it came.
  return item.kind === 'mail' && crm.kind === 'mail' ? { ...crm, importance: item.importance } : item
}

/**
 * A CRM repeats nothing by itself: that an appointment is a series stands there in a note, which people delete or write
 * over without a thought of what that does to the calendar.
 */
function hasLostSeries(exchange: Item, crm: Item): boolean {
  return exchange.kind === 'appointment' && crm.kind === 'appointment' && !!exchange.recurrence && !crm.recurrence
}

function isOfSeries(path: string): boolean {
  return path === 'when' || path.startsWith('exceptions/')
}

/** One half is gone. A deletion beats an edit of the other half. */
function planLoneHalf(link: LinkFacts, stays: Side, { direction, deletions }: KindRules): LinkPlan {
  const goesThisWay = direction === 'both' || direction === (stays === 'exchange' ? 'to-exchange' : 'to-crm')
  // An attendee who deletes the meeting has not cancelled it.
  if (link.role === 'follower' || deletions === 'keep' || !goesThisWay) return { do: 'part', stays }
  return { do: 'remove', from: stays }
}

function sourceOf(direction: KindRules['direction']): Side | undefined {
  if (direction === 'to-crm') return 'exchange'
  return direction === 'to-exchange' ? 'crm' : undefined
}

function settled(base: Stamps): LinkPlan {
  return { do: 'merge', exchange: undefined, crm: undefined, base, conflicts: [], winner: 'crm' }
}

function planWrite(
  { item }: SideItem,
  common: Item,
  changes: Merge['toCrm'],
  mark: string | undefined,
): PlannedWrite | undefined {
  if (changes.size === 0 && mark === undefined) return undefined
  const parts = [...changes.keys()]
  const after = withParts(item, withOwnValues(item, common, changes))
  return { after, fields: fieldsOf(item.kind, parts), parts, mark }
}

/** Whoever carries the mark of the hub carries its category; the mark is written once more, with the category of now. */
function withoutFormerMark(
  { item, mark }: SideItem,
  planned: PlannedWrite | undefined,
  formerMark: string | undefined,
): PlannedWrite | undefined {
  if (formerMark === undefined || mark === null || !item.categories.includes(formerMark)) return planned
  const { after, fields, parts, mark: planedMark } = planned ?? { after: item, fields: [], parts: [], mark: undefined }
  const categories = after.categories.filter(name => name !== formerMark)
  return {
    after: { ...after, categories },
    fields: [...new Set([...fields, 'categories'])],
    parts,
    mark: planedMark ?? mark,
  }
}

function missingMark(item: SideItem, mark: string | null): string | undefined {
  return mark !== null && item.mark !== mark ? mark : undefined
}
