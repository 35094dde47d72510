import { dayBeginningAt } from '../protocols/time-zone/local-time.ts'
import type { Day } from './plan/items.ts'

/**
 * The day of a birthday as Exchange gives it: a minute before noon of UTC by its own programs, but midnight of whatever zone
 * by Outlook of former years, which is the evening before in Europe. The nearest midnight is right for nearly all of them.
 */
export function readBirthday(text: string): Day | null {
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? null : dayBeginningAt(ms, 'UTC')
}

/** So that it is the same day in the zone of whoever looks at it. */
export function writeBirthday(day: Day): string {
  return `${day}T11:59:00Z`
}
