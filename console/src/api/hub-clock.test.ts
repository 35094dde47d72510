import { expect, test } from 'vitest'
import { hubNow, learnHubTime } from './hub-clock.ts'

const hub = 'Sat, 21 Nov 2026 02:00:00 GMT'
const at = Date.parse(hub)

test.each([
  ['two hours fast', 7_200_000, at],
  ['two hours slow', -7_200_000, at],
  ['right but for what the header rounds', 900, at + 900],
])('on a machine whose clock is %s it is as late as at the hub', (_what, offMs, expected) => {
  learnHubTime(hub, at + offMs)
  expect(hubNow(at + offMs)).toBe(expected)
})

test('an answer without a time teaches nothing', () => {
  learnHubTime(hub, at - 7_200_000)
  learnHubTime(null, at)
  expect(hubNow(at - 7_200_000)).toBe(at)
})
