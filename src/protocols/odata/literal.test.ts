import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Json } from '../../kernel/json.ts'
import type { EdmType, ODataVersion } from './edm.ts'
import { formatLiteral, parseLiteral } from './literal.ts'

const versions: readonly ODataVersion[] = ['v2', 'v4']

function comesBack(version: ODataVersion, type: EdmType, value: Json): void {
  expect(parseLiteral(version, type, formatLiteral(version, type, value, 'x'), 'x')).toEqual(value)
}

test('whatever a text holds, it stays one literal and comes back', () => {
  fc.assert(
    fc.property(fc.constantFrom(...versions), fc.string({ unit: 'grapheme' }), (version, value) => {
      const literal = formatLiteral(version, 'Edm.String', value, 'x')
      expect(literal).toMatch(/^'(?:[^']|'')*'$/)
      comesBack(version, 'Edm.String', value)
    }),
  )
})

test('guids and booleans come back', () => {
  fc.assert(
    fc.property(fc.constantFrom(...versions), fc.uuid(), fc.boolean(), (version, guid, flag) => {
      comesBack(version, 'Edm.Guid', guid)
      comesBack(version, 'Edm.Boolean', flag)
    }),
  )
})

test.each([
  ['v2', 'Edm.Guid', "x' or 1 eq 1"],
  ['v4', 'Edm.Guid', 'x) or (1 eq 1'],
  ['v2', 'Edm.Boolean', 'true or true'],
  ['v4', 'Edm.Int32', '1 or 1 eq 1'],
  ['v4', 'Edm.Date', '2026-02-30 or true'],
] as const)('%s %s: %s is no literal', (version, type, value) => {
  expect(() => formatLiteral(version, type, value, 'x')).toThrow(/x/)
})
