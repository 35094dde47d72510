import type { Clock } from '../../kernel/time.ts'
import type { Ending, Schedule, Turn } from './schedule.ts'

/** The schedule at work: starts turns as they come up, until `stop`. */
export class Turns {
  readonly #schedule: Schedule
  readonly #clock: Clock
  readonly #work: (turn: Turn, signal: AbortSignal) => Promise<Ending>
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<void>>()
  #cancelTimer: (() => void) | undefined
  #timerAt = Number.POSITIVE_INFINITY

  /** `work` syncs a mailbox and never rejects. */
  constructor(schedule: Schedule, clock: Clock, work: (turn: Turn, signal: AbortSignal) => Promise<Ending>) {
    this.#schedule = schedule
    this.#clock = clock
    this.#work = work
  }

  /** Starts what may start; called by itself when time passes or a turn ends, and by whoever changed the schedule. */
  wake(): void {
    if (this.#stopping.signal.aborted) return
    const now = this.#clock.now()
    for (let turn = this.#schedule.next(now); turn; turn = this.#schedule.next(now)) this.#run(turn)
    const at = this.#schedule.nextAt(now) ?? Number.POSITIVE_INFINITY
    if (at === this.#timerAt) return
    this.#cancelTimer?.()
    this.#timerAt = at
    if (!Number.isFinite(at)) return
    this.#cancelTimer = this.#clock.after(Math.max(0, at - now), () => {
      this.#timerAt = Number.POSITIVE_INFINITY
      this.wake()
    })
  }

  /** Asks the turns that run to end, and waits for them. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#cancelTimer?.()
    await Promise.all(this.#running)
  }

  #run(turn: Turn): void {
    const running = this.#work(turn, this.#stopping.signal).then(ending => {
      this.#schedule.end(turn, ending, this.#clock.now())
      this.#running.delete(running)
      this.wake()
    })
    this.#running.add(running)
  }
}
