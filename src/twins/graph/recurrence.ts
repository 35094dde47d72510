import { DAY } from '../../kernel/time.ts'
import { refusals } from './graph-error.ts'

/** A pattern as Graph writes it; what a type does not need is not there. */
export interface Pattern {
  readonly type: 'daily' | 'weekly' | 'absoluteMonthly' | 'relativeMonthly' | 'absoluteYearly' | 'relativeYearly'
  readonly interval: number
  readonly daysOfWeek?: readonly string[] | undefined
  readonly firstDayOfWeek?: string | undefined
  readonly dayOfMonth?: number | undefined
  readonly month?: number | undefined
  readonly index?: string | undefined
}

export interface Range {
  readonly type: 'noEnd' | 'endDate' | 'numbered'
  readonly startDate: string
  readonly endDate?: string | undefined
  readonly numberOfOccurrences?: number | undefined
}

const weekdays = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']
const indexes = ['first', 'second', 'third', 'fourth', 'last']
// A series without an end is looked at for this long; the twin is not asked about the next century.
const yearsMax = 30

/**
 * The days on which a series occurs, up to and with `lastDay`, as the calendar of its zone shows them. Throws
 * ErrorPropertyValidationFailure for one of every 0 days, which would go on for ever.
 */
export function occurrenceDays(pattern: Pattern, range: Range, lastDay: string): readonly string[] {
  if (!(pattern.interval >= 1)) throw refusals.wrongValue('recurrence.pattern.interval: it is at least 1.')
  const first = Date.parse(`${range.startDate}T00:00:00Z`)
  const hard = first + yearsMax * 366 * DAY
  const until = range.type === 'endDate' ? Date.parse(`${range.endDate}T00:00:00Z`) : hard
  const wanted = Date.parse(`${lastDay}T00:00:00Z`)
  const countMax = range.type === 'numbered' ? (range.numberOfOccurrences ?? 0) : Number.POSITIVE_INFINITY
  const days: string[] = []
  for (let step = 0; ; step += 1) {
    const some = daysOfStep(pattern, first, step)
    if (some.start > Math.min(until, wanted, hard)) return days
    for (const at of some.days) {
      if (at < first) continue
      if (at > until || at > wanted || days.length >= countMax) return days
      days.push(new Date(at).toISOString().slice(0, 10))
    }
  }
}

/** The days of the n-th period of a pattern. */
function daysOfStep(pattern: Pattern, first: number, step: number): { start: number; days: readonly number[] } {
  const { type, interval } = pattern
  const many = step * interval
  if (type === 'daily') return { start: first + many * DAY, days: [first + many * DAY] }
  if (type === 'weekly') {
    const weekStart = weekdays.indexOf((pattern.firstDayOfWeek ?? 'sunday').toLowerCase())
    const back = (new Date(first).getUTCDay() - weekStart + 7) % 7
    const start = first + (many * 7 - back) * DAY
    const all = [0, 1, 2, 3, 4, 5, 6].map(offset => start + offset * DAY)
    return { start, days: all.filter(at => isOneOf(at, pattern)) }
  }
  const begin = new Date(first)
  const isYearly = type === 'absoluteYearly' || type === 'relativeYearly'
  const month = isYearly ? (pattern.month ?? 1) - 1 : begin.getUTCMonth() + many
  const year = begin.getUTCFullYear() + (isYearly ? many : 0)
  const start = Date.UTC(year, month, 1)
  const length = new Date(Date.UTC(year, month + 1, 0)).getUTCDate()
  const inMonth = Array.from({ length }, (_, day) => start + day * DAY)
  if (type === 'absoluteMonthly' || type === 'absoluteYearly') {
    return { start, days: [start + (Math.min(pattern.dayOfMonth ?? 1, length) - 1) * DAY] }
  }
  const fitting = inMonth.filter(at => isOneOf(at, pattern))
  const which = indexes.indexOf(pattern.index ?? 'first')
  const day = which === 4 ? fitting.at(-1) : fitting[which]
  return { start, days: day === undefined ? [] : [day] }
}

function isOneOf(at: number, { daysOfWeek = [] }: Pattern): boolean {
  const name = weekdays[new Date(at).getUTCDay()] ?? ''
  return daysOfWeek.some(day => day.toLowerCase() === name)
}
