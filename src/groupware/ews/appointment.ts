import { readAttachments } from '../../protocols/ews/attachments.ts'
import type { FieldChange } from '../../protocols/ews/fields.ts'
import { readRecurrence, writeRecurrence } from '../../protocols/ews/recurrence.ts'
import { element, textElement } from '../../protocols/ews/write-xml.ts'
import { zoneOfDefinition } from '../../protocols/ews/zone-definition.ts'
import { dayBeginningAt, instantOfLocal } from '../../protocols/time-zone/local-time.ts'
import { ianaOfZone, windowsOfZone } from '../../protocols/time-zone/windows-zones.ts'
import { childOf, textOf, type XmlElement } from '../../protocols/xml/xml-element.ts'
import { activityOf } from '../crm-mark.ts'
import { type ExceptionText, exceptionTexts } from '../lagging-texts.ts'
import { endOf, numbersOf } from '../occurrences.ts'
import type { Appointment, Attendee, Exception, Moment } from '../plan/items.ts'
import {
  bodyField,
  capital,
  categoriesField,
  cleanCategories,
  cleanPerson,
  field,
  instantOf,
  millisOf,
  readBody,
  readCategories,
  readImportance,
  readLine,
  readPerson,
  readSensitivity,
  subjectLettersMax,
  textField,
  valueField,
  writeMailbox,
} from './parts.ts'
import { fromEws, normaliseRecurrence, toEws } from './recurrence.ts'
import { lineOf, plainBody } from './text.ts'

/** What is asked of an appointment. */
export const appointmentFields =
  'ParentFolderId Subject Sensitivity Body Attachments Categories Importance ReminderIsSet ReminderMinutesBeforeStart LastModifiedTime UID Start End IsAllDayEvent LegacyFreeBusyStatus Location IsMeeting IsCancelled CalendarItemType Organizer RequiredAttendees OptionalAttendees Resources Recurrence ModifiedOccurrences DeletedOccurrences StartTimeZone'.split(
    ' ',
  )

/** What is asked of an occurrence that differs from its series. */
export const exceptionFields = ['Subject', 'Body', 'Location', 'Start', 'End']

const lists = [
  ['RequiredAttendees', 'required'],
  ['OptionalAttendees', 'optional'],
  ['Resources', 'resource'],
] as const
const responses: Readonly<Record<string, Attendee['response']>> = {
  Accept: 'accepted',
  Tentative: 'tentative',
  Decline: 'declined',
}
const showAs = { free: 'Free', tentative: 'Tentative', busy: 'Busy', away: 'OOF' } as const
const showAsOf: Readonly<Record<string, Appointment['showAs']>> = {
  Free: 'free',
  // Somebody who works elsewhere can be reached: no reason to take the time for taken.
  WorkingElsewhere: 'free',
  Tentative: 'tentative',
  OOF: 'away',
}

/** Ids of the occurrences that have to be read for the whole of a series. */
export function exceptionIds(item: XmlElement): readonly string[] {
  return (childOf(item, 'ModifiedOccurrences')?.children ?? []).flatMap(
    each => childOf(each, 'ItemId')?.attributes.get('Id') ?? [],
  )
}

/** An appointment as it was read; `occurrences` are those that differ, by their id. */
export function readAppointment(item: XmlElement, occurrences: ReadonlyMap<string, XmlElement>): Appointment {
  const zone = zoneOfDefinition(childOf(item, 'StartTimeZone')) ?? 'UTC'
  const isAllDay = textOf(item, 'IsAllDayEvent') === 'true'
  const moment = (ms: number): Moment => (isAllDay ? dayBeginningAt(ms, zone) : instantOf(ms))
  const startMs = millisOf(textOf(item, 'Start'))
  const endMs = millisOf(textOf(item, 'End'))
  const recurrence = readRecurrence(childOf(item, 'Recurrence'))
  const isReminded = textOf(item, 'ReminderIsSet') === 'true'
  const attendees = lists.flatMap(([list, role]) =>
    (childOf(item, list)?.children ?? []).flatMap(each => readAttendee(each, role)),
  )
  const categories = readCategories(item)
  const core = {
    subject: readLine(item, 'Subject'),
    location: readLine(item, 'Location'),
    body: plainBody(readBody(item)),
  }
  const when = { start: moment(startMs), end: moment(endMs), isAllDay, zone }
  const endOfOccurrence = (original: Moment) => endOf({ ...when, recurrence: null }, original)
  return {
    kind: 'appointment',
    activity: activityOf(categories),
    subject: core.subject,
    ...when,
    location: core.location,
    body: core.body,
    showAs: showAsOf[textOf(item, 'LegacyFreeBusyStatus') ?? ''] ?? 'busy',
    importance: readImportance(item),
    sensitivity: readSensitivity(item),
    categories,
    reminderMinutes: isReminded ? Number(textOf(item, 'ReminderMinutesBeforeStart') ?? 0) : null,
    isCancelled: textOf(item, 'IsCancelled') === 'true',
    organizer: attendees.length > 0 ? readPerson(childOf(childOf(item, 'Organizer'), 'Mailbox')) : null,
    attendees,
    attachments: readAttachments(item).map(({ isItem: _, ...facts }) => facts),
    recurrence: recurrence ? fromEws(recurrence) : null,
    exceptions: recurrence ? readExceptions(item, occurrences, { ...core, moment, endOfOccurrence }) : {},
  }
}

