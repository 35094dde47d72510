import { balanceLimits } from './limits.ts'

const limits = balanceLimits

/** When and how long a target is left out; from connector.yaml. */
export interface EjectionRules {
  /** Failures in a row. */
  readonly after: number
  /** Milliseconds of the first time; each further one takes twice as long, up to `upToMs`. */
  readonly firstMs: number
  readonly upToMs: number
}

interface Window {
  readonly since: number
  good: number
  bad: number
}

/** Decides by the failures of real connections when a target is left out for a while, and for how long. */
export class Ejection {
  /** Until when it is left out, or was the last time: the slow start begins there. */
  until: number | undefined
  #count = 0
  #failuresInRow = 0
  #failedAt = 0
  /** Failures in a row since it was last left out. */
  #recentInRow = 0
  #window: Window = { since: 0, good: 0, bad: 0 }
  #before: Window | undefined

  isOut(now: number): boolean {
    return this.until !== undefined && now < this.until
  }

  succeeded(now: number): void {
    this.#windowAt(now).good++
    this.#failuresInRow = 0
    this.#recentInRow = 0
  }

  /**
   * How many times dearer a target is for failures that were not enough to leave it out, or could not (too many are
   * out already): one that fails quickly must not look like a fast one.
   */
  penalty(now: number): number {
    const dearer = limits.failurePenalty ** Math.min(this.#recentInRow, limits.failurePenaltyTimes) - 1
    return 1 + dearer * Math.exp((this.#failedAt - now) / limits.failurePenaltyFadeMs)
  }

  /** True when it is left out from now on. `mayEject`: enough others are there. */
  failed(now: number, rules: EjectionRules, mayEject: boolean): boolean {
    // What was under way when it was left out says nothing new.
    if (this.isOut(now)) return false
    this.#windowAt(now).bad++
    const knownAt = Math.max(this.#failedAt, this.until ?? 0)
    this.#failuresInRow = now - knownAt > limits.failureWindowMs ? 1 : this.#failuresInRow + 1
    this.#recentInRow = now - this.#failedAt > limits.failureWindowMs ? 1 : this.#recentInRow + 1
    this.#failedAt = now
    if (!mayEject || !this.#isBad(rules)) return false
    // Good for longer than it may be left out: what was before is forgotten.
    const isForgotten = this.until === undefined || now - this.until > rules.upToMs
    this.#count = isForgotten ? 1 : this.#count + 1
    this.until = now + Math.min(rules.firstMs * 2 ** (this.#count - 1), rules.upToMs)
    this.#window = { since: now, good: 0, bad: 0 }
    this.#before = undefined
    this.#recentInRow = 0
    return true
  }

  // A target that came back and fails again has its failures in a row still, so one more is enough.
  #isBad({ after }: EjectionRules): boolean {
    if (this.#failuresInRow >= after) return true
    const bad = this.#window.bad + (this.#before?.bad ?? 0)
    const all = bad + this.#window.good + (this.#before?.good ?? 0)
    return all >= limits.failureSample && bad / all >= limits.failureShare
  }

  /** The window in two halves, the older of which is dropped as a whole. */
  #windowAt(now: number): Window {
    const halfMs = limits.failureWindowMs / 2
    const ageMs = now - this.#window.since
    if (ageMs >= halfMs) {
      this.#before = ageMs < 2 * halfMs ? this.#window : undefined
      this.#window = { since: now, good: 0, bad: 0 }
    }
    return this.#window
  }
}
