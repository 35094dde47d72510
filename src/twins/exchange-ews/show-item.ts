import { createHash } from 'node:crypto'
import { fieldsOf } from '../../protocols/ews/fields.ts'
import { element, textElement, writeElement } from '../../protocols/ews/write-xml.ts'
import { childOf, textOf, type XmlElement } from '../../protocols/xml/xml-element.ts'
import { extendedKey } from './item-parts.ts'
import { propertyValue, sizeOf, submitTime } from './mapi-properties.ts'
import { mimeOf } from './mime-content.ts'
import { isoSeconds, occurrence, occurrenceId, occurrencesOf, recurrenceOf, timeOf } from './series.ts'
import { changeKey, type TwinItem, type TwinMailbox } from './world.ts'

/** What a request wants to see of items. */
export interface Shape {
  readonly isWhole: boolean
  readonly withMime: boolean
  readonly bodyType: string
  readonly fields: ReadonlySet<string>
  readonly extended: readonly XmlElement[]
  /** Puts characters into bodies that XML has no place for, as Exchange does. */
  readonly illegalReferences: boolean
}

export function readShape(request: XmlElement, illegalReferences = false): Shape {
  const shape = childOf(request, 'ItemShape')
  const paths = childOf(shape, 'AdditionalProperties')?.children ?? []
  return {
    isWhole: textOf(shape, 'BaseShape') !== 'IdOnly',
    withMime: textOf(shape, 'IncludeMimeContent') === 'true',
    bodyType: textOf(shape, 'BodyType') ?? 'Best',
    fields: new Set(paths.filter(path => path.name !== 'ExtendedFieldURI').map(fieldOfPath)),
    extended: paths.filter(path => path.name === 'ExtendedFieldURI'),
    illegalReferences,
  }
}

function fieldOfPath(path: XmlElement): string {
  const name = (path.attributes.get('FieldURI') ?? '').replace(/^\w+:/, '')
  if (path.name !== 'IndexedFieldURI') return name
  return { EmailAddress: 'EmailAddresses', PhoneNumber: 'PhoneNumbers' }[name] ?? 'PhysicalAddresses'
}

/** An item, or one occurrence of it, as an element of an answer. */
export function showItem(mailbox: TwinMailbox, item: TwinItem, shape: Shape, instance?: number): string {
  const overrides = instance === undefined ? undefined : item.exceptions.get(instance)
  const view = { mailbox, item, shape, instance, overrides }
  let xml = ''
  for (const name of fieldsOf(item.itemClass)) {
    if (name === 'ExtendedProperty') {
      xml += shape.extended.map(uri => showExtended(item, uri)).join('')
      continue
    }
    const isWanted =
      name === 'ItemId' || shape.isWhole || shape.fields.has(name) || (name === 'MimeContent' && shape.withMime)
    if (isWanted) xml += showField(view, name)
  }
  return element(`t:${item.itemClass}`, {}, xml)
}

interface View {
  readonly mailbox: TwinMailbox
  readonly item: TwinItem
  readonly shape: Shape
  readonly instance: number | undefined
  readonly overrides: ReadonlyMap<string, XmlElement> | undefined
}

function showField(view: View, name: string): string {
  const { item, overrides, shape } = view
  const made = name in makers ? makers[name]?.(view) : undefined
  if (made !== undefined) return made
  if (name === 'MimeContent') {
    return shape.withMime || shape.fields.has(name)
      ? textElement('t:MimeContent', mimeOf(item), { CharacterSet: 'UTF-8' })
      : ''
  }
  const part = overrides?.get(name) ?? item.fields.get(name)
  if (part && name === 'Body') return showBody(part, shape)
  if (part) return writeElement(part)
  const usual = defaults[name]
  return usual === undefined ? '' : textElement(`t:${name}`, usual)
}

function showBody(part: XmlElement, { bodyType, illegalReferences }: Shape): string {
  const own = part.attributes.get('BodyType') ?? 'Text'
  const wanted = bodyType === 'Best' ? own : bodyType
  const text =
    wanted === own
      ? part.text
      : wanted === 'Text'
        ? part.text
            .replace(/<br\s*\/?>/gi, '\n')
            .replace(/<[^>]*>/g, '')
            .replaceAll('&lt;', '<')
            .replaceAll('&gt;', '>')
            .replaceAll('&amp;', '&')
        : `<html><body>${part.text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('\n', '<br>')}</body></html>`
  const xml = textElement('t:Body', text, { BodyType: wanted })
  return illegalReferences ? xml.replace('</t:Body>', '&#x1F;&#x0;</t:Body>') : xml
}

