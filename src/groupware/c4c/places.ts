import type { C4CEntity } from '../../protocols/c4c/types.ts'
import { isOfPerson, type Scope } from '../drivers.ts'
import type { Item, ItemKind } from '../plan/items.ts'
import { activityNames } from './activity.ts'
import { entitiesOf } from './kinds.ts'

export interface Place {
  readonly entity: C4CEntity
  readonly id: string
}

/** Where items of a kind lie in one of several sets, the id names the set too; an appointment is none of the visits. */
export function idOf(entity: C4CEntity, id: string): string {
  return entity === 'Visit' || entitiesOf('contact', undefined).includes(entity) ? `${entity}:${id}` : id
}

/** Also of a visit that was synced before visits were switched off. */
export function placeOf(kind: ItemKind, id: string): Place {
  const entities = entitiesOf(kind, 'owner')
  const [first = 'Appointment'] = entities
  const colon = id.indexOf(':')
  const entity = entities.find(each => each === id.slice(0, Math.max(0, colon)))
  return entity ? { entity, id: id.slice(colon + 1) } : { entity: first, id }
}

/** Properties that say when it is. */
const spans: Partial<Record<C4CEntity, readonly [begin: string, end: string]>> = {
  Appointment: [activityNames.appointment.start, activityNames.appointment.end],
  Visit: [activityNames.visit.start, activityNames.visit.end],
  EMail: ['DateTime', 'DateTime'],
}

/** What a first listing leaves out. */
export function windowFilter(entity: C4CEntity, { from, to }: Scope): readonly string[] {
  const [begin, end] = spans[entity] ?? []
  if (begin === undefined || end === undefined) return []
  return [
    ...(from === null ? [] : [`${end} ge datetimeoffset'${from}'`]),
    ...(to === null ? [] : [`${begin} le datetimeoffset'${to}'`]),
  ]
}

export function titleOf(item: Item): readonly [property: string, text: string] {
  if (item.kind !== 'contact') return ['Subject', item.subject]
  return item.party === 'account' ? ['Name', item.company] : ['LastName', item.surname]
}

export function isOrganizer(item: Item, scope: Scope): boolean {
  return item.kind === 'appointment' && isOfPerson(scope, item.organizer?.address)
}

/** Two items that one person would take for the same: what it is about, whom, and when. */
export function isAlike(one: Item, other: Item): boolean {
  if (one.kind === 'task' && other.kind === 'task') {
    return one.subject === other.subject && one.startDay === other.startDay && one.dueDay === other.dueDay
  }
  if (one.kind === 'contact' && other.kind === 'contact') {
    return (
      one.surname === other.surname &&
      one.givenName === other.givenName &&
      one.company === other.company &&
      one.emails[0] === other.emails[0]
    )
  }
  return false
}
