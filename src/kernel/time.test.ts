import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DAY, formatDuration, HOUR, MINUTE, parseDuration, SECOND, steadyClock, systemClock } from './time.ts'

test.each([
  ['250ms', 250],
  ['30s', 30 * SECOND],
  ['15m', 15 * MINUTE],
  ['4h', 4 * HOUR],
  ['2d', 2 * DAY],
  ['1h30m', 90 * MINUTE],
  ['0.5h', 30 * MINUTE],
])('%s is %d milliseconds', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test.each(['', '5', 'h', '4 hours', '-4h', '4h!', '4hx', '1e3s'])(
  '"%s" is not a duration and the error says how one looks',
  text => {
    expect(() => parseDuration(text)).toThrow(
      expect.objectContaining({ code: 'TIME_NOT_A_DURATION', next: expect.stringContaining('15m') }),
    )
  },
)

test('a written duration reads back as the same time, to the second', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 400 * 24 * 3600 }), seconds => {
      expect(parseDuration(formatDuration(seconds * SECOND))).toBe(seconds * SECOND)
    }),
  )
})

test('an aborted sleep ends at once', async () => {
  const stop = new AbortController()
  const startedAt = Date.now()
  const sleeping = systemClock.sleep(60_000, stop.signal)
  stop.abort()
  await sleeping
  expect(Date.now() - startedAt).toBeLessThan(5_000)
})

test('a steady clock goes on from where it was when its machine is set back', () => {
  let now = 10 * HOUR
  const steady = steadyClock({ ...systemClock, now: () => now })
  const begun = steady.now()
  const at = (ms: number) => {
    now = ms
    return steady.now() - begun
  }
  expect([10 * HOUR + 5, HOUR, HOUR + 7, HOUR + 6, 3 * HOUR].map(at)).toEqual([5, 5, 12, 12, 2 * HOUR + 6])
})
