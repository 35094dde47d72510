import { ianaOfZone } from '../../protocols/time-zone/windows-zones.ts'
import type { Appointment, Importance, Sensitivity, Task } from '../plan/items.ts'

/**
 * Codes of a tenant, as SAP delivers them. An organization may say others for the language and for the roles of new accounts
 * and customers. Not for attendees and types of text: by these is found what was written before, and with others all notes
 * would look as if somebody had emptied them. Life cycle, priority and sensitivity are global data types of SAP.
 */
export interface C4CCodes {
  readonly attendeeRole: string
  /** Text that people read as the description. */
  readonly bodyText: string
  /** Internal text in which the hub keeps how a series repeats; Cloud for Customer knows single appointments only. */
  readonly seriesText: string
  readonly textLanguage: string
  readonly inbound: string
  readonly outbound: string
  readonly accountRole: string
  readonly customerRole: string
}

export const deliveredCodes: C4CCodes = {
  attendeeRole: '34',
  bodyText: '10002',
  seriesText: '10011',
  textLanguage: 'EN',
  inbound: '1',
  outbound: '2',
  accountRole: 'CRM000',
  customerRole: 'CRM000',
}

/** The category of an attachment that is a file. */
export const fileCategory = '2'

const availabilities = { free: '1', tentative: '2', busy: '3', away: '4' } as const satisfies Record<
  Appointment['showAs'],
  string
>
const sensitivities = { normal: '1', personal: '2', private: '3', confidential: '4' } as const satisfies Record<
  Sensitivity,
  string
>
const priorities = { high: '2', normal: '3', low: '7' } as const satisfies Record<Importance, string>
const states = { open: '1', 'in-progress': '2', completed: '3' } as const satisfies Partial<
  Record<Task['status'], string>
>

export const showAsCode = (value: Appointment['showAs']): string => availabilities[value]
export const sensitivityCode = (value: Sensitivity): string => sensitivities[value]
export const priorityCode = (value: Importance): string => priorities[value]
export const statusCode = (value: Task['status']): string => states[heldStatus(value)]
export const cancelledCode = '4'

export const showAsOf = (code: string): Appointment['showAs'] => keyOf(availabilities, bare(code)) ?? 'busy'
export const sensitivityOf = (code: string): Sensitivity => keyOf(sensitivities, bare(code)) ?? 'normal'
export const statusOf = (code: string): Task['status'] =>
  bare(code) === cancelledCode ? 'completed' : (keyOf(states, bare(code)) ?? 'open')

/** 1 immediate, 2 urgent, 3 normal, 7 low. */
export function importanceOf(code: string): Importance {
  return bare(code) === '1' || bare(code) === '2' ? 'high' : bare(code) === '7' ? 'low' : 'normal'
}

/** A task that waits is one that is open: Cloud for Customer has no word for more. */
export function heldStatus(status: Task['status']): 'open' | 'in-progress' | 'completed' {
  return status === 'waiting' || status === 'deferred' ? 'open' : status
}

/** Time zones by SAP's names, with the zone of the IANA database that ticks alike. */
const zones: Readonly<Record<string, string>> = {
  UTC: 'UTC',
  CET: 'Europe/Berlin',
  GMTUK: 'Europe/London',
  EET: 'Europe/Bucharest',
  EST: 'America/New_York',
  CST: 'America/Chicago',
  MST: 'America/Denver',
  PST: 'America/Los_Angeles',
  JAPAN: 'Asia/Tokyo',
  INDIA: 'Asia/Calcutta',
  AUSNSW: 'Australia/Sydney',
  BRZLEA: 'America/Sao_Paulo',
  RUS03: 'Europe/Moscow',
}

/** `CET` for `Europe/Berlin`; UTC where SAP's name is not known: the instant is right then, only the zone is lost. */
export function sapZoneOf(iana: string): string {
  const wanted = ianaOfZone(iana) ?? iana
  return keyOf(zones, wanted) ?? 'UTC'
}

export function ianaOfSapZone(code: string): string {
  return zones[code] ?? 'UTC'
}

function keyOf<K extends string>(map: Readonly<Record<K, string>>, value: string): K | undefined {
  return (Object.keys(map) as K[]).find(key => map[key] === value)
}

/** Codes come with leading zeros or without. */
function bare(code: string): string {
  return code.replace(/^0+(?=\d)/, '')
}
