import { HOUR, MINUTE } from '../../kernel/time.ts'

const formats = new Map<string, Intl.DateTimeFormat>()
const formatsMax = 600

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone)
  if (!format) {
    // Making one takes 50 µs, using one a microsecond.
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      calendar: 'iso8601',
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    })
    if (formats.size < formatsMax) formats.set(zone, format)
  }
  return format
}

/** What a clock on the wall of a zone shows at an instant: `2026-11-23T09:00:00`. Throws RangeError for no zone. */
export function localTimeAt(ms: number, zone: string): string {
  if (zone === 'UTC') return new Date(ms).toISOString().slice(0, 19)
  const parts: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {}
  for (const { type, value } of formatOf(zone).formatToParts(ms)) parts[type] = value
  const { year = '', month, day, hour, minute, second } = parts
  return `${year.padStart(4, '0')}-${month}-${day}T${hour}:${minute}:${second}`
}

/** Whether this machine knows the zone (`Europe/Berlin`, `UTC`). */
export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    // The only way to ask whether a zone exists is to use it.
    return false
  }
}

/**
 * The day that begins at an instant by the clocks of a zone: that of the nearest midnight, since there are days that begin
 * at one o'clock, and zones that are only guessed.
 */
export function dayBeginningAt(ms: number, zone: string): string {
  return new Date(Date.parse(`${localTimeAt(ms, zone)}Z`) + 12 * HOUR).toISOString().slice(0, 10)
}

/** How far the clocks of a zone are ahead of UTC at an instant, in minutes. */
export function offsetMinutesAt(ms: number, zone: string): number {
  const whole = Math.floor(ms / 1000) * 1000
  return (Date.parse(`${localTimeAt(whole, zone)}Z`) - whole) / MINUTE
}

/**
 * The instant (milliseconds) at which the clocks of a zone show `2026-11-23T09:00:00`; NaN for what is no time. An hour
 * that the clocks leave out counts as the one after it, one that comes twice as the first, as calendars take it.
 */
export function instantOfLocal(local: string, zone: string): number {
  const asUtc = Date.parse(`${local.replace(/(\.\d{1,7})?Z?$/, '')}Z`)
  if (Number.isNaN(asUtc) || zone === 'UTC') return asUtc
  const before = asUtc - offsetMinutesAt(asUtc - 24 * 60 * MINUTE, zone) * MINUTE
  if (localIsAt(before, asUtc, zone)) return before
  const after = asUtc - offsetMinutesAt(asUtc + 24 * 60 * MINUTE, zone) * MINUTE
  return localIsAt(after, asUtc, zone) ? after : before
}

function localIsAt(ms: number, asUtc: number, zone: string): boolean {
  return Date.parse(`${localTimeAt(ms, zone)}Z`) === asUtc
}
