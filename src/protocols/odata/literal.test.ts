import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Json, parseExact } from '../../kernel/json.ts'
import { type EdmType, edmTypes, integerRanges, isTypeOf, type ODataVersion } from './edm.ts'
import { readEntity, writeEntity } from './json.ts'
import { formatLiteral, formatUntyped, parseLiteral } from './literal.ts'
import type { EntityType } from './model.ts'
import { asEdmValue } from './value.ts'

const pad = (value: number, letters: number) => String(value).padStart(letters, '0')
const day = fc
  .tuple(fc.integer({ min: 1, max: 9999 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }))
  .map(([y, m, d]) => `${pad(y, 4)}-${pad(m, 2)}-${pad(d, 2)}`)
const clock = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }), fc.integer({ min: 0, max: 59 }))
  .map(parts => parts.map(part => pad(part, 2)).join(':'))
const decimal = fc
  .tuple(fc.boolean(), fc.bigInt({ min: 0n, max: 10n ** 30n }), fc.option(fc.stringMatching(/^\d{1,10}$/)))
  .map(([isNegative, whole, fraction]) => `${isNegative ? '-' : ''}${whole}${fraction === null ? '' : `.${fraction}`}`)

/** Values in the hub's own form. */
const values: Readonly<Record<EdmType, fc.Arbitrary<Json>>> = {
  'Edm.Binary': fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes).toString('base64')),
  'Edm.Boolean': fc.boolean(),
  'Edm.Byte': fc.integer({ min: 0, max: 255 }),
  'Edm.SByte': fc.integer({ min: -128, max: 127 }),
  'Edm.Int16': fc.integer({ min: -32_768, max: 32_767 }),
  'Edm.Int32': fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }),
  'Edm.Int64': fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  'Edm.Decimal': decimal,
  'Edm.Double': fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(value => value + 0 || 0),
    fc.constantFrom('NaN', 'INF', '-INF'),
  ),
  'Edm.Single': fc.float({ noNaN: true, noDefaultInfinity: true }).map(value => value + 0 || 0),
  'Edm.Guid': fc.uuid(),
  'Edm.String': fc.string({ unit: 'binary', maxLength: 60 }),
  'Edm.Date': day,
  'Edm.DateTime': fc.tuple(day, clock).map(([d, t]) => `${d}T${t}`),
  'Edm.DateTimeOffset': fc
    .tuple(day, clock, fc.constantFrom('Z', '+01:00', '-11:30'))
    .map(([d, t, zone]) => `${d}T${t}${zone}`),
  'Edm.Time': clock,
  'Edm.TimeOfDay': clock,
  'Edm.Duration': fc.tuple(fc.nat(99), fc.integer({ min: 1, max: 99 })).map(([d, h]) => `P${d}DT${h}H`),
}

const cases = (['v2', 'v4'] as const).flatMap(version =>
  edmTypes.filter(type => isTypeOf(version, type)).map(type => [version, type] as const),
)

test.each(cases)('%s %s: a value is the same after its way through a literal and a URL', (version, type) => {
  fc.assert(
    fc.property(values[type], value => {
      const literal = formatLiteral(version, type, value, 'P')
      const travelled = decodeURIComponent(encodeURIComponent(literal.toWellFormed()))
      const expected = typeof value === 'string' ? value.toWellFormed() : value
      expect(parseLiteral(version, type, travelled, 'P')).toEqual(expected)
    }),
  )
})

test.each(cases)('%s %s: a value is the same after its way through a body', (version, type) => {
  const entity: EntityType = { name: 'E', key: [], properties: new Map([['P', type]]), navigation: new Map() }
  // Ticks of V2 are UTC and begin where JavaScript's Date can write them.
  const isTicked = version === 'v2' && (type === 'Edm.DateTime' || type === 'Edm.DateTimeOffset')
  fc.assert(
    fc.property(values[type], value => {
      const text = writeEntity(version, entity, { P: value }, undefined)
      const read = readEntity(version, entity, parseExact(text)) as { readonly P: Json }
      if (!isTicked) expect(inFewDigits(read.P)).toEqual(inFewDigits(value))
      else {
        const at = (moment: Json) => Date.parse(type === 'Edm.DateTime' ? `${String(moment)}Z` : String(moment))
        expect(at(read.P)).toBe(at(value))
      }
    }),
  )
})

// A number of JSON says the same with and without zeros at its end.
function inFewDigits(value: Json): Json {
  return typeof value === 'string' && /^-?\d+\.\d+$/.test(value)
    ? value.replace(/\.?0+$/, '').replace(/^-0$/, '0')
    : value
}

test('whatever a text holds, it is one literal: no quote stands alone in it', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("'", 'a', ' ', 'or', '%27', '\\', '&', '/', ')', '\n') }), text => {
      for (const version of ['v2', 'v4'] as const) {
        for (const literal of [formatLiteral(version, 'Edm.String', text, 'P'), formatUntyped(version, text, 'P')]) {
          expect(literal).toMatch(/^'(?:[^']|'')*'$/)
        }
      }
    }),
  )
})

