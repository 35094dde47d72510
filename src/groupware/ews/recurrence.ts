import { ewsErrors } from '../../protocols/ews/errors.ts'
import {
  type EwsRecurrence,
  type Pattern,
  relativeDays,
  type WeekDay,
  type WeekIndex,
} from '../../protocols/ews/recurrence.ts'
import { type DayName, type Recurrence, weekStartOf } from '../plan/items.ts'
import { capital } from './parts.ts'

/** A series as the hub knows it, from the words of Exchange. */
export function fromEws({ pattern, startDate, endDate, count }: EwsRecurrence): Recurrence {
  const unit = units[pattern.kind]
  const interval = 'interval' in pattern ? pattern.interval : 1
  const days = inOrder('days' in pattern ? pattern.days.map(dayName) : [])
  const weekStart = 'firstDayOfWeek' in pattern ? dayName(pattern.firstDayOfWeek) : 'monday'
  return {
    unit,
    interval,
    days,
    ...weekStartOf({ unit, interval, days }, weekStart),
    which: 'which' in pattern ? (pattern.which.toLowerCase() as NonNullable<Recurrence['which']>) : null,
    dayOfMonth: 'dayOfMonth' in pattern ? pattern.dayOfMonth : null,
    month: 'month' in pattern ? pattern.month : null,
    firstDay: startDate,
    lastDay: endDate ?? null,
    count: count ?? null,
  }
}

const units: Readonly<Record<Pattern['kind'], Recurrence['unit']>> = {
  Daily: 'day',
  Weekly: 'week',
  AbsoluteMonthly: 'month',
  RelativeMonthly: 'month',
  AbsoluteYearly: 'year',
  RelativeYearly: 'year',
}

/** In the words of Exchange. Throws EWS_ITEM_UNFIT for what EWS cannot write. */
export function toEws(given: Recurrence): EwsRecurrence {
  const series = seriesOf(given)
  const { pattern } = series
  if ('which' in pattern && relativeDays(pattern.days) === undefined) {
    const reason = `a series on the ${given.which} of several days (${given.days.join(', ')}) is unknown to it`
    throw ewsErrors.ITEM_UNFIT({ reason })
  }
  return series
}

/** In the words of Exchange, those too that Graph alone can write: on the first of several days. */
export function seriesOf(given: Recurrence): EwsRecurrence {
  const { lastDay, count, firstDay } = given
  return {
    pattern: patternOf(normaliseRecurrence(given)),
    startDate: firstDay,
    ...(count !== null ? { count } : lastDay !== null && { endDate: lastDay }),
  }
}

function patternOf({ unit, interval, days, weekStart = 'monday', which, dayOfMonth, month }: Recurrence): Pattern {
  const weekDays = days.map(day => capital(day) as WeekDay)
  if (unit === 'day') return { kind: 'Daily', interval }
  if (unit === 'week') {
    return { kind: 'Weekly', interval, days: weekDays, firstDayOfWeek: capital(weekStart) as WeekDay }
  }
  if (which === null) {
    const day = dayOfMonth ?? 1
    return unit === 'month'
      ? { kind: 'AbsoluteMonthly', interval, dayOfMonth: day }
      : { kind: 'AbsoluteYearly', dayOfMonth: day, month: month ?? 1 }
  }
  const index = capital(which) as WeekIndex
  return unit === 'month'
    ? { kind: 'RelativeMonthly', interval, days: weekDays, which: index }
    : { kind: 'RelativeYearly', days: weekDays, which: index, month: month ?? 1 }
}

/** The same series as Exchange gives it back: only what its pattern needs; every second year is every 24th month. */
export function normaliseRecurrence(given: Recurrence): Recurrence {
  const isYears = given.unit === 'year' && given.interval > 1
  const unit = isYears ? 'month' : given.unit
  const interval = Math.max(1, isYears ? given.interval * 12 : unit === 'year' ? 1 : given.interval)
  const isRelative = (unit === 'month' || unit === 'year') && given.which !== null
  const date = new Date(`${given.firstDay}T00:00:00Z`)
  const days =
    unit === 'week' || isRelative
      ? inOrder(given.days.length > 0 ? given.days : [dayNames[date.getUTCDay()] ?? 'monday'])
      : []
  return {
    unit,
    interval,
    days,
    ...weekStartOf({ unit, interval, days }, given.weekStart ?? 'monday'),
    which: isRelative ? given.which : null,
    dayOfMonth: (unit === 'month' || unit === 'year') && !isRelative ? (given.dayOfMonth ?? date.getUTCDate()) : null,
    month: unit === 'year' ? (given.month ?? date.getUTCMonth() + 1) : null,
    firstDay: given.firstDay,
    lastDay: given.count === null ? given.lastDay : null,
    count: given.count,
  }
}

const dayNames: readonly DayName[] = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']

function dayName(day: WeekDay): DayName {
  return day.toLowerCase() as DayName
}

/** From Monday on, each once. */
function inOrder(days: readonly DayName[]): readonly DayName[] {
  return [...dayNames.slice(1), ...dayNames.slice(0, 1)].filter(day => days.includes(day))
}
