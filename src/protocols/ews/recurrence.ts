import { DAY } from '../../kernel/time.ts'
import { instantOfLocal } from '../time-zone/local-time.ts'
import { textOf, type XmlElement } from '../xml/xml-element.ts'
import { element, textElement } from './write-xml.ts'

export const weekDays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const
export type WeekDay = (typeof weekDays)[number]
export const monthNames = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const
export type WeekIndex = 'First' | 'Second' | 'Third' | 'Fourth' | 'Last'
const weekIndexes: readonly WeekIndex[] = ['First', 'Second', 'Third', 'Fourth', 'Last']

/** How a series repeats, in the words of EWS. A relative pattern has one day, `Day`, `Weekday` or `WeekendDay`. */
export type Pattern =
  | { readonly kind: 'Daily'; readonly interval: number }
  | {
      readonly kind: 'Weekly'
      readonly interval: number
      readonly days: readonly WeekDay[]
      readonly firstDayOfWeek: WeekDay
    }
  | { readonly kind: 'AbsoluteMonthly'; readonly interval: number; readonly dayOfMonth: number }
  | {
      readonly kind: 'RelativeMonthly'
      readonly interval: number
      readonly days: readonly WeekDay[]
      readonly which: WeekIndex
    }
  /** `month` from 1. */
  | { readonly kind: 'AbsoluteYearly'; readonly dayOfMonth: number; readonly month: number }
  | {
      readonly kind: 'RelativeYearly'
      readonly days: readonly WeekDay[]
      readonly which: WeekIndex
      readonly month: number
    }

export interface EwsRecurrence {
  readonly pattern: Pattern
  /** Days as `2026-11-23`. */
  readonly startDate: string
  readonly endDate?: string | undefined
  readonly count?: number | undefined
}

const groups: readonly (readonly [name: string, days: readonly WeekDay[]])[] = [
  ['Day', weekDays],
  ['Weekday', weekDays.slice(1, 6)],
  ['WeekendDay', ['Sunday', 'Saturday']],
]

/** A group of days as a relative pattern writes it; undefined for one that it cannot hold. */
export function relativeDays(days: readonly WeekDay[]): string | undefined {
  if (days.length === 1) return days[0]
  return groups.find(([, all]) => all.length === days.length && all.every(day => days.includes(day)))?.[0]
}

/** `t:Recurrence` of a series. */
export function writeRecurrence({ pattern, startDate, endDate, count }: EwsRecurrence): string {
  const range =
    count !== undefined
      ? element('t:NumberedRecurrence', {}, day('StartDate', startDate), textElement('t:NumberOfOccurrences', count))
      : endDate !== undefined
        ? element('t:EndDateRecurrence', {}, day('StartDate', startDate), day('EndDate', endDate))
        : element('t:NoEndRecurrence', {}, day('StartDate', startDate))
  return element('t:Recurrence', {}, element(`t:${pattern.kind}Recurrence`, {}, ...writePattern(pattern)), range)
}

function day(name: string, value: string): string {
  return textElement(`t:${name}`, value)
}

function writePattern(pattern: Pattern): readonly string[] {
  const interval = 'interval' in pattern ? [textElement('t:Interval', pattern.interval)] : []
  const month = 'month' in pattern ? [textElement('t:Month', monthNames[pattern.month - 1] ?? 'January')] : []
  switch (pattern.kind) {
    case 'Daily':
      return interval
    case 'Weekly':
      return [
        ...interval,
        textElement('t:DaysOfWeek', pattern.days.join(' ')),
        textElement('t:FirstDayOfWeek', pattern.firstDayOfWeek),
      ]
    case 'AbsoluteMonthly':
    case 'AbsoluteYearly':
      return [...interval, textElement('t:DayOfMonth', pattern.dayOfMonth), ...month]
    case 'RelativeMonthly':
    case 'RelativeYearly':
      return [
        ...interval,
        textElement('t:DaysOfWeek', relativeDays(pattern.days) ?? 'Day'),
        textElement('t:DayOfWeekIndex', pattern.which),
        ...month,
      ]
  }
}

