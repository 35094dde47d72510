import { type ScheduleLimits, wishedWaitMs } from './limits.ts'

/**
 * How much of an organization's service account may be used now. The number of turns grows by one for each full window
 * of turns that went well, and is halved when the server says that it is too much (as TCP does it); while the server
 * asks for patience nothing starts at all.
 */
export class Account {
  readonly #limits: ScheduleLimits
  #window: number
  #wellDone = 0
  #failureCount = 0
  /** When it last backed off. */
  #pausedAt = Number.NEGATIVE_INFINITY
  /** Nothing starts before. */
  pausedUntil = Number.NEGATIVE_INFINITY
  /** Refused beyond doubt. */
  isRefused = false
  /** One turn at a time tries whether it is still refused. */
  #isTried = false
  runningCount = 0

  constructor(limits: ScheduleLimits) {
    this.#limits = limits
    this.#window = limits.runningFirst
  }

  /** Turns that may run at the same time. */
  get window(): number {
    return this.#isTried ? 1 : Math.max(1, Math.floor(this.#window))
  }

  canStart(now: number): boolean {
    return now >= this.pausedUntil && this.runningCount < this.window
  }

  succeed(): void {
    this.isRefused = false
    this.#isTried = false
    this.#failureCount = 0
    this.#wellDone += 1
    if (this.#wellDone < this.#window) return
    this.#wellDone = 0
    this.#window = Math.min(this.#window + 1, this.#limits.runningPerOrganization)
  }

  /** The server is busy. Turns that were under way fail together; only the first of them counts. */
  backOff(now: number, startedAt: number, retryAfterMs: number | undefined): void {
    const { accountFirstMs, accountUpToMs } = this.#limits
    const isNews = startedAt >= this.#pausedAt
    if (isNews) {
      this.#pausedAt = now
      this.#window = Math.max(1, this.#window / 2)
      this.#wellDone = 0
      this.#failureCount += 1
    }
    const waitMs =
      retryAfterMs === undefined
        ? Math.min(accountFirstMs * 2 ** Math.max(0, this.#failureCount - 1), accountUpToMs)
        : wishedWaitMs(this.#limits, retryAfterMs, this.#failureCount, accountFirstMs)
    this.pausedUntil = Math.max(this.pausedUntil, now + waitMs)
  }

  /**
   * The account itself is refused: one turn now and then finds out whether that is over. In doubt the next one is tried
   * soon, and the later the more have failed: many mailboxes that are refused must not stop the few that are not.
   */
  refuse(now: number, startedAt: number, isInDoubt = false): void {
    const { accountDoubtMs, accountProbeMs } = this.#limits
    // Of turns that were under way together the first one counts.
    if (startedAt > this.#pausedAt) {
      this.#pausedAt = now
      this.#failureCount += 1
    }
    this.#isTried = true
    const doubledMs = accountDoubtMs * 2 ** Math.max(0, this.#failureCount - 1)
    const waitMs = isInDoubt ? Math.min(doubledMs, accountProbeMs) : accountProbeMs
    this.isRefused = waitMs === accountProbeMs
    this.pausedUntil = Math.max(this.pausedUntil, now + waitMs)
  }

  /** Somebody changed something: everything may start again. */
  resume(): void {
    this.isRefused = false
    this.#isTried = false
    this.#failureCount = 0
    this.pausedUntil = Number.NEGATIVE_INFINITY
  }
}
