import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DAY } from '../../kernel/time.ts'
import { globalObjectId } from './global-object-id.ts'
import { readEwsXml } from './read-xml.ts'
import {
  daysOfSeries,
  type EwsRecurrence,
  occurrencesOfSeries,
  type Pattern,
  readRecurrence,
  relativeDays,
  startsOfSeries,
  type WeekIndex,
  weekDays,
  writeRecurrence,
} from './recurrence.ts'
import { namespaces } from './write-xml.ts'

const interval = fc.integer({ min: 1, max: 20 })
const days = fc
  .uniqueArray(fc.constantFrom(...weekDays), { minLength: 1 })
  .map(each => weekDays.filter(day => each.includes(day)))
const relative = days.filter(each => relativeDays(each) !== undefined)
const which = fc.constantFrom<WeekIndex>('First', 'Second', 'Third', 'Fourth', 'Last')
const dayOfMonth = fc.integer({ min: 1, max: 31 })
const month = fc.integer({ min: 1, max: 12 })
const pattern: fc.Arbitrary<Pattern> = fc.oneof(
  fc.record({ kind: fc.constant('Daily' as const), interval }),
  fc.record({ kind: fc.constant('Weekly' as const), interval, days, firstDayOfWeek: fc.constantFrom(...weekDays) }),
  fc.record({ kind: fc.constant('AbsoluteMonthly' as const), interval, dayOfMonth }),
  fc.record({ kind: fc.constant('RelativeMonthly' as const), interval, days: relative, which }),
  fc.record({ kind: fc.constant('AbsoluteYearly' as const), dayOfMonth, month }),
  fc.record({ kind: fc.constant('RelativeYearly' as const), days: relative, which, month }),
)
const day = fc
  .integer({ min: 0, max: 20_000 })
  .map(number => new Date(Date.UTC(1990, 0, 1 + number)).toISOString().slice(0, 10))
const series: fc.Arbitrary<EwsRecurrence> = fc.oneof(
  fc.record({ pattern, startDate: day }),
  fc.record({ pattern, startDate: day, count: fc.integer({ min: 1, max: 999 }) }),
  fc.record({ pattern, startDate: day, endDate: day }),
)

test('a series that is written is read as it was', () => {
  fc.assert(
    fc.property(series, written => {
      const root = readEwsXml(`<x xmlns:t="${namespaces.types}">${writeRecurrence(written)}</x>`)
      expect(readRecurrence(root.children[0])).toEqual(written)
    }),
  )
})

test('days of a series rise, begin no earlier than the series and end with it', () => {
  fc.assert(
    fc.property(series, ({ pattern: each, startDate, endDate, count }) => {
      const found = [...daysOfSeries({ pattern: each, startDate, endDate, count }, 50)]
      expect(found).toEqual([...found].toSorted())
      expect(new Set(found).size).toBe(found.length)
      for (const date of found) {
        expect(date >= startDate).toBe(true)
        if (endDate !== undefined) expect(date <= endDate).toBe(true)
      }
      if (endDate === undefined) expect(found).toHaveLength(Math.min(50, count ?? 50))
    }),
  )
})

