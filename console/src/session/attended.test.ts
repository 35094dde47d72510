import { afterEach, expect, test, vi } from 'vitest'
import { attendedMs, isAttended } from './attended.ts'

afterEach(() => {
  vi.unstubAllGlobals()
})

test.each([
  ['somebody was there a moment ago', false, 1_000, true],
  ['nobody touched the page for long', false, attendedMs + 1_000, false],
  ['the page cannot be seen', true, 1_000, false],
])('%s', (_what, hidden, laterMs, expected) => {
  vi.stubGlobal('document', { hidden })
  expect(isAttended(Date.now() + laterMs)).toBe(expected)
})
