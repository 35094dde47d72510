import type { JsonObject } from '../../kernel/json.ts'
import { type DayName, type Recurrence, weekStartOf } from '../plan/items.ts'
import { choiceAt, objectAt, textAt, textsAt } from './row.ts'

const dayNames: readonly DayName[] = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']
const indexes = ['first', 'second', 'third', 'fourth', 'last'] as const
const units = {
  daily: 'day',
  weekly: 'week',
  absoluteMonthly: 'month',
  relativeMonthly: 'month',
  absoluteYearly: 'year',
  relativeYearly: 'year',
} as const

/** `{ pattern, range }` as a recurrence; null where there is none or one that nobody knows. */
export function readRecurrence(row: JsonObject): Recurrence | null {
  const [pattern, range] = [objectAt(row, 'pattern'), objectAt(row, 'range')]
  const type = textAt(pattern, 'type')
  const unit = units[type as keyof typeof units]
  if (unit === undefined) return null
  const isRelative = type.startsWith('relative')
  const hasDays = isRelative || unit === 'week'
  const interval = Math.max(1, Number(pattern['interval'] ?? 1))
  const named = textsAt(pattern, 'daysOfWeek').map(day => day.toLowerCase())
  const days = hasDays ? dayNames.filter(day => named.includes(day)) : []
  const end = textAt(range, 'type')
  return {
    unit,
    interval,
    days,
    ...weekStartOf({ unit, interval, days }, choiceAt(pattern, 'firstDayOfWeek', dayNames, 'sunday')),
    which: isRelative ? choiceAt(pattern, 'index', indexes, 'first') : null,
    dayOfMonth: !isRelative && (unit === 'month' || unit === 'year') ? Number(pattern['dayOfMonth'] ?? 1) : null,
    month: unit === 'year' ? Number(pattern['month'] ?? 1) : null,
    firstDay: textAt(range, 'startDate'),
    lastDay: end === 'endDate' ? textAt(range, 'endDate') : null,
    count: end === 'numbered' ? Number(range['numberOfOccurrences'] ?? 1) : null,
  }
}

/** A recurrence as Graph takes it; `firstDay` is the day on which the first occurrence begins in its zone. */
export function writeRecurrence(recurrence: Recurrence, firstDay: string, windowsZone: string | undefined): JsonObject {
  const { unit, interval, days, weekStart = 'monday', which, dayOfMonth, month, lastDay, count } = recurrence
  const kind = which === null ? 'absolute' : 'relative'
  const type =
    unit === 'day' ? 'daily' : unit === 'week' ? 'weekly' : `${kind}${unit === 'month' ? 'Monthly' : 'Yearly'}`
  return {
    pattern: {
      type,
      interval,
      ...(days.length > 0 && { daysOfWeek: days }),
      ...(unit === 'week' && { firstDayOfWeek: weekStart }),
      ...(which !== null && { index: which }),
      ...(dayOfMonth !== null && which === null && { dayOfMonth }),
      ...(month !== null && { month }),
    },
    range: {
      type: lastDay !== null ? 'endDate' : count !== null ? 'numbered' : 'noEnd',
      startDate: firstDay,
      ...(lastDay !== null && { endDate: lastDay }),
      ...(count !== null && lastDay === null && { numberOfOccurrences: count }),
      ...(windowsZone !== undefined && { recurrenceTimeZone: windowsZone }),
    },
  }
}
