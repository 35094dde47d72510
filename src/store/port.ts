import type { Json, JsonObject } from '../kernel/json.ts'
import type { KeyMapEntry, KeyMapWrite } from '../kernel/key-map.ts'

/**
 * What the hub asks of a store. Two stores stand behind it (SQLite, PostgreSQL); `contract.ts` says in tests what both
 * must do. Every promise of a write resolves after the commit; writes that are asked for together commit together.
 */
export interface Store extends DeliveryStore, Inspection, Records, KeyMaps {
  readonly bodies: BodyStore
  close(): Promise<void>
}

export type FinishedState = 'delivered' | 'dropped' | 'rejected' | 'set-aside' | 'skipped'
export type DeliveryState = 'queued' | FinishedState

// ---- bodies --------------------------------------------------------------------------------------------------------

/** Where the bytes of a body lie: in the row (small ones), or in the body store under their sha256. */
export interface StoredBody {
  readonly bytes: number
  readonly type: string
  /** Lower-case hex. Always there for bodies in the body store; for inline ones only when it was asked for. */
  readonly sha256: string | undefined
  /** The bytes of an inline body; undefined for one that lies in the body store. */
  readonly inline: Uint8Array | undefined
}

export interface BodyStore {
  /**
   * Takes a body in. Bodies up to `inlineBytes` come back inline and touch no disk; larger ones are streamed to the
   * body store (durable before the promise resolves) and lie there unreferenced until a delivery is accepted with
   * them. The store is done with a chunk when it asks for the next, so its memory may be used again. Throws
   * BODY_TOO_LARGE past `bytesMax`, and what the stream throws; both leave nothing behind.
   */
  write(
    source: Uint8Array | AsyncIterable<Uint8Array>,
    options: { readonly type: string; readonly bytesMax: number; readonly hash: boolean },
  ): Promise<StoredBody>
  /** The bytes of a body, in chunks (windows `into` memory that was lent, see Body.stream); throws STORE_BODY_MISSING. */
  read(body: StoredBody, into?: Uint8Array): AsyncIterable<Uint8Array>
  /** Removes bodies that nothing references any more (left by crashes and purges). Returns how many. */
  collect(): Promise<number>
}

// ---- deliveries: the hot path --------------------------------------------------------------------------------------

export interface NewDelivery {
  readonly flow: string
  /** Idempotency keys, unique within the flow: when one is known already nothing is stored. */
  readonly keys: readonly string[]
  /** Keys that are remembered with this delivery but do not refuse it (they refuse a later one that lists them in `keys`). */
  readonly remember: readonly string[]
  /** Deliveries with the same order key of a flow run one after the other, in the order of their acceptance. */
  readonly orderKey: string | undefined
  /** True when this delivery, once set aside, holds back its successors of the same order key. */
  readonly holds: boolean
  readonly headers: Readonly<Record<string, string>>
  readonly attributes: JsonObject
  readonly body: StoredBody
  /** Words by which it can be found. */
  readonly terms: readonly string[]
  readonly acceptedAt: number
  readonly isProbe: boolean
  /** The delivery that this one repeats on an operator's request. */
  readonly replayOf: string | undefined
  /** Not claimed before this time; a start of the store may bring it forward. Left out: due at once. */
  readonly dueAt?: number
}

export interface Claimed {
  readonly id: string
  /** Fencing number: a write with an older one than the store's is refused with STORE_FENCED. */
  readonly fence: number
  readonly flow: string
  readonly orderKey: string | undefined
  /** Attempts that ended before this claim. */
  readonly attemptCount: number
  /** How often a person sent it off again. */
  readonly requeueCount: number
  readonly acceptedAt: number
  /**
   * When the present series of attempts began: its first attempt, once that failed; until then the acceptance, or the last
   * requeue by a person.
   */
  readonly since: number
  /** When this attempt was to begin, also where somebody's change brought it forward; undefined for the first of a series. */
  readonly plannedAt: number | undefined
  readonly isProbe: boolean
  readonly headers: Readonly<Record<string, string>>
  readonly attributes: JsonObject
  readonly body: StoredBody
  /** Receipts of earlier attempts, by effect path. */
  readonly receipts: readonly StoredReceipt[]
}

