import { expect, test } from 'vitest'
import { DAY, HOUR } from '../kernel/time.ts'
import { findCertificate } from './certificate-findings.ts'

const now = Date.UTC(2026, 0, 5)

test.each([
  ['of a year', 365 * DAY, 15 * DAY, false],
  ['of a year', 365 * DAY, 14 * DAY, true],
  ['of ninety days that is renewed at the last third', 90 * DAY, 30 * DAY, false],
  ['of a day, renewed at half of its life', DAY, 12 * HOUR, false],
  ['of a day that was not', DAY, 6 * HOUR, true],
  ['that is over', 365 * DAY, -DAY, true],
])('a certificate %s (%i ms, %i ms left) is told: %s', (_what, lifeMs, restMs, isTold) => {
  const endsAt = now + restMs
  const { trouble } = findCertificate({ file: 'hub.crt', beganAt: endsAt - lifeMs, endsAt }, 14 * DAY, now)
  expect(trouble !== undefined).toBe(isTold)
  if (trouble) expect(trouble.what).toContain(new Date(endsAt).toISOString())
})
