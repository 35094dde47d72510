import type { C4CEntity } from '../../protocols/c4c/types.ts'
import type { Appointment } from '../plan/items.ts'

/** How the fields of a set are called that holds appointments. */
export interface ActivityNames {
  readonly entity: C4CEntity
  readonly parties: string
  /** Of a party. */
  readonly address: string
  readonly texts: string
  readonly start: string
  readonly startZone: string
  readonly end: string
  readonly endZone: string
  readonly isAllDay: string
  readonly status: string
  readonly priority: string
}

export const activityNames: Readonly<Record<Appointment['activity'], ActivityNames>> = {
  appointment: {
    entity: 'Appointment',
    parties: 'AppointmentInvolvedParties',
    address: 'PartyEmailURI',
    texts: 'AppointmentTextCollection',
    start: 'StartDate',
    startZone: 'StartDatetimeZoneCode',
    end: 'EndDate',
    endZone: 'EnddatetimeZoneCode',
    isAllDay: 'FullDayIndicator',
    status: 'LifeCycleStatusCode',
    priority: 'Priority',
  },
  visit: {
    entity: 'Visit',
    parties: 'VisitParty',
    address: 'Email',
    texts: 'VisitTextCollection',
    start: 'StartDateTime',
    startZone: 'StartTimeZoneCode',
    end: 'EndDateTime',
    endZone: 'EndTimeZoneCode',
    isAllDay: 'AllDayEvent',
    status: 'Status',
    priority: 'PriorityCode',
  },
}
