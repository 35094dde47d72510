import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  compare,
  type Decimal,
  decimalOf,
  divide,
  formatDecimal,
  parseDecimal,
  plus,
  round,
  shiftPoint,
  times,
  toNumber,
} from './exact-decimal.ts'

const anyDecimal = fc
  .record({ digits: fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), scale: fc.nat(6) })
  .map(value => parse(formatDecimal(value)))

function parse(text: string): Decimal {
  const value = parseDecimal(text)
  if (!value) throw new Error(`${text} is no decimal`)
  return value
}

test.each([
  ['12.50', '12.5'],
  ['12.50-', '-12.5'],
  ['-0.001', '-0.001'],
  ['  1234.000 ', '1234'],
  ['.5', '0.5'],
  ['7.', '7'],
  ['000', '0'],
  // Floating point fields (FLTP): of a characteristic in IDocs, and as xsd:double of proxies.
  ['1.2500000000000000E+02', '125'],
  ['-3.14E2', '-314'],
  ['4.7000000000000000E-03', '0.0047'],
  ['0.0000000000000000E+00', '0'],
  ['10e-1', '1'],
])('%j is %s', (text, expected) => {
  expect(formatDecimal(parse(text))).toBe(expected)
})

test('a long run of blanks costs no time', () => {
  const started = performance.now()
  expect(parseDecimal(`1${' '.repeat(200_000)}x`)).toBeUndefined()
  expect(parseDecimal(`${' '.repeat(200_000)}x`)).toBeUndefined()
  expect(performance.now() - started).toBeLessThan(1_000)
})

test.each([
  '',
  ' ',
  '-',
  '.',
  '1,5',
  '1E',
  'E3',
  '1E+',
  '1E3-',
  '1E3.5',
  '1E61',
  '1E-61',
  '0x10',
  '--1',
  '-1-',
  '1 2',
  'NaN',
  '9'.repeat(61),
])('%j is no number', text => {
  expect(parseDecimal(text)).toBeUndefined()
})

test('text, value and text again are the same', () => {
  fc.assert(
    fc.property(anyDecimal, value => {
      expect(parse(formatDecimal(value))).toEqual(value)
    }),
  )
})

test('the laws of numbers hold in every digit', () => {
  fc.assert(
    fc.property(anyDecimal, anyDecimal, (left, right) => {
      expect(plus(left, right)).toEqual(plus(right, left))
      expect(times(left, right)).toEqual(times(right, left))
      expect(compare(plus(left, right), right)).toBe(Math.sign(compare(left, parse('0'))))
      if (right.digits !== 0n) expect(divide(times(left, right), right, 6)).toEqual(left)
    }),
  )
})

test('rounding goes half away from zero', () => {
  const rounded = ['0.005', '-0.005', '1.0049999', '2.675', '-2.674'].map(text => formatDecimal(round(parse(text), 2)))
  expect(rounded).toEqual(['0.01', '-0.01', '1', '2.68', '-2.67'])
  expect(divide(parse('1'), parse('3'), 5)).toEqual(parse('0.33333'))
  expect(divide(parse('-2'), parse('3'), 2)).toEqual(parse('-0.67'))
  expect(divide(parse('1'), parse('0'), 2)).toBeUndefined()
})

test('the point moves, and a number that a double would change is none', () => {
  expect(formatDecimal(shiftPoint(parse('12.34'), 2))).toBe('1234')
  expect(formatDecimal(shiftPoint(parse('12.34'), -1))).toBe('1.234')
  expect(formatDecimal(shiftPoint(parse('12'), 3))).toBe('12000')
  expect(toNumber(parse('999999999999999'))).toBe(999_999_999_999_999)
  expect(toNumber(parse('9999999999999999'))).toBeUndefined()
  expect(decimalOf(-1.25)).toEqual(parse('-1.25'))
})
