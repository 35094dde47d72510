import { expect, test } from 'vitest'
import { HubError, hubErrors } from '../kernel/error.ts'
import { DAY, HOUR, MINUTE } from '../kernel/time.ts'
import { engineErrors } from './errors.ts'
import { planRetry } from './retry-plan.ts'

const policy = { everyMs: MINUTE, upToMs: HOUR, forMs: 2 * DAY }
const soon = hubErrors.UNEXPECTED({ text: 'reset' })

test('waits double up to the longest one', () => {
  const waits = [1, 2, 3, 6, 7, 30, 2000].map(
    attemptCount => planRetry(policy, { attemptCount, since: 0, now: 0, error: soon })?.dueAt,
  )
  expect(waits).toEqual([MINUTE, 2 * MINUTE, 4 * MINUTE, 32 * MINUTE, HOUR, HOUR, HOUR])
})

test('what will never succeed is not tried again', () => {
  const error = engineErrors.OUTCOME_UNKNOWN({ where: 'to[0]' })
  expect(planRetry(policy, { attemptCount: 1, since: 0, now: 0, error })).toBeUndefined()
})

test('what awaits a change waits long and says so', () => {
  const error = hubErrors.UNEXPECTED({ text: 'refused' }, { retry: 'after-change' })
  expect(planRetry(policy, { attemptCount: 1, since: 0, now: 0, error })).toEqual({ dueAt: HOUR, awaitsChange: true })
})

test('the other side may ask for more time, never for less', () => {
  const patient = hubErrors.UNEXPECTED({ text: 'busy' }, { retryAfterMs: 10 * MINUTE })
  const hasty = hubErrors.UNEXPECTED({ text: 'busy' }, { retryAfterMs: 1 })
  expect(planRetry(policy, { attemptCount: 1, since: 0, now: 0, error: patient })?.dueAt).toBe(10 * MINUTE)
  expect(planRetry(policy, { attemptCount: 1, since: 0, now: 0, error: hasty })?.dueAt).toBe(MINUTE)
})

test('who is only asked to wait loses no chance, however often and long', () => {
  const spec = { side: 'receiver', retry: 'soon', means: 'Slow down.', next: 'Nothing.', isThrottling: true } as const
  const asked = new HubError('CRM_THROTTLED', spec, {}, { retryAfterMs: 5 * MINUTE })
  const late = { attemptCount: 99, since: 0, now: 3 * DAY }
  expect(planRetry(policy, { ...late, error: asked })?.dueAt).toBe(3 * DAY + 5 * MINUTE)
  expect(planRetry(policy, { ...late, error: new HubError('CRM_THROTTLED', spec) })?.dueAt).toBe(3 * DAY + MINUTE)
})

test('after the policy’s time there is no further attempt', () => {
  const last = { attemptCount: 9, since: 0, error: soon }
  expect(planRetry(policy, { ...last, now: 2 * DAY - HOUR })?.dueAt).toBe(2 * DAY)
  expect(planRetry(policy, { ...last, now: 2 * DAY - HOUR + 1 })).toBeUndefined()
})