const defaults: Readonly<Record<string, string | boolean | number>> = {
  Sensitivity: 'Normal',
  Importance: 'Normal',
  Subject: '',
  IsAllDayEvent: false,
  LegacyFreeBusyStatus: 'Busy',
  IsCancelled: false,
  IsRead: false,
  IsDraft: false,
  ReminderIsSet: false,
  Status: 'NotStarted',
  PercentComplete: 0,
}

const classNames = {
  Message: 'IPM.Note',
  CalendarItem: 'IPM.Appointment',
  Contact: 'IPM.Contact',
  Task: 'IPM.Task',
} as const

const makers: Readonly<Record<string, (view: View) => string | undefined>> = {
  ItemId: ({ item, instance }) =>
    element('t:ItemId', {
      Id: instance === undefined ? item.id : occurrenceId(item.id, instance),
      ChangeKey: changeKey(item.version),
    }),
  ParentFolderId: ({ item }) => element('t:ParentFolderId', { Id: item.folderId, ChangeKey: 'AQAAAA==' }),
  ItemClass: ({ item }) =>
    item.fields.has('ItemClass') ? undefined : textElement('t:ItemClass', classNames[item.itemClass]),
  DateTimeCreated: ({ item }) => textElement('t:DateTimeCreated', isoSeconds(item.createdAt)),
  DateTimeReceived: ({ item }) =>
    item.fields.has('DateTimeReceived') ? undefined : textElement('t:DateTimeReceived', isoSeconds(item.createdAt)),
  DateTimeSent: ({ item }) => {
    if (item.fields.has('DateTimeSent')) return undefined
    const submitted = childOf(item.extended.get(submitTime), 'Value')?.text
    return textElement('t:DateTimeSent', submitted ?? isoSeconds(item.createdAt))
  },
  LastModifiedTime: ({ item }) => textElement('t:LastModifiedTime', isoSeconds(item.modifiedAt)),
  LastModifiedName: ({ mailbox }) => textElement('t:LastModifiedName', mailbox.name),
  Size: ({ item }) => textElement('t:Size', sizeOf(item)),
  HasAttachments: ({ item }) =>
    textElement(
      't:HasAttachments',
      item.attachments.some(file => !file.isInline),
    ),
  Attachments: ({ item }) => {
    if (item.attachments.length === 0) return ''
    const files = item.attachments.map(({ id, name, type, isInline, content }) =>
      element(
        't:FileAttachment',
        {},
        element('t:AttachmentId', { Id: id }),
        textElement('t:Name', name),
        textElement('t:ContentType', type),
        textElement('t:Size', content.length),
        textElement('t:LastModifiedTime', isoSeconds(item.modifiedAt)),
        textElement('t:IsInline', isInline),
      ),
    )
    return element('t:Attachments', {}, ...files)
  },
  UID: ({ item }) => (item.fields.has('UID') ? undefined : textElement('t:UID', uidOf(item))),
  Start: view => occurrenceTime(view, 'start', 'Start'),
  End: view => occurrenceTime(view, 'end', 'End'),
  OriginalStart: ({ item, instance }) =>
    instance === undefined ? '' : textElement('t:OriginalStart', isoSeconds(occurrence(item, instance).originalStart)),
  RecurrenceId: ({ item, instance }) =>
    instance === undefined ? '' : textElement('t:RecurrenceId', isoSeconds(occurrence(item, instance).originalStart)),
  IsRecurring: ({ item, instance }) =>
    textElement(
      't:IsRecurring',
      item.itemClass === 'CalendarItem' ? instance !== undefined : item.fields.has('Recurrence'),
    ),
  IsMeeting: ({ item }) => textElement('t:IsMeeting', attendeesOf(item) > 0),
  CalendarItemType: ({ item, instance }) => {
    const type =
      instance !== undefined
        ? item.exceptions.has(instance)
          ? 'Exception'
          : 'Occurrence'
        : recurrenceOf(item)
          ? 'RecurringMaster'
          : 'Single'
    return textElement('t:CalendarItemType', type)
  },
  MyResponseType: ({ item }) =>
    item.fields.has('MyResponseType')
      ? undefined
      : textElement('t:MyResponseType', attendeesOf(item) > 0 ? 'Organizer' : 'Unknown'),
  Organizer: ({ mailbox, item }) =>
    item.fields.has('Organizer')
      ? undefined
      : element(
          't:Organizer',
          {},
          element(
            't:Mailbox',
            {},
            textElement('t:Name', mailbox.name),
            textElement('t:EmailAddress', mailbox.address),
            textElement('t:RoutingType', 'SMTP'),
          ),
        ),
  Recurrence: ({ instance }) => (instance === undefined ? undefined : ''),
  FirstOccurrence: view => edge(view, 'FirstOccurrence', 0),
  LastOccurrence: view => edge(view, 'LastOccurrence', -1),
  ModifiedOccurrences: ({ item, instance }) => {
    if (instance !== undefined || item.exceptions.size === 0) return ''
    const rows = occurrencesOf(item).filter(each => each.isException)
    const infos = rows.map(each => occurrenceInfo('t:Occurrence', item, each))
    return infos.length === 0 ? '' : element('t:ModifiedOccurrences', {}, ...infos)
  },
  DeletedOccurrences: ({ item, instance }) => {
    if (instance !== undefined || item.deletedOccurrences.size === 0) return ''
    const all = occurrencesOf({ ...item, deletedOccurrences: new Set() })
    const rows = all.filter(each => item.deletedOccurrences.has(each.instance))
    const infos = rows.map(each =>
      element('t:DeletedOccurrence', {}, textElement('t:Start', isoSeconds(each.originalStart))),
    )
    return element('t:DeletedOccurrences', {}, ...infos)
  },
  StartTimeZone: ({ item }) => zone(item, 'StartTimeZone'),
  EndTimeZone: ({ item }) => zone(item, 'EndTimeZone'),
  IsComplete: ({ item }) => textElement('t:IsComplete', item.fields.get('Status')?.text === 'Completed'),
}