interface SeriesFacts extends Pick<Appointment, 'subject' | 'location' | 'body'> {
  readonly moment: (ms: number) => Moment
  readonly endOfOccurrence: (original: Moment) => Moment
}

function readExceptions(
  item: XmlElement,
  occurrences: ReadonlyMap<string, XmlElement>,
  { subject, location, body, moment, endOfOccurrence }: SeriesFacts,
): Appointment['exceptions'] {
  const exceptions: Record<Moment, Exception> = {}
  for (const each of childOf(item, 'DeletedOccurrences')?.children ?? []) {
    const at = millisOf(textOf(each, 'Start'))
    if (!Number.isNaN(at)) exceptions[moment(at)] = { isDeleted: true }
  }
  for (const each of childOf(item, 'ModifiedOccurrences')?.children ?? []) {
    const originalMs = millisOf(textOf(each, 'OriginalStart'))
    if (Number.isNaN(originalMs)) continue
    const original = moment(originalMs)
    const own = occurrences.get(childOf(each, 'ItemId')?.attributes.get('Id') ?? '')
    const start = moment(millisOf(textOf(each, 'Start')))
    const end = moment(millisOf(textOf(each, 'End')))
    const isMoved = start !== original || end !== endOfOccurrence(original)
    const exception: Exception = {
      ...(isMoved && { start, end }),
      ...(own && differing({ subject, location, body }, own)),
    }
    if (Object.keys(exception).length > 0) exceptions[original] = exception
  }
  return exceptions
}

function differing(series: Pick<Appointment, 'subject' | 'location' | 'body'>, own: XmlElement): Exception {
  const subject = readLine(own, 'Subject')
  const location = readLine(own, 'Location')
  const body = plainBody(readBody(own))
  return {
    ...(subject !== series.subject && { subject }),
    ...(location !== series.location && { location }),
    ...(body.content !== series.body.content && { body }),
  }
}

function readAttendee(attendee: XmlElement, role: Attendee['role']): readonly Attendee[] {
  const person = readPerson(childOf(attendee, 'Mailbox'))
  if (!person) return []
  return [{ ...person, role, response: responses[textOf(attendee, 'ResponseType') ?? ''] ?? 'none' }]
}

/** Names of the fields of an appointment and what is written for them. `when` stands for all that says when it is. */
export function writeAppointment(item: Appointment, fields: ReadonlySet<string> | 'all'): readonly FieldChange[] {
  const has = (...names: readonly string[]) => fields === 'all' || names.some(name => fields.has(name))
  const parts: FieldChange[] = []
  if (has('subject')) parts.push(valueField('Subject', item.subject))
  if (has('sensitivity')) parts.push(valueField('Sensitivity', capital(item.sensitivity)))
  if (has('body')) parts.push(bodyField(item.body))
  if (has('categories')) parts.push(categoriesField(item.categories))
  if (has('importance')) parts.push(valueField('Importance', capital(item.importance)))
  if (has('reminderMinutes')) {
    parts.push(valueField('ReminderIsSet', item.reminderMinutes !== null))
    if (item.reminderMinutes !== null) parts.push(valueField('ReminderMinutesBeforeStart', item.reminderMinutes))
  }
  if (has('start', 'end', 'isAllDay', 'zone', 'recurrence')) parts.push(...writeWhen(item, fields !== 'all'))
  if (has('showAs')) parts.push(valueField('LegacyFreeBusyStatus', showAs[item.showAs]))
  if (has('location')) parts.push(textField('Location', item.location))
  if (has('attendees')) parts.push(...lists.map(([list, role]) => writeAttendees(list, item.attendees, role)))
  return parts.filter(part => fields !== 'all' || part.xml !== undefined)
}

