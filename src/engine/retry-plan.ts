import type { RetryPolicy } from '../flow/document.ts'
import type { HubError } from '../kernel/error.ts'

export interface FailedAttempt {
  /** Attempts of this series that ended, this one included. */
  readonly attemptCount: number
  /** When the series began, milliseconds since 1970. */
  readonly since: number
  readonly now: number
  readonly error: HubError
}

/** An attempt that failed, as the store and the engine know it; all times in milliseconds since 1970. */
export interface AttemptTimes {
  /** Attempts of this series that ended before it. */
  readonly attemptCount: number
  /** When the series began, as kept with the delivery. */
  readonly since: number
  /** When it was to begin; undefined for the first of a series. */
  readonly plannedAt: number | undefined
  readonly begunAt: number
  /** Since when its flow runs, on a machine that is awake; later than now where the clock was set back. */
  readonly awakeSince: number
  readonly now: number
}

export interface NextAttempt {
  readonly dueAt: number
  /** True when only somebody's change will help; the delivery is then also tried at once after one. */
  readonly awaitsChange: boolean
}

/**
 * When a series of attempts began, as far as its time goes. What waited for days behind another has not had any of its tries
 * by that. Neither has what was due while the flow or the hub stood still, or the machine slept: after a weekend without
 * power the other side may need longer to come up than the hub. And a clock that was set back gives nothing more.
 */
export function seriesBegan({ attemptCount, since, plannedAt, begunAt, awakeSince, now }: AttemptTimes): number {
  const missedMs = awakeSince > now ? 0 : Math.max(0, awakeSince - (plannedAt ?? begunAt))
  return Math.min((attemptCount === 0 ? begunAt : since) + missedMs, now)
}

/** When the next attempt is due, or undefined when the delivery has had its chances and is set aside. */
export function planRetry(
  policy: RetryPolicy,
  { attemptCount, since, now, error }: FailedAttempt,
): NextAttempt | undefined {
  if (error.retry === 'never') return undefined
  // Who only asked to wait has refused nothing: neither the waits grow with it, nor does the time run out.
  if (error.isThrottling) return { dueAt: now + (error.retryAfterMs ?? policy.everyMs), awaitsChange: false }
  const awaitsChange = error.retry === 'after-change'
  // What awaits a change gains nothing from haste: it goes straight to the longest wait.
  const doubledMs = awaitsChange ? policy.upToMs : policy.everyMs * 2 ** Math.min(attemptCount - 1, 30)
  const waitMs = Math.max(Math.min(doubledMs, policy.upToMs), error.retryAfterMs ?? 0)
  // Where the waiting is for a person, the last moment of the policy is still a chance.
  const dueAt = awaitsChange && now < since + policy.forMs ? Math.min(now + waitMs, since + policy.forMs) : now + waitMs
  return dueAt - since > policy.forMs ? undefined : { dueAt, awaitsChange }
}
