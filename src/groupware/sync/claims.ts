import { HubError } from '../../kernel/error.ts'
import type { Clock } from '../../kernel/time.ts'

/** Takes names for who is about to create what they name; answers with those that are theirs now. */
export type Take = (names: readonly string[]) => ReadonlySet<string>

/**
 * What rounds create in the CRM, by what it is called in every mailbox. The search before a create sees only what is there
 * already: of several mailboxes that have one meeting, and did not find it, the first creates it.
 */
export class Claims {
  readonly #clock: Pick<Clock, 'now'>
  /** Until when a name is taken. */
  readonly #taken = new Map<string, number>()
  /** In which order names were released; kept while somebody has searched since before. */
  readonly #released = new Map<string, number>()
  /** When those that run began, the earliest first. */
  readonly #running = new Set<number>()
  #moment = 0

  /** `clock` must not be set back. */
  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /**
   * Work that searches, then takes the names of what it did not find, and creates that. Names that another has, or had
   * since the search began, are not given. After a lost answer they are taken for `lateMs`: what they name may yet come.
   */
  async during(lateMs: number, work: (take: Take) => Promise<void>): Promise<void> {
    this.#moment += 1
    const began = this.#moment
    this.#running.add(began)
    const own = new Set<string>()
    let takenUntil: number | undefined
    try {
      await work(names => {
        for (const name of names) if (this.#isFree(name, began)) own.add(name)
        for (const name of own) this.#taken.set(name, Number.POSITIVE_INFINITY)
        return own
      })
    } catch (thrown) {
      if (thrown instanceof HubError && thrown.isOutcomeUnknown) takenUntil = this.#clock.now() + lateMs
      throw thrown
    } finally {
      this.#running.delete(began)
      this.#release(own, takenUntil)
    }
  }

  #isFree(name: string, began: number): boolean {
    const now = this.#clock.now()
    return (this.#taken.get(name) ?? now) <= now && (this.#released.get(name) ?? 0) < began
  }

  #release(names: ReadonlySet<string>, takenUntil: number | undefined): void {
    for (const name of names) {
      if (takenUntil !== undefined) this.#taken.set(name, takenUntil)
      else {
        this.#taken.delete(name)
        this.#moment += 1
        this.#released.delete(name)
        this.#released.set(name, this.#moment)
      }
    }
    const [earliest = Number.POSITIVE_INFINITY] = this.#running
    for (const [name, at] of this.#released) {
      if (at > earliest) break
      this.#released.delete(name)
    }
  }
}
