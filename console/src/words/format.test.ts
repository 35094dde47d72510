import { expect, test } from 'vitest'
import { agoWords, bytesWords, countWords, durationWords, timeWords } from './format.ts'

test.each([
  [0, '0 s'],
  [59_999, '59 s'],
  [60_000, '1 min'],
  [3_600_000, '1 h'],
  [5_400_000, '1 h 30 min'],
  [86_400_000, '1 d'],
  [97_200_000, '1 d 3 h'],
])('%i ms are %s', (ms, words) => {
  expect(durationWords(ms)).toBe(words)
})

test.each([
  ['2026-11-21T02:00:00.000Z', 'now'],
  ['2026-11-21T01:48:00.000Z', '12 min ago'],
  ['2026-11-21T02:15:00.000Z', 'in 15 min'],
])('at two o’clock %s is %s', (time, words) => {
  expect(agoWords(time, Date.parse('2026-11-21T02:00:01.000Z') - 1000)).toBe(words)
})

test.each([
  [1023, '1023 bytes'],
  [1024, '1.0 KiB'],
  [150 * 1024, '150 KiB'],
  [52_428_800, '50.0 MiB'],
])('%i bytes are %s', (bytes, words) => {
  expect(bytesWords(bytes)).toBe(words)
})

test('one and many', () => {
  expect([countWords(1, 'mailbox', 'mailboxes'), countWords(10_000, 'mailbox', 'mailboxes')]).toEqual([
    '1 mailbox',
    '10,000 mailboxes',
  ])
})

test('a time names its zone, so that the hour that comes twice in autumn is not one', () => {
  const zone = process.env['TZ']
  process.env['TZ'] = 'Europe/Berlin'
  try {
    expect(timeWords('2026-10-25T00:30:00.000Z')).toBe('25 Oct 2026, 02:30:00 CEST')
    expect(timeWords('2026-10-25T01:30:00.000Z')).toBe('25 Oct 2026, 02:30:00 CET')
  } finally {
    if (zone === undefined) delete process.env['TZ']
    else process.env['TZ'] = zone
  }
})
