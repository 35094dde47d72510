import { makeSequence } from '../kernel/id.ts'

/** Where the sequence remembers itself. */
export interface SequenceFacts {
  /** 0 when it was never written. */
  read(name: string): number
  /** Durable with the running transaction. */
  write(name: string, value: number): void
}

/** Hands out the numbers of deliveries, rising over restarts, and says between which numbers a time lies. */
export class DeliverySequence {
  #last: number
  /** The furthest that a number ran ahead of its delivery's time (many in one millisecond, a clock set back). */
  #lead: number
  readonly #facts: SequenceFacts

  /** `newest`: the highest number that a delivery has, 0 without one. */
  constructor(newest: number, facts: SequenceFacts) {
    this.#facts = facts
    this.#last = Math.max(newest, facts.read('sequence.last'))
    this.#lead = facts.read('sequence.lead')
  }

  get last(): number {
    return this.#last
  }

  /** The number of a delivery accepted at `at`; called within a transaction. */
  next(at: number): number {
    const first = firstAt(at)
    const next = this.#last >= first ? this.#last + 1 : first
    this.#last = next
    if (next - first > this.#lead) this.#stretch(next - first)
    return next
  }

  /** No delivery accepted at `at` or later has a smaller number. */
  lowest(at: number): number {
    return firstAt(at)
  }

  /** No delivery accepted at `at` or earlier has a greater number. */
  highest(at: number): number {
    return firstAt(at) + this.#lead
  }

  // Doubled, so that a clock that was set back costs a handful of writes and not one per delivery.
  #stretch(lead: number): void {
    this.#lead = 2 * lead
    this.#facts.write('sequence.lead', this.#lead)
  }
}

function firstAt(at: number): number {
  return makeSequence(() => Math.floor(at))()
}
