import { asHubError } from '../../kernel/error.ts'
import type { Json } from '../../kernel/json.ts'
import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import type { ItemKind } from '../plan/items.ts'
import { keptProgress } from './kept.ts'
import { organizationLimits } from './limits.ts'
import type { RoundsSummary } from './mailbox-rounds.ts'
import { noProgress, type Progress } from './model.ts'
import { itemKinds } from './rules-input.ts'

const area = 'groupware-progress'

/** What mailboxes have done. In memory, stored from time to time: a crash costs a few minutes of counting. */
export class ProgressBook {
  readonly #records: Pick<Records, 'list' | 'write' | 'remove'>
  readonly #clock: Clock
  readonly #log: Log
  readonly #entries = new Map<string, Progress>()
  readonly #changed = new Set<string>()
  /** Had rounds that changed nothing: that is stored seldom, and when the hub stops. */
  readonly #quiet = new Set<string>()
  #cancel: (() => void) | undefined

  private constructor(records: Pick<Records, 'list' | 'write' | 'remove'>, clock: Clock, log: Log) {
    this.#records = records
    this.#clock = clock
    this.#log = log
  }

  static async open(
    records: Pick<Records, 'list' | 'write' | 'remove'>,
    clock: Clock,
    log: Log,
  ): Promise<ProgressBook> {
    const book = new ProgressBook(records, clock, log)
    for (const { id, value } of await records.list(area)) {
      const read = keptProgress.safeParse(value)
      // Counts are no business of anybody's orders: what cannot be read begins anew.
      if (read.success) book.#entries.set(id, { ...noProgress, ...read.data })
    }
    return book
  }

  of(mailbox: string): Progress {
    return this.#entries.get(mailbox) ?? noProgress
  }

  /** Counts what the rounds of these kinds of a mailbox did; what is held of others stays held. */
  note(mailbox: string, { reports }: Pick<RoundsSummary, 'reports'>, kinds: readonly ItemKind[] = itemKinds): void {
    const before = this.of(mailbox)
    const now = this.#clock.now()
    const held = { ...before.held }
    for (const kind of kinds) delete held[kind]
    let [itemsIn, itemsOut, conflicts, refused] = [0, 0, 0, 0]
    for (const [kind, report] of reports) {
      itemsIn += report.created.crm + report.updated.crm + report.removed.crm
      itemsOut += report.created.exchange + report.updated.exchange + report.removed.exchange
      conflicts += report.conflicts
      refused += report.refused
      if (report.held > 0) held[kind] = report.held
    }
    this.#set(mailbox, {
      ...before,
      lastRoundAt: now,
      firstRoundAt: before.firstRoundAt ?? now,
      lastItemAt: itemsIn + itemsOut > 0 ? now : before.lastItemAt,
      itemsIn: before.itemsIn + itemsIn,
      itemsOut: before.itemsOut + itemsOut,
      conflicts: before.conflicts + conflicts,
      refused: before.refused + refused,
      held,
      failedRounds: 0,
    })
  }

  noteFailure(mailbox: string): Progress {
    const before = this.of(mailbox)
    const after = { ...before, lastRoundAt: this.#clock.now(), failedRounds: before.failedRounds + 1 }
    this.#set(mailbox, after)
    return after
  }

  noteNext(mailbox: string, nextRoundAt: number | undefined): void {
    this.#entries.set(mailbox, { ...this.of(mailbox), nextRoundAt })
  }

  async forget(mailbox: string): Promise<void> {
    this.#entries.delete(mailbox)
    this.#changed.delete(mailbox)
    this.#quiet.delete(mailbox)
    await this.#records.remove(area, mailbox)
  }

  async store(): Promise<void> {
    const changed = [...this.#changed]
    this.#changed.clear()
    for (const mailbox of changed) this.#quiet.delete(mailbox)
    await Promise.all(
      changed.map(mailbox => {
        const { nextRoundAt: _, ...kept } = this.of(mailbox)
        return this.#records.write(area, mailbox, JSON.parse(JSON.stringify(kept)) as Json)
      }),
    )
  }

  async close(): Promise<void> {
    this.#cancel?.()
    for (const mailbox of this.#quiet) this.#changed.add(mailbox)
    await this.store()
  }

  #set(mailbox: string, progress: Progress): void {
    const before = this.of(mailbox)
    this.#entries.set(mailbox, progress)
    // Ten thousand mailboxes have a round every few minutes, of which nobody has to know after a crash.
    if (isSameBut(before, progress)) {
      this.#quiet.add(mailbox)
      return
    }
    this.#changed.add(mailbox)
    this.#cancel ??= this.#clock.after(organizationLimits.progressStoreMs, () => {
      this.#cancel = undefined
      this.store().catch((thrown: unknown) => {
        this.#log.warn('groupware.progress-not-stored', { text: asHubError(thrown).message })
      })
    })
  }
}

/** True where nothing is new but when the last round was. */
function isSameBut(before: Progress, after: Progress): boolean {
  const rest = ({ lastRoundAt: _, nextRoundAt: __, ...kept }: Progress) => JSON.stringify(kept)
  return rest(before) === rest(after)
}
