import { balanceLimits } from './limits.ts'

const { fasterShare, fadeMs, silentMs, riseMs, slowerShare } = balanceLimits

/**
 * How long a target takes, as a peak-sensitive moving average. A slower answer after a pause counts at once; among many
 * answers it takes about a second of slow ones, so that a hiccup of this machine is not taken for a slow server (that one
 * shows in the streams that pile up, too). Faster ones bring it down bit by bit. Milliseconds of one clock.
 */
export class ResponseTime {
  #ms: number | undefined
  #at = 0

  /** Undefined before the first answer. */
  at(now: number): number | undefined {
    if (this.#ms === undefined) return undefined
    const silent = now - this.#at - silentMs
    return silent > 0 ? this.#ms * Math.exp(-silent / fadeMs) : this.#ms
  }

  add(ms: number, now: number): void {
    const before = this.at(now)
    if (before === undefined) this.#ms = ms
    else {
      const passedMs = Math.max(0, now - this.#at)
      const isSlower = ms > before
      const share = 1 - Math.exp(-passedMs / (isSlower ? riseMs : fadeMs))
      this.#ms = before + (ms - before) * Math.max(share, isSlower ? slowerShare : fasterShare)
    }
    this.#at = now
  }
}
