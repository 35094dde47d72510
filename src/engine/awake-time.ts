import { type Clock, MINUTE, SECOND } from '../kernel/time.ts'

const everyMs = 10 * SECOND
/** An event loop that stands still for less may just be busy. */
const gapMs = MINUTE

/** Knows since when the hub is awake: a machine that slept, or whose clock was set forward, has tried nothing meanwhile. */
export class AwakeTime {
  readonly #clock: Clock
  #seenAt: number
  #since: number
  #cancel = () => {}

  constructor(clock: Clock) {
    this.#clock = clock
    this.#seenAt = clock.now()
    this.#since = this.#seenAt
    this.#later()
  }

  /** Milliseconds since 1970; later than now where the clock was set back meanwhile. */
  get since(): number {
    const now = this.#clock.now()
    if (now - this.#seenAt > everyMs + gapMs) this.#since = now
    this.#seenAt = now
    return this.#since
  }

  end(): void {
    this.#cancel()
  }

  #later(): void {
    this.#cancel = this.#clock.after(everyMs, () => {
      void this.since
      this.#later()
    })
  }
}
