import { type Clock, MINUTE } from '../../kernel/time.ts'

/** Addresses that are remembered; above it the oldest are forgotten. */
const addressesMax = 10_000

/** Counts what each address asks for within a minute. */
export class RequestRate {
  readonly #perMinute: number
  readonly #clock: Pick<Clock, 'now'>
  readonly #counts = new Map<string, { readonly since: number; count: number }>()

  constructor(perMinute: number, clock: Pick<Clock, 'now'>) {
    this.#perMinute = perMinute
    this.#clock = clock
  }

  /** Counts one request; false when it is one too many. */
  take(address: string): boolean {
    const now = this.#clock.now()
    const before = this.#counts.get(address)
    if (before && now - before.since < MINUTE) {
      before.count++
      return before.count <= this.#perMinute
    }
    this.#counts.delete(address)
    this.#counts.set(address, { since: now, count: 1 })
    const [oldest] = this.#counts.keys()
    if (this.#counts.size > addressesMax && oldest !== undefined) this.#counts.delete(oldest)
    return true
  }
}
