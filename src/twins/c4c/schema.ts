/** What a property holds. */
export type Kind = 'text' | 'moment' | 'date' | 'decimal' | 'flag' | 'guid' | 'binary'

export interface Property {
  readonly name: string
  readonly kind: Kind
  /** Letters of a text. */
  readonly length: number
  readonly isCreatable: boolean
  readonly isUpdatable: boolean
  readonly isFilterable: boolean
  readonly isMandatory: boolean
}

export interface EntityKind {
  /** Name of the type; its set is called `…Collection`. */
  readonly name: string
  readonly properties: readonly Property[]
  /** Kinds below it, each by the name of its navigation, which is that of the type. */
  readonly children: readonly EntityKind[]
  readonly isReadOnly: boolean
}

/**
 * Names, types, lengths and flags as the service's own $metadata gives them, of the sets that a groupware sync needs.
 * A line of properties: `Name:kind length flags`, flags `c` creatable, `u` updatable, `f` filterable, `m` mandatory.
 */
function kind(name: string, lines: string, children: readonly EntityKind[] = [], isReadOnly = false): EntityKind {
  const own = 'ObjectID:text 70 f|ETag:moment 0 -'
  const child = 'ParentObjectID:text 70 cf'
  const stamp = 'EntityLastChangedOn:moment 0 f'
  const isHeader = !lines.startsWith('^')
  const all = `${own}|${isHeader ? stamp : child}|${lines.replace(/^\^/, '')}`
  return { name, properties: all.split(/[|\n]/).map(property), children, isReadOnly }
}

function property(line: string): Property {
  const [, name = '', type = 'text', length = '0', flags = ''] = /^\s*(\w+):(\w+) (\d+) ([cufm-]+)\s*$/.exec(line) ?? []
  return {
    name,
    kind: type as Kind,
    length: Number(length) || 1_000_000,
    isCreatable: flags.includes('c'),
    isUpdatable: flags.includes('u'),
    isFilterable: flags.includes('f'),
    isMandatory: flags.includes('m'),
  }
}

const texts = (name: string) =>
  kind(name, '^TypeCode:text 5 cuf|LanguageCode:text 2 cuf|Text:text 0 cuf|CreatedOn:moment 0 f|UpdatedOn:moment 0 f')
const attachments = (name: string) =>
  kind(
    name,
    '^Binary:binary 0 c|CategoryCode:text 1 cfm|TypeCode:text 5 cf|Name:text 0 cf|MimeType:text 0 cf|DocumentLink:text 0 cf|LinkWebURI:text 0 cf|UUID:guid 0 f',
  )

