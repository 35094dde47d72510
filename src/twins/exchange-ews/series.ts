import { type EwsRecurrence, readRecurrence, startsOfSeries } from '../../protocols/ews/recurrence.ts'
import { instantOfLocal, localTimeAt } from '../../protocols/time-zone/local-time.ts'
import { ianaOfZone } from '../../protocols/time-zone/windows-zones.ts'
import type { XmlElement } from '../../protocols/xml/xml-element.ts'
import { EwsError } from './soap.ts'
import type { TwinItem } from './world.ts'

/** One occurrence of a series, or an exception of it. */
export interface Occurrence {
  readonly instance: number
  readonly originalStart: number
  readonly start: number
  readonly end: number
  readonly isException: boolean
}

/** How far a series without an end is told. */
const horizon = 1000

export function recurrenceOf(item: TwinItem): EwsRecurrence | undefined {
  return item.itemClass === 'CalendarItem' ? readRecurrence(item.fields.get('Recurrence')) : undefined
}

export function zoneOf(item: TwinItem): string {
  return ianaOfZone(item.fields.get('StartTimeZone')?.attributes.get('Id') ?? 'UTC') ?? 'UTC'
}

/** xs:dateTime of a field, in milliseconds; without a zone it is in UTC, the zone of the request. */
export function timeOf(part: XmlElement | undefined): number {
  const text = part?.text.trim() ?? ''
  return Date.parse(/(Z|[+-]\d\d:\d\d)$/.test(text) || !text.includes('T') ? text : `${text}Z`)
}

export function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** All occurrences that are not deleted. */
export function occurrencesOf(item: TwinItem): readonly Occurrence[] {
  const recurrence = recurrenceOf(item)
  const start = timeOf(item.fields.get('Start'))
  if (!recurrence || Number.isNaN(start)) return []
  const zone = zoneOf(item)
  const wall = (ms: number) => Date.parse(`${localTimeAt(ms, zone)}Z`)
  // Exchange keeps begin and end of a series as times of the clock on the wall (MS-OXOCAL, AppointmentRecurrencePattern).
  const spanMs = wall(timeOf(item.fields.get('End'))) - wall(start)
  const endOf = (from: number) => instantOfLocal(new Date(wall(from) + spanMs).toISOString(), zone)
  const wallTime = localTimeAt(start, zone).slice(11)
  const found: Occurrence[] = []
  for (const [index, originalStart] of startsOfSeries(recurrence, wallTime, zone, horizon).entries()) {
    const instance = index + 1
    if (item.deletedOccurrences.has(instance)) continue
    const own = item.exceptions.get(instance)
    const from = own?.has('Start') ? timeOf(own.get('Start')) : originalStart
    const to = own?.has('End') ? timeOf(own.get('End')) : endOf(from)
    found.push({ instance, originalStart, start: from, end: to, isException: own !== undefined })
  }
  return found
}

export function originalStartOf(item: TwinItem, instance: number): number {
  const recurrence = recurrenceOf(item)
  const zone = zoneOf(item)
  const start = timeOf(item.fields.get('Start'))
  const starts = recurrence ? startsOfSeries(recurrence, localTimeAt(start, zone).slice(11), zone, horizon) : []
  const found = starts[instance - 1]
  if (found === undefined) {
    throw new EwsError(
      'ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange',
      'Occurrence index is out of recurrence range.',
    )
  }
  return found
}

export function occurrence(item: TwinItem, instance: number): Occurrence {
  originalStartOf(item, instance)
  const found = occurrencesOf(item).find(each => each.instance === instance)
  if (!found) {
    throw new EwsError(
      'ErrorCalendarOccurrenceIsDeletedFromRecurrence',
      'The specified occurrence of the series was deleted.',
    )
  }
  return found
}

export function occurrenceId(masterId: string, instance: number): string {
  return `OCC.${masterId}.${instance}`
}

/** The series and number behind the id of an occurrence; undefined for any other id. */
export function readOccurrenceId(id: string): { readonly masterId: string; readonly instance: number } | undefined {
  const [, masterId, instance] = /^OCC\.(.+)\.(\d+)$/.exec(id) ?? []
  return masterId === undefined ? undefined : { masterId, instance: Number(instance) }
}
