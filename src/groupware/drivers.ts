import type { HubError } from '../kernel/error.ts'
import type { Attachment, Item, ItemKind } from './plan/items.ts'
import type { SeriesRules } from './plan/rules.ts'

/**
 * What the sync asks of a side: the mailbox (EWS, Graph) or the CRM (Cloud for Customer). One driver serves one
 * organization with all its mailboxes. Calls take batches and answer in the same order; a driver splits a batch as its
 * protocol wants it (`abilities.batch` says what costs one request).
 *
 * How a call ends: a failure of the whole call is thrown as a HubError (`concerns` says whom it stops; `retryAfterMs`
 * carries the server's wish), and then nobody knows what of a write was done: the sync finds out. What concerns one item
 * is an outcome of that item.
 */
export interface SideDriver {
  readonly side: Side
  /** Drivers that give an item the same id have the same; where it is another one, links go over by `translateIds`. */
  readonly idSpace?: string
  /** Calls that begin in the same moment with the same signal share requests. */
  readonly sharesRequests?: boolean
  abilities(kind: ItemKind): Abilities
  /**
   * What changed since a token; without one everything there is (of the scope's window). In pages: ask again with the
   * page's token while `hasMore`. Telling a change twice is allowed, leaving one out is not: whatever was not yet
   * visible when a token was made must be told after it (watermarks overlap, see sync/watermark.ts).
   * `token-lost`: the side cannot go on from this token.
   */
  changes(scope: Scope, token: string | undefined, signal: AbortSignal): Promise<ChangePage | 'token-lost'>
  /**
   * Proves with as few requests as the protocol needs that scopes of one mailbox can be read: for each, in their order, how
   * many items lie there (undefined where nobody said) or why it cannot be read. It may end with the first that cannot.
   */
  check?(scopes: readonly Scope[], signal: AbortSignal): Promise<readonly ScopeCheck[]>
  /** Ids of all items of the scope; only asked where the side does not tell of deletions. */
  keys?(scope: Scope, signal: AbortSignal): Promise<ReadonlySet<string>>
  /**
   * For a CRM with thousands of owners: the changes and keys of a kind of all of them in one question, which
   * sync/shared-feed.ts hands out to the mailboxes. A driver that offers them makes its tokens with `watermarkToken`.
   */
  feed?(
    organization: string,
    kind: ItemKind,
    token: string | undefined,
    signal: AbortSignal,
    /** True: keys, versions and owners do, without the items themselves. */
    isBrief?: boolean,
  ): Promise<FeedPage>
  /** For so long mailboxes may be told what the feed said before now, since it is not asked for each of them; 0: no longer. */
  feedRestMs?(organization: string, kind: ItemKind): number
  allKeys?(organization: string, kind: ItemKind, signal: AbortSignal): Promise<ReadonlySet<string>>
  /** The items as they are now; undefined for those that are not there (any more). */
  read(scope: Scope, ids: readonly string[], signal: AbortSignal): Promise<readonly (SideItem | undefined)[]>
  /** For each mark the items that carry it (mostly one or none). Must show what was created before the call. */
  findByMark(
    scope: Scope,
    marks: readonly string[],
    signal: AbortSignal,
    /** Items that are created next unless theirs are found: what that needs may be asked for along. */
    likely?: readonly Item[],
  ): Promise<readonly (readonly SideItem[])[]>
  /** For each identity (`SideItem.identity`) the items that have it. */
  findByIdentity(
    scope: Scope,
    identities: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly (readonly SideItem[])[]>
  /**
   * Items of which this could be the copy, made since `since` (milliseconds); only asked after a crash or a lost answer,
   * where `abilities.holdsMark` is false (a task in Cloud for Customer: same owner, subject and start).
   */
  findAlike?(scope: Scope, item: Item, since: number, signal: AbortSignal): Promise<readonly SideItem[]>
  /**
   * Creates items, each with its mark in the same request where the side holds marks. Where the protocol knows an
   * idempotency key (event.transactionId, CheckAppointmentByGroupwareID) `key` is it: the same for each repetition.
   */
  create(scope: Scope, items: readonly Creation[], signal: AbortSignal): Promise<readonly CreateOutcome[]>
  /** Why `create` would refuse an item, as far as the item tells by itself; a preview asks, since it creates nothing. */
  refusal?(item: Item): HubError | undefined
  /** Changes items only if they still have `version`. */
  update(scope: Scope, changes: readonly Update[], signal: AbortSignal): Promise<readonly WriteOutcome[]>
  /** Removes items; one that is gone already is `done`. `version` is a condition where the protocol has one. */
  remove(scope: Scope, items: readonly Removal[], signal: AbortSignal): Promise<readonly WriteOutcome[]>
  /** Removes what a side may have left of items that somebody deleted there (further occurrences of a series). */
  sweep?(scope: Scope, ids: readonly string[], signal: AbortSignal): Promise<void>
  /**
   * For each half of a link that is gone from its place: the item that it has become in another folder of the mailbox;
   * undefined for one that was deleted or thrown away. Only where items that are moved get another id.
   */
  findMoved?(
    scope: Scope,
    halves: readonly MovedHalf[],
    signal: AbortSignal,
  ): Promise<readonly (SideItem | undefined)[]>
  /** The bytes of an attachment. */
  openAttachment?(scope: Scope, id: string, attachment: Attachment, signal: AbortSignal): AsyncIterable<Uint8Array>
  /**
   * The item as this side would give it back had it been written here: what it cannot hold becomes '', [] or null, what
   * it shortens or rounds is shortened and rounded. Pure, and the same again when applied again. Both sides are compared
   * only in a form that both can hold, so nothing is written for a difference that cannot be written.
   */
  normalise(item: Item): Item
  concerns(error: HubError): Concern
  /**
   * Tells which mailboxes have changes, until the signal ends it; the sync then asks `changes`. Must call `onLost` for a
   * mailbox whose notifications cannot be relied on (any more): it is polled instead, and asked for again later.
   */
  watch?(request: WatchRequest): Promise<void>
  /** Ids of the same items in the id space of another driver of this mailbox (EWS to Graph), undefined where unknown. */
  translateIds?(scope: Scope, ids: readonly string[], signal: AbortSignal): Promise<readonly (string | undefined)[]>
  close?(): Promise<void>
}

export type Side = 'exchange' | 'crm'

/**
 * Whom a thrown failure stops: this item, this mailbox, the account behind all mailboxes of the organization, or either of
 * the last two: then only what the other mailboxes meet tells whom.
 */
export type Concern = 'item' | 'mailbox' | 'account' | 'either'

export type ScopeCheck = { readonly itemCount: number | undefined } | { readonly error: HubError }

/** What is synced as one: the items of one kind of one mailbox. */
export interface Scope {
  readonly organization: string
  /** Primary SMTP address of the mailbox, in lower case. */
  readonly mailbox: string
  readonly kind: ItemKind
  /** Mail address by which the person behind the mailbox is found in the CRM (its employee), in lower case. */
  readonly owner: string
  /** Folders of the mailbox by path or well-known name; [] is the usual folder of the kind. */
  readonly folders: readonly string[]
  /** Instants; a full listing tells nothing outside (mail: sent, appointment: any part of it, else: no window). */
  readonly from: string | null
  readonly to: string | null
  /** How a series stands in a CRM that has single appointments only; left out: as one. */
  readonly series?: SeriesRules
}

/**
 * Whether an address is that of the person behind a mailbox. In Exchange Online mailboxes are named by what people sign in
 * with, which need not be their mail address; the CRM knows that one.
 */
export function isOfPerson({ mailbox, owner }: Pick<Scope, 'mailbox' | 'owner'>, address: string | undefined): boolean {
  return address === mailbox || address === owner
}

export interface Abilities {
  /** Whether items of the kind are held at all. */
  readonly holds: boolean
  /** The side keeps the other side's id with an item and finds it by it (CrmObjectId; GroupwareItemID). */
  readonly holdsMark: boolean
  /**
   * A full listing names every item that carries a mark, those outside of the window too: then what was listed need not be
   * searched for marks.
   */
  readonly listsMarks?: boolean
  /** `changes` tells of deletions; otherwise `keys` is asked from time to time. */
  readonly tellsDeletions: boolean
  /** The side can hold a series with exceptions as one item; otherwise series stay out. */
  readonly holdsSeries: boolean
  /** What belongs to the kind here, where settings say so; where it is more than before, everything is listed anew. */
  readonly extent?: string
  /** Items that one request carries at most (read, write and find). */
  readonly batch: { readonly read: number; readonly write: number; readonly find: number }
}

export interface ChangePage {
  readonly changes: readonly Change[]
  readonly token: string
  readonly hasMore: boolean
}

export interface FeedPage extends ChangePage {
  /** Mail addresses of the owners of each change, in lower case, in the order of `changes`. */
  readonly owners: readonly (readonly string[])[]
}

export type Change =
  | {
      readonly id: string
      readonly isDeleted: false
      /** Where the page says it: a version that we wrote ourselves needs no reading. */
      readonly version?: string
      /** Where the page brings the whole item, as it is now (never older than our last write): it is not read again. */
      readonly item?: SideItem
    }
  | { readonly id: string; readonly isDeleted: true }

export interface SideItem {
  /** Name within the side; may change when the item moves to another folder. */
  readonly id: string
  /** ChangeKey or ETag. */
  readonly version: string
  /** What stays with the item for ever and in every mailbox: UID of an appointment, Message-ID; in the CRM the ObjectID. */
  readonly identity: string | null
  /** The id or identity on the other side that was written here. */
  readonly mark: string | null
  readonly modifiedAt: number | null
  /** Name of the folder it lies in (`folders` of the rules may ask for it). */
  readonly folder: string | null
  readonly item: Item
  /** The CRM says that it belongs to somebody else than the person of the scope. */
  readonly isOthers?: boolean
  /** The side wants to be written to although nothing differs: occurrences of a series are missing, or too many. */
  readonly isStale?: boolean
  /** When it has to be looked at again although nobody changes it: then its next occurrence is to be made. */
  readonly upkeepAt?: number
}

export interface Creation {
  /** The same for each attempt to create this item. */
  readonly key: string
  readonly mark: string | null
  readonly item: Item
  /** Bytes of the attachments of `item`, read from the other side. */
  readonly openAttachment: (attachment: Attachment) => AsyncIterable<Uint8Array>
}

export interface Update {
  readonly id: string
  readonly version: string
  /** The item as it was when it had `version`, and as it shall be. Equal objects: only the mark is written. */
  readonly before: Item
  readonly after: Item
  /** Names of the fields of `after` that differ (`subject`, `attendees`, `exceptions`). */
  readonly fields: readonly string[]
  /** A mark to write with it; null takes mark and category away; undefined leaves them as they are. */
  readonly mark: string | null | undefined
}

/** By what a half of a link is known wherever it lies: its identity, or, where its kind has none, its mark. */
export interface MovedHalf {
  readonly identity: string | null
  readonly mark: string
}

export interface Removal {
  readonly id: string
  readonly version: string
}

export type WriteOutcome =
  | { readonly state: 'done'; readonly id: string; readonly version: string; readonly identity: string | null }
  /** The item has another version now. */
  | { readonly state: 'conflict' }
  /** The item is not there (any more). */
  | { readonly state: 'gone' }
  /** The side will not take this one item. */
  | { readonly state: 'refused'; readonly error: HubError }

export type CreateOutcome = Extract<WriteOutcome, { readonly state: 'done' | 'refused' }>

export type WatchedScope = Pick<Scope, 'kind' | 'folders'>

export interface WatchRequest {
  readonly mailboxes: readonly string[]
  /** What of a mailbox is synced: what is not may be out of reach, and is nobody's matter. */
  readonly scopesOf: (mailbox: string) => readonly WatchedScope[]
  readonly onChange: (mailbox: string, kind: ItemKind | undefined) => void
  /** `connected`: notifications of this mailbox come from now on; what happened before must be asked for. */
  readonly onConnected: (mailbox: string) => void
  readonly onLost: (mailbox: string, error: HubError) => void
  readonly signal: AbortSignal
}
