import type { JsonObject } from '../../kernel/json.ts'
import { DAY, HOUR } from '../../kernel/time.ts'
import type { C4CRow, C4CWrite } from '../../protocols/c4c/client.ts'
import { asText } from '../body-text.ts'
import { dayOf, startsOf } from '../occurrences.ts'
import type { Appointment, Day, Exception, Item, Moment } from '../plan/items.ts'
import type { SeriesRules } from '../plan/rules.ts'
import { stampOf } from '../plan/stamps.ts'
import { activityNames } from './activity.ts'
import {
  appointmentBelow,
  appointmentTexts,
  appointmentValues,
  momentAt,
  noteWrites,
  type Occurrence,
  occurrenceOf,
} from './appointment.ts'
import { type C4CCodes, cancelledCode } from './codes.ts'
import { type Made, readSeriesNote, writeSeriesNote } from './series-note.ts'
import { noteAt, textAt } from './values.ts'

export const seriesLimits = {
  /** Occurrences of one series that stand in Cloud for Customer at the same time; they travel in one changeset. */
  occurrences: 120,
} as const

/** Between the GroupwareItemID of a series and the original start of one of its occurrences. */
const separator = '#'

/** A series in Cloud for Customer: its first appointment, which stands for the whole, and those of the others that are there. */
export interface C4CSeries {
  readonly head: C4CRow
  /** Rows of occurrences from yesterday on, by the moment at which they would begin. */
  readonly rows: ReadonlyMap<Moment, C4CRow>
  /** Further rows for the same moments; nobody needs them. */
  readonly spare: readonly C4CRow[]
}

/** Whether an appointment is an occurrence that the hub has made, and of which series. */
export function headIdOf({ values }: C4CRow): string | undefined {
  const head = textAt(values, 'RecurringBusinessActivityNodeID')
  return head !== '' && textAt(values, 'GroupwareItemID').includes(separator) ? head : undefined
}

export function isSeries({ values }: C4CRow, codes: C4CCodes): boolean {
  return noteOf(values, codes) !== undefined
}

/** Whether occurrences of a series were made as appointments of their own. */
export function hasOccurrences({ values }: C4CRow, codes: C4CCodes): boolean {
  return noteOf(values, codes)?.made !== undefined
}

/** Whether a change is about a series: one that was, is or becomes one. */
export function isOfSeries({ before, after }: { readonly before: Item; readonly after: Item }): boolean {
  return [before, after].some(item => item.kind === 'appointment' && item.recurrence !== null)
}

/** The day from which on the hub takes notice of occurrences; those before it are history. */
export function occurrencesFrom(now: number): Day {
  return new Date(now - DAY).toISOString().slice(0, 10)
}

export function seriesOf(head: C4CRow, found: readonly C4CRow[]): C4CSeries {
  const rows = new Map<Moment, C4CRow>()
  const spare: C4CRow[] = []
  for (const row of found.toSorted((one, other) => (one.id < other.id ? -1 : 1))) {
    const mark = textAt(row.values, 'GroupwareItemID')
    const original = mark.slice(mark.lastIndexOf(separator) + 1)
    if (rows.has(original)) spare.push(row)
    else rows.set(original, row)
  }
  return { head, rows, spare }
}

/** Changes with whatever of the series changes. */
export function versionOf({ head, rows, spare }: C4CSeries): string {
  const tags = [...rows.values(), ...spare].map(row => `${row.id} ${row.etag}`).toSorted()
  return `${head.etag}|${stampOf(tags)}`
}

export function etagOf(version: string): string {
  return version.split('|', 1)[0] ?? ''
}

/**
 * The series with its exceptions as its occurrences have them now: one that somebody has changed in Cloud for Customer
 * differs, one that is not there any more is deleted. `item` is what its first appointment says.
 */
