/** How many probes in a row decide; from connector.yaml. */
export interface ProbeRules {
  readonly downAfter: number
  readonly upAfter: number
}

/** What probes say of a target. The first good one is enough for a target of which nothing is known yet. */
export class ProbeState {
  state: 'unknown' | 'up' | 'down' = 'unknown'
  /** Probes in a row that ended alike; below zero: failed. */
  #streak = 0

  /** True when the state changed. */
  took(isGood: boolean, { downAfter, upAfter }: ProbeRules): boolean {
    this.#streak = isGood ? Math.max(this.#streak, 0) + 1 : Math.min(this.#streak, 0) - 1
    const before = this.state
    if (isGood && (before === 'unknown' || (before === 'down' && this.#streak >= upAfter))) this.state = 'up'
    if (!isGood && before !== 'down' && -this.#streak >= downAfter) this.state = 'down'
    return this.state !== before
  }
}
