import type { XmlElement } from '../xml/xml-element.ts'
import { element, textElement } from './write-xml.ts'

/** The classes of items that are synced, as the schema names their elements. */
export type ItemClass = 'Message' | 'CalendarItem' | 'Contact' | 'Task'

/** The sequence of t:ItemType in the schema of Exchange, as far as anybody asks for it here. */
const itemFields =
  'MimeContent ItemId ParentFolderId ItemClass Subject Sensitivity Body Attachments DateTimeReceived Size Categories Importance InReplyTo ' +
  'IsSubmitted IsDraft IsFromMe IsResend IsUnmodified InternetMessageHeaders DateTimeSent DateTimeCreated ResponseObjects ' +
  'ReminderDueBy ReminderIsSet ReminderNextTime ReminderMinutesBeforeStart DisplayCc DisplayTo HasAttachments ' +
  'ExtendedProperty Culture EffectiveRights LastModifiedName LastModifiedTime IsAssociated WebClientReadFormQueryString ' +
  'WebClientEditFormQueryString ConversationId UniqueBody Flag'

const ownFields: Readonly<Record<ItemClass, readonly [prefix: string, names: string]>> = {
  Message: [
    'message',
    'Sender ToRecipients CcRecipients BccRecipients IsReadReceiptRequested IsDeliveryReceiptRequested ConversationIndex ' +
      'ConversationTopic From InternetMessageId IsRead IsResponseRequested References ReplyTo ReceivedBy ReceivedRepresenting',
  ],
  CalendarItem: [
    'calendar',
    'UID RecurrenceId DateTimeStamp Start End OriginalStart IsAllDayEvent LegacyFreeBusyStatus Location When IsMeeting ' +
      'IsCancelled IsRecurring MeetingRequestWasSent IsResponseRequested CalendarItemType MyResponseType Organizer ' +
      'RequiredAttendees OptionalAttendees Resources ConflictingMeetingCount AdjacentMeetingCount Duration TimeZone ' +
      'AppointmentReplyTime AppointmentSequenceNumber AppointmentState Recurrence FirstOccurrence LastOccurrence ' +
      'ModifiedOccurrences DeletedOccurrences MeetingTimeZone StartTimeZone EndTimeZone ConferenceType ' +
      'AllowNewTimeProposal IsOnlineMeeting MeetingWorkspaceUrl NetShowUrl',
  ],
  Contact: [
    'contacts',
    'FileAs FileAsMapping DisplayName GivenName Initials MiddleName Nickname CompleteName CompanyName EmailAddresses ' +
      'PhysicalAddresses PhoneNumbers AssistantName Birthday BusinessHomePage Children Companies ContactSource Department ' +
      'Generation ImAddresses JobTitle Manager Mileage OfficeLocation PostalAddressIndex Profession SpouseName Surname ' +
      'WeddingAnniversary HasPicture',
  ],
  Task: [
    'task',
    'ActualWork AssignedTime BillingInformation ChangeCount Companies CompleteDate Contacts DelegationState Delegator DueDate ' +
      'IsAssignmentEditable IsComplete IsRecurring IsTeamTask Mileage Owner PercentComplete Recurrence StartDate Status ' +
      'StatusDescription TotalWork',
  ],
}

const itemNames: ReadonlySet<string> = new Set(itemFields.split(' '))
const orders = new Map(
  Object.entries(ownFields).map(([itemClass, [, names]]) => [
    itemClass,
    new Map([...itemFields.split(' '), ...names.split(' ')].map((name, index) => [name, index])),
  ]),
)

export const itemClasses: readonly ItemClass[] = ['Message', 'CalendarItem', 'Contact', 'Task']

/** Where a field stands in the sequence of its class; undefined for a field that the class does not have. */
export function placeOfField(itemClass: ItemClass, name: string): number | undefined {
  return orders.get(itemClass)?.get(name)
}

/** Names of the fields of a class in the order of the schema. */
export function fieldsOf(itemClass: ItemClass): readonly string[] {
  return [...(orders.get(itemClass)?.keys() ?? [])]
}

/** The path by which a field is asked for: `item:Subject`, `calendar:Start`. */
export function fieldUri(itemClass: ItemClass, name: string): string {
  // Field URIs of messages say `message`, those of the item part `item`, whatever the class.
  return itemNames.has(name) ? `item:${name}` : `${ownFields[itemClass][0]}:${name}`
}

/** A named property of the product's own (set, name). Text. */
export interface ExtendedProperty {
  readonly set: string
  readonly name: string
}

/** A part of an item that a request names: a field, one entry of a list with keys, or an own property. */
export type FieldPath =
  | { readonly field: string }
  | { readonly field: string; readonly uri: string; readonly index: string }
  | { readonly property: ExtendedProperty }

/** A part of an item with what shall stand there: XML of its element; undefined takes it away. */
export type FieldChange = FieldPath & { readonly xml: string | undefined }

export function writePath(itemClass: ItemClass, path: FieldPath): string {
  if ('property' in path) return writeExtendedUri(path.property)
  if ('index' in path) return element('t:IndexedFieldURI', { FieldURI: path.uri, FieldIndex: path.index })
  return element('t:FieldURI', { FieldURI: fieldUri(itemClass, path.field) })
}

export function writeExtendedUri({ set, name }: ExtendedProperty): string {
  return element('t:ExtendedFieldURI', { PropertySetId: set, PropertyName: name, PropertyType: 'String' })
}

export function writeExtendedProperty(property: ExtendedProperty, value: string): string {
  return element('t:ExtendedProperty', {}, writeExtendedUri(property), textElement('t:Value', value))
}

/** Value of an own property of an item; undefined where it has none. */
export function readExtendedProperty(item: XmlElement, property: ExtendedProperty): string | undefined {
  for (const child of item.children) {
    if (child.name !== 'ExtendedProperty') continue
    const uri = child.children.find(each => each.name === 'ExtendedFieldURI')
    const isIt =
      uri?.attributes.get('PropertySetId')?.toLowerCase() === property.set.toLowerCase() &&
      uri.attributes.get('PropertyName') === property.name
    if (isIt) return child.children.find(each => each.name === 'Value')?.text
  }
  return undefined
}

/** The element of a new item: its parts in the order of the schema, whatever order they come in. */
export function writeItem(itemClass: ItemClass, parts: readonly FieldChange[]): string {
  const placed = parts
    .filter(part => part.xml !== undefined)
    .map(part => ({ part, place: placeOfField(itemClass, 'property' in part ? 'ExtendedProperty' : part.field) ?? 0 }))
    .toSorted((one, other) => one.place - other.place)
  let xml = ''
  for (let index = 0; index < placed.length; ) {
    const { part, place } = placed[index] ?? { part: undefined, place: -1 }
    if (!part) break
    if (!('index' in part)) {
      xml += part.xml ?? ''
      index += 1
      continue
    }
    // Entries of one list stand together in its element.
    const entries = placed.slice(index).filter(each => each.place === place)
    xml += element(`t:${part.field}`, {}, ...entries.map(each => each.part.xml ?? ''))
    index += entries.length
  }
  return element(`t:${itemClass}`, {}, xml)
}