/** A `t:Recurrence` as it was read; undefined for one that no calendar repeats by (tasks that are made anew). */
export function readRecurrence(recurrence: XmlElement | undefined): EwsRecurrence | undefined {
  const [first, range] = recurrence?.children ?? []
  if (!first || !range) return undefined
  const pattern = readPattern(first)
  const startDate = dayIn(range, 'StartDate')
  if (!pattern || startDate === undefined) return undefined
  const count = textOf(range, 'NumberOfOccurrences')
  const endDate = dayIn(range, 'EndDate')
  return {
    pattern,
    startDate,
    ...(endDate !== undefined && { endDate }),
    ...(count !== undefined && { count: Number(count) }),
  }
}

function readPattern(element: XmlElement): Pattern | undefined {
  const interval = Math.max(1, Number(textOf(element, 'Interval') ?? 1) || 1)
  const dayOfMonth = Number(textOf(element, 'DayOfMonth') ?? 1) || 1
  const month = Math.max(0, monthNames.indexOf((textOf(element, 'Month') ?? '') as (typeof monthNames)[number])) + 1
  const days = readDays(textOf(element, 'DaysOfWeek') ?? '')
  const which = weekIndexes.find(index => index === textOf(element, 'DayOfWeekIndex')) ?? 'First'
  const firstDayOfWeek = weekDays.find(name => name === textOf(element, 'FirstDayOfWeek')) ?? 'Sunday'
  switch (element.name) {
    case 'DailyRecurrence':
      return { kind: 'Daily', interval }
    case 'WeeklyRecurrence':
      return { kind: 'Weekly', interval, days, firstDayOfWeek }
    case 'AbsoluteMonthlyRecurrence':
      return { kind: 'AbsoluteMonthly', interval, dayOfMonth }
    case 'RelativeMonthlyRecurrence':
      return { kind: 'RelativeMonthly', interval, days, which }
    case 'AbsoluteYearlyRecurrence':
      return { kind: 'AbsoluteYearly', dayOfMonth, month }
    case 'RelativeYearlyRecurrence':
      return { kind: 'RelativeYearly', days, which, month }
    default:
      return undefined
  }
}

function readDays(text: string): readonly WeekDay[] {
  const names = text.split(/\s+/).flatMap<string>(name => groups.find(([group]) => group === name)?.[1] ?? [name])
  return weekDays.filter(name => names.includes(name))
}

/** xs:date, with the zone or the time that some servers add. */
function dayIn(range: XmlElement, name: string): string | undefined {
  return /^\d{4}-\d{2}-\d{2}/.exec(textOf(range, name) ?? '')?.[0]
}

/** How far a series is followed. */
const occurrencesMax = 10_000
/** Later ones no calendar shows. */
const lastOfAll = Date.UTC(9999, 0, 1)

/** Days of a series in their order, at most `max` of them. */
export function* daysOfSeries(recurrence: EwsRecurrence, max = occurrencesMax): Generator<string> {
  for (const { day } of occurrencesOfSeries(recurrence, { max })) yield day
}

/**
 * Occurrences of a series in their order: all from a day on (left out: from the first), at most `max` of them. `number`
 * counts from 1 at the first of the series. The price does not depend on how long ago that was.
 */
export function* occurrencesOfSeries(
  recurrence: EwsRecurrence,
  { from, max = occurrencesMax }: { readonly from?: string; readonly max?: number } = {},
): Generator<{ readonly day: string; readonly number: number }> {
  const { pattern, startDate, endDate, count = Number.POSITIVE_INFINITY } = recurrence
  const start = Date.parse(`${startDate}T00:00:00Z`)
  const given = endDate === undefined ? lastOfAll : Date.parse(`${endDate}T00:00:00Z`)
  const end = given <= lastOfAll ? given : lastOfAll
  const first = from === undefined ? start : Math.max(start, Date.parse(`${from}T00:00:00Z`))
  if (Number.isNaN(start) || Number.isNaN(first)) return
  const firstStep = stepBefore(pattern, start, first)
  let number = countBefore(pattern, start, firstStep)
  let found = 0
  // A pattern that matches no day (31 of no month) must end all the same.
  for (let step = firstStep, fruitless = 0; fruitless < 1000; step += 1) {
    let isFruitful = false
    for (const at of daysOfStep(pattern, start, step)) {
      if (at < start) continue
      // Also what is no day at all, since it lies too far ahead.
      if (!(at <= end) || !(number < count) || found >= max) return
      number += 1
      isFruitful = true
      if (at < first) continue
      found += 1
      yield { day: new Date(at).toISOString().slice(0, 10), number }
    }
    fruitless = isFruitful ? 0 : fruitless + 1
  }
}

