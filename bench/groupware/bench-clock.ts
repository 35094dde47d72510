import { DueHeap } from '../../src/groupware/schedule/due-heap.ts'
import { type Clock, SECOND, sleepOn } from '../../src/kernel/time.ts'

interface Timer {
  readonly callback: () => void
}

/** A clock that stands until it is moved, and finds its next timer among ten thousands at once. */
export class BenchClock implements Clock {
  #now: number
  readonly #timers = new DueHeap<Timer>()

  constructor(now: number) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { callback }
    this.#timers.set(timer, this.#now + Math.max(0, ms))
    return () => this.#timers.delete(timer)
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal)
  }

  /** When the next timer is due, in steps of a second; undefined when none waits. */
  nextStep(): number | undefined {
    const at = this.#timers.nextAt()
    return at === undefined ? undefined : Math.max(this.#now, Math.ceil(at / SECOND) * SECOND)
  }

  /** It is then; what was due is called. */
  set(now: number): void {
    this.#now = Math.max(this.#now, now)
    for (let timer = this.#timers.takeDue(this.#now); timer; timer = this.#timers.takeDue(this.#now)) timer.callback()
  }
}
