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

export interface NextAttempt {
  readonly dueAt: number
  /** True when only somebody's change will help; the delivery is then also tried at once after one. */
  readonly awaitsChange: boolean
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
