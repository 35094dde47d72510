import { describe, expect, test } from 'vitest'
import { HubError, hubErrors } from '../kernel/error.ts'
import { DAY, HOUR, MINUTE } from '../kernel/time.ts'
import { engineErrors } from './errors.ts'
import { planRetry, seriesBegan } from './retry-plan.ts'

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

describe('the time of a series', () => {
  const late = { attemptCount: 3, since: 0, plannedAt: HOUR, begunAt: 5 * HOUR, awakeSince: 0, now: 6 * HOUR }
  test.each([
    ['counts from its first attempt, not from the acceptance', { attemptCount: 0, plannedAt: undefined }, 5 * HOUR],
    ['goes on while an attempt comes late because others are under way', {}, 0],
    ['does not while nothing can be tried', { awakeSince: 4 * HOUR }, 3 * HOUR],
    ['does where the standstill was over before', { awakeSince: HOUR }, 0],
    ['goes on after a clock was set back', { awakeSince: 7 * HOUR }, 0],
    ['began now where it seems to begin later', { since: 9 * HOUR }, 6 * HOUR],
  ])('%s', (_what, changes, expected) => {
    expect(seriesBegan({ ...late, ...changes })).toBe(expected)
  })
})

test('after the policy’s time there is no further attempt', () => {
  const last = { attemptCount: 9, since: 0, error: soon }
  expect(planRetry(policy, { ...last, now: 2 * DAY - HOUR })?.dueAt).toBe(2 * DAY)
  expect(planRetry(policy, { ...last, now: 2 * DAY - HOUR + 1 })).toBeUndefined()
})
