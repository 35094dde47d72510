import type { JsonObject } from '../../kernel/json.ts'
import type { C4CRow, C4CWrite } from '../../protocols/c4c/client.ts'
import { dayBeginningAt } from '../../protocols/time-zone/local-time.ts'
import { asText } from '../body-text.ts'
import { visitCategory } from '../crm-mark.ts'
import { movedRecurrence } from '../moved-series.ts'
import { dayOf, endOf } from '../occurrences.ts'
import type { Appointment, Attendee, Exception, Moment, Recurrence } from '../plan/items.ts'
import { type ActivityNames, activityNames } from './activity.ts'
import {
  type C4CCodes,
  cancelledCode,
  ianaOfSapZone,
  importanceOf,
  priorityCode,
  sapZoneOf,
  sensitivityCode,
  sensitivityOf,
  showAsCode,
  showAsOf,
} from './codes.ts'
import { readSeriesNote, type SeriesNote, writeSeriesNote } from './series-note.ts'
import { instantAt, isMailAddress, lineOf, noteAt, partAt, textAt } from './values.ts'

export const appointmentTexts = activityNames.appointment.texts

export function readAppointment(
  { values }: C4CRow,
  codes: C4CCodes,
  activity: Appointment['activity'] = 'appointment',
): Appointment {
  const names = activityNames[activity]
  const isVisit = activity === 'visit'
  const isAllDay = values[names.isAllDay] === true
  const moment = (name: string, zoneName: string) => momentAt(values, name, { isAllDay, zoneName })
  const note = noteAt(values, names.texts, codes.seriesText)
  const series = note && readSeriesNote(note.text)
  const zone = series?.zone ?? ianaOfSapZone(textAt(values, names.startZone))
  const start = moment(names.start, names.startZone)
  const organizer = textAt(values, 'OrganizerEmailURI').toLowerCase()
  const attendees = partAt(values, names.parties).flatMap(each => readAttendee(each, names, codes))
  return {
    kind: 'appointment',
    activity,
    subject: textAt(values, 'Subject'),
    start,
    end: moment(names.end, names.endZone),
    isAllDay,
    zone,
    location: textAt(values, 'Location'),
    body: asText({ type: 'text', content: noteAt(values, names.texts, codes.bodyText)?.text ?? '' }),
    showAs: showAsOf(textAt(values, 'AvailabilityCode')),
    importance: importanceOf(textAt(values, names.priority)),
    sensitivity: sensitivityOf(textAt(values, 'InformationSensitivityCode')),
    categories: isVisit ? [visitCategory] : [],
    reminderMinutes: null,
    // People who may not delete a visit mark it for that.
    isCancelled: textAt(values, names.status) === cancelledCode || values['MarkedForDeletion'] === true,
    organizer: organizer === '' || attendees.length === 0 ? null : { address: organizer, name: '' },
    attendees,
    attachments: [],
    recurrence: series ? recurrenceOf(series, start) : null,
    exceptions: series?.exceptions ?? {},
  }
}

/**
 * When it begins or ends. A whole day may begin at midnight of its zone or of UTC (as the hub writes it), and end with the
 * midnight after it or a second before: the midnight that is nearest to it is meant.
 */
export function momentAt(
  values: JsonObject,
  name: string,
  { isAllDay, zoneName }: { readonly isAllDay: boolean; readonly zoneName: string },
): Moment {
  const instant = instantAt(values, name) ?? '1970-01-01T00:00:00Z'
  return isAllDay ? dayBeginningAt(Date.parse(instant), ianaOfSapZone(textAt(values, zoneName))) : instant
}

/** How a series repeats that begins at `start`, be it that somebody has moved its first appointment to another day. */
function recurrenceOf({ recurrence, zone, start: before, made }: SeriesNote, start: Moment): Recurrence | null {
  const was = before ?? made?.start
  if (!recurrence || was === undefined) return recurrence
  const [from, to] = [was, start].map(moment => dayOf({ zone, isAllDay: moment.length === 10 }, moment))
  return from === undefined || to === undefined || from === to ? recurrence : movedRecurrence(recurrence, from, to)
}