const written: readonly [ODataVersion, EdmType, Json, string][] = [
  ['v2', 'Edm.String', "L'Aquila", "'L''Aquila'"],
  ['v2', 'Edm.DateTime', '9999-12-31', "datetime'9999-12-31T00:00:00'"],
  ['v2', 'Edm.DateTime', '2026-11-21T09:00:00.1234567Z', "datetime'2026-11-21T09:00:00.1234567'"],
  ['v2', 'Edm.DateTimeOffset', '2026-11-21T08:59:57Z', "datetimeoffset'2026-11-21T08:59:57Z'"],
  ['v2', 'Edm.Time', '09:30:05', "time'PT9H30M5S'"],
  ['v2', 'Edm.Time', 'PT09H30M', "time'PT9H30M0S'"],
  ['v2', 'Edm.Guid', '3F2504E0-4F89-11D3-9A0C-0305E82C3301', "guid'3f2504e0-4f89-11d3-9a0c-0305e82c3301'"],
  ['v2', 'Edm.Decimal', '12345678901234567890.50', '12345678901234567890.50M'],
  ['v2', 'Edm.Decimal', 1e-7, '0.0000001M'],
  ['v2', 'Edm.Decimal', 1.5e21, '1500000000000000000000M'],
  ['v2', 'Edm.Int64', '9007199254740993', '9007199254740993L'],
  ['v2', 'Edm.Double', 1.5, '1.5d'],
  ['v2', 'Edm.Binary', 'AQID', "X'010203'"],
  ['v4', 'Edm.String', "O'Neil & Co", "'O''Neil & Co'"],
  ['v4', 'Edm.Guid', '3f2504e0-4f89-11d3-9a0c-0305e82c3301', '3f2504e0-4f89-11d3-9a0c-0305e82c3301'],
  ['v4', 'Edm.Date', '2026-11-21', '2026-11-21'],
  ['v4', 'Edm.DateTimeOffset', '2026-11-21T09:00Z', '2026-11-21T09:00:00Z'],
  ['v4', 'Edm.Decimal', '3.10', '3.10'],
  ['v4', 'Edm.Duration', 'PT2H', "duration'PT2H'"],
  ['v4', 'Edm.Binary', '+/+/', "binary'-_-_'"],
]
test.each(written)('%s %s %j is written %s', (version, type, value, literal) => {
  expect(formatLiteral(version, type, value, 'P')).toBe(literal)
})

const unfit: readonly [ODataVersion, EdmType, Json][] = [
  ['v2', 'Edm.DateTime', '2026-02-30'],
  ['v2', 'Edm.DateTime', "2026-11-21T00:00:00' or 1 eq 1 or X eq datetime'2026-11-21T00:00:00"],
  ['v2', 'Edm.DateTime', '2026-11-21T09:00:00+01:00'],
  ['v2', 'Edm.DateTime', 20261121],
  ['v2', 'Edm.DateTimeOffset', '2026-11-21'],
  ['v2', 'Edm.Date', '2026-11-21'],
  ['v2', 'Edm.Time', '24:00:00'],
  ['v2', 'Edm.Time', 'PT25H'],
  ['v4', 'Edm.DateTime', '2026-11-21'],
  ['v4', 'Edm.Date', '21.11.2026'],
  ['v4', 'Edm.Guid', '3f2504e04f8911d39a0c0305e82c3301'],
  ['v4', 'Edm.Guid', '3f2504e0-4f89-11d3-9a0c-0305e82c3301 or true'],
  ['v4', 'Edm.Decimal', '1,5'],
  ['v4', 'Edm.Decimal', '1e5'],
  ['v4', 'Edm.Decimal', '1 or 1 eq 1'],
  ['v4', 'Edm.Int32', '2147483648'],
  ['v4', 'Edm.Int32', 1.5],
  ['v4', 'Edm.Int64', '9223372036854775808'],
  ['v4', 'Edm.Double', '1e999'],
  ['v4', 'Edm.Boolean', 'true'],
  ['v4', 'Edm.String', 4711],
  ['v4', 'Edm.String', ['a']],
  ['v4', 'Edm.Binary', 'no base64!'],
  ['v4', 'Edm.Duration', 'P'],
]
test.each(unfit)('%s %s does not take %j, and says so by the name of the property', (version, type, value) => {
  expect(() => formatLiteral(version, type, value, 'Validity')).toThrow(/The value for Validity does not fit/)
})

describe('numbers out of JSON', () => {
  test('a number that a double cannot hold comes as text, all others as numbers', () => {
    expect(parseExact('[1,-2.5,1e3,12345678901234567.5,9007199254740993,0.1,1e400,123456789012345678901]')).toEqual([
      1,
      -2.5,
      1000,
      '12345678901234567.5',
      '9007199254740993',
      0.1,
      '1e400',
      '123456789012345678901',
    ])
  })

  test('texts that look like numbers stay what they are', () => {
    expect(parseExact('{"MATNR":"000000000000001001","n":"12345678901234567.5"}')).toEqual({
      MATNR: '000000000000001001',
      n: '12345678901234567.5',
    })
  })

  test('integers stay in their range', () => {
    for (const [type, [min, max]] of Object.entries(integerRanges) as [EdmType, readonly [bigint, bigint]][]) {
      expect(() => asEdmValue(type, String(min), 'P')).not.toThrow()
      expect(() => asEdmValue(type, String(max), 'P')).not.toThrow()
      expect(() => asEdmValue(type, String(min - 1n), 'P')).toThrow(/out of range/)
      expect(() => asEdmValue(type, String(max + 1n), 'P')).toThrow(/out of range/)
    }
  })
})

test('half of a character has no place in an address, whoever names its type', () => {
  for (const version of ['v2', 'v4'] as const) {
    expect(() => formatLiteral(version, 'Edm.String', 'a\ud800', 'name')).toThrow(/name .* half of a character/)
    expect(() => formatUntyped(version, '\udc00a', 'name')).toThrow(/name .* half of a character/)
  }
  expect(formatUntyped('v4', '\ud83d\ude00', 'name')).toBe("'😀'")
})

test('a text of many digits that is no number costs no time', () => {
  const started = performance.now()
  expect(() => asEdmValue('Edm.Double', `${'0'.repeat(100_000)}x`, 'P')).toThrow(/P/)
  expect(performance.now() - started).toBeLessThan(1_000)
})
