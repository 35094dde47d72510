import { balanceLimits } from './limits.ts'

const { fasterShare, fadeMs, silentMs } = balanceLimits

/**
 * How long a target takes, as a peak-sensitive moving average: a slower answer counts at once, faster ones bring it down
 * bit by bit. Times are milliseconds of one clock.
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
    if (before === undefined || ms >= before) this.#ms = ms
    else {
      const share = Math.max(fasterShare, 1 - Math.exp(-Math.max(0, now - this.#at) / fadeMs))
      this.#ms = before + (ms - before) * share
    }
    this.#at = now
  }
}
