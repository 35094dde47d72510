import { type Clock, sleepOn } from '../kernel/time.ts'

interface Timer {
  dueAt: number
  readonly number: number
  readonly callback: () => void
}

/** A clock that stands still until a test moves it, so that a two-day retry runs in a millisecond. */
export class SimulatedClock implements Clock {
  #now: number
  #count = 0
  readonly #timers = new Set<Timer>()

  constructor(startMs: number = Date.UTC(2026, 0, 5, 8, 0, 0)) {
    this.#now = startMs
  }

  now(): number {
    return this.#now
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { dueAt: this.#now + Math.max(0, ms), number: this.#count++, callback }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal)
  }

  /** When the next timer is due, or undefined when none waits. */
  nextDueAt(): number | undefined {
    return this.#next()?.dueAt
  }

  /** Somebody sets the clock of the machine; what waits goes on waiting for as long as it would have. */
  set(now: number): void {
    const byMs = now - this.#now
    this.#now = now
    for (const timer of this.#timers) timer.dueAt += byMs
  }

  /** Moves time on, timer by timer; after each `settle` lets what the timer began come to rest. */
  async advance(ms: number, settle: () => Promise<void> = async () => {}): Promise<void> {
    const until = this.#now + ms
    await settle()
    for (let timer = this.#next(); timer && timer.dueAt <= until; timer = this.#next()) {
      this.#timers.delete(timer)
      this.#now = Math.max(this.#now, timer.dueAt)
      timer.callback()
      await settle()
    }
    this.#now = until
    await settle()
  }

  #next(): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) {
      if (!first || timer.dueAt < first.dueAt || (timer.dueAt === first.dueAt && timer.number < first.number))
        first = timer
    }
    return first
  }
}
