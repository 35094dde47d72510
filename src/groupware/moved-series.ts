import { DAY } from '../kernel/time.ts'
import { daysOfSeries } from '../protocols/ews/recurrence.ts'
import { seriesOf } from './ews/recurrence.ts'
import { type Day, type DayName, type Recurrence, weekStartOf } from './plan/items.ts'

const dayNames: readonly DayName[] = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']
const indexes = ['first', 'second', 'third', 'fourth', 'last'] as const

/**
 * How a series repeats once somebody has moved its first occurrence to another day. A day on which it repeats anyway is
 * where it begins from then on; else all its days move with the first, since Exchange begins a series on no other day.
 */
export function movedRecurrence(given: Recurrence, from: Day, to: Day): Recurrence {
  const begun = { ...given, firstDay: to }
  const [first] = daysOfSeries(seriesOf(begun), 1)
  if (first === to) return begun
  const { weekStart = 'monday', ...rest } = begun
  const dayCount = (Date.parse(to) - Date.parse(from)) / DAY
  const lastDay = given.lastDay === null ? null : dayAt(Date.parse(given.lastDay) + dayCount * DAY)
  return { ...rest, lastDay, ...(given.unit === 'week' ? movedWeek(rest, weekStart, dayCount) : dayInMonth(rest)) }
}

/** The week moves as a whole, so that days which were in one stay in one. */
function movedWeek({ unit, interval, days }: Recurrence, weekStart: DayName, dayCount: number) {
  const moved = dayNames.filter(name => days.includes(dayAfter(name, -dayCount)))
  return { days: moved, ...weekStartOf({ unit, interval, days: moved }, dayAfter(weekStart, dayCount)) }
}

/** The first day of a series as its pattern says it. */
function dayInMonth({ unit, which, firstDay }: Recurrence) {
  const date = new Date(firstDay)
  const month = unit === 'year' ? { month: date.getUTCMonth() + 1 } : {}
  if (which === null) return { dayOfMonth: date.getUTCDate(), ...month }
  const isLast = new Date(date.getTime() + 7 * DAY).getUTCMonth() !== date.getUTCMonth()
  const index = indexes[Math.ceil(date.getUTCDate() / 7) - 1] ?? 'last'
  return { days: [dayNameOf(date)], which: isLast && which === 'last' ? which : index, ...month }
}

function dayAfter(name: DayName, days: number): DayName {
  return dayNames.at((dayNames.indexOf(name) + days) % 7) ?? name
}

function dayNameOf(date: Date): DayName {
  return dayNames.at(date.getUTCDay() - 1) ?? 'sunday'
}

function dayAt(ms: number): Day {
  return new Date(ms).toISOString().slice(0, 10)
}
