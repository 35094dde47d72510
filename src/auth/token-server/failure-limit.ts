import type { Clock } from '../../kernel/time.ts'

const keysMax = 20_000

/** Counts failures by key within a window; the key that failed too often has to wait. */
export class FailureLimit {
  readonly #count: number
  readonly #windowMs: number
  readonly #clock: Clock
  readonly #failures = new Map<string, number[]>()
  /** The last attempt of each key that has one under way. */
  readonly #turns = new Map<string, Promise<void>>()

  constructor(limit: { readonly count: number; readonly windowMs: number }, clock: Clock) {
    this.#count = limit.count
    this.#windowMs = limit.windowMs
    this.#clock = clock
  }

  /** How long the key has to wait; undefined: it may try. */
  waitMs(key: string): number | undefined {
    const recent = this.#recent(key)
    const [oldest] = recent
    if (oldest === undefined || recent.length < this.#count) return undefined
    return Math.max(1, oldest + this.#windowMs - this.#clock.now())
  }

  note(key: string): void {
    const recent = [...this.#recent(key), this.#clock.now()].slice(-this.#count)
    // Deleted first, so that the map stays in order of the last failure and the longest unused key goes first.
    this.#failures.delete(key)
    this.#failures.set(key, recent)
    const eldest = this.#failures.size > keysMax ? this.#failures.keys().next().value : undefined
    if (eldest !== undefined) this.#failures.delete(eldest)
  }

  /** One attempt of a key after the other, so that each knows how those before it ended. */
  inTurn<T>(key: string, attempt: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(attempt)
    const settled = turn
      .catch(() => {})
      .then(() => {
        if (this.#turns.get(key) === settled) this.#turns.delete(key)
      })
    this.#turns.set(key, settled)
    return turn
  }

  forget(key: string): void {
    this.#failures.delete(key)
  }

  #recent(key: string): number[] {
    const since = this.#clock.now() - this.#windowMs
    return (this.#failures.get(key) ?? []).filter(at => at > since)
  }
}
