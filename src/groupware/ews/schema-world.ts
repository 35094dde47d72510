import type { XmlElement } from '../../protocols/xml/xml-element.ts'

/**
 * The content models of Microsoft's schema for EWS (messages.xsd and types.xsd of Exchange 2013 to 2016), for the elements
 * that requests of groupware sync have. They stand here apart from the order in which the client writes, so that a mistake
 * there shows. A model is an expression over the names of the children, each followed by a blank.
 */

const optional = (names: string) =>
  names
    .split(/\s+/)
    .map(name => (name === 'ExtendedProperty' ? '(ExtendedProperty )*' : `(${name} )?`))
    .join('')

const item = optional(
  'MimeContent ItemId ParentFolderId ItemClass Subject Sensitivity Body Attachments DateTimeReceived Size Categories ' +
    'Importance InReplyTo IsSubmitted IsDraft IsFromMe IsResend IsUnmodified InternetMessageHeaders DateTimeSent ' +
    'DateTimeCreated ResponseObjects ReminderDueBy ReminderIsSet ReminderNextTime ReminderMinutesBeforeStart DisplayCc ' +
    'DisplayTo DisplayBcc HasAttachments ExtendedProperty Culture EffectiveRights LastModifiedName LastModifiedTime',
)
const message = optional(
  'Sender ToRecipients CcRecipients BccRecipients IsReadReceiptRequested IsDeliveryReceiptRequested ConversationIndex ' +
    'ConversationTopic From InternetMessageId IsRead IsResponseRequested References ReplyTo',
)
const calendar = optional(
  'UID RecurrenceId DateTimeStamp Start End OriginalStart IsAllDayEvent LegacyFreeBusyStatus Location When IsMeeting ' +
    'IsCancelled IsRecurring MeetingRequestWasSent IsResponseRequested CalendarItemType MyResponseType Organizer ' +
    'RequiredAttendees OptionalAttendees Resources InboxReminders Duration TimeZone AppointmentReplyTime ' +
    'AppointmentSequenceNumber AppointmentState Recurrence FirstOccurrence LastOccurrence ModifiedOccurrences ' +
    'DeletedOccurrences MeetingTimeZone StartTimeZone EndTimeZone',
)
const contact = optional(
  'FileAs FileAsMapping DisplayName GivenName Initials MiddleName Nickname CompleteName CompanyName EmailAddresses ' +
    'PhysicalAddresses PhoneNumbers AssistantName Birthday BusinessHomePage Children Companies ContactSource Department ' +
    'Generation ImAddresses JobTitle Manager Mileage OfficeLocation PostalAddressIndex Profession SpouseName Surname',
)
const task = optional(
  'ActualWork AssignedTime BillingInformation ChangeCount Companies CompleteDate Contacts DelegationState Delegator DueDate ' +
    'IsAssignmentEditable IsComplete IsRecurring IsTeamTask Mileage Owner PercentComplete Recurrence StartDate Status ' +
    'StatusDescription TotalWork',
)
const path = '(FieldURI |IndexedFieldURI |ExtendedFieldURI )'
const folderId = '(FolderId |DistinguishedFolderId )'
const itemId = '(ItemId |OccurrenceItemId |RecurringMasterItemId )'
const pattern =
  '(RelativeYearlyRecurrence |AbsoluteYearlyRecurrence |RelativeMonthlyRecurrence |AbsoluteMonthlyRecurrence |WeeklyRecurrence |DailyRecurrence )'
const shape = `BaseShape ${optional('IncludeMimeContent BodyType FilterHtmlContent ConvertHtmlCodePageToUTF8 AdditionalProperties')}`

