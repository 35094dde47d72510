import { HubError } from '../../kernel/error.ts'
import { storeErrors } from '../errors.ts'
import type { OwnerConnection, Sql } from './connection.ts'
import { asStoreError } from './failure.ts'
import type { PostgresLimits } from './limits.ts'

/** Something that takes part in every transaction: counters that are written once per group. */
export interface GroupMember {
  /** Last writes before the commit. */
  beforeCommit(sql: Sql): readonly Promise<unknown>[]
  afterCommit(): void
  afterRollback(): void
}

/** Statements of one write. It may run twice, and changes nothing in memory. */
type Write<T> = (sql: Sql) => Promise<T>

export interface WriteOptions<T> {
  /** Changes memory after the commit and before anybody is told. */
  readonly committed?: (value: T) => void
  /** Undoes what the caller marked. */
  readonly failed?: () => void
  /** Its statements depend on what others answered: none of another write comes between them. */
  readonly isAlone?: boolean
}

interface Pending {
  readonly isAlone: boolean
  run(sql: Sql): Promise<void>
  committed(): void
  resolve(): void
  refuse(error: HubError): void
  /** Why it failed alone. */
  error: HubError | undefined
}

/**
 * The one way to write: what is asked for while a transaction is under way commits in the next one, and each promise
 * resolves when that is durable. Statements of a group are sent without waiting for each other. A write that throws a
 * HubError before it has changed a row fails alone; when the server refuses a statement, every write of the group is
 * repeated for itself. With the end of the connection the store is lost (STORE_CONNECTION_LOST): whether a commit that
 * was under way came about is for the next start to see.
 */
export class Committer {
  readonly #connection: OwnerConnection
  readonly #limits: Pick<PostgresLimits, 'groupWrites' | 'answerMs'>
  readonly #members: GroupMember[] = []
  #pending: Pending[] = []
  #underWay: Promise<void> | undefined
  #isScheduled = false
  /** Why nothing more is taken, once that is so. */
  #refusal: HubError | undefined
  /** The same, when it is that the connection has ended. */
  #loss: HubError | undefined

  constructor(connection: OwnerConnection, limits: Pick<PostgresLimits, 'groupWrites' | 'answerMs'>) {
    this.#connection = connection
    this.#limits = limits
    connection.onEnd(cause => {
      this.#loss = lostBy(cause)
      this.#refusal ??= this.#loss
      refuse(this.#pending.splice(0), this.#loss)
    })
  }

  get isClosed(): boolean {
    return this.#refusal !== undefined
  }

  join(member: GroupMember): void {
    this.#members.push(member)
  }

  commit<T>(write: Write<T>, options: WriteOptions<T> = {}): Promise<T> {
    if (this.#refusal) return Promise.reject(this.#refusal)
    return new Promise<T>((resolve, reject) => {
      let value: T
      this.#pending.push({
        isAlone: options.isAlone === true,
        async run(sql) {
          value = await write(sql)
        },
        committed: () => options.committed?.(value),
        resolve: () => resolve(value),
        refuse(error) {
          options.failed?.()
          reject(error)
        },
        error: undefined,
      })
      this.#schedule()
    })
  }

  /** Resolves when everything asked for before is settled. */
  flush(): Promise<void> {
    return this.commit(async () => {})
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
    this.#underWay ??= this.#runGroup(this.#pending.splice(0, this.#limits.groupWrites)).finally(() => {
      this.#underWay = undefined
      if (this.#pending.length > 0) this.#schedule()
    })
  }

  /** Never rejects: every write of the group is told how it ended. */
  async #runGroup(group: readonly Pending[]): Promise<void> {
    const failure = await this.#transact(group)
    if (!failure) settle(group)
    else if (group.length === 1 || isForAll(failure)) refuse(group, failure)
    else for (const one of group) await this.#runGroup([one])
  }

  /** One transaction; undefined when it is committed, otherwise nothing of it is, or nobody can know. */
  async #transact(group: readonly Pending[]): Promise<HubError | undefined> {
    const late = setTimeout(() => this.#connection.cut(), this.#limits.answerMs)
    try {
      await this.#write(group)
    } catch (thrown) {
      // On a connection that has ended this fails, too; what counts is why it did.
      await this.#connection.command('rollback').catch(() => {})
      for (const member of this.#members) member.afterRollback()
      return this.#loss ?? asStoreError(thrown)
    } finally {
      clearTimeout(late)
    }
    for (const member of this.#members) member.afterCommit()
    return undefined
  }

  async #write(group: readonly Pending[]): Promise<void> {
    const begun = this.#connection.command('begin')
    const beside = group.filter(({ isAlone }) => !isAlone).map(one => this.#runOne(one))
    await allOf([begun, ...beside])
    for (const one of group) if (one.isAlone) await this.#runOne(one)
    const last = this.#members.flatMap(member => member.beforeCommit(this.#connection))
    const [answer] = await allOf([this.#connection.command('commit'), ...last])
    // A transaction in which something failed ends with ROLLBACK, and without an error.
    if (answer !== 'COMMIT') throw new Error(`The database answered commit with ${String(answer)}.`)
  }

  async #runOne(one: Pending): Promise<void> {
    one.error = undefined
    try {
      await one.run(this.#connection)
    } catch (thrown) {
      if (!(thrown instanceof HubError)) throw thrown
      one.error = thrown
    }
  }
}

/** All have ended when this does; throws the first failure. */
async function allOf(promises: readonly Promise<unknown>[]): Promise<readonly unknown[]> {
  const ends = await Promise.allSettled(promises)
  return ends.map(end => {
    if (end.status === 'rejected') throw end.reason
    return end.value
  })
}

function lostBy(cause: unknown): HubError {
  const error = asStoreError(cause)
  return error.code === storeErrors.CONNECTION_LOST.code
    ? error
    : storeErrors.CONNECTION_LOST({ text: error.message }, { cause })
}

/** Repeated one by one, writes would fail the same way. */
function isForAll({ code }: HubError): boolean {
  return code === storeErrors.DATABASE_REFUSES.code || code === storeErrors.CONNECTION_LOST.code
}

function settle(group: readonly Pending[]): void {
  for (const one of group) if (!one.error) one.committed()
  for (const one of group) {
    if (one.error) one.refuse(one.error)
    else one.resolve()
  }
}

function refuse(group: readonly Pending[], error: HubError): void {
  for (const one of group) one.refuse(error)
}