/** What is remembered of one effect (`to[0]`, `steps[1].call`, `steps[2].split[7].steps[0].call`). */
export interface StoredReceipt {
  readonly effect: string
  /**
   * `intended`: the other side may have it; `withdrawn`: an intent that certainly came to nothing (the other side
   * refused); `done`: it has it, and the summary says what it answered. A later write for the same effect replaces.
   */
  readonly state: 'intended' | 'withdrawn' | 'done'
  readonly at: number
  readonly summary: string
  readonly fields: JsonObject | undefined
  readonly answer: StoredAnswer | undefined
  /** Writes into key maps that commit together with this receipt; they are not kept with it. */
  readonly remember?: readonly KeyMapWrite[]
}

export interface StoredAnswer {
  readonly headers: Readonly<Record<string, string>>
  readonly type: string
  readonly body: Uint8Array
}

export interface StoredError {
  readonly code: string
  readonly side: string
  readonly message: string
  readonly next: string
}

export interface Finish {
  readonly state: FinishedState
  readonly at: number
  readonly summary: string
  readonly error: StoredError | undefined
  /** Receipts that become durable together with the end. */
  readonly receipts: readonly StoredReceipt[]
  /** Further words by which it can be found (ids of the other side). */
  readonly terms: readonly string[]
}

export interface DeliveryStore {
  accept(delivery: NewDelivery): Promise<{ readonly id: string; readonly duplicate: boolean }>
  /** Takes in deliveries of one flow as by `accept` one after the other, all of them or none. */
  acceptAll(
    flow: string,
    deliveries: readonly NewDelivery[],
  ): Promise<readonly { readonly id: string; readonly duplicate: boolean }[]>
  /** Calls back when there may be something to claim (after an accept, a release, a wake); never too rarely. */
  onWork(callback: () => void): void
  /**
   * Takes up to `max` deliveries that are due, at most one per order key, oldest first, of flows that have free places
   * (`places`: flow → how many). The claim ends with the process or, where several share the store, with its lease.
   */
  claim(request: {
    readonly owner: string
    readonly max: number
    readonly now: number
    readonly leaseMs: number
    readonly places: ReadonlyMap<string, number>
  }): Promise<{ readonly deliveries: readonly Claimed[]; readonly nextDueAt: number | undefined }>
  /** Prolongs claims; the ids that are no longer ours are returned. */
  renew(claims: readonly ClaimRef[], leaseMs: number, now: number): Promise<readonly string[]>
  receipt(claim: ClaimRef, receipt: StoredReceipt): Promise<void>
  finish(claim: ClaimRef, finish: Finish): Promise<void>
  /** Ends an attempt that failed; the delivery is due again at `dueAt`, its order key waits with it. */
  retry(claim: ClaimRef, retry: Retry): Promise<void>
  /** Gives a claim back as if it had not been taken (the hub stops). */
  release(claim: ClaimRef): Promise<void>
  /** Makes deliveries that await a change due now, with `every` those that wait for their next try, too; all flows when none is named. Returns how many. */
  wake(now: number, flow?: string, every?: boolean): Promise<number>
  /** Deliveries by their idempotency keys; unknown keys are left out. */
  known(flow: string, keys: readonly string[]): Promise<ReadonlyMap<string, KnownDelivery>>
}

export interface KnownDelivery {
  readonly id: string
  readonly state: DeliveryState
  /** True while one of its order key is set aside before it: it waits until somebody decides about that one. */
  readonly isHeld: boolean
}

