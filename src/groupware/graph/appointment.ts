import type { JsonObject } from '../../kernel/json.ts'
import { dayBeginningAt, instantOfLocal, localTimeAt } from '../../protocols/time-zone/local-time.ts'
import { ianaOfZone, windowsOfZone } from '../../protocols/time-zone/windows-zones.ts'
import { asText, plainLines } from '../body-text.ts'
import { activityOf } from '../crm-mark.ts'
import { endOf } from '../occurrences.ts'
import type { Appointment, Attachment, Attendee, Exception, Moment } from '../plan/items.ts'
import { readRecurrence, writeRecurrence } from './recurrence.ts'
import { choiceAt, instantAt, listAt, objectAt, personOf, recipientOf, textAt, textsAt } from './row.ts'

export const eventFields =
  'subject,body,start,end,isAllDay,originalStartTimeZone,location,showAs,importance,sensitivity,categories,isReminderOn,reminderMinutesBeforeStart,isCancelled,organizer,attendees,hasAttachments,recurrence,type,seriesMasterId,iCalUId,lastModifiedDateTime,cancelledOccurrences'

const responses: Readonly<Record<string, Attendee['response']>> = {
  accepted: 'accepted',
  organizer: 'accepted',
  tentativelyAccepted: 'tentative',
  declined: 'declined',
}

/** An event that was asked for in UTC, with text bodies and its exceptions. */
export function readAppointment(row: JsonObject): Appointment {
  const isAllDay = row['isAllDay'] === true
  const zone = ianaOfZone(textAt(row, 'originalStartTimeZone')) ?? 'UTC'
  const pattern = objectAt(row, 'recurrence')
  const attendees = listAt(row, 'attendees').flatMap(readAttendee)
  const categories = textsAt(row, 'categories')
  const appointment: Appointment = {
    kind: 'appointment',
    activity: activityOf(categories),
    subject: textAt(row, 'subject'),
    start: momentAt(row, 'start', isAllDay),
    end: momentAt(row, 'end', isAllDay),
    isAllDay,
    zone,
    location: textAt(objectAt(row, 'location'), 'displayName'),
    body: bodyAt(row),
    showAs: showAsOf(textAt(row, 'showAs')),
    importance: choiceAt(row, 'importance', ['low', 'normal', 'high'], 'normal'),
    sensitivity: choiceAt(row, 'sensitivity', ['normal', 'personal', 'private', 'confidential'], 'normal'),
    categories,
    reminderMinutes: row['isReminderOn'] === true ? Number(row['reminderMinutesBeforeStart'] ?? 0) : null,
    isCancelled: row['isCancelled'] === true,
    organizer: attendees.length > 0 ? (personOf(objectAt(row, 'organizer')) ?? null) : null,
    attendees,
    attachments: listAt(row, 'attachments').flatMap(readAttachment),
    recurrence: Object.keys(pattern).length > 0 ? readRecurrence(pattern) : null,
    exceptions: {},
  }
  return appointment.recurrence ? { ...appointment, exceptions: readExceptions(row, appointment) } : appointment
}

function showAsOf(text: string): Appointment['showAs'] {
  if (text === 'oof') return 'away'
  // Somebody who works elsewhere can be reached: no reason to take the time for taken.
  return text === 'tentative' || text === 'busy'
    ? text
    : text === 'free' || text === 'workingElsewhere'
      ? 'free'
      : 'busy'
}

export function momentAt(row: JsonObject, name: string, isAllDay: boolean): Moment {
  const { dateTime } = objectAt(row, name)
  const text = typeof dateTime === 'string' ? dateTime : ''
  return isAllDay ? text.slice(0, 10) : `${text.slice(0, 19)}Z`
}

function bodyAt(row: JsonObject): Appointment['body'] {
  const body = objectAt(row, 'body')
  return asText({ type: textAt(body, 'contentType') === 'html' ? 'html' : 'text', content: textAt(body, 'content') })
}

function readAttendee(row: JsonObject): readonly Attendee[] {
  const person = personOf(row)
  if (!person) return []
  const response = responses[textAt(objectAt(row, 'status'), 'response')] ?? 'none'
  return [{ ...person, role: choiceAt(row, 'type', ['required', 'optional', 'resource'], 'required'), response }]
}

/** A file, or an item within the item, of which Graph gives the MIME. A referenceAttachment is a link: it has no bytes. */
export function readAttachment(row: JsonObject): readonly Attachment[] {
  const kind = textAt(row, '@odata.type')
  const isItem = kind === '#microsoft.graph.itemAttachment'
  if (!isItem && kind !== '#microsoft.graph.fileAttachment') return []
  const type = textAt(row, 'contentType') || (isItem ? 'message/rfc822' : 'application/octet-stream')
  const bytes = Number(row['size'] ?? 0)
  return [{ id: textAt(row, 'id'), name: textAt(row, 'name'), type, bytes, isInline: row['isInline'] === true }]
}

function readExceptions(row: JsonObject, series: Appointment): Appointment['exceptions'] {
  const exceptions: Record<Moment, Exception> = {}
  for (const name of textsAt(row, 'cancelledOccurrences')) {
    const day = /\.(\d{4}-\d\d-\d\d)$/.exec(name)?.[1]
    if (day !== undefined) exceptions[originalOf(series, day)] = { isDeleted: true }
  }
  for (const each of listAt(row, 'exceptionOccurrences')) {
    const original = originalAt(each, series)
    if (original === null) continue
    const exception = readException(each, series, original)
    if (Object.keys(exception).length > 0) exceptions[original] = exception
  }
  return exceptions
}

