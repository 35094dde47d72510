import type { Clock } from '../../kernel/time.ts'

const keysMax = 20_000

/** Counts failures by key within a window; the key that failed too often has to wait. */
export class FailureLimit {
  readonly #count: number
  readonly #windowMs: number
  readonly #clock: Clock
  readonly #failures = new Map<string, number[]>()

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

  /** Takes the last one back: it was none. */
  takeBack(key: string): void {
    this.#failures.set(key, this.#recent(key).slice(0, -1))
  }

  forget(key: string): void {
    this.#failures.delete(key)
  }

  #recent(key: string): number[] {
    const since = this.#clock.now() - this.#windowMs
    return (this.#failures.get(key) ?? []).filter(at => at > since)
  }
}
