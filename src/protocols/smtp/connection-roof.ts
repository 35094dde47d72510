import { type Clock, MINUTE } from '../../kernel/time.ts'

/** After the server said that there are too many connections, one more is tried so much later. */
const raiseMs = 5 * MINUTE

/** How many connections may be open: as many as were asked for, or fewer while the server takes no more. */
export class ConnectionRoof {
  readonly #clock: Clock
  readonly #countMax: number
  #count: number
  #raiseAt = 0

  constructor(countMax: number, clock: Clock) {
    this.#countMax = countMax
    this.#count = countMax
    this.#clock = clock
  }

  get count(): number {
    return this.#count
  }

  /** One more, when all that may be open are, and the server has had time to change its mind. */
  raiseIfDue(open: number): void {
    const isDue = this.#count < this.#countMax && open >= this.#count && this.#clock.now() >= this.#raiseAt
    if (isDue) this.#set(this.#count + 1)
  }

  /** The server takes no more than `count`; one is always tried. */
  lower(count: number): void {
    this.#set(Math.max(1, Math.min(this.#count, count)))
  }

  #set(count: number): void {
    this.#count = count
    this.#raiseAt = this.#clock.now() + raiseMs
  }
}