export function withOccurrences(item: Appointment, series: C4CSeries, codes: C4CCodes, now: number): Appointment {
  const made = noteOf(series.head.values, codes)?.made
  // Somebody has moved the first appointment, and the series with it: the others still stand where they were.
  if (!made || item.start !== made.start || item.end !== made.end) return item
  const exceptions: Record<Moment, Exception> = { ...item.exceptions }
  const from = later(made.from, occurrencesFrom(now))
  for (const original of startsOf(item, from, made.to)) {
    if (original === item.start || exceptions[original]?.isDeleted) continue
    const row = series.rows.get(original)
    if (!row || textAt(row.values, 'LifeCycleStatusCode') === cancelledCode) exceptions[original] = { isDeleted: true }
    else {
      const exception = exceptionOf(item, original, readOccurrence(row, item.isAllDay, codes), made)
      if (Object.keys(exception).length > 0) exceptions[original] = exception
      else delete exceptions[original]
    }
  }
  return { ...item, exceptions }
}

function exceptionOf(item: Appointment, original: Moment, row: Occurrence, made: Made): Exception {
  const usual = occurrenceOf(item, original)
  const isMoved = row.start !== usual.start || row.end !== usual.end
  return {
    ...(isMoved && { start: row.start, end: row.end }),
    ...(stampOf(row.subject) !== made.subject && { subject: row.subject }),
    ...(stampOf(row.location) !== made.location && { location: row.location }),
    ...(stampOf(row.body) !== made.body && { body: { type: 'text', content: row.body } }),
  }
}

/** What is to be written below the head, so that the occurrences are what the series says; the last write is its note. */
export function seriesWrites(
  item: Appointment,
  series: C4CSeries,
  { rules, codes, now, fields }: SeriesContext & { readonly fields: ReadonlySet<string> },
): readonly C4CWrite[] {
  const { head, rows, spare } = series
  const made = item.recurrence ? spanOf(item, noteOf(head.values, codes)?.made, rules, now) : undefined
  const today = occurrencesFrom(now)
  const wanted = new Map<Moment, Exception>()
  if (made) {
    for (const original of startsOf(item, later(made.from, today), made.to)) {
      const exception = item.exceptions[original] ?? {}
      if (original !== item.start && !exception.isDeleted) wanted.set(original, exception)
    }
  }
  const writes: C4CWrite[] = spare.map(removal)
  for (const [original, row] of rows) {
    const exception = wanted.get(original)
    const isCancelled = textAt(row.values, 'LifeCycleStatusCode') === cancelledCode
    if (exception) writes.push(...rowChanges(item, original, exception, row, { fields, codes }))
    // One that people have cancelled here stays as they left it.
    else if (!isCancelled || !item.exceptions[original]?.isDeleted) writes.push(removal(row))
  }
  for (const [original, exception] of wanted) {
    if (rows.has(original)) continue
    const body = rowValues(item, original, exception, head, codes)
    writes.push({ kind: 'create', entity: 'Appointment', body })
  }
  const text = item.recurrence ? writeSeriesNote({ ...item, made }) : ''
  return [...writes, ...noteWrites(head, codes.seriesText, text, codes)]
}

export interface SeriesContext {
  readonly rules: SeriesRules | undefined
  readonly codes: C4CCodes
  readonly now: number
}

/** When the next occurrence of a series has to be made. */
export function upkeepAt(item: Appointment, { rules, now }: SeriesContext): number | undefined {
  const aheadMs = item.recurrence && rules?.as === 'occurrences' ? rules.aheadMs[item.recurrence.unit] : undefined
  if (aheadMs === undefined) return undefined
  const [next] = startsOf(item, dayAt(now + aheadMs + DAY), dayAt(now + aheadMs + 800 * DAY))
  return next === undefined ? undefined : Math.max(Date.parse(next) - aheadMs, now + HOUR)
}

