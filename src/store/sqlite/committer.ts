import type { DatabaseSync } from 'node:sqlite'
import { HubError } from '../../kernel/error.ts'
import { storeErrors } from '../errors.ts'
import { asStoreError } from './failure.ts'

/** Something that takes part in every transaction: counters that are written once per group. */
export interface GroupMember {
  /** Last writes before the commit. */
  beforeCommit(): void
  afterCommit(): void
  afterRollback(): void
}

interface Pending {
  /** Runs inside the transaction and may run twice: it writes rows and changes nothing in memory. */
  readonly write: () => unknown
  readonly committed: ((value: never) => void) | undefined
  readonly failed: (() => void) | undefined
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
  value: unknown
  error: unknown
}

/** Brings everything that was committed to the disk; the promise resolves when it is there. */
export interface Flusher {
  flush(): Promise<void>
}

/**
 * The one way to write: what is asked for while a group is on its way to the disk commits in one transaction, and each
 * promise resolves when that transaction is durable. SQLite appends to its log; the flush of the log runs on the thread
 * pool, so that the event loop does not stand still for the disk. A write that throws a HubError before it has changed a
 * row fails alone; when SQLite itself fails on one write, the others are repeated each for itself; when the disk fails,
 * all are refused with STORE_FULL, and with STORE_NOT_DURABLE when the flush of the log does.
 */
export class Committer {
  readonly #database: DatabaseSync
  readonly #groupWritesMax: number
  readonly #members: GroupMember[] = []
  #pending: Pending[] = []
  readonly #flusher: Flusher
  #isScheduled = false
  /** Why nothing more is taken, once that is so. */
  #refusal: HubError | undefined
  /** A flush failed: what reads show may not be on the disk. */
  #isLost = false
  /** The group that is committed and on its way to the disk. */
  #underWay: Promise<void> | undefined
  readonly #begin
  readonly #commit

  constructor(database: DatabaseSync, flusher: Flusher, { groupWrites }: { readonly groupWrites: number }) {
    this.#database = database
    this.#flusher = flusher
    this.#groupWritesMax = groupWrites
    this.#begin = database.prepare('begin immediate')
    this.#commit = database.prepare('commit')
  }

  get isClosed(): boolean {
    return this.#refusal !== undefined
  }

  join(member: GroupMember): void {
    this.#members.push(member)
  }

  /** `committed` changes memory after the commit and before anybody is told; `failed` undoes what the caller marked. */
  commit<T>(write: () => T, committed?: (value: T) => void, failed?: () => void): Promise<T> {
    if (this.#refusal) return Promise.reject(this.#refusal)
    return new Promise<T>((resolve, reject) => {
      this.#pending.push({ write, committed, failed, resolve, reject, value: undefined, error: undefined })
      this.#schedule()
    })
  }

  /** Resolves when everything asked for before is settled. */
  flush(): Promise<void> {
    return this.commit(() => {})
  }

  /**
   * Resolves when everything that reads of the database show now is durable, too. Until the next turn of the event loop
   * that stays so: nobody commits in between.
   */
  async durable(): Promise<void> {
    while (this.#underWay) await this.#underWay
    if (this.#isLost) throw this.#refusal
  }

  /** Commits what waits and refuses everything after. */
  async close(): Promise<void> {
    this.#refusal ??= storeErrors.CLOSED()
    while (this.#underWay || this.#pending.length > 0) {
      await this.#underWay
      if (this.#pending.length > 0) this.#start()
    }
  }

  #schedule(): void {
    if (this.#isScheduled || this.#underWay) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      if (this.#pending.length > 0) this.#start()
    })
  }

  #start(): void {
    if (this.#underWay) return
    const run = this.#runGroup().finally(() => {
      this.#underWay = undefined
      if (this.#pending.length > 0) this.#schedule()
    })
    this.#underWay = run
  }

  /** Never rejects: every write of the group is told how it ended. */
  async #runGroup(): Promise<void> {
    let group = this.#pending
    if (group.length > this.#groupWritesMax) {
      this.#pending = group.slice(this.#groupWritesMax)
      group = group.slice(0, this.#groupWritesMax)
    } else this.#pending = []
    const failure = this.#transact(group)
    if (failure === undefined) await this.#settleDurable(group)
    else if (failure.code === storeErrors.FULL.code) refuse(group, failure)
    else await this.#runEach(group)
  }

  /** SQLite refused something in a group. Only the writes at fault may fail, so each gets its own transaction. */
  async #runEach(group: readonly Pending[]): Promise<void> {
    for (const one of group) {
      const failure = this.#transact([one])
      if (failure) refuse([one], failure)
      else await this.#settleDurable([one])
    }
  }

  async #settleDurable(group: readonly Pending[]): Promise<void> {
    try {
      await this.#flusher.flush()
    } catch (thrown) {
      // What the system could not bring to the disk it may have dropped from memory, so asking again proves nothing:
      // nothing more is taken, and the next start reads what is truly there.
      const lost = storeErrors.NOT_DURABLE({ text: asStoreError(thrown).message }, { cause: thrown })
      this.#refusal = lost
      this.#isLost = true
      refuse([...group, ...this.#pending.splice(0)], lost)
      return
    }
    settle(group)
  }

  /** One transaction; undefined when it is committed, otherwise nothing of it is. */
  #transact(group: readonly Pending[]): HubError | undefined {
    try {
      this.#begin.run()
      for (const one of group) {
        one.error = undefined
        try {
          one.value = one.write()
        } catch (thrown) {
          if (!(thrown instanceof HubError)) throw thrown
          one.error = thrown
        }
      }
      for (const member of this.#members) member.beforeCommit()
      this.#commit.run()
    } catch (thrown) {
      this.#rollBack()
      for (const member of this.#members) member.afterRollback()
      return asStoreError(thrown)
    }
    for (const member of this.#members) member.afterCommit()
    return undefined
  }

  #rollBack(): void {
    // After a full disk SQLite has often rolled back by itself.
    if (this.#database.isTransaction) this.#database.exec('rollback')
  }
}

function settle(group: readonly Pending[]): void {
  for (const one of group) {
    if (one.error !== undefined) continue
    one.committed?.(one.value as never)
  }
  for (const one of group) {
    if (one.error === undefined) one.resolve(one.value as never)
    else refuse([one], one.error)
  }
}

function refuse(group: readonly Pending[], error: unknown): void {
  for (const one of group) {
    one.failed?.()
    one.reject(error)
  }
}
