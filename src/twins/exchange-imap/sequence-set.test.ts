import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatSequenceSet, readSequenceSet, uidsAtSequence, uidsInSet } from './sequence-set.ts'

const uids = [2, 3, 5, 8, 13]

test.each([
  ['3', [3]],
  ['1:4', [2, 3]],
  ['8:3,3', [3, 5, 8]],
  ['*', [13]],
  ['20:*', [13]],
  ['10:20', [13]],
  ['14:20', []],
  ['1:*', uids],
])('the UID set %s names %j', (text, expected) => {
  expect(uidsInSet(readSequenceSet(text) ?? [], uids)).toEqual(expected)
})

test.each([
  ['1', [2]],
  ['2:4', [3, 5, 8]],
  ['4:*', [8, 13]],
  ['6', undefined],
  ['5:6', undefined],
])('the sequence numbers %s name %j', (text, expected) => {
  expect(uidsAtSequence(readSequenceSet(text) ?? [], uids)).toEqual(expected)
})

test.each(['', '0', '1:0', 'x', '1,', ',1', '1:2:3', '-1', '1 ', '99999999999', '1:*:*'])('%j is no set', text => {
  expect(readSequenceSet(text)).toBeUndefined()
})

test('a set that is written is read as the same UIDs', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 300 }), { minLength: 1 }), numbers => {
      const rising = numbers.toSorted((a, b) => a - b)
      const all = Array.from({ length: 300 }, (_, index) => index + 1)
      expect(uidsInSet(readSequenceSet(formatSequenceSet(rising)) ?? [], all)).toEqual(rising)
    }),
  )
})
