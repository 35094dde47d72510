import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatId, makeSequence, parseId } from './id.ts'

test('an id reads back as its number and sorts like it', () => {
  const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
  fc.assert(
    fc.property(number, number, (one, other) => {
      expect(parseId(formatId(one))).toBe(one)
      expect(formatId(one) < formatId(other)).toBe(one < other)
    }),
  )
})

test('a sequence rises, also within a millisecond and when the clock goes back', () => {
  let now = Date.UTC(2026, 10, 21)
  const next = makeSequence(() => now)
  const numbers = Array.from({ length: 10_000 }, (_, index) => {
    if (index === 5_000) now -= 60_000
    return next()
  })
  for (const [index, number] of numbers.entries()) expect(number).toBeGreaterThan(numbers[index - 1] ?? 0)
})

test.each(['', 'short', 'ILOUILOUILO', '00000000000000', 'ZZZZZZZZZZZ', '../../../..'])('"%s" is no id', text => {
  expect(parseId(text)).toBeUndefined()
})