function readAttendee({ values }: C4CRow, names: ActivityNames, codes: C4CCodes): readonly Attendee[] {
  const address = textAt(values, names.address).toLowerCase()
  if (address === '' || textAt(values, 'RoleCode') !== codes.attendeeRole) return []
  return [{ address, name: '', role: 'required', response: 'none' }]
}

const whenFields: readonly string[] = ['start', 'end', 'isAllDay', 'zone', 'recurrence']
const seriesFields: readonly string[] = [...whenFields, 'exceptions']
const isoOf = (moment: string) => (moment.length === 10 ? `${moment}T00:00:00Z` : moment)

/** Values of the header for these fields; `before` is what stands there, undefined for a new appointment. */
export function appointmentValues(item: Appointment, fields: ReadonlySet<string>, before?: Appointment): JsonObject {
  const names = activityNames[item.activity]
  const isVisit = item.activity === 'visit'
  const zone = sapZoneOf(item.zone)
  const organizer = item.organizer?.address ?? ''
  return {
    ...(fields.has('subject') && { Subject: lineOf(item.subject, 255) }),
    ...(whenFields.some(field => fields.has(field)) && {
      [names.start]: isoOf(item.start),
      [names.end]: isoOf(item.end),
      // A zone that the hub has no name for stays where nobody says another.
      ...(zone !== (before && sapZoneOf(before.zone)) && { [names.startZone]: zone, [names.endZone]: zone }),
      [names.isAllDay]: item.isAllDay,
    }),
    ...(fields.has('location') && { Location: lineOf(item.location, 255) }),
    ...(fields.has('showAs') && !isVisit && { AvailabilityCode: showAsCode(item.showAs) }),
    ...(fields.has('importance') && { [names.priority]: priorityCode(item.importance) }),
    ...(fields.has('sensitivity') && !isVisit && { InformationSensitivityCode: sensitivityCode(item.sensitivity) }),
    ...(fields.has('isCancelled') && { [names.status]: item.isCancelled ? cancelledCode : '1' }),
    ...(fields.has('organizer') && { OrganizerEmailURI: isMailAddress(organizer) ? organizer : '' }),
  }
}

/** What stands below a new appointment. */
export function appointmentBelow(item: Appointment, codes: C4CCodes): JsonObject {
  const { parties, texts, address: addressName } = activityNames[item.activity]
  const notes = [
    ...(item.body.content === '' ? [] : [note(codes.bodyText, asText(item.body).content, codes)]),
    ...(item.recurrence ? [note(codes.seriesText, writeSeriesNote(item), codes)] : []),
  ]
  const people = item.attendees
    .filter(({ address }) => isMailAddress(address))
    .map(({ address }) => ({ RoleCode: codes.attendeeRole, [addressName]: address }))
  return { ...(people.length > 0 && { [parties]: people }), ...(notes.length > 0 && { [texts]: notes }) }
}

export function note(typeCode: string, text: string, codes: C4CCodes): JsonObject {
  return { TypeCode: typeCode, LanguageCode: codes.textLanguage, Text: text }
}

/** Writes below a header that bring it from what stands there (`row`, read with its parts) to the item. */
export function appointmentChanges(
  row: C4CRow,
  item: Appointment,
  fields: ReadonlySet<string>,
  codes: C4CCodes,
): readonly C4CWrite[] {
  const writes: C4CWrite[] = []
  const { entity, parties, address: addressName } = activityNames[item.activity]
  if (fields.has('attendees')) {
    const there = partAt(row.values, parties).filter(each => textAt(each.values, 'RoleCode') === codes.attendeeRole)
    const wanted = new Set(item.attendees.map(({ address }) => address))
    const known = new Set<string>()
    for (const { id, values } of there) {
      const address = textAt(values, addressName).toLowerCase()
      if (wanted.has(address)) known.add(address)
      else writes.push({ kind: 'remove-below', part: parties, id })
    }
    for (const address of wanted) {
      const body = { RoleCode: codes.attendeeRole, [addressName]: address }
      if (!known.has(address)) writes.push({ kind: 'create-below', entity, id: row.id, part: parties, body })
    }
  }
  if (fields.has('body'))
    writes.push(...noteWrites(row, codes.bodyText, asText(item.body).content, codes, item.activity))
  // A visit that repeats in the mailbox is one visit; of other series the occurrences come along (series.ts).
  if (item.activity === 'visit' && seriesFields.some(field => fields.has(field))) {
    const text = item.recurrence ? writeSeriesNote(item) : ''
    writes.push(...noteWrites(row, codes.seriesText, text, codes, item.activity))
  }
  return writes
}

