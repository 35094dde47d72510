import type { JsonObject } from '../../kernel/json.ts'
import type { C4CRow, C4CWrite } from '../../protocols/c4c/client.ts'
import type { Employee } from '../../protocols/c4c/employees.ts'
import type { C4CEntity } from '../../protocols/c4c/types.ts'
import type { Appointment, Contact, Item, ItemKind } from '../plan/items.ts'
import { activityNames } from './activity.ts'
import {
  appointmentBelow,
  appointmentChanges,
  appointmentValues,
  normaliseAppointment,
  readAppointment,
} from './appointment.ts'
import type { C4CCodes } from './codes.ts'
import {
  contactBelow,
  contactChanges,
  contactTexts,
  contactValues,
  entityOfParty,
  normaliseContact,
  readContact,
} from './contact.ts'
import { mailChanges, mailParts, mailValues, normaliseMail, readMail } from './mail.ts'
import { normaliseTask, readTask, taskBelow, taskChanges, taskParts, taskValues } from './task.ts'
import { textAt } from './values.ts'

const parties: readonly Contact['party'][] = ['contact', 'account', 'individual-customer']

/** Whose calendar visits are for; undefined: they are not synced. */
export type VisitsOf = 'owner' | 'organizer' | undefined

/** The sets in which items of a kind lie. */
export function entitiesOf(kind: ItemKind, visits: VisitsOf): readonly C4CEntity[] {
  switch (kind) {
    case 'appointment':
      return visits === undefined ? ['Appointment'] : ['Appointment', 'Visit']
    case 'mail':
      return ['EMail']
    case 'task':
      return ['Tasks']
    case 'contact':
      return parties.map(party => entityOfParty[party])
  }
}

/** The set in which a new item comes to lie. */
export function entityOf(item: Item, visits: VisitsOf): C4CEntity {
  if (item.kind === 'contact') return entityOfParty[item.party]
  if (item.kind === 'appointment' && item.activity === 'visit' && visits !== undefined) return 'Visit'
  const [entity] = entitiesOf(item.kind, undefined)
  return entity ?? 'Appointment'
}

/** Parts that an item is read from. */
export function partsOf(entity: C4CEntity): readonly string[] {
  const activity = activityOfEntity(entity)
  if (activity) return [activityNames[activity].parties, activityNames[activity].texts]
  if (entity === 'EMail') return mailParts
  if (entity === 'Tasks') return taskParts
  const party = parties.find(each => entityOfParty[each] === entity)
  return party ? [contactTexts(party)] : []
}

/** The property that names the owner, and which number of the employee it holds. */
export function ownerField(
  entity: C4CEntity,
  visits: VisitsOf,
): readonly [property: string, number: 'partyId' | 'employeeId'] {
  if (entity === 'Visit') return [visits === 'organizer' ? 'OrganizerPartyID' : 'OwnerPartyID', 'partyId']
  if (entity === 'Tasks') return ['ProcessorPartyID', 'partyId']
  if (entity === 'Contact') return ['ContactOwnerID', 'employeeId']
  return entity === 'Appointment' || entity === 'EMail' ? ['OwnerPartyID', 'partyId'] : ['OwnerID', 'employeeId']
}

/** Whether an entity belongs to a person, or to nobody. */
export function isOwned(entity: C4CEntity, { values }: C4CRow, person: Employee, visits: VisitsOf): boolean {
  const [property, number] = ownerField(entity, visits)
  const owner = textAt(values, property)
  return owner === '' || owner === person[number]
}

export function readItem(entity: C4CEntity, row: C4CRow, codes: C4CCodes): Item {
  const activity = activityOfEntity(entity)
  if (activity) return readAppointment(row, codes, activity)
  if (entity === 'EMail') return readMail(row, codes)
  if (entity === 'Tasks') return readTask(row, codes)
  return readContact(row, parties.find(each => entityOfParty[each] === entity) ?? 'contact')
}

/** Everything a new item of a set is made of, below it too. */
export function creationValues(
  item: Item,
  entity: C4CEntity,
  owner: Employee,
  files: readonly JsonObject[],
  codes: C4CCodes,
): JsonObject {
  const all = new Set(Object.keys(item))
  const [property, number] = ownerField(entity, 'owner')
  const owned = { [property]: owner[number] }
  switch (item.kind) {
    case 'appointment': {
      const appointment = { ...item, activity: activityOfEntity(entity) ?? 'appointment' }
      const organized = entity === 'Visit' && { OrganizerPartyID: owner.partyId }
      return { ...appointmentValues(appointment, all), ...appointmentBelow(appointment, codes), ...owned, ...organized }
    }
    case 'mail':
      return { ...mailValues(item, files, codes), ...owned }
    case 'task':
      return {
        ...taskValues(item, all),
        ...taskBelow(item, codes),
        ...owned,
        MainEmployeeResponsiblePartyID: owner.partyId,
      }
    case 'contact': {
      const role = { account: codes.accountRole, 'individual-customer': codes.customerRole, contact: undefined }[
        item.party
      ]
      return {
        ...contactValues(item, all),
        ...contactBelow(item),
        ...owned,
        ...(role !== undefined && { RoleCode: role }),
      }
    }
  }
}

function activityOfEntity(entity: C4CEntity): Appointment['activity'] | undefined {
  return entity === 'Appointment' ? 'appointment' : entity === 'Visit' ? 'visit' : undefined
}

/** Values of the header, and writes below it. At least one value: the condition of a change hangs on the header. */
export function changeValues(
  row: C4CRow | undefined,
  { before, after: item }: { readonly before: Item; readonly after: Item },
  fields: ReadonlySet<string>,
  codes: C4CCodes,
): { readonly values: JsonObject; readonly below: readonly C4CWrite[] } {
  switch (item.kind) {
    case 'appointment': {
      const known = before.kind === 'appointment' ? before : undefined
      const values = appointmentValues(item, new Set([...fields, 'subject']), known)
      return { values, below: row ? appointmentChanges(row, item, fields, codes) : [] }
    }
    case 'mail':
      return { values: mailChanges(item, new Set([...fields, 'importance'])), below: [] }
    case 'task':
      return {
        values: taskValues(item, new Set([...fields, 'subject']), before.kind === 'task' ? before : undefined),
        below: row ? taskChanges(row, item, fields, codes) : [],
      }
    case 'contact': {
      const known = before.kind === 'contact' ? before : undefined
      const values = contactValues(item, new Set([...fields, 'surname', 'company']), known)
      return { values, below: row ? contactChanges(row, item, fields) : [] }
    }
  }
}

/** True where a change touches what stands below the header. */
export function isBelow(item: Item, fields: readonly string[]): boolean {
  if (item.kind === 'mail') return false
  return fields.some(field => ['body', 'attendees', 'recurrence', 'exceptions', 'zone'].includes(field))
}

export function normalise(item: Item): Item {
  switch (item.kind) {
    case 'appointment':
      return normaliseAppointment(item)
    case 'mail':
      return normaliseMail(item)
    case 'task':
      return normaliseTask(item)
    case 'contact':
      return normaliseContact(item)
  }
}
