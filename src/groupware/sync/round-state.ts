import { type HubError, hubErrors } from '../../kernel/error.ts'
import type { Side, SideItem } from '../drivers.ts'
import type { PlanContext } from '../plan/link-plan.ts'
import type { Decision, RoundContext } from './context.ts'
import { titleOf } from './context.ts'
import type { Intent, Link, Unseen } from './sync-store.ts'

/** What a round has in its hands while it runs. */
export interface Round {
  readonly context: RoundContext
  plan: PlanContext
  readonly report: RoundReport
  /** Intents of earlier rounds that are not settled, by key. */
  readonly intents: Map<string, Intent>
  /** Items that changes brought whole. */
  readonly brought: { readonly exchange: Map<string, SideItem>; readonly crm: Map<string, SideItem> }
  /** How many of them this round and those beside it keep together. */
  readonly broughtCount: Record<Side, number>
  /** Items that have to be looked at besides those that changed. */
  readonly recalled: { readonly exchange: Set<string>; readonly crm: Set<string> }
  /** Ids of a side that was listed whole in this round. */
  readonly listed: { exchange?: ReadonlyMap<string, unknown>; crm?: ReadonlyMap<string, unknown> }
  /** Items of a side that it cannot show, by id: they are neither there nor gone. */
  readonly unreadable: { readonly exchange: Map<string, HubError>; readonly crm: Map<string, HubError> }
  /** Links that have lost a half, decided when all is known: it may have moved, and deletions may be too many. */
  readonly lone: LoneHalf[]
}

export interface LoneHalf {
  readonly link: Link
  /** `remove`: the other half goes, too; `part`: it stays on its own; `forget`: there is none. */
  readonly do: 'remove' | 'part' | 'forget'
  readonly side: Side
  readonly item: SideItem | undefined
}

export interface RoundReport {
  /** Changes that the sides told. */
  told: { exchange: number; crm: number }
  created: { exchange: number; crm: number }
  updated: { exchange: number; crm: number }
  removed: { exchange: number; crm: number }
  linked: number
  skipped: number
  conflicts: number
  refused: number
  /** Deletions that wait for the word of a person. */
  held: number
  /** Creates whose answer was lost, which may still be carried out; they are settled a few minutes later. */
  openIntents: number
  /** When something that waits is to be looked at again: such a create, or an item that was refused. Infinity: never. */
  dueAt: number
  /** Something is left that another round can do at once. */
  isUnfinished: boolean
  /** Something is left that another mailbox has in its hands just now: it is for another turn. */
  isPostponed: boolean
  /** Mailboxes that lead a meeting of which only this one was told what the CRM has changed. */
  concerned: Set<string>
  /** All of a side was listed: the first round, or one after its token was lost. */
  isFull: boolean
}

export function emptyReport(): RoundReport {
  return {
    told: { exchange: 0, crm: 0 },
    created: { exchange: 0, crm: 0 },
    updated: { exchange: 0, crm: 0 },
    removed: { exchange: 0, crm: 0 },
    linked: 0,
    skipped: 0,
    conflicts: 0,
    refused: 0,
    held: 0,
    openIntents: 0,
    dueAt: Number.POSITIVE_INFINITY,
    isUnfinished: false,
    isPostponed: false,
    concerned: new Set(),
    isFull: false,
  }
}

/** Writes into the journal what became of an item. */
export function note(
  { context }: Round,
  what: Decision['what'],
  side: Side,
  items: { readonly exchange?: SideItem | undefined; readonly crm?: SideItem | undefined },
  more: Pick<Decision, 'reason' | 'fields' | 'winner' | 'error'> & { readonly otherId?: string } = {},
): void {
  const { otherId, ...rest } = more
  const item = items.exchange ?? items.crm
  context.journal({
    at: context.clock.now(),
    what,
    side,
    exchangeId: items.exchange?.id ?? (items.crm ? otherId : undefined),
    crmId: items.crm?.id ?? (items.exchange ? otherId : undefined),
    title: item ? titleOf(item.item) : '',
    ...rest,
  })
}

/** An item that its side cannot show is told of by its id. */
export function noteUnreadable({ context, report }: Round, side: Side, id: string, error: HubError): void {
  report.refused += 1
  const place = side === 'exchange' ? { exchangeId: id, crmId: undefined } : { exchangeId: undefined, crmId: id }
  context.journal({ at: context.clock.now(), what: 'refused', side, ...place, title: '', error })
}

/** What to remember of the halves of a link until a token is stored by which their sides have told of them. */
export function unseenOf({ context, listed }: Round, link: Pick<Link, Side>): readonly Unseen[] {
  const { drivers, scope, clock } = context
  return (['exchange', 'crm'] as const).flatMap(side => {
    const { id } = link[side]
    // Where everything was listed, a round that is cut off lists everything again.
    const isSafe = !drivers[side].abilities(scope.kind).tellsDeletions || listed[side]?.has(id)
    return isSafe ? [] : [{ side, id, at: clock.now() }]
  })
}

/** Between two pieces of work: the hub stops here, with everything done so far written down. */
export function stopIfAsked({ context }: Round): void {
  if (context.signal.aborted) throw hubErrors.STOPPING()
}