export interface Retry {
  readonly at: number
  readonly dueAt: number
  /** When this series of attempts began. */
  readonly since: number
  readonly error: StoredError
  readonly awaitsChange: boolean
}

export interface ClaimRef {
  readonly id: string
  readonly fence: number
}

// ---- what people see and do ----------------------------------------------------------------------------------------

export interface DeliveryRow {
  readonly id: string
  readonly flow: string
  readonly state: DeliveryState
  readonly orderKey: string | undefined
  readonly attemptCount: number
  readonly acceptedAt: number
  /** When it is due (queued) or ended (finished). */
  readonly at: number
  readonly awaitsChange: boolean
  /** The delivery of the same order key that must be dealt with first, where one holds this back. */
  readonly heldBy: string | undefined
  readonly summary: string | undefined
  readonly error: StoredError | undefined
  readonly isProbe: boolean
  readonly replayOf: string | undefined
  readonly bytes: number
  /** What either side knows it by, that of the sender first. */
  readonly terms: readonly string[]
}

export interface DeliveryDetail extends DeliveryRow {
  readonly headers: Readonly<Record<string, string>>
  readonly attributes: JsonObject
  readonly body: StoredBody
  /** True when an operator replaced headers or body; the original is kept and shown beside it. */
  readonly original: { readonly headers: Readonly<Record<string, string>>; readonly body: StoredBody } | undefined
  readonly receipts: readonly StoredReceipt[]
  /** Failed attempts, oldest first; the newest 50 are kept. */
  readonly attempts: readonly { readonly attempt: number; readonly at: number; readonly error: StoredError }[]
}

export interface SetAsideRow extends DeliveryRow {
  /** True when a receipt says `intended`: the other side may have it. */
  readonly hasIntent: boolean
}

export interface DeliveryQuery {
  readonly flow?: string | undefined
  readonly state?: DeliveryState | undefined
  /** Exact word (Message-ID, DOCNUM, queue id), or its beginning with a trailing `*`. */
  readonly term?: string | undefined
  readonly acceptedFrom?: number | undefined
  /** Inclusive, like `acceptedFrom`. */
  readonly acceptedTo?: number | undefined
  /** Only deliveries older than this id (for the next page). */
  readonly before?: string | undefined
  /** At most 1,000. */
  readonly limit: number
}

export interface FlowCounts {
  readonly accepted: number
  readonly queued: number
  readonly delivered: number
  readonly dropped: number
  readonly rejected: number
  readonly setAside: number
  readonly skipped: number
  readonly oldestQueuedAt: number | undefined
  /** Last accepted message that was not a probe. */
  readonly lastAcceptedAt: number | undefined
}

export interface Inspection {
  find(query: DeliveryQuery): Promise<readonly DeliveryRow[]>
  /** Set-aside deliveries of a flow that are younger than `after`, the oldest first; at most 1,000. */
  oldestSetAside(flow: string, after: string | undefined, limit: number): Promise<readonly SetAsideRow[]>
  get(id: string): Promise<DeliveryDetail | undefined>
  /** The same of several at once, in the order of their ids; what is unknown or cannot be read is left out. */
  getAll(ids: readonly string[]): Promise<readonly DeliveryDetail[]>
  /** Names of all flows that ever had a delivery here, running or not, known by a document or not. */
  flowNames(): Promise<readonly string[]>
  /** Counts of what the store still keeps, without probes. */
  counts(flow: string): Promise<FlowCounts>
  /**
   * Queues a set-aside delivery again in its old place, with another body or headers where given. `forgetIntents`
   * drops receipts in state `intended` (the operator says that the other side does not have it). The attempts count
   * from zero again, since `now`. Throws
   * STORE_NOT_SET_ASIDE.
   */
  requeue(
    id: string,
    change: {
      readonly now: number
      readonly forgetIntents: boolean
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: StoredBody
    },
  ): Promise<void>
  /**
   * Queues those of these that are set aside as by `requeue` with `forgetIntents`, all of them or none. Returns their ids,
   * the oldest first.
   */
  requeueAll(ids: readonly string[], now: number): Promise<readonly string[]>
  /** Ends a queued or set-aside delivery by hand; its successors go on. Throws STORE_RUNNING, STORE_FINISHED. */
  skip(id: string, now: number, reason: string): Promise<void>
  /** Ends those of these that are set aside as by `skip`, all of them or none. Returns their ids, the oldest first. */
  skipAll(ids: readonly string[], now: number, reason: string): Promise<readonly string[]>
  /** Deletes finished deliveries that are older than kept for, in small batches. Returns how many went. */
  purge(request: {
    readonly flow: string
    readonly deliveredBefore: number
    readonly setAsideBefore: number
    readonly max: number
  }): Promise<number>
}