/** A step of a pattern before which all days are earlier than a day. */
function stepBefore(pattern: Pattern, start: number, first: number): number {
  const months = monthsOf(first) - monthsOf(start)
  switch (pattern.kind) {
    case 'Daily':
      return Math.floor((first - start) / (pattern.interval * DAY))
    case 'Weekly':
      return Math.floor((first - start) / (pattern.interval * 7 * DAY))
    case 'AbsoluteMonthly':
    case 'RelativeMonthly':
      return Math.floor(months / pattern.interval)
    case 'AbsoluteYearly':
    case 'RelativeYearly':
      return new Date(first).getUTCFullYear() - new Date(start).getUTCFullYear()
  }
}

/** How many occurrences lie in the steps before one: as many in each, but for what the first has before the start. */
function countBefore(pattern: Pattern, start: number, step: number): number {
  if (step === 0) return 0
  const early = daysOfStep(pattern, start, 0).filter(at => at < start).length
  return step * daysOfStep(pattern, start, 0).length - early
}

function monthsOf(at: number): number {
  const date = new Date(at)
  return date.getUTCFullYear() * 12 + date.getUTCMonth()
}

function daysOfStep(pattern: Pattern, start: number, step: number): readonly number[] {
  switch (pattern.kind) {
    case 'Daily':
      return [start + step * pattern.interval * DAY]
    case 'Weekly': {
      const offset = (new Date(start).getUTCDay() - weekDays.indexOf(pattern.firstDayOfWeek) + 7) % 7
      const week = start - offset * DAY + step * pattern.interval * 7 * DAY
      return Array.from({ length: 7 }, (_, index) => week + index * DAY).filter(at =>
        pattern.days.some(name => weekDays.indexOf(name) === new Date(at).getUTCDay()),
      )
    }
    case 'AbsoluteMonthly':
      return [dayInMonth(start, step * pattern.interval, pattern.dayOfMonth)]
    case 'RelativeMonthly':
      return relativeDay(monthOf(start, step * pattern.interval), pattern.days, pattern.which)
    case 'AbsoluteYearly':
      return [dayInMonth(inMonth(start, pattern.month), step * 12, pattern.dayOfMonth)]
    case 'RelativeYearly':
      return relativeDay(monthOf(inMonth(start, pattern.month), step * 12), pattern.days, pattern.which)
  }
}

function monthOf(at: number, monthsLater: number): number {
  const date = new Date(at)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + monthsLater, 1)
}

function inMonth(at: number, month: number): number {
  return Date.UTC(new Date(at).getUTCFullYear(), month - 1, 1)
}

/** In a shorter month the last day stands for the one it lacks. */
function dayInMonth(at: number, monthsLater: number, dayOfMonth: number): number {
  const month = monthOf(at, monthsLater)
  return month + (Math.min(dayOfMonth, daysIn(month)) - 1) * DAY
}

function daysIn(month: number): number {
  return (monthOf(month, 1) - month) / DAY
}

function relativeDay(month: number, days: readonly WeekDay[], which: WeekIndex): readonly number[] {
  const matching = Array.from({ length: daysIn(month) }, (_, index) => month + index * DAY).filter(at =>
    days.some(name => weekDays.indexOf(name) === new Date(at).getUTCDay()),
  )
  const found = which === 'Last' ? matching.at(-1) : matching[weekIndexes.indexOf(which)]
  return found === undefined ? [] : [found]
}

/**
 * The instants (milliseconds) at which the occurrences of a series begin; the number of an occurrence is its place here,
 * from 1. `wallTime` (`09:00:00`) is what a clock in the zone shows then.
 */
export function startsOfSeries(
  recurrence: EwsRecurrence,
  wallTime: string,
  zone: string,
  max?: number,
): readonly number[] {
  return [...daysOfSeries(recurrence, max)].map(date => instantOfLocal(`${date}T${wallTime}`, zone))
}
