import { expect, test } from 'vitest'
import { DAY } from '../kernel/time.ts'
import { findServiceKey } from './service-key-findings.ts'

const now = Date.UTC(2026, 0, 5)
const key = { id: 'k1', name: 'postman', instance: 'cpi', isReplaced: false, lastUsedAt: undefined }

const rests: readonly [number, string | undefined][] = [
  [31 * DAY, undefined],
  [30 * DAY, '30d'],
  [8 * DAY, '30d'],
  [7 * DAY, '7d'],
  [DAY + 1, '7d'],
  [DAY, '1d'],
  [0, '1d'],
  [-6 * DAY, '1d'],
  [-7 * DAY, undefined],
]
test.each(rests)('%i ms before its end the warning is %s', (restMs, warning) => {
  const found = findServiceKey({ ...key, expiresAt: now + restMs }, now)
  expect(found.map(({ id }) => id)).toEqual(['service-key:k1:30d', 'service-key:k1:7d', 'service-key:k1:1d'])
  const troubles = found.filter(({ trouble }) => trouble).map(({ id }) => id.split(':')[2])
  expect(troubles).toEqual(warning === undefined ? [] : [warning])
})

test('a replaced key is missed only by those who still use it', () => {
  const replaced = { ...key, isReplaced: true, expiresAt: now + DAY }
  const troubleOf = (lastUsedAt: number | undefined) =>
    findServiceKey({ ...replaced, lastUsedAt }, now).find(({ trouble }) => trouble)?.trouble
  expect(troubleOf(undefined)).toBeUndefined()
  expect(troubleOf(now - 3 * DAY)).toBeUndefined()
  expect(troubleOf(now - DAY)?.next).toBe('Give its callers the key that has replaced it.')
})
