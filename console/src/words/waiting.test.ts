import { expect, test } from 'vitest'
import { planWaiting } from './waiting.ts'

test('of those that wait each is counted once, by what it waits for first', () => {
  const messages = [
    { awaitsChange: false },
    { awaitsChange: true },
    { awaitsChange: true, heldBy: '0SA22EY2700' },
    { awaitsChange: false, heldBy: '0SA22EY2700' },
  ]
  expect(planWaiting(messages)).toEqual({ held: 2, awaiting: 1, due: 1 })
})
