import type { Side } from '../drivers.ts'
import type { Admission } from '../plan/admission.ts'
import type { ItemKind } from '../plan/items.ts'
import type { Stamps } from '../plan/stamps.ts'

/**
 * What the sync remembers, durably: which items belong together, their last common state, what it is about to do, and up
 * to where each side was read. `write` is one transaction, durable when its promise resolves. The SQLite store behind it
 * (sqlite-sync-store.ts) is a file of its own, see docs/adr/0014-groupware-sync.md. It never holds what stands in an
 * item: states are kept as stamps (plan/stamps.ts).
 */
export interface SyncStore {
  readScope(scope: ScopeKey): Promise<ScopeState>
  /** The links of these items of a side, in no order. */
  findLinks(scope: ScopeKey, side: Side, ids: readonly string[]): Promise<readonly Link[]>
  /** The links whose item in the mailbox has one of these identities. */
  findByIdentity(scope: ScopeKey, identities: readonly string[]): Promise<readonly Link[]>
  /** Links that wait for something: `dirty` for the next merge, `held` for the word of a person (mass deletion). */
  openLinks(scope: ScopeKey, which: 'dirty' | 'held'): Promise<readonly Link[]>
  /** Ids of all links by rising key, for full listings; the next page begins after the last key of this one. */
  listPairs(scope: ScopeKey, after: string | undefined, limit: number): Promise<readonly Pair[]>
  /** Links of other mailboxes of the organization to the same items of the CRM. */
  linksElsewhere(scope: ScopeKey, crmIds: readonly string[]): Promise<readonly LinkElsewhere[]>
  countLinks(scope: ScopeKey): Promise<number>
  countHeld(scope: ScopeKey): Promise<number>
  intents(scope: ScopeKey): Promise<readonly Intent[]>
  /** Halves of links of which their side has not told by any token that is stored. */
  unseen(scope: ScopeKey): Promise<readonly Unseen[]>
  /** How many items we deleted after `since` because their other halves were gone. */
  countDeleted(scope: ScopeKey, since: number): Promise<number>
  findGhosts(scope: ScopeKey, side: Side, ids: readonly string[]): Promise<readonly Ghost[]>
  /** Items that failed alone and are due for another try (`isDue`). */
  dueWaiting(scope: ScopeKey, now: number): Promise<readonly Waiting[]>
  /** When the next of them is due after `now`; Infinity: none waits for a time. */
  nextWaitingAt(scope: ScopeKey, now: number): Promise<number>
  /** All mailboxes in which something is left to be done, for a hub that has just started. */
  openWork(): Promise<readonly OpenWork[]>
  findWaiting(scope: ScopeKey, side: Side, ids: readonly string[]): Promise<readonly Waiting[]>
  listWaiting(scope: ScopeKey, limit: number): Promise<readonly Waiting[]>
  write(scope: ScopeKey, change: SyncWrite): Promise<void>
  /** Forgets everything about a scope: the next round is a first one, which finds its links again by their marks. */
  forget(scope: ScopeKey): Promise<void>
  /** Takes ghosts away that are older than `before`. Returns how many. */
  purgeGhosts(before: number): Promise<number>
  close(): Promise<void>
}

export interface ScopeKey {
  readonly organization: string
  readonly mailbox: string
  readonly kind: ItemKind
}

export interface ScopeState {
  /** Up to where each side was read and everything was done about it. */
  readonly tokens: { readonly exchange: string | undefined; readonly crm: string | undefined }
  /** When all keys of a side that tells no deletions were last compared. */
  readonly keysComparedAt: number | undefined
  /** When this was last written. */
  readonly storedAt: number | undefined
  /** When the first round ended; undefined before. */
  readonly firstRoundAt: number | undefined
  /** True when a person let held deletions pass: the next round does those that are held by then. */
  readonly isBrakeReleased: boolean
  /** When a round last did what a person let pass; deletions before it no longer count for the brake. */
  readonly brakeReleasedAt: number | undefined
  /** The rules under which the last round took items in. */
  readonly admission: Admission | undefined
  /** What the ids of the mailbox in the links are of (`SideDriver.idSpace`). */
  readonly idSpace: string | undefined
  /** A round has begun to write and has not come to its end, or it left something that another one can do at once. */
  readonly isUnderWay: boolean
}

/** What rounds of earlier lives of the hub left to be done in a mailbox, and from when on. */
export interface OpenWork extends Omit<ScopeKey, 'kind'> {
  readonly dueAt: number
}

export interface LinkEnd {
  readonly id: string
  /** The version we last wrote or compared; '' when we do not know which one is the common state. */
  readonly version: string
  readonly identity: string | null
}

