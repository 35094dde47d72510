import type { Limits } from '../kernel/limit.ts'
import { type Clock, formatDuration, SECOND } from '../kernel/time.ts'
import type { Attempt } from './attempt.ts'
import { engineErrors } from './errors.ts'

const everyMs = SECOND

/** Ends attempts whose step or receiver takes too long. A clock that is set, and a machine that stood still, take no time from them. */
export class StepWatch {
  /** How long steps have been watched. */
  watchedMs = 0
  readonly #clock: Clock
  readonly #limits: Pick<Limits, 'stepMs'>
  readonly #attempts: () => Iterable<Attempt>
  #cancel = () => {}

  constructor(clock: Clock, limits: Pick<Limits, 'stepMs'>, attempts: () => Iterable<Attempt>) {
    this.#clock = clock
    this.#limits = limits
    this.#attempts = attempts
    this.#later()
  }

  end(): void {
    this.#cancel()
  }

  #later(): void {
    this.#cancel = this.#clock.after(everyMs, () => {
      this.watchedMs += everyMs
      for (const attempt of this.#attempts()) {
        if (this.watchedMs - attempt.stepSinceMs < this.#limits.stepMs) continue
        const { where, claimed } = attempt
        const fields = { where, flow: claimed.flow, limit: formatDuration(this.#limits.stepMs) }
        attempt.expire(engineErrors.STEP_TIMEOUT(fields))
      }
      this.#later()
    })
  }
}
