import { DAY } from '../kernel/time.ts'
import { daysOfSeries, occurrencesOfSeries } from '../protocols/ews/recurrence.ts'
import { instantOfLocal, localTimeAt } from '../protocols/time-zone/local-time.ts'
import { seriesOf } from './ews/recurrence.ts'
import type { Appointment, Day, Moment, Recurrence } from './plan/items.ts'

type Series = Pick<Appointment, 'start' | 'end' | 'isAllDay' | 'zone' | 'recurrence'>

/**
 * The moments at which the occurrences of a series begin by its pattern (not by its exceptions), from the one day to the
 * other, in their order. A series keeps its hour on the clocks of its zone, also when these are changed.
 */
export function* startsOf(series: Series, from: Day, to: Day): Generator<Moment> {
  if (!series.recurrence) return
  const startOn = starter(series)
  for (const { day } of daysOf(series, series.recurrence, from)) {
    if (day > to) return
    yield startOn(day)
  }
}

/** When the last occurrence of a series that has an end begins by its pattern. */
export function lastStartOf(series: Series): Moment | null {
  return [...startsOf(series, '0001-01-01', '9999-12-31')].at(-1) ?? null
}

/** The numbers, from 1, of the occurrences that begin at these moments by the pattern of a series. */
export function numbersOf(series: Series, originals: readonly Moment[]): ReadonlyMap<Moment, number> {
  const numbers = new Map<Moment, number>()
  if (!series.recurrence || originals.length === 0) return numbers
  const startOn = starter(series)
  for (const original of originals) {
    const wanted = dayOf(series, original)
    const [next] = daysOf(series, series.recurrence, wanted).take(1)
    if (next?.day === wanted && startOn(wanted) === original) numbers.set(original, next.number)
  }
  return numbers
}

/** The days of a series by the clock of its zone, from one on, with their numbers. */
function* daysOf(
  series: Series,
  recurrence: Recurrence,
  from: Day,
): Generator<{ readonly day: Day; readonly number: number }> {
  const given = seriesOf(recurrence)
  // A zone that nobody knows counts as UTC, where it may be the day before or after the one that the mailbox means.
  const [first = ''] = series.zone === 'UTC' ? daysOfSeries(given, 1) : []
  const shiftMs = Date.parse(dayOf(series, series.start)) - Date.parse(first)
  const isShifted = Math.abs(shiftMs) === DAY
  const dayLater = (day: Day, ms: number) => (isShifted ? dayAt(Date.parse(day) + ms) : day)
  for (const { day, number } of occurrencesOfSeries(given, { from: dayLater(from, -shiftMs) })) {
    yield { day: dayLater(day, shiftMs), number }
  }
}

/** When the occurrence of a day begins. */
function starter({ zone, isAllDay, start }: Series): (day: Day) => Moment {
  if (isAllDay) return day => day
  const wallTime = localTimeAt(Date.parse(start), zone).slice(11)
  return day => instantOf(instantOfLocal(`${day}T${wallTime}`, zone))
}

/** End that an occurrence has by its series: as long after its start as the series says by the clock of its zone. */
export function endOf({ start, end, zone, isAllDay }: Series, original: Moment): Moment {
  const spanMs = Date.parse(end) - Date.parse(start)
  if (isAllDay) return dayAt(Date.parse(original) + spanMs)
  const wall = (moment: Moment) => Date.parse(`${localTimeAt(Date.parse(moment), zone)}Z`)
  const local = new Date(wall(original) + wall(end) - wall(start)).toISOString().slice(0, 19)
  return instantOf(instantOfLocal(local, zone))
}

/** The day on which an occurrence begins by the clock of its series. */
export function dayOf({ zone, isAllDay }: Pick<Series, 'zone' | 'isAllDay'>, original: Moment): Day {
  return isAllDay ? original : localTimeAt(Date.parse(original), zone).slice(0, 10)
}

function dayAt(ms: number): Day {
  return new Date(ms).toISOString().slice(0, 10)
}

function instantOf(ms: number): Moment {
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}
