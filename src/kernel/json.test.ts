import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseExact } from './json.ts'

const parse = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown

/** The same, said plainly: slow, and by the engine's own reading. */
const parsePlainly = (text: string) =>
  parse(text, (_key, value, { source }) =>
    typeof value !== 'number' || source === undefined || isExact(value, source) ? value : source,
  )

function isExact(value: number, source: string): boolean {
  const digits = source.replace(/[eE].*$/, '').replace(/^-?0*\.?0*|\./g, '')
  if (!Number.isFinite(value) || (value === 0 && digits !== '')) return false
  return String(value) === source || digits.length <= 15
}

const outcomeOf = (act: () => unknown) => {
  try {
    return { is: act() }
  } catch (thrown) {
    return { throws: String(thrown) }
  }
}

test('whatever is written, it is read as the engine reads it, but for numbers that a double cannot hold', () => {
  const token = fc.oneof(
    fc.constantFrom('[', ']', '{', '}', ',', ':', ' ', '\n', '"', '\\', '-', '+', '.', 'e', 'E', '0', '1', 'null'),
    fc.constantFrom('12345678901234567', '0.1234567890123456789', '1e400', '1E+400', '1e-400', '0e5'),
    fc.constantFrom('"k":', '"12345678901234567"', '"\\"1e400"'),
  )
  fc.assert(
    fc.property(fc.array(token, { maxLength: 12 }), tokens => {
      for (const text of [tokens.join(''), `[${tokens.join(',')}]`, `{"a":${tokens.join('')}}`]) {
        expect(outcomeOf(() => parseExact(text))).toEqual(outcomeOf(() => parsePlainly(text)))
      }
    }),
    { numRuns: 1_000 },
  )
})

test('what is too large for a double, or too near to nothing, keeps its digits', () => {
  expect(parseExact('[1e400,1E+400,-1e+400,1e-400,0e-400,1e3]')).toEqual([
    '1e400',
    '1E+400',
    '-1e+400',
    '1e-400',
    0,
    1000,
  ])
})

test('a number that names a value stays the mistake that it is', () => {
  expect(() => parseExact('{12345678901234567 : 1}')).toThrow(SyntaxError)
})

test('four megabytes of numbers with an exponent are read in a blink', () => {
  const started = performance.now()
  expect(parseExact(`[${'1e3,'.repeat(1_000_000)}1]`)).toHaveLength(1_000_001)
  expect(performance.now() - started).toBeLessThan(1_500)
})
