import type { JsonObject } from '../../kernel/json.ts'
import { propertyId } from '../../protocols/graph/link-property.ts'
import { crmMark } from '../crm-mark.ts'
import type { Sensitivity } from '../plan/items.ts'
import { listAt, textAt } from './row.ts'

/** MAPI properties that Graph shows only as extended ones (MS-OXPROPS): what they are is decided by Exchange itself. */
export const extendedIds = {
  mark: propertyId(crmMark),
  /** What stands behind a contact in the CRM; EWS writes it alike. */
  party: propertyId({ ...crmMark, name: 'CrmParty' }),
  /** An item that takes more than one request to create, until the last of them is done. */
  unfinished: propertyId({ ...crmMark, name: 'CrmUnfinished' }),
  sensitivity: 'Integer 0x36',
  messageClass: 'String 0x1a',
  fax: 'String 0x3a24',
  messageFlags: 'Integer 0xe07',
  submitTime: 'SystemTime 0x39',
  deliveryTime: 'SystemTime 0xe06',
} as const
type ExtendedName = keyof typeof extendedIds

/** For `$expand`: these come with the item. */
export function expandExtended(...names: readonly ExtendedName[]): string {
  return `singleValueExtendedProperties($filter=${names.map(name => `id eq '${extendedIds[name]}'`).join(' or ')})`
}

/** Value of an extended property, '' where it is not there. Graph writes the numbers of ids with leading zeros or without. */
export function extendedAt(row: JsonObject, name: ExtendedName): string {
  const wanted = bare(extendedIds[name])
  const found = listAt(row, 'singleValueExtendedProperties').find(each => bare(textAt(each, 'id')) === wanted)
  return found ? textAt(found, 'value') : ''
}

export function extended(name: ExtendedName, value: string): JsonObject {
  return { id: extendedIds[name], value }
}

function bare(id: string): string {
  return id.toLowerCase().replace(/0x0+(?=[0-9a-f])/, '0x')
}

const sensitivities: readonly Sensitivity[] = ['normal', 'personal', 'private', 'confidential']

export function sensitivityAt(row: JsonObject): Sensitivity {
  return sensitivities[Number(extendedAt(row, 'sensitivity') || '0')] ?? 'normal'
}

export function sensitivityProperty(sensitivity: Sensitivity): JsonObject {
  return extended('sensitivity', String(sensitivities.indexOf(sensitivity)))
}