function readException(row: JsonObject, series: Appointment, original: Moment): Exception {
  const [start, end] = [momentAt(row, 'start', series.isAllDay), momentAt(row, 'end', series.isAllDay)]
  const usualEnd = endOf(series, original)
  const [subject, location, body] = [
    textAt(row, 'subject'),
    textAt(objectAt(row, 'location'), 'displayName'),
    bodyAt(row),
  ]
  return {
    ...((start !== original || end !== usualEnd) && { start, end }),
    ...(subject !== series.subject && { subject }),
    ...(location !== series.location && { location }),
    ...(body.content !== series.body.content && { body }),
  }
}

/** When an occurrence would begin by its series; of whole days Graph tells midnight of the zone, in UTC. */
export function originalAt(row: JsonObject, { isAllDay, zone }: Pick<Appointment, 'isAllDay' | 'zone'>): Moment | null {
  const original = instantAt(row, 'originalStart')
  return isAllDay && original !== null ? dayBeginningAt(Date.parse(original), zone) : original
}

/** Start of the occurrence of a day in the zone of the series. */
function originalOf({ start, zone, isAllDay }: Appointment, day: string): Moment {
  if (isAllDay) return day
  const time = localTimeAt(Date.parse(start), zone).slice(10)
  return new Date(instantOfLocal(`${day}${time}`, zone)).toISOString().replace('.000Z', 'Z')
}

const whenFields: readonly string[] = ['start', 'end', 'isAllDay', 'zone', 'recurrence']

/** What of an event is to be written; times go together, since one without the other may end before it begins. */
export function writeAppointment(item: Appointment, fields: ReadonlySet<string>): JsonObject {
  const windows = windowsFor(item, item.start, item.end)
  const isWhen = whenFields.some(field => fields.has(field))
  return {
    ...(fields.has('subject') && { subject: item.subject }),
    ...(fields.has('body') && { body: { contentType: item.body.type, content: item.body.content } }),
    ...(isWhen && {
      start: zoned(item.start, item, windows),
      end: zoned(item.end, item, windows),
      isAllDay: item.isAllDay,
      recurrence: item.recurrence && writeRecurrence(item.recurrence, dayOf(item), windows),
    }),
    ...(fields.has('location') && { location: { displayName: item.location } }),
    ...(fields.has('showAs') && { showAs: item.showAs === 'away' ? 'oof' : item.showAs }),
    ...(fields.has('importance') && { importance: item.importance }),
    ...(fields.has('sensitivity') && { sensitivity: item.sensitivity }),
    ...(fields.has('reminderMinutes') && {
      isReminderOn: item.reminderMinutes !== null,
      ...(item.reminderMinutes !== null && { reminderMinutesBeforeStart: item.reminderMinutes }),
    }),
    ...(fields.has('attendees') && {
      attendees: item.attendees.map(attendee => ({ ...recipientOf(attendee), type: attendee.role })),
    }),
  }
}

/**
 * What of an occurrence is to be written, so that it is as the exception says and else as its series. Its notes only where
 * they are, or were, its own: as text they would stand without the looks (and the button to join) that people gave them.
 */
export function writeOccurrence(
  series: Appointment,
  original: Moment,
  exception: Exception,
  before: Exception = {},
): JsonObject {
  const {
    start = original,
    end = endOf(series, original),
    subject = series.subject,
    location = series.location,
  } = exception
  const windows = windowsFor({ ...series, recurrence: null }, start, end)
  const body = exception.body ?? series.body
  const isOtherBody = exception.body?.content !== before.body?.content
  return {
    start: zoned(start, series, windows),
    end: zoned(end, series, windows),
    subject,
    location: { displayName: location },
    ...(isOtherBody && { body: { contentType: body.type, content: body.content } }),
  }
}

/** The zone in which moments are written; a series begins at an hour of its zone, whatever comes. */
function windowsFor({ zone, isAllDay, recurrence }: Appointment, ...moments: readonly Moment[]): string {
  const windows = windowsOfZone(zone)
  if (windows === undefined) return 'UTC'
  // Of an hour that comes twice a clock on the wall tells the first only.
  const isTold = (moment: Moment) => instantOfLocal(localTimeAt(Date.parse(moment), zone), zone) === Date.parse(moment)
  return isAllDay || recurrence || moments.every(isTold) ? windows : 'UTC'
}

function zoned(moment: Moment, { isAllDay, zone }: Appointment, windows: string): JsonObject {
  // A zone without a name in Windows is written in UTC: the instant is right, only the zone is lost.
  const local = isAllDay ? `${moment}T00:00:00` : localTimeAt(Date.parse(moment), windows === 'UTC' ? 'UTC' : zone)
  return { dateTime: local, timeZone: windows }
}

function dayOf({ start, zone, isAllDay }: Appointment): string {
  return isAllDay
    ? start
    : localTimeAt(Date.parse(start), windowsOfZone(zone) === undefined ? 'UTC' : zone).slice(0, 10)
}

/** As Graph gives it back. */
export function normaliseAppointment(item: Appointment): Appointment {
  return {
    ...item,
    subject: plainLines(item.subject).slice(0, 255),
    zone: ianaOfZone(windowsFor(item, item.start, item.end)) ?? 'UTC',
    body: asText(item.body),
    // Files are carried with mails only.
    attachments: [],
    exceptions: Object.fromEntries(
      Object.entries(item.exceptions).map(([original, exception]) => [
        original,
        { ...exception, ...(exception.body && { body: asText(exception.body) }) },
      ]),
    ),
  }
}
