import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DAY } from '../kernel/time.ts'
import { daysOfSeries } from '../protocols/ews/recurrence.ts'
import { normaliseRecurrence, toEws } from './ews/recurrence.ts'
import { movedRecurrence } from './moved-series.ts'
import type { DayName, Recurrence } from './plan/items.ts'
import { weekly } from './sample-items-world.ts'

const monday = '2026-10-05'
const monthly: Recurrence = { ...weekly, unit: 'month', days: [], dayOfMonth: 5, firstDay: monday, count: null }
const dayAt = (ms: number) => new Date(ms).toISOString().slice(0, 10)

test.each<[string, Recurrence, string, readonly string[]]>([
  ['Mondays to Tuesdays', { ...weekly, firstDay: monday }, '2026-10-06', ['2026-10-06', '2026-10-13', '2026-10-20']],
  [
    'every weekday begins a day later',
    { ...weekly, days: ['monday', 'tuesday', 'wednesday', 'thursday', 'friday'], firstDay: monday, count: null },
    '2026-10-06',
    ['2026-10-06', '2026-10-07', '2026-10-08', '2026-10-09', '2026-10-12'],
  ],
  [
    'Monday and Thursday of every second week to Sunday and Wednesday',
    { ...weekly, interval: 2, days: ['monday', 'thursday'], firstDay: monday },
    '2026-10-04',
    ['2026-10-04', '2026-10-07', '2026-10-18', '2026-10-21'],
  ],
  ['the fifth to the seventh', monthly, '2026-10-07', ['2026-10-07', '2026-11-07']],
  [
    'the first Monday to the second Wednesday',
    { ...monthly, dayOfMonth: null, which: 'first', days: ['monday'] },
    '2026-10-14',
    ['2026-10-14', '2026-11-11'],
  ],
  [
    'the last Monday to the last Friday',
    { ...monthly, dayOfMonth: null, which: 'last', days: ['monday'], firstDay: '2026-10-26' },
    '2026-10-30',
    ['2026-10-30', '2026-11-27'],
  ],
  ['each year', { ...monthly, unit: 'year', month: 10 }, '2026-11-01', ['2026-11-01', '2027-11-01']],
])('%s', (_name, given, to, expected) => {
  expect([...daysOfSeries(toEws(movedRecurrence(given, given.firstDay, to)), expected.length)]).toEqual(expected)
})

test('a week moves as a whole, with its end, and as Exchange gives it back', () => {
  const days = fc.subarray<DayName>(['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'], {
    minLength: 1,
  })
  fc.assert(
    fc.property(days, fc.integer({ min: 1, max: 4 }), fc.integer({ min: -9, max: 9 }), (given, interval, by) => {
      const [firstDay = ''] = daysOfSeries(toEws({ ...weekly, days: given, firstDay: monday }), 1)
      const before = { ...weekly, interval, days: given, firstDay, count: null, lastDay: '2026-12-20' }
      const to = dayAt(Date.parse(firstDay) + by * DAY)
      const after = movedRecurrence(before, firstDay, to)
      expect(normaliseRecurrence(after)).toEqual(after)
      const wanted = [...daysOfSeries(toEws(before))].map(day => dayAt(Date.parse(day) + by * DAY))
      // Else it begins anew, on one of its days.
      if (after.lastDay !== before.lastDay) expect([...daysOfSeries(toEws(after))]).toEqual(wanted)
      expect([...daysOfSeries(toEws(after), 1)]).toEqual([to])
    }),
  )
})