function writeWhen(item: Appointment, isUpdate: boolean): readonly FieldChange[] {
  const zone = { Id: windowsOfZone(item.zone) ?? 'UTC' }
  const series = item.recurrence ? writeRecurrence(toEws(item.recurrence)) : undefined
  return [
    valueField('Start', instantOf(momentMs(item.start, item))),
    valueField('End', instantOf(momentMs(item.end, item))),
    valueField('IsAllDayEvent', item.isAllDay),
    ...(series !== undefined || isUpdate ? [field('Recurrence', series)] : []),
    field('StartTimeZone', element('t:StartTimeZone', zone)),
    field('EndTimeZone', element('t:EndTimeZone', zone)),
  ]
}

/** A moment in milliseconds: midnight in the zone of the appointment where it lasts whole days. */
export function momentMs(moment: Moment, { isAllDay, zone }: Pick<Appointment, 'isAllDay' | 'zone'>): number {
  return isAllDay ? instantOfLocal(`${moment.slice(0, 10)}T00:00:00`, canonicalZone(zone)) : Date.parse(moment)
}

function writeAttendees(list: string, attendees: readonly Attendee[], role: Attendee['role']): FieldChange {
  const own = attendees.filter(each => each.role === role)
  const xml = own.map(each => element('t:Attendee', {}, writeMailbox(each)))
  return field(list, own.length === 0 ? undefined : element(`t:${list}`, {}, ...xml))
}

/**
 * What is written to an occurrence that differs: what it does not say is as in the series. Its notes only where they are,
 * or were, its own: as text they would stand without the looks (and the button to join) that people gave them.
 */
export function writeException(
  item: Appointment,
  original: Moment,
  exception: Exception,
  before: Exception = {},
): readonly FieldChange[] {
  const names = exceptionTexts.filter(name => name !== 'body' || exception.body?.content !== before.body?.content)
  const start = exception.start ?? original
  const end = exception.end ?? endOf({ ...item, zone: canonicalZone(item.zone) }, start)
  return [
    ...writeTexts({ ...item, ...exception }, new Set(names)),
    valueField('Start', instantOf(momentMs(start, item))),
    valueField('End', instantOf(momentMs(end, item))),
  ]
}

/** Texts of an occurrence that has its own. */
export function writeTexts(
  { subject, body, location }: Pick<Appointment, ExceptionText>,
  names: ReadonlySet<ExceptionText>,
): readonly FieldChange[] {
  return [
    ...(names.has('subject') ? [valueField('Subject', subject)] : []),
    ...(names.has('body') ? [bodyField(body)] : []),
    ...(names.has('location') ? [textElementOrGone('Location', location)] : []),
  ]
}

function textElementOrGone(name: string, text: string): FieldChange {
  return field(name, textElement(`t:${name}`, text))
}

/** The numbers of occurrences of a series by the moments at which they would begin. */
export function instancesOf(item: Appointment, originals: readonly Moment[]): ReadonlyMap<Moment, number> {
  return numbersOf({ ...item, zone: canonicalZone(item.zone) }, originals)
}

/** An appointment as Exchange gives it back. Attachments travel with the first writing only. */
export function normaliseAppointment(item: Appointment): Appointment {
  const zone = canonicalZone(item.zone)
  const recurrence = item.recurrence ? normaliseRecurrence(item.recurrence) : null
  return {
    ...item,
    zone,
    subject: lineOf(item.subject, subjectLettersMax),
    location: lineOf(item.location, subjectLettersMax),
    body: plainBody(item.body),
    categories: cleanCategories(item.categories),
    reminderMinutes: item.reminderMinutes === null ? null : Math.max(0, Math.round(item.reminderMinutes)),
    organizer: item.attendees.length > 0 && item.organizer ? cleanPerson(item.organizer) : null,
    attendees: lists.flatMap(([, role]) =>
      item.attendees.filter(each => each.role === role).map(each => ({ ...each, ...cleanPerson(each) })),
    ),
    attachments: [],
    recurrence,
    exceptions: recurrence ? normaliseExceptions(item) : {},
  }
}

function normaliseExceptions(item: Appointment): Appointment['exceptions'] {
  const clean: Record<Moment, Exception> = {}
  for (const [original, exception] of Object.entries(item.exceptions)) {
    const { isDeleted, start, end, subject, location, body } = exception
    clean[original] = isDeleted
      ? { isDeleted: true }
      : {
          ...(start !== undefined && { start }),
          ...(end !== undefined && { end }),
          ...(subject !== undefined && { subject: lineOf(subject, subjectLettersMax) }),
          ...(location !== undefined && { location: lineOf(location, subjectLettersMax) }),
          ...(body !== undefined && { body: plainBody(body) }),
        }
  }
  return clean
}

function canonicalZone(zone: string): string {
  return ianaOfZone(windowsOfZone(zone) ?? 'UTC') ?? 'UTC'
}