/** Two items that are one. */
export interface Link {
  readonly key: string
  readonly exchange: LinkEnd
  readonly crm: LinkEnd
  /** The last common state, in the form that both sides can hold. */
  readonly base: Stamps
  /** All our writes since then of which no answer came: a value of these is ours and not a user's edit. */
  readonly pending: {
    readonly exchange: PendingStamps
    readonly crm: PendingStamps
    /** When the last of them was sent, and the versions of the items that they were to change. */
    readonly sent?: { readonly at: number } & Readonly<Record<Side, string>>
  }
  /** To be merged again although no side tells of a change. */
  readonly isDirty: boolean
  /** Only the leading mailbox writes to an item of the CRM that several mailboxes have (a meeting). A follower stays one. */
  readonly role: 'lead' | 'follower'
  /** While an attendee's mailbox leads: parts that people changed in the CRM, whose word is not that attendee's. */
  readonly saidInCrm?: readonly string[]
  /** The side on which it is gone, and since when the brake holds the deletion back. */
  readonly held: { readonly side: Side; readonly at: number } | undefined
}

/** The ids of a link alone. */
export interface Pair {
  readonly key: string
  readonly exchange: string
  readonly crm: string
}

export type PendingStamps = Readonly<Record<string, readonly string[]>>

export interface LinkElsewhere {
  readonly mailbox: string
  readonly key: string
  readonly crmId: string
  readonly role: Link['role']
}

/** An item that we are about to create, or may have created before a crash or a lost answer. */
export interface Intent {
  readonly key: string
  readonly to: Side
  readonly source: LinkEnd
  /** The mark that the new item carries; null where its side holds none. */
  readonly mark: string | null
  readonly base: Stamps
  readonly at: number
}

/**
 * Half of a link on a side that tells of deletions. Until the stored token is one by which the side has told of it, the
 * side need not tell that it is gone: what came and went since a token is not spoken of (SyncFolderItems, delta queries).
 */
export interface Unseen {
  readonly side: Side
  readonly id: string
  readonly at: number
}

/** An item that must not be taken for a new one: we deleted it, or the other side did and it was let go. */
export interface Ghost {
  readonly side: Side
  readonly id: string
  /**
   * Its last version: with another one it lives again (one that was let go: only with the category on it). Null: it stays
   * a stranger whatever its version.
   */
  readonly version: string | null
  readonly reason: 'deleted' | 'released'
  readonly at: number
}

/** An item that has to be looked at again: a side refused it alone, or what became of its create was never known. */
export interface Waiting {
  readonly side: Side
  readonly id: string
  /** Version that was refused; undefined: not known. Another version is tried at once. */
  readonly version: string | undefined
  readonly attemptCount: number
  /** Undefined: only a new version or a person brings it up again. */
  readonly dueAt: number | undefined
  readonly at: number
  /** Why it was refused, where it was. */
  readonly error:
    | { readonly code: string; readonly side: string; readonly message: string; readonly next: string }
    | undefined
  /** A person wants its other half back: what rules say of new items does not stand against it. */
  readonly isWanted: boolean
}

/** Whether its time has come. One that was written down at a time ahead waits for a clock that was set back since. */
export function isDue({ dueAt, at }: Pick<Waiting, 'dueAt' | 'at'>, now: number): boolean {
  return dueAt !== undefined && (dueAt <= now || at > now)
}

export interface SyncWrite {
  /** A round is under way from now on, until the state says that it is not. */
  readonly begins?: true
  readonly putLinks?: readonly Link[]
  readonly dropLinks?: readonly string[]
  /** Makes links of other mailboxes followers, by mailbox and link key. */
  readonly demote?: readonly { readonly mailbox: string; readonly key: string }[]
  /** Has links of other mailboxes merged again, by mailbox and link key. */
  readonly makeDirty?: readonly { readonly mailbox: string; readonly key: string }[]
  readonly putIntents?: readonly Intent[]
  readonly dropIntents?: readonly string[]
  readonly putUnseen?: readonly Unseen[]
  readonly dropUnseen?: readonly { readonly side: Side; readonly id: string }[]
  readonly putGhosts?: readonly Ghost[]
  readonly dropGhosts?: readonly { readonly side: Side; readonly id: string }[]
  readonly putWaiting?: readonly Waiting[]
  readonly dropWaiting?: readonly { readonly side: Side; readonly id: string }[]
  /** Has all links of the scope merged again. */
  readonly areAllDirty?: true
  /** What is named here changes; the rest stays. */
  readonly state?: Partial<ScopeState>
}

export function isEmptyWrite(change: SyncWrite): boolean {
  return Object.values(change).every(part => Array.isArray(part) && part.length === 0)
}