describe('series by hand', () => {
  test.each([
    [
      'every second week on two days',
      { kind: 'Weekly', interval: 2, days: ['Monday', 'Friday'], firstDayOfWeek: 'Monday' },
      '2026-03-04',
      ['2026-03-06', '2026-03-16', '2026-03-20'],
    ],
    [
      'the 31st of each month',
      { kind: 'AbsoluteMonthly', interval: 1, dayOfMonth: 31 },
      '2026-01-31',
      ['2026-01-31', '2026-02-28', '2026-03-31'],
    ],
    [
      'the last weekday of each month',
      { kind: 'RelativeMonthly', interval: 1, days: weekDays.slice(1, 6), which: 'Last' },
      '2026-01-01',
      ['2026-01-30', '2026-02-27', '2026-03-31'],
    ],
    [
      'the 29th of February',
      { kind: 'AbsoluteYearly', dayOfMonth: 29, month: 2 },
      '2026-01-01',
      ['2026-02-28', '2027-02-28', '2028-02-29'],
    ],
    [
      'the fourth Thursday of November',
      { kind: 'RelativeYearly', days: ['Thursday'], which: 'Fourth', month: 11 },
      '2026-01-01',
      ['2026-11-26', '2027-11-25', '2028-11-23'],
    ],
  ] as const)('%s', (_name, each, startDate, expected) => {
    expect([...daysOfSeries({ pattern: each, startDate }, 3)]).toEqual(expected)
  })

  test('keep their hour when the clocks change', () => {
    const daily: EwsRecurrence = { pattern: { kind: 'Daily', interval: 1 }, startDate: '2026-03-28', count: 3 }
    const starts = startsOfSeries(daily, '09:00:00', 'Europe/Berlin').map(ms => new Date(ms).toISOString())
    expect(starts).toEqual(['2026-03-28T08:00:00.000Z', '2026-03-29T07:00:00.000Z', '2026-03-30T07:00:00.000Z'])
  })

  test('what begins at no day, or is made anew when done, is no series', () => {
    expect([...daysOfSeries({ pattern: { kind: 'Daily', interval: 1 }, startDate: 'never' })]).toEqual([])
    expect([
      ...daysOfSeries({
        pattern: { kind: 'Weekly', interval: 1, days: [], firstDayOfWeek: 'Monday' },
        startDate: '2026-01-01',
      }),
    ]).toEqual([])
    const anew =
      '<t:Recurrence><t:DailyRegeneration><t:Interval>1</t:Interval></t:DailyRegeneration><t:NoEndRecurrence><t:StartDate>2026-01-01</t:StartDate></t:NoEndRecurrence></t:Recurrence>'
    expect(readRecurrence(readEwsXml(`<x xmlns:t="${namespaces.types}">${anew}</x>`).children[0])).toBeUndefined()
  })

  test('dates of other servers, with a zone or a time, are read', () => {
    const xml =
      '<t:Recurrence><t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence><t:EndDateRecurrence><t:StartDate>2026-01-01Z</t:StartDate><t:EndDate>2026-01-05T00:00:00.000000Z</t:EndDate></t:EndDateRecurrence></t:Recurrence>'
    const read = readRecurrence(readEwsXml(`<x xmlns:t="${namespaces.types}">${xml}</x>`).children[0])
    expect(read).toEqual({ pattern: { kind: 'Daily', interval: 1 }, startDate: '2026-01-01', endDate: '2026-01-05' })
  })
})

test('a UID of Exchange is its global object id without the date of an occurrence; others are wrapped', () => {
  const uid = `040000008200E00074C5B7101A82E00807EA0302${'0'.repeat(32)}10000000${'AB'.repeat(16)}`
  expect(globalObjectId(uid).toString('hex').toUpperCase()).toBe(uid.replace('07EA0302', '00000000'))
  const other = globalObjectId('{1234}@x.example')
  expect(other.subarray(36, 40).readUInt32LE()).toBe(other.length - 40)
  expect(other.subarray(40).toString('latin1')).toBe('vCal-Uid\x01\0\0\0{1234}@x.example\0')
})

test('occurrences from a day on are those of the whole series from that day on, with the same numbers', () => {
  const offset = fc.integer({ min: -400, max: 4000 })
  fc.assert(
    fc.property(series, offset, (each, later) => {
      const from = new Date(Date.parse(each.startDate) + later * DAY).toISOString().slice(0, 10)
      const wanted = [...daysOfSeries(each)]
        .map((date, index) => ({ day: date, number: index + 1 }))
        .filter(({ day: date }) => date >= from)
        .slice(0, 20)
      expect([...occurrencesOfSeries(each, { from, max: 20 })]).toEqual(wanted)
    }),
    { numRuns: 200 },
  )
})

test('a series goes on as long as somebody asks, and no further than years have four digits', () => {
  const daily: EwsRecurrence = { pattern: { kind: 'Daily', interval: 1 }, startDate: '1980-01-01' }
  expect([...occurrencesOfSeries(daily, { from: '2026-11-23', max: 1 })]).toEqual([
    { day: '2026-11-23', number: 17129 },
  ])
  for (const kind of ['Daily', 'AbsoluteMonthly'] as const) {
    const seldom = { kind, interval: 99_999_999, dayOfMonth: 1 }
    expect([...daysOfSeries({ pattern: seldom, startDate: '2026-11-01' })]).toEqual(['2026-11-01'])
  }
})
