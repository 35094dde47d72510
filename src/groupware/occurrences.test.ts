import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DAY } from '../kernel/time.ts'
import { localTimeAt } from '../protocols/time-zone/local-time.ts'
import { occurrenceDays, type Pattern, type Range } from '../twins/graph/recurrence.ts'
import { fromEws } from './ews/recurrence.ts'
import { readRecurrence, writeRecurrence } from './graph/recurrence.ts'
import { dayOf, endOf, lastStartOf, numbersOf, startsOf } from './occurrences.ts'
import type { Appointment, Recurrence } from './plan/items.ts'
import { sampleAppointment, weekly } from './sample-items-world.ts'

const series = (recurrence: Partial<Recurrence>, more: Partial<Appointment> = {}): Appointment => ({
  ...sampleAppointment,
  start: '2026-03-23T08:00:00Z',
  end: '2026-03-23T09:30:00Z',
  recurrence: { ...weekly, firstDay: '2026-03-23', count: null, ...recurrence },
  ...more,
})

test('an occurrence keeps its hour and its length when the clocks go forward', () => {
  const item = series({})
  const starts = [...startsOf(item, '2026-03-20', '2026-04-06')]
  expect(starts).toEqual(['2026-03-23T08:00:00Z', '2026-03-30T07:00:00Z', '2026-04-06T07:00:00Z'])
  expect(starts.map(start => endOf(item, start))).toEqual([
    '2026-03-23T09:30:00Z',
    '2026-03-30T08:30:00Z',
    '2026-04-06T08:30:00Z',
  ])
})

test('one over midnight of that very night ends when its clock says so', () => {
  const night = series({}, { start: '2026-03-21T21:00:00Z', end: '2026-03-22T03:00:00Z' })
  expect(endOf(night, '2026-03-28T21:00:00Z')).toBe('2026-03-29T02:00:00Z')
})

test('whole days have no hour; a day is that of the zone', () => {
  const days = series(
    { unit: 'day', days: [], interval: 3 },
    { isAllDay: true, start: '2026-03-23', end: '2026-03-25' },
  )
  expect([...startsOf(days, '2026-03-24', '2026-04-01')]).toEqual(['2026-03-26', '2026-03-29', '2026-04-01'])
  expect(endOf(days, '2026-03-29')).toBe('2026-03-31')
  expect(dayOf(series({}, { zone: 'Pacific/Auckland' }), '2026-03-23T12:00:00Z')).toBe('2026-03-24')
})

test('the number of an occurrence counts from the first, also of those that a span leaves out', () => {
  const item = series({ count: 5 })
  const wanted = ['2026-04-20T07:00:00Z', '2026-03-23T08:00:00Z', '2026-04-21T07:00:00Z', '2026-04-27T07:00:00Z']
  expect([...numbersOf(item, wanted)].toSorted(([, one], [, other]) => one - other)).toEqual([
    ['2026-03-23T08:00:00Z', 1],
    ['2026-04-20T07:00:00Z', 5],
  ])
})

test('every second week is that of the mailbox, which may begin on a Sunday', () => {
  const days = ['2026-11-22', '2026-11-25', '2026-12-06', '2026-12-09']
  const online = {
    pattern: { type: 'weekly', interval: 2, daysOfWeek: ['wednesday', 'sunday'], firstDayOfWeek: 'sunday' },
    range: { type: 'noEnd', startDate: '2026-11-22' },
  } as const
  expect(occurrenceDays(online.pattern, online.range, '2026-12-12')).toEqual(days)
  const onPremise = fromEws({
    pattern: { kind: 'Weekly', interval: 2, days: ['Sunday', 'Wednesday'], firstDayOfWeek: 'Sunday' },
    startDate: '2026-11-22',
  })
  const read = readRecurrence(online)
  expect(onPremise).toEqual(read)
  const item = series(read ?? {}, { start: '2026-11-22T08:00:00Z' })
  expect([...startsOf(item, '2026-11-22', '2026-12-12')].map(moment => dayOf(item, moment))).toEqual(days)
  expect(writeRecurrence(onPremise, '2026-11-22', undefined)['pattern']).toEqual(online.pattern)
  // Where it changes nothing it is not told, so that it makes no difference between the two sides.
  expect(readRecurrence({ ...online, pattern: { ...online.pattern, interval: 1 } })).not.toHaveProperty('weekStart')
})