export const entityKinds: readonly EntityKind[] = [
  kind(
    'Appointment',
    `ID:text 35 f|UUID:guid 0 f|DocumentType:text 4 cuf|Subject:text 765 cuf|LifeCycleStatusCode:text 2 cuf
StartDate:moment 0 cuf|StartDatetimeZoneCode:text 10 cuf|EndDate:moment 0 cuf|EnddatetimeZoneCode:text 10 cuf
OrganizerPartyID:text 60 cuf|OwnerPartyID:text 60 cuf|FullDayIndicator:flag 0 cuf|Category:text 4 cuf
MainAccountPartyID:text 60 cuf|MainContactPartyID:text 60 cuf|Location:text 480 cuf|AdditionalLocationName:text 765 cuf
Priority:text 1 cuf|InformationSensitivityCode:text 1 cuf|AvailabilityCode:text 2 cuf|DataOriginTypeCode:text 3 cuf
GroupwareItemID:text 765 cuf|OrganizerEmailURI:text 254 cuf|OrganizerPartyName:text 255 cuf|OrganizerName:text 480 f
OccurrenceDate:date 0 cuf|RecurrenceActGroupwareID:text 765 cuf|RecurringBusinessActivityNodeID:text 70 cuf|CreatedOn:moment 0 f|LastChangeDateTime:moment 0 cuf`,
    [
      kind(
        'AppointmentInvolvedParties',
        '^RoleCode:text 10 cufm|PartyID:text 60 cuf|PartyUUID:guid 0 cuf|PartyEmailURI:text 254 cuf|PartyName:text 480 cuf|MainIndicator:flag 0 cuf',
      ),
      texts('AppointmentTextCollection'),
      attachments('AppointmentAttachmentFolder'),
    ],
  ),
  kind(
    'Visit',
    `ID:text 35 f|UUID:guid 0 f|Subject:text 765 cuf|Status:text 2 cuf|PriorityCode:text 1 cuf|VisitType:text 4 cuf
StartDateTime:moment 0 cuf|StartTimeZoneCode:text 10 cuf|EndDateTime:moment 0 cuf|EndTimeZoneCode:text 10 cuf|AllDayEvent:flag 0 cuf
ActualStartDateTime:moment 0 cuf|ActualEndDateTime:moment 0 cuf|OwnerPartyID:text 60 cuf|OwnerEmailURI:text 254 cuf
OwnerPartyName:text 255 cuf|OrganizerPartyID:text 60 cuf|OrganizerEmailURI:text 254 cuf|OrganizerPartyName:text 255 cuf
MainAccountPartyID:text 60 cuf|AccountPartyName:text 255 cuf|MainContactPartyID:text 60 cuf|PrimaryContactPartyName:text 255 cuf
Location:text 480 cuf|AdditionalLocationName:text 765 cuf|DataOriginTypeCode:text 3 cuf|GroupwareItemID:text 765 cuf
MarkedForDeletion:flag 0 cuf|MarkedForDeletionDate:date 0 cuf|OccurrenceDate:date 0 cuf|RecurrenceActGroupwareID:text 765 cuf
RecurringBusinessActivityNodeID:guid 0 cuf|CreationDateTime:moment 0 f|LastChangeDateTime:moment 0 cuf`,
    [
      kind(
        'VisitParty',
        '^RoleCode:text 10 cuf|PartyID:text 60 cuf|PartyUUID:guid 0 cuf|Email:text 254 cuf|PartyName:text 255 cuf|MainIndicator:flag 0 cuf',
      ),
      texts('VisitTextCollection'),
      attachments('VisitAttachment'),
    ],
  ),
  kind(
    'EMail',
    `ID:text 35 f|UUID:guid 0 cf|Subject:text 765 cuf|Status:text 2 cuf|DateTime:moment 0 cuf|DateTimetimeZoneCode:text 10 cuf
PriorityCode:text 1 cuf|OwnerPartyID:text 60 cuf|MainAccountPartyID:text 60 cuf|MainContactPartyID:text 60 cuf|Direction:text 1 cuf
DocumentType:text 4 cuf|DataOriginTypeCode:text 3 cuf|GroupwareItemID:text 765 cuf|MessageFromEmailURI:text 254 cuf
MessageFromName:text 255 cuf|LastChangeDateTime:moment 0 uf`,
    [
      kind('EMailToRecipients', '^MessageToEmailID:text 254 cuf|MessageToName:text 255 cuf|PartyID:text 60 cuf'),
      kind('EMailCcRecipients', '^MessageCCEMailID:text 254 cuf|MessageCCName:text 255 cuf|PartyID:text 60 cuf'),
      kind('EMailNotes', '^TypeCode:text 5 cuf|Text:text 0 cuf|CreatedOn:moment 0 f'),
      attachments('EMailAttachments'),
    ],
  ),
  kind(
    'Tasks',
    `ID:text 35 f|UUID:guid 0 f|DocumentType:text 4 cuf|Subject:text 765 cuf|Status:text 2 cuf|StartDateTime:moment 0 cuf
StartDatetimeZoneCode:text 10 cuf|DueDateTime:moment 0 cuf|DueDatetimeZoneCode:text 10 cuf|CompletionDateTime:moment 0 cuf
MainEmployeeResponsiblePartyID:text 60 cuf|MainAccountPartyID:text 60 cuf|MainContactPartyID:text 60 cuf|ProcessorPartyID:text 60 cuf
CompletionPercent:decimal 5 cuf|Category:text 4 cuf|PriorityCode:text 1 cuf|DataOriginTypeCode:text 3 cuf
ProcessorEmailURI:text 254 cuf|ReportedDateTime:moment 0 f|LastChangeDateTime:moment 0 cuf`,
    [texts('TasksTextCollection'), attachments('TasksAttachmentFolder')],
  ),
  kind(
    'Contact',
    `ContactID:text 10 cf|ContactUUID:guid 0 f|FirstName:text 40 cuf|MiddleName:text 40 cuf|LastName:text 40 cufm|JobTitle:text 40 cuf
Department:text 40 cuf|BirthDate:date 0 cuf|AccountID:text 60 cuf|AccountFormattedName:text 480 f|Phone:text 40 cuf|Mobile:text 40 cuf
Fax:text 40 cuf|Email:text 255 cuf|BusinessAddressCountryCode:text 3 cuf|BusinessAddressHouseNumber:text 10 cuf
BusinessAddressStreet:text 60 cuf|BusinessAddressCity:text 40 cuf|BusinessAddressStreetPostalCode:text 10 cuf
BusinessAddressStateCode:text 6 cuf|ContactOwnerID:text 20 cuf|ExternalID:text 100 f|CreationOn:moment 0 f`,
    [kind('ContactTextCollection', '^Text:text 0 cuf|LanguageCode:text 2 f|CreatedOn:moment 0 f|UpdatedOn:moment 0 f')],
  ),
  kind(
    'CorporateAccount',
    `AccountID:text 10 cf|UUID:guid 0 cf|RoleCode:text 10 cufm|Name:text 40 cufm|AdditionalName:text 40 cuf|CountryCode:text 3 cuf
StateCode:text 6 cuf|HouseNumber:text 10 cuf|Street:text 60 cuf|City:text 40 cuf|StreetPostalCode:text 10 cuf|Phone:text 40 cuf
Mobile:text 40 cuf|Fax:text 40 cuf|Email:text 255 cuf|WebSite:text 1280 cuf|OwnerID:text 20 cuf|ExternalID:text 100 f`,
    [texts('CorporateAccountTextCollection')],
  ),
  kind(
    'IndividualCustomer',
    `CustomerID:text 10 cf|UUID:guid 0 cf|RoleCode:text 10 cufm|FirstName:text 40 cuf|MiddleName:text 40 cuf|LastName:text 40 cufm
CountryCode:text 3 cuf|StateCode:text 6 cuf|HouseNumber:text 10 cuf|Street:text 60 cuf|City:text 40 cuf|StreetPostalCode:text 10 cuf
Phone:text 40 cuf|Mobile:text 40 cuf|Fax:text 40 cuf|Email:text 255 cuf|OwnerID:text 20 cuf|ExternalID:text 100 f`,
    [texts('IndividualCustomerTextCollection')],
  ),
  kind(
    'EmployeeBasicData',
    `EmployeeID:text 20 f|EmployeeUUID:guid 0 f|BusinessPartnerID:text 60 f|UserID:text 40 f|FormattedName:text 480 f|Email:text 255 f
TimeZoneCode:text 10 f|UserLockedIndicator:flag 0 f`,
    [],
    true,
  ),
]