export function noteWrites(
  row: C4CRow,
  typeCode: string,
  text: string,
  codes: C4CCodes,
  activity: Appointment['activity'] = 'appointment',
): readonly C4CWrite[] {
  const { entity, texts } = activityNames[activity]
  const known = noteAt(row.values, texts, typeCode)
  if (known?.text === text || (!known && text === '')) return []
  if (!known) return [{ kind: 'create-below', entity, id: row.id, part: texts, body: note(typeCode, text, codes) }]
  if (text === '') return [{ kind: 'remove-below', part: texts, id: known.id }]
  return [{ kind: 'update-below', entity, part: texts, id: known.id, body: { Text: text } }]
}

/**
 * As Cloud for Customer gives it back: no categories, reminders, answers and roles of attendees, none of their names; a
 * visit neither says how it shows nor how private it is.
 */
export function normaliseAppointment(item: Appointment): Appointment {
  const seen = new Set<string>()
  const attendees = item.attendees.flatMap(({ address }): readonly Attendee[] => {
    const lower = address.toLowerCase()
    if (!isMailAddress(lower) || seen.has(lower)) return []
    seen.add(lower)
    return [{ address: lower, name: '', role: 'required', response: 'none' }]
  })
  return {
    ...item,
    subject: lineOf(item.subject, 255),
    // A series has its zone in its note; of a single appointment only the name of the zone can be lost.
    zone: item.recurrence ? item.zone : ianaOfSapZone(sapZoneOf(item.zone)),
    location: lineOf(item.location, 255),
    body: asText(item.body),
    ...(item.activity === 'visit' && { showAs: 'busy', sensitivity: 'normal' }),
    categories: [],
    reminderMinutes: null,
    organizer:
      item.organizer && isMailAddress(item.organizer.address) && attendees.length > 0
        ? { address: item.organizer.address.toLowerCase(), name: '' }
        : null,
    attendees,
    attachments: [],
    exceptions: item.recurrence ? normaliseExceptions(item) : {},
  }
}

/** Only what differs from the series, since an occurrence says all of it; both times where one is another. */
function normaliseExceptions(item: Appointment): Appointment['exceptions'] {
  const exceptions: Record<Moment, Exception> = {}
  const sorted = Object.entries(item.exceptions).toSorted(([one], [other]) => (one < other ? -1 : 1))
  for (const [original, exception] of sorted) {
    if (exception.isDeleted) exceptions[original] = { isDeleted: true }
    else {
      const differing = differingFrom(item, original, occurrenceOf(item, original, exception))
      if (Object.keys(differing).length > 0) exceptions[original] = differing
    }
  }
  return exceptions
}

/** What an occurrence says of itself, all of it. */
export interface Occurrence {
  readonly start: Moment
  readonly end: Moment
  readonly subject: string
  readonly location: string
  readonly body: string
}

export function occurrenceOf(item: Appointment, original: Moment, exception: Exception = {}): Occurrence {
  const { start = original } = exception
  return {
    start,
    end: exception.end ?? endOf(item, start),
    subject: lineOf(exception.subject ?? item.subject, 255),
    location: lineOf(exception.location ?? item.location, 255),
    body: asText(exception.body ?? item.body).content,
  }
}

function differingFrom(item: Appointment, original: Moment, { start, end, subject, location, body }: Occurrence) {
  const usual = occurrenceOf(item, original)
  const isMoved = start !== usual.start || end !== usual.end
  const exception: Exception = {
    ...(isMoved && { start, end }),
    ...(subject !== usual.subject && { subject }),
    ...(location !== usual.location && { location }),
    ...(body !== usual.body && { body: { type: 'text', content: body } }),
  }
  return exception
}