test('every pattern has the days that Exchange Online gives it', () => {
  const days = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const
  const some = fc.subarray([...days], { minLength: 1 })
  const interval = fc.integer({ min: 1, max: 4 })
  const which = fc.constantFrom('first', 'second', 'third', 'fourth', 'last')
  const month = fc.integer({ min: 1, max: 12 })
  const pattern: fc.Arbitrary<Partial<Recurrence>> = fc.oneof(
    fc.record({ unit: fc.constant('day'), interval, days: fc.constant([]) }),
    fc.record({ unit: fc.constant('week'), interval, days: some }),
    fc.record({
      unit: fc.constant('month'),
      interval,
      days: fc.constant([]),
      dayOfMonth: fc.integer({ min: 1, max: 31 }),
    }),
    // The first of several days: Outlook writes none such, Graph does.
    fc.record({ unit: fc.constant('month'), interval, days: some, which }),
    fc.record({ unit: fc.constant('year'), days: fc.constant([]), dayOfMonth: fc.integer({ min: 1, max: 28 }), month }),
  )
  const first = fc.integer({ min: 0, max: 700 }).map(count => Date.UTC(2026, 0, 1, 8) + count * DAY)
  fc.assert(
    fc.property(pattern, first, fc.option(fc.integer({ min: 1, max: 30 })), (given, startMs, count) => {
      const start = new Date(startMs).toISOString().replace('.000Z', 'Z')
      const firstDay = localTimeAt(startMs, 'Europe/Berlin').slice(0, 10)
      const item = series({ ...given, firstDay, count }, { start })
      const { recurrence } = item
      if (!recurrence) throw new Error('it is a series')
      const written = writeRecurrence(recurrence, firstDay, 'W. Europe Standard Time')
      const lastDay = new Date(startMs + 500 * DAY).toISOString().slice(0, 10)
      const expected = occurrenceDays(
        written['pattern'] as unknown as Pattern,
        written['range'] as unknown as Range,
        lastDay,
      )
      const found = [...startsOf(item, firstDay, lastDay)].map(moment => dayOf(item, moment))
      expect(found).toEqual(expected)
    }),
    { numRuns: 300 },
  )
})

test('a series whose zone nobody knows keeps its days, which may be others in UTC', () => {
  // It begins on a Sunday evening of the mailbox, which is Monday in UTC.
  const sundays = { firstDay: '2026-03-22', days: ['sunday'], count: 3 } as const
  const unknown = series(sundays, { start: '2026-03-23T05:00:00Z', zone: 'UTC' })
  const starts = ['2026-03-23T05:00:00Z', '2026-03-30T05:00:00Z', '2026-04-06T05:00:00Z']
  expect([...startsOf(unknown, '2026-03-23', '2026-12-31')]).toEqual(starts)
  expect([...startsOf(unknown, '2026-03-24', '2026-12-31')]).toEqual(starts.slice(1))
  expect(lastStartOf(unknown)).toBe(starts[2])
  expect([...numbersOf(unknown, starts).values()]).toEqual([1, 2, 3])
})

test('of a daily series that began decades ago the occurrences of today are known, and their numbers', () => {
  const item = series({ unit: 'day', days: [], firstDay: '1980-01-01' }, { start: '1980-01-01T08:00:00Z' })
  expect([...startsOf(item, '2026-11-23', '2026-11-24')]).toEqual(['2026-11-23T08:00:00Z', '2026-11-24T08:00:00Z'])
  const number = (Date.parse('2026-11-23') - Date.parse('1980-01-01')) / DAY + 1
  expect([...numbersOf(item, ['2026-11-23T08:00:00Z', '1980-01-02T08:00:00Z'])]).toEqual([
    ['2026-11-23T08:00:00Z', number],
    ['1980-01-02T08:00:00Z', 2],
  ])
})