/** Numbers that the service gives to what is created, by property. */
export const numbered: Readonly<Record<string, string>> = {
  Appointment: 'ID',
  Visit: 'ID',
  EMail: 'ID',
  Tasks: 'ID',
  Contact: 'ContactID',
  CorporateAccount: 'AccountID',
  IndividualCustomer: 'CustomerID',
}

/** Function imports; all by POST, with the GroupwareItemID, saying whether there is such an item. */
export const checks: Readonly<Record<string, string>> = {
  CheckAppointmentByGroupwareID: 'Appointment',
  CheckVisitByGroupwareID: 'Visit',
  CheckEmailByGroupwareID: 'EMail',
}

export const rootPath = '/sap/c4c/odata/v1/c4codataapi/'

export const edmNames: Readonly<Record<Kind, string>> = {
  text: 'Edm.String',
  moment: 'Edm.DateTimeOffset',
  date: 'Edm.DateTime',
  decimal: 'Edm.Decimal',
  flag: 'Edm.Boolean',
  guid: 'Edm.Guid',
  binary: 'Edm.Binary',
}

/** All kinds, those below others too. */
export const allKinds: readonly EntityKind[] = entityKinds.flatMap(each => [each, ...each.children])

export function setOf({ name }: EntityKind): string {
  return `${name}Collection`
}

export function kindOfSet(set: string): EntityKind | undefined {
  return allKinds.find(each => setOf(each) === set)
}

export function parentOf(child: EntityKind): EntityKind | undefined {
  return entityKinds.find(each => each.children.includes(child))
}