// ---- small records of other areas ----------------------------------------------------------------------------------

export interface Records {
  /** A record of an area (`credential`, `alert`, `flow-state`) with its revision, which grows by one at each write. */
  read(area: string, id: string): Promise<{ readonly value: Json; readonly revision: number } | undefined>
  list(area: string): Promise<readonly { readonly id: string; readonly value: Json; readonly revision: number }[]>
  /**
   * Writes a record. With `expected` (0: it must not exist) the write is refused with STORE_CHANGED_MEANWHILE when the
   * revision is another. Returns the new revision.
   */
  write(area: string, id: string, value: Json, expected?: number): Promise<number>
  remove(area: string, id: string): Promise<boolean>
  /** Appends to the audit log, whose entries carry the hash of their predecessor. */
  audit(entry: NewAuditEntry): Promise<void>
  /** The same with several at once, in their order. */
  auditAll(entries: readonly NewAuditEntry[]): Promise<void>
  auditLog(request: { readonly before?: number; readonly limit: number }): Promise<readonly AuditEntry[]>
  /** Deletes the oldest entries that lie before a moment, never the newest one; how many went. The chain goes on from there. */
  purgeAudit(request: { readonly before: number; readonly max: number }): Promise<number>
  /** Walks the chain; the number of the first entry that does not fit, or undefined when all do. */
  auditBreak(): Promise<number | undefined>
  /** Takes or prolongs a lease for one poller; its fencing number, or undefined while another owner has it. */
  lease(name: string, owner: string, leaseMs: number, now: number): Promise<number | undefined>
  endLease(name: string, owner: string): Promise<void>
}

// ---- key maps ------------------------------------------------------------------------------------------------------

export interface KeyMaps {
  recall(map: string, key: string): Promise<KeyMapEntry | undefined>
  /** Entries of a map by their keys, beginning with `prefix`, behind the key `after`. */
  keyMapEntries(query: {
    readonly map: string
    readonly prefix?: string | undefined
    readonly after?: string | undefined
    readonly limit: number
  }): Promise<readonly (KeyMapEntry & { readonly key: string })[]>
  /** Names of all maps that have entries. */
  keyMaps(): Promise<readonly { readonly map: string; readonly entries: number }[]>
  /**
   * A write by hand. With `expected` (0: there must be none) it is refused with STORE_CHANGED_MEANWHILE when the revision
   * is another. Returns the new revision; for a key that is forgotten the last one it had, 0 for none.
   */
  rewrite(write: KeyMapWrite & { readonly at: number; readonly expected?: number | undefined }): Promise<number>
  /** Forgets up to `max` keys of a map, those that begin with `prefix`. Returns how many went. */
  forgetKeys(query: {
    readonly map: string
    readonly prefix?: string | undefined
    readonly max: number
  }): Promise<number>
}

export interface NewAuditEntry {
  readonly at: number
  readonly who: string
  readonly action: string
  readonly detail: JsonObject
}

export interface AuditEntry extends NewAuditEntry {
  readonly number: number
  readonly hash: string
}
