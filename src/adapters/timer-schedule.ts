import { DAY, HOUR, MINUTE } from '../kernel/time.ts'

/** When a timer is due. Instants are milliseconds since 1970 UTC. */
export interface Schedule {
  /** The first due instant after `instant`. */
  next(instant: number): number
  /** The last due instant at or before `instant`. */
  last(instant: number): number
}

/** Every so many milliseconds, counted from 1970 UTC, so that the instants are the same after a restart. */
export function periodicSchedule(everyMs: number): Schedule {
  const last = (instant: number) => Math.floor(instant / everyMs) * everyMs
  return { last, next: instant => last(instant) + everyMs }
}

export const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const
type DayRule = (typeof weekdays)[number] | number | 'last'

export interface DailyRule {
  /** `06:30`, at least one. */
  readonly times: readonly string[]
  /** Days of the week, days of the month, or the last of a month; empty: every day. */
  readonly days: readonly DayRule[]
  readonly timeZone: string
}

// The 31st is at most 62 days from the next one (December, then January, or July, then August: less).
const searchDays = 63

/**
 * At times of day in a time zone. A time that a change of clocks skips is due as much later as the clocks jump; one
 * that happens twice is due the first time.
 */
export function dailySchedule({ times, days, timeZone }: DailyRule): Schedule {
  const minutesOfDay = times.map(minutesOf).toSorted((a, b) => a - b)
  const zone = zoneClock(timeZone)

  function instantsOf(day: number): readonly number[] {
    return isWanted(day, days) ? minutesOfDay.map(minutes => zone.instantOf(day + minutes * MINUTE)) : []
  }

  function search(instant: number, step: 1 | -1, isFound: (due: number) => boolean): number {
    const today = Math.floor(zone.localOf(instant) / DAY) * DAY
    for (let count = -1; count <= searchDays; count += 1) {
      const found = instantsOf(today + count * step * DAY).filter(isFound)
      if (found.length > 0) return step === 1 ? Math.min(...found) : Math.max(...found)
    }
    // Cannot happen: every rule names a day that comes within two months.
    return step === 1 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
  }

  return {
    next: instant => search(instant, 1, due => due > instant),
    last: instant => search(instant, -1, due => due <= instant),
  }
}

function minutesOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number)
  return hours * 60 + minutes
}

/** `day` is midnight of a date, counted as if the zone were UTC. */
function isWanted(day: number, rules: readonly DayRule[]): boolean {
  if (rules.length === 0) return true
  const date = new Date(day)
  const isLast = new Date(day + DAY).getUTCDate() === 1
  return rules.some(rule => {
    if (rule === 'last') return isLast
    return typeof rule === 'number' ? date.getUTCDate() === rule : weekdays[date.getUTCDay()] === rule
  })
}

/** Turns wall-clock time of a zone (as milliseconds, as if it were UTC) into instants and back. */
function zoneClock(timeZone: string) {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })

  function localOf(instant: number): number {
    const parts: Record<string, number> = {}
    for (const { type, value } of format.formatToParts(instant)) parts[type] = Number(value)
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
    return Date.UTC(year, month - 1, day, hour, minute, second)
  }

  const offsetAt = (instant: number) => localOf(instant) - Math.floor(instant / 1000) * 1000

  return {
    localOf,
    instantOf(local: number): number {
      // No zone changes its clocks twice within a day, so one of the two offsets around it is the right one.
      const before = local - offsetAt(local - 14 * HOUR)
      const after = local - offsetAt(local + 14 * HOUR)
      const fitting = [before, after].filter(instant => localOf(instant) === local)
      return fitting.length > 0 ? Math.min(...fitting) : before
    },
  }
}