const models: Readonly<Record<string, string>> = {
  CreateItem: '(SavedItemFolderId )?Items ',
  UpdateItem: '(SavedItemFolderId )?ItemChanges ',
  DeleteItem: 'ItemIds ',
  GetItem: 'ItemShape ItemIds ',
  FindItem:
    'ItemShape (IndexedPageItemView |CalendarView )?(Restriction )?(SortOrder )?ParentFolderIds (QueryString )?',
  GetFolder: 'FolderShape FolderIds ',
  FindFolder: 'FolderShape (IndexedPageFolderView )?(Restriction )?ParentFolderIds ',
  SyncFolderItems: 'ItemShape SyncFolderId (SyncState )?(Ignore )?MaxChangesReturned (SyncScope )?',
  Subscribe: '(PullSubscriptionRequest |PushSubscriptionRequest |StreamingSubscriptionRequest )',
  StreamingSubscriptionRequest: '(FolderIds )?EventTypes ',
  GetStreamingEvents: 'SubscriptionIds ConnectionTimeout ',
  Unsubscribe: 'SubscriptionId ',
  ResolveNames: '(ParentFolderIds )?UnresolvedEntry ',
  CreateAttachment: 'ParentItemId Attachments ',
  GetAttachment: '(AttachmentShape )?AttachmentIds ',
  DeleteAttachment: 'AttachmentIds ',
  Items: '(Message |CalendarItem |Contact |Task )+',
  Message: item + message,
  CalendarItem: item + calendar,
  Contact: item + contact,
  Task: item + task,
  ItemChanges: '(ItemChange )+',
  ItemChange: `${itemId}Updates `,
  Updates: '(AppendToItemField |SetItemField |DeleteItemField )*',
  SetItemField: `${path}(Message |CalendarItem |Contact |Task )`,
  DeleteItemField: path,
  ItemIds: `${itemId}+`,
  FolderIds: `${folderId}+`,
  ParentFolderIds: `${folderId}+`,
  SyncFolderId: folderId,
  SavedItemFolderId: folderId,
  DistinguishedFolderId: '(Mailbox )?',
  ItemShape: shape,
  FolderShape: 'BaseShape (AdditionalProperties )?',
  AttachmentShape: optional('IncludeMimeContent BodyType FilterHtmlContent AdditionalProperties'),
  AdditionalProperties: `${path}+`,
  Restriction: '(Or |And |IsEqualTo |Contains |Exists )',
  Or: '(IsEqualTo |And |Or )+',
  IsEqualTo: `${path}FieldURIOrConstant `,
  FieldURIOrConstant: `(${path}|Constant )`,
  ExtendedProperty: 'ExtendedFieldURI (Value |Values )',
  Attachments: '(ItemAttachment |FileAttachment )*',
  FileAttachment:
    optional('AttachmentId Name ContentType ContentId ContentLocation Size LastModifiedTime IsInline IsContactPhoto') +
    '(Content )?',
  AttachmentIds: '(AttachmentId )+',
  EventTypes: '(EventType )+',
  SubscriptionIds: '(SubscriptionId )+',
  Categories: '(String )*',
  ToRecipients: '(Mailbox )*',
  CcRecipients: '(Mailbox )*',
  BccRecipients: '(Mailbox )*',
  From: 'Mailbox ',
  Mailbox: optional('Name EmailAddress RoutingType MailboxType ItemId OriginalDisplayName'),
  RequiredAttendees: '(Attendee )+',
  OptionalAttendees: '(Attendee )+',
  Resources: '(Attendee )+',
  Attendee: `Mailbox ${optional('ResponseType LastResponseTime ProposedStart ProposedEnd')}`,
  Recurrence: `${pattern}(NoEndRecurrence |EndDateRecurrence |NumberedRecurrence )`,
  RelativeYearlyRecurrence: 'DaysOfWeek DayOfWeekIndex Month ',
  AbsoluteYearlyRecurrence: 'DayOfMonth Month ',
  RelativeMonthlyRecurrence: 'Interval DaysOfWeek DayOfWeekIndex ',
  AbsoluteMonthlyRecurrence: 'Interval DayOfMonth ',
  WeeklyRecurrence: 'Interval DaysOfWeek (FirstDayOfWeek )?',
  DailyRecurrence: 'Interval ',
  NoEndRecurrence: 'StartDate ',
  EndDateRecurrence: 'StartDate EndDate ',
  NumberedRecurrence: 'StartDate NumberOfOccurrences ',
  StartTimeZone: '(Periods (TransitionsGroups )?(Transitions )?)?',
  EndTimeZone: '(Periods (TransitionsGroups )?(Transitions )?)?',
  EmailAddresses: '(Entry )+',
  PhoneNumbers: '(Entry )+',
  PhysicalAddresses: '(Entry )+',
  'PhysicalAddresses/Entry': optional('Street City State CountryOrRegion PostalCode'),
}

/** Attributes that must be there, and those that may. */
const attributes: Readonly<Record<string, readonly [required: string, optional: string]>> = {
  CreateItem: ['', 'MessageDisposition SendMeetingInvitations'],
  UpdateItem: ['ConflictResolution', 'MessageDisposition SendMeetingInvitationsOrCancellations SuppressReadReceipts'],
  DeleteItem: ['DeleteType', 'SendMeetingCancellations AffectedTaskOccurrences SuppressReadReceipts'],
  FindItem: ['Traversal', ''],
  FindFolder: ['Traversal', ''],
  IndexedPageItemView: ['Offset BasePoint', 'MaxEntriesReturned'],
  IndexedPageFolderView: ['Offset BasePoint', 'MaxEntriesReturned'],
  ResolveNames: ['ReturnFullContactData', 'SearchScope ContactDataShape'],
  Subscribe: ['', ''],
  StreamingSubscriptionRequest: ['', 'SubscribeToAllFolders'],
  ItemId: ['Id', 'ChangeKey'],
  OccurrenceItemId: ['RecurringMasterId InstanceIndex', 'ChangeKey'],
  RecurringMasterItemId: ['OccurrenceId', 'ChangeKey'],
  FolderId: ['Id', 'ChangeKey'],
  DistinguishedFolderId: ['Id', 'ChangeKey'],
  ParentItemId: ['Id', 'ChangeKey'],
  AttachmentId: ['Id', ''],
  FieldURI: ['FieldURI', ''],
  IndexedFieldURI: ['FieldURI FieldIndex', ''],
  ExtendedFieldURI: ['PropertyType', 'DistinguishedPropertySetId PropertySetId PropertyTag PropertyName PropertyId'],
  Constant: ['Value', ''],
  Entry: ['Key', 'Name RoutingType MailboxType'],
  Body: ['BodyType', 'IsTruncated'],
  StartTimeZone: ['', 'Id Name'],
  EndTimeZone: ['', 'Id Name'],
}

const dateTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$/
const date = /^\d{4}-\d\d-\d\d(Z|[+-]\d\d:\d\d)?$/
const boolean = /^(true|false|0|1)$/
const int = /^-?\d{1,10}$/
const day = '(Sunday|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Day|Weekday|WeekendDay)'

/** What may stand in elements with text, and in attributes (`@Name`). */
const values: Readonly<Record<string, RegExp>> = {
  Start: dateTime,
  End: dateTime,
  DueDate: dateTime,
  CompleteDate: dateTime,
  ReminderDueBy: dateTime,
  Birthday: dateTime,
  'Task/StartDate': dateTime,
  StartDate: date,
  EndDate: date,
  IsAllDayEvent: boolean,
  ReminderIsSet: boolean,
  IsRead: boolean,
  IsInline: boolean,
  ReminderMinutesBeforeStart: int,
  Interval: int,
  DayOfMonth: int,
  NumberOfOccurrences: int,
  MaxChangesReturned: int,
  ConnectionTimeout: int,
  PercentComplete: /^\d+(\.\d+)?$/,
  BaseShape: /^(IdOnly|Default|AllProperties|PcxPeopleSearch)$/,
  BodyType: /^(Best|HTML|Text)$/,
  SyncScope: /^(NormalItems|NormalAndAssociatedItems)$/,
  Sensitivity: /^(Normal|Personal|Private|Confidential)$/,
  Importance: /^(Low|Normal|High)$/,
  LegacyFreeBusyStatus: /^(Free|Tentative|Busy|OOF|WorkingElsewhere|NoData)$/,
  Status: /^(NotStarted|InProgress|Completed|WaitingOnOthers|Deferred)$/,
  DaysOfWeek: new RegExp(`^${day}( ${day})*$`),
  FirstDayOfWeek: new RegExp(`^${day}$`),
  DayOfWeekIndex: /^(First|Second|Third|Fourth|Last)$/,
  Month: /^(January|February|March|April|May|June|July|August|September|October|November|December)$/,
  EventType:
    /^(CopiedEvent|CreatedEvent|DeletedEvent|ModifiedEvent|MovedEvent|NewMailEvent|StatusEvent|FreeBusyChangedEvent)$/,
  '@MessageDisposition': /^(SaveOnly|SendOnly|SendAndSaveCopy)$/,
  '@ConflictResolution': /^(NeverOverwrite|AutoResolve|AlwaysOverwrite)$/,
  '@SendMeetingInvitations': /^(SendToNone|SendOnlyToAll|SendToAllAndSaveCopy)$/,
  '@SendMeetingCancellations': /^(SendToNone|SendOnlyToAll|SendToAllAndSaveCopy)$/,
  '@SendMeetingInvitationsOrCancellations':
    /^(SendToNone|SendOnlyToAll|SendOnlyToChanged|SendToAllAndSaveCopy|SendToChangedAndSaveCopy)$/,
  '@AffectedTaskOccurrences': /^(AllOccurrences|SpecifiedOccurrenceOnly)$/,
  '@DeleteType': /^(HardDelete|SoftDelete|MoveToDeletedItems)$/,
  '@BasePoint': /^(Beginning|End)$/,
  '@SearchScope': /^(ActiveDirectory|ActiveDirectoryContacts|Contacts|ContactsActiveDirectory)$/,
  '@Offset': int,
  '@MaxEntriesReturned': int,
  '@InstanceIndex': int,
}

/** What of a request, the element in the SOAP body, the schema does not allow. */
export function schemaFaultsOf(element: XmlElement, above = ''): readonly string[] {
  const { name } = element
  const faults: string[] = []
  const model = models[`${above}/${name}`] ?? models[name]
  const children = element.children.map(child => `${child.name} `).join('')
  if (model === undefined) {
    if (children !== '') faults.push(`${name} has elements inside: ${children}`)
  } else if (!new RegExp(`^${model}$`).test(children)) faults.push(`${name} must not hold: ${children}`)
  const [required = '', allowed = ''] = attributes[name] ?? []
  const given = [...element.attributes.keys()].filter(key => !key.startsWith('xmlns'))
  for (const key of required.split(' ')) if (key !== '' && !given.includes(key)) faults.push(`${name} lacks @${key}`)
  for (const key of given) {
    if (!`${required} ${allowed}`.split(' ').includes(key)) faults.push(`${name} must not have @${key}`)
    const shown = element.attributes.get(key) ?? ''
    if (values[`@${key}`]?.test(shown) === false) faults.push(`${name} has @${key} "${shown}"`)
  }
  const value = values[`${above}/${name}`] ?? values[name]
  if (children === '' && value && !value.test(element.text)) faults.push(`${name} holds "${element.text}"`)
  return [...faults, ...element.children.flatMap(child => schemaFaultsOf(child, name))]
}
