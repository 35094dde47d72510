import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeFolderName, encodeFolderName } from './folder-name.ts'

test.each([
  ['INBOX', 'INBOX'],
  ['Gelöschte Elemente', 'Gel&APY-schte Elemente'],
  ['R&D', 'R&-D'],
  ['台北/日本語', '&U,BTFw-/&ZeVnLIqe-'],
  ['😀', '&2D3eAA-'],
])('%s is %s on the wire', (name, wire) => {
  expect(encodeFolderName(name)).toBe(wire)
  expect(decodeFolderName(wire)).toBe(name)
})

test.each(['Gel&APY', '&', 'a&*-', '&AGE-', 'Gelöscht', '&APY', 'a\tb'])('%j is not modified UTF-7', wire => {
  expect(decodeFolderName(wire)).toBeUndefined()
})

test('every name comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), name => {
      const wellFormed = name.toWellFormed()
      expect(encodeFolderName(wellFormed)).toMatch(/^[\x20-\x7e]*$/)
      expect(decodeFolderName(encodeFolderName(wellFormed))).toBe(wellFormed)
    }),
  )
})
