import type { Clock } from '../kernel/time.ts'
import type { StoredBody } from './port.ts'

/**
 * Bodies written by this process whose delivery is still to come: how many wait for one, and since when. Bodies of an
 * earlier process have none to come.
 */
export class UnclaimedBodies {
  readonly #limits: { readonly unclaimedBodyMs: number }
  readonly #clock: Clock
  readonly #waiting = new Map<string, { readonly writes: number; readonly since: number }>()

  constructor(limits: { readonly unclaimedBodyMs: number }, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
  }

  add(sha256: string): void {
    this.#waiting.set(sha256, { writes: (this.#waiting.get(sha256)?.writes ?? 0) + 1, since: this.#clock.now() })
  }

  has(sha256: string): boolean {
    const waiting = this.#waiting.get(sha256)
    if (!waiting) return false
    if (this.#clock.now() - waiting.since < this.#limits.unclaimedBodyMs) return true
    this.#waiting.delete(sha256)
    return false
  }

  /** The delivery of a written body is accepted or refused: from now on references alone keep it. */
  settle({ inline, sha256 }: StoredBody): void {
    const waiting = inline || !sha256 ? undefined : this.#waiting.get(sha256)
    if (!waiting || !sha256) return
    if (waiting.writes > 1) this.#waiting.set(sha256, { ...waiting, writes: waiting.writes - 1 })
    else this.#waiting.delete(sha256)
  }
}