/** Which occurrences are to be there, by their days; undefined: none. */
function spanOf(
  item: Appointment,
  before: Made | undefined,
  rules: SeriesRules | undefined,
  now: number,
): Made | undefined {
  if (!item.recurrence || rules?.as !== 'occurrences') return undefined
  const from = before?.from ?? dayAt(now)
  const ahead = startsOf(item, later(from, occurrencesFrom(now)), dayAt(now + rules.aheadMs[item.recurrence.unit]))
  const last = [...ahead.take(seriesLimits.occurrences)].at(-1)
  const usual = occurrenceOf(item, item.start)
  const today = occurrencesFrom(now)
  // Where all that were made are over, how far they went stays as it is.
  const ended = before && before.to > today ? today : before?.to
  const to = last === undefined ? ended : dayOf(item, last)
  if (to === undefined) return undefined
  const stamps = { subject: stampOf(usual.subject), location: stampOf(usual.location), body: stampOf(usual.body) }
  return { from, to, start: item.start, end: item.end, ...stamps }
}

function rowValues(
  item: Appointment,
  original: Moment,
  exception: Exception,
  head: C4CRow,
  codes: C4CCodes,
): JsonObject {
  const occurrence = asAppointment(item, original, exception)
  const mark = textAt(head.values, 'GroupwareItemID')
  const taken = ['OwnerPartyID', 'MainAccountPartyID', 'MainContactPartyID'] as const
  return {
    ...appointmentValues(occurrence, new Set(Object.keys(occurrence))),
    ...appointmentBelow(occurrence, codes),
    ...Object.fromEntries(taken.flatMap(name => (head.values[name] ? [[name, head.values[name]]] : []))),
    GroupwareItemID: `${mark}${separator}${original}`,
    RecurrenceActGroupwareID: mark,
    RecurringBusinessActivityNodeID: head.id,
    OccurrenceDate: dayOf(item, original),
  }
}

/** What an occurrence says is brought to what the series says; the rest of it only where the series has just changed it. */
function rowChanges(
  item: Appointment,
  original: Moment,
  exception: Exception,
  row: C4CRow,
  { fields, codes }: { readonly fields: ReadonlySet<string>; readonly codes: C4CCodes },
): readonly C4CWrite[] {
  const occurrence = asAppointment(item, original, exception)
  const there = readOccurrence(row, item.isAllDay, codes)
  const changed = new Set(['showAs', 'importance', 'sensitivity', 'isCancelled'].filter(field => fields.has(field)))
  if (there.start !== occurrence.start || there.end !== occurrence.end) changed.add('start')
  if (there.subject !== occurrence.subject) changed.add('subject')
  if (there.location !== occurrence.location) changed.add('location')
  const below = noteWrites(row, codes.bodyText, occurrence.body.content, codes)
  if (changed.size === 0 && below.length === 0) return []
  // The condition of a change hangs on the header.
  const body = appointmentValues(occurrence, new Set([...changed, 'subject']))
  return [{ kind: 'update', entity: 'Appointment', id: row.id, etag: row.etag, body }, ...below]
}

/** An occurrence as an appointment of its own. */
function asAppointment(item: Appointment, original: Moment, exception: Exception): Appointment {
  const { body, ...rest } = occurrenceOf(item, original, exception)
  return { ...item, ...rest, body: { type: 'text', content: body }, recurrence: null, exceptions: {} }
}

function readOccurrence({ values }: C4CRow, isAllDay: boolean, codes: C4CCodes): Occurrence {
  const { start, startZone, end, endZone } = activityNames.appointment
  return {
    start: momentAt(values, start, { isAllDay, zoneName: startZone }),
    end: momentAt(values, end, { isAllDay, zoneName: endZone }),
    subject: textAt(values, 'Subject'),
    location: textAt(values, 'Location'),
    body: asText({ type: 'text', content: noteAt(values, appointmentTexts, codes.bodyText)?.text ?? '' }).content,
  }
}

function removal({ id, etag }: C4CRow): C4CWrite {
  return { kind: 'remove', entity: 'Appointment', id, etag }
}

function noteOf(values: JsonObject, codes: C4CCodes) {
  const note = noteAt(values, appointmentTexts, codes.seriesText)
  return note && readSeriesNote(note.text)
}

const dayAt = (ms: number): Day => new Date(ms).toISOString().slice(0, 10)
const later = (one: Day, other: Day): Day => (one > other ? one : other)