function zone(item: TwinItem, name: string): string {
  const id = item.fields.get(name)?.attributes.get('Id') ?? 'UTC'
  return item.itemClass === 'CalendarItem' ? element(`t:${name}`, { Id: id, Name: id }) : ''
}

function occurrenceTime({ item, instance }: View, which: 'start' | 'end', name: string): string | undefined {
  if (instance !== undefined) return textElement(`t:${name}`, isoSeconds(occurrence(item, instance)[which]))
  const at = timeOf(item.fields.get(name))
  return Number.isNaN(at) ? undefined : textElement(`t:${name}`, isoSeconds(at))
}

function edge({ item, instance }: View, name: string, index: number): string {
  const found = instance === undefined && recurrenceOf(item) ? occurrencesOf(item).at(index) : undefined
  return found ? occurrenceInfo(`t:${name}`, item, found) : ''
}

function occurrenceInfo(
  name: string,
  item: TwinItem,
  { instance, start, end, originalStart }: ReturnType<typeof occurrence>,
): string {
  return element(
    name,
    {},
    element('t:ItemId', { Id: occurrenceId(item.id, instance), ChangeKey: changeKey(item.version) }),
    textElement('t:Start', isoSeconds(start)),
    textElement('t:End', isoSeconds(end)),
    textElement('t:OriginalStart', isoSeconds(originalStart)),
  )
}

function attendeesOf({ fields }: TwinItem): number {
  return ['RequiredAttendees', 'OptionalAttendees', 'Resources'].reduce(
    (sum, name) => sum + (fields.get(name)?.children.length ?? 0),
    0,
  )
}

/** Exchange gives each calendar item a global object id and shows it in hexadecimal. */
export function uidOf(item: TwinItem): string {
  const given = item.fields.get('UID')?.text
  if (given !== undefined && given !== '') return given
  const unique = createHash('sha256').update(item.id).digest('hex').slice(0, 32)
  return `040000008200E00074C5B7101A82E008${'0'.repeat(40)}10000000${unique.toUpperCase()}`
}

function showExtended(item: TwinItem, uri: XmlElement): string {
  const stored = item.extended.get(extendedKey(uri))
  if (stored) return writeElement(stored)
  const value = extendedValue(item, uri)
  return value === undefined ? '' : element('t:ExtendedProperty', {}, writeElement(uri), textElement('t:Value', value))
}

export function extendedValue(item: TwinItem, uri: XmlElement): string | undefined {
  return propertyValue(item, extendedKey(uri), uidOf(item))
}
