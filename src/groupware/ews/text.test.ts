import { expect, test } from 'vitest'
import { lineOf } from './text.ts'

test('lines become one, and what does not fit is cut', () => {
  expect(lineOf('Hall 1 \r\n\n  second floor\tleft\n', 40)).toBe('Hall 1 second floor left')
  expect(lineOf('Hall 1', 4)).toBe('Hall')
})

test('a long run of blanks in a subject that a stranger wrote costs no time', () => {
  const started = performance.now()
  expect(lineOf(`a${' '.repeat(200_000)}b`, 255)).toBe('a')
  expect(performance.now() - started).toBeLessThan(1_000)
})
