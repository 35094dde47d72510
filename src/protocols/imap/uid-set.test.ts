import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatUidSets, readUidSet } from './uid-set.ts'

test('neighbours become ranges', () => {
  expect(formatUidSets([33, 17, 18, 19, 31, 17], 100)).toEqual(['17:19,31,33'])
  expect(formatUidSets([], 100)).toEqual([])
})

test('all UIDs are named once, and no set is longer than a command may be', () => {
  const uids = fc.array(fc.integer({ min: 1, max: 4_294_967_295 }), { maxLength: 300 })
  fc.assert(
    fc.property(uids, fc.integer({ min: 30, max: 200 }), (wanted, bytesMax) => {
      const sets = formatUidSets(wanted, bytesMax)
      for (const set of sets) expect(set.length).toBeLessThanOrEqual(bytesMax)
      const named = sets.flatMap(set => set.split(',')).map(range => range.split(':').map(Number))
      const count = named.reduce((sum, [from = 0, to = from]) => sum + to - from + 1, 0)
      expect(count).toBe(new Set(wanted).size)
      for (const uid of wanted) expect(named.some(([from = 0, to = from]) => uid >= from && uid <= to)).toBe(true)
    }),
  )
})

test('20,000 mails that lie apart need several commands below the 10,240 bytes of Exchange', () => {
  const sets = formatUidSets(
    Array.from({ length: 20_000 }, (_, index) => 100_000 + index * 2),
    8_000,
  )
  expect(sets.length).toBeGreaterThan(15)
  expect(Math.max(...sets.map(set => set.length))).toBeLessThanOrEqual(8_000)
})

test('a set is read in its own order, and no further than what was asked for', () => {
  expect(readUidSet('17:19,31,5', 5)).toEqual([17, 18, 19, 31, 5])
  expect(readUidSet('17:19,31', 3)).toBeUndefined()
  expect(readUidSet('1:4294967295', 1000)).toBeUndefined()
  for (const text of ['', '1,', 'x', '19:17', '1:*', '1:2:3', '-1', '99999999999'])
    expect(readUidSet(text, 100)).toBeUndefined()
})
