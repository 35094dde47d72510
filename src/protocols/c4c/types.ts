import type { EdmType } from '../odata/edm.ts'
import type { EntityType } from '../odata/model.ts'

/**
 * The types that are read and written, with no more of their properties than that. They stand here, and are not asked
 * of the service: its $metadata has 2.4 MB.
 */
function type(name: string, words: string, children: readonly EntityType[] = []): EntityType {
  const properties = new Map<string, EdmType | undefined>([
    ['ObjectID', 'Edm.String'],
    ['ParentObjectID', 'Edm.String'],
    ['ETag', 'Edm.DateTimeOffset'],
    ['EntityLastChangedOn', 'Edm.DateTimeOffset'],
  ])
  for (const word of words.split(/\s+/)) {
    const [property = '', mark = ''] = word.split(':')
    if (property !== '') properties.set(property, edm[mark] ?? 'Edm.String')
  }
  return { name, key: ['ObjectID'], properties, navigation: new Map(children.map(child => [child.name, child])) }
}

const edm: Readonly<Record<string, EdmType>> = {
  moment: 'Edm.DateTimeOffset',
  date: 'Edm.DateTime',
  flag: 'Edm.Boolean',
  decimal: 'Edm.Decimal',
  binary: 'Edm.Binary',
  guid: 'Edm.Guid',
}

const text = 'TypeCode LanguageCode Text CreatedOn:moment UpdatedOn:moment'
const file = 'Binary:binary CategoryCode TypeCode Name MimeType'

export const c4cTypes = {
  Appointment: type(
    'Appointment',
    `ID Subject DocumentType LifeCycleStatusCode StartDate:moment StartDatetimeZoneCode EndDate:moment EnddatetimeZoneCode
    FullDayIndicator:flag Location AdditionalLocationName InformationSensitivityCode AvailabilityCode Priority Category
    OwnerPartyID OrganizerPartyID OrganizerEmailURI OrganizerPartyName MainAccountPartyID MainContactPartyID DataOriginTypeCode
    GroupwareItemID OccurrenceDate:date RecurrenceActGroupwareID RecurringBusinessActivityNodeID`,
    [
      type('AppointmentInvolvedParties', 'RoleCode PartyID PartyEmailURI PartyName MainIndicator:flag'),
      type('AppointmentTextCollection', text),
      type('AppointmentAttachmentFolder', file),
    ],
  ),
  Visit: type(
    'Visit',
    `ID Subject Status PriorityCode StartDateTime:moment StartTimeZoneCode EndDateTime:moment EndTimeZoneCode AllDayEvent:flag
    Location AdditionalLocationName VisitType OwnerPartyID OrganizerPartyID OrganizerEmailURI OrganizerPartyName
    MainAccountPartyID MainContactPartyID DataOriginTypeCode GroupwareItemID MarkedForDeletion:flag`,
    [type('VisitParty', 'RoleCode PartyID Email PartyName MainIndicator:flag'), type('VisitTextCollection', text)],
  ),
  EMail: type(
    'EMail',
    `ID UUID:guid Subject Status DateTime:moment PriorityCode OwnerPartyID MainAccountPartyID MainContactPartyID Direction
    DataOriginTypeCode GroupwareItemID MessageFromEmailURI MessageFromName`,
    [
      type('EMailToRecipients', 'MessageToEmailID MessageToName PartyID'),
      type('EMailCcRecipients', 'MessageCCEMailID MessageCCName PartyID'),
      type('EMailNotes', text),
      type('EMailAttachments', file),
    ],
  ),
  Tasks: type(
    'Tasks',
    `ID Subject Status StartDateTime:moment StartDatetimeZoneCode DueDateTime:moment DueDatetimeZoneCode
    CompletionDateTime:moment CompletionPercent:decimal PriorityCode ProcessorEmailURI ProcessorPartyID
    MainEmployeeResponsiblePartyID MainAccountPartyID MainContactPartyID DataOriginTypeCode ReportedDateTime:moment`,
    [type('TasksTextCollection', text), type('TasksAttachmentFolder', file)],
  ),
  Contact: type(
    'Contact',
    `ContactID FirstName MiddleName LastName JobTitle Department BirthDate:date AccountID AccountFormattedName Phone Mobile Fax Email
    BusinessAddressCountryCode BusinessAddressStateCode BusinessAddressHouseNumber BusinessAddressStreet BusinessAddressCity
    BusinessAddressStreetPostalCode ContactOwnerID`,
    [type('ContactTextCollection', text)],
  ),
  CorporateAccount: type(
    'CorporateAccount',
    `AccountID UUID:guid RoleCode Name AdditionalName CountryCode StateCode HouseNumber Street City StreetPostalCode Phone Mobile Fax
    Email WebSite OwnerID`,
    [type('CorporateAccountTextCollection', text)],
  ),
  IndividualCustomer: type(
    'IndividualCustomer',
    `CustomerID UUID:guid RoleCode FirstName MiddleName LastName CountryCode StateCode HouseNumber Street City StreetPostalCode Phone
    Mobile Fax Email OwnerID`,
    [type('IndividualCustomerTextCollection', text)],
  ),
  EmployeeBasicData: type(
    'EmployeeBasicData',
    'EmployeeID EmployeeUUID:guid BusinessPartnerID UserID FormattedName Email TimeZoneCode UserLockedIndicator:flag',
  ),
} as const satisfies Readonly<Record<string, EntityType>>

export type C4CEntity = keyof typeof c4cTypes

/** `AppointmentCollection` */
export function setOf(entity: string): string {
  return `${entity}Collection`
}
