import type { Json } from '../../kernel/json.ts'
import { MINUTE } from '../../kernel/time.ts'
import { instantOfLocal, localTimeAt } from '../../protocols/time-zone/local-time.ts'
import { ianaOfZone } from '../../protocols/time-zone/windows-zones.ts'
import { refusals } from './graph-error.ts'
import type { GraphMailbox, StoredItem, Values } from './mailbox.ts'
import { occurrenceDays, type Pattern, type Range } from './recurrence.ts'

interface Zoned {
  readonly dateTime: string
  readonly timeZone: string
}

/** An event as it is asked for: a single one, a series, or one occurrence of it (`day`). */
export interface EventView {
  readonly item: StoredItem
  /** Original day of the occurrence in the zone of the series. */
  readonly day?: string | undefined
}

const occurrenceMark = 'OCC'

export function occurrenceId({ id }: StoredItem, day: string): string {
  return `${id}${occurrenceMark}${day.replaceAll('-', '')}`
}

/** The event of an id; throws 404 for an occurrence that its series does not have. */
export function eventOf(mailbox: GraphMailbox, id: string): EventView {
  const [, master, year, month, dayOfMonth] = /^(.+=)OCC(\d{4})(\d\d)(\d\d)$/.exec(id) ?? []
  if (master === undefined) return { item: mailbox.get(id, 'event') }
  const item = mailbox.get(master, 'event')
  const day = `${year}-${month}-${dayOfMonth}`
  const override = item.overrides.get(day)
  if (!daysOf(item, day).includes(day) || override?.isCancelled) throw refusals.noItem()
  return { item, day }
}

/** Days of a series up to one day, cancelled ones among them; none for a single event. */
export function daysOf({ values }: StoredItem, lastDay: string): readonly string[] {
  const recurrence = values['recurrence'] as { pattern: Pattern; range: Range } | null
  return recurrence ? occurrenceDays(recurrence.pattern, recurrence.range, lastDay) : []
}

export function typeOf({ item, day }: EventView): string {
  if (day === undefined) return item.values['recurrence'] ? 'seriesMaster' : 'singleInstance'
  return item.overrides.has(day) ? 'exception' : 'occurrence'
}

/** Values of an event or occurrence, with what its exception changes. */
export function valuesOf({ item, day }: EventView): Values {
  if (day === undefined) return item.values
  return { ...item.values, ...original(item, day), ...item.overrides.get(day)?.values, recurrence: null }
}

/** Start and end that an occurrence has without its exception. */
function original({ values }: StoredItem, day: string): { start: Json; end: Json } {
  const [start, end] = [zonedOf(values['start']), zonedOf(values['end'])]
  const spanMs = utc(end.dateTime) - utc(start.dateTime)
  const local = `${day}T${start.dateTime.slice(11, 19).padEnd(8, ':00')}`
  const endLocal = new Date(utc(local) + spanMs).toISOString().slice(0, 19)
  return { start: { dateTime: local, timeZone: start.timeZone }, end: { dateTime: endLocal, timeZone: end.timeZone } }
}

export function originalStart(item: StoredItem, day: string): number {
  return instantOf(original(item, day).start)
}

function zonedOf(value: Json | undefined): Zoned {
  // Held against the shape of its type when it was written.
  return value as unknown as Zoned
}

function utc(local: string): number {
  return Date.parse(`${local.replace(/(\.\d+)?Z?$/, '')}Z`)
}

export function instantOf(value: Json | undefined): number {
  const { dateTime, timeZone } = zonedOf(value)
  return instantOfLocal(dateTime, ianaOfZone(timeZone) ?? 'UTC')
}

/** Start and end in milliseconds. */
export function spanOf(view: EventView): readonly [start: number, end: number] {
  const values = valuesOf(view)
  return [instantOf(values['start']), instantOf(values['end'])]
}

/** The events of a window: single ones and occurrences that touch it; with their masters where `withMasters`. */
export function viewsIn(item: StoredItem, from: number, to: number): readonly EventView[] {
  const touches = (view: EventView) => {
    const [start, end] = spanOf(view)
    return start < to && (end > from || (start === end && start >= from))
  }
  if (!item.values['recurrence']) return touches({ item }) ? [{ item }] : []
  const last = new Date(to + 24 * 60 * MINUTE).toISOString().slice(0, 10)
  return daysOf(item, last)
    .filter(day => !item.overrides.get(day)?.isCancelled)
    .map(day => ({ item, day }))
    .filter(touches)
}

/** A time in the zone that the caller prefers; days of whole-day events move with nobody. */
export function shownTime(value: Json | undefined, isAllDay: boolean, zone: string): Json {
  const { dateTime } = zonedOf(value)
  if (isAllDay) return { dateTime: `${dateTime.slice(0, 10)}T00:00:00.0000000`, timeZone: zone }
  return { dateTime: `${localTimeAt(instantOf(value), ianaOfZone(zone) ?? 'UTC')}.0000000`, timeZone: zone }
}

/** Holds what is to be written against the rules of calendars; throws ErrorPropertyValidationFailure and its like. */
export function refuseOddEvent(values: Values): void {
  const [start, end] = [values['start'], values['end']]
  if (!start || !end) throw refusals.wrongValue('At least one required property is missing: Start, End.')
  if (instantOf(end) < instantOf(start)) throw refusals.wrongValue('EventEndBeforeStart: The end is before the start.')
  if (values['isAllDay'] === true) {
    const times = [start, end].map(each => zonedOf(each).dateTime.slice(11, 19))
    const zones = new Set([start, end].map(each => zonedOf(each).timeZone))
    if (times.some(time => !/^00:00(:00)?$/.test(time)) || zones.size > 1 || instantOf(end) === instantOf(start)) {
      throw refusals.wrongValue('The Event.Start property for an all-day event needs to be set to midnight.')
    }
  }
  const recurrence = values['recurrence'] as { range: Range } | null | undefined
  if (!recurrence) return
  if (recurrence.range.startDate !== zonedOf(start).dateTime.slice(0, 10)) {
    throw refusals.wrongValue('ErrorRecurrenceStartDate: Range.StartDate is not the day of Start.')
  }
}
