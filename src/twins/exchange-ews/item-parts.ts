import { fieldsOf, type ItemClass, itemClasses, placeOfField } from '../../protocols/ews/fields.ts'
import { childOf, textOf, type XmlElement } from '../../protocols/xml/xml-element.ts'
import { fillFromMime, textPart } from './mime-content.ts'
import { isoSeconds } from './series.ts'
import { EwsError, invalid } from './soap.ts'
import type { TwinItem, TwinMailbox } from './world.ts'

/** What only the server sets. */
const computed: ReadonlySet<string> = new Set(
  'ItemId ParentFolderId Size DateTimeCreated LastModifiedTime LastModifiedName HasAttachments IsMeeting CalendarItemType IsRecurring DateTimeSent DateTimeReceived IsFromMe IsDraft IsCancelled Organizer MyResponseType ModifiedOccurrences DeletedOccurrences FirstOccurrence LastOccurrence RecurrenceId IsComplete'.split(
    ' ',
  ),
)

/** The class of an element of a request; the fault of the schema for one that is not synced here. */
export function classOf({ name }: XmlElement): ItemClass {
  const known = itemClasses.find(each => each === name)
  if (known) return known
  // A plain item is a message to Exchange.
  if (name === 'Item') return 'Message'
  throw invalid(`The element '${name}' is not expected here.`)
}

/** Takes the parts of an element of a request into an item, in the order in which the schema wants them. */
export function fillItem(mailbox: TwinMailbox, item: TwinItem, given: XmlElement, asServer = false): void {
  let last = -1
  for (const part of given.children) {
    const place = placeOfField(item.itemClass, part.name)
    if (place === undefined) throw invalid(`The element '${part.name}' is not expected in '${given.name}'.`)
    if (place < last || (place === last && part.name !== 'ExtendedProperty')) {
      const expected = fieldsOf(item.itemClass)
        .slice(last + 1, last + 6)
        .join(', ')
      throw invalid(`The element '${given.name}' has invalid child element '${part.name}'. Expected: '${expected}, …'.`)
    }
    last = place
    setPart(mailbox, item, part, asServer)
  }
}

/** Status, percentage and day of completion of a task go together: Exchange sets what was not said. */
export function settleTask(item: TwinItem, now: number): void {
  if (item.itemClass !== 'Task') return
  const status = item.fields.get('Status')?.text
  const percent = Number(item.fields.get('PercentComplete')?.text ?? 0)
  if (status === 'Completed' || percent === 100) {
    item.fields.set('Status', textPart('Status', 'Completed'))
    item.fields.set('PercentComplete', textPart('PercentComplete', '100'))
    if (!item.fields.has('CompleteDate')) item.fields.set('CompleteDate', textPart('CompleteDate', isoSeconds(now)))
    return
  }
  item.fields.delete('CompleteDate')
  if (percent > 0 && (status ?? 'NotStarted') === 'NotStarted') {
    item.fields.set('Status', textPart('Status', 'InProgress'))
  }
}

/** `asServer`: what came to the mailbox or happened in it, not what a client writes. */
export function setPart(mailbox: TwinMailbox, item: TwinItem, part: XmlElement, asServer = false): void {
  if (!asServer && computed.has(part.name)) {
    throw new EwsError('ErrorInvalidPropertySet', `Set action is invalid for property ${part.name}.`)
  }
  if (part.name === 'ExtendedProperty') {
    const uri = childOf(part, 'ExtendedFieldURI')
    if (!uri) throw invalid("The element 'ExtendedProperty' has no 'ExtendedFieldURI'.")
    item.extended.set(extendedKey(uri), part)
    return
  }
  if (part.name === 'Attachments') {
    item.attachments = [...item.attachments, ...part.children.map(each => readAttachment(mailbox, each))]
    return
  }
  if (part.name === 'MimeContent') {
    item.mime = part.text.replace(/\s+/g, '')
    fillFromMime(item)
    return
  }
  if (part.name === 'Sensitivity' && !/^(Normal|Personal|Private|Confidential)$/.test(part.text)) {
    throw invalid(`The value '${part.text}' is not one of SensitivityChoicesType.`)
  }
  item.fields.set(part.name, part)
}

export function readAttachment(mailbox: TwinMailbox, given: XmlElement) {
  if (given.name !== 'FileAttachment') {
    throw new EwsError('ErrorInvalidAttachmentId', 'The twin takes attachments that are files.')
  }
  return {
    id: mailbox.newAttachmentId(),
    name: childOf(given, 'Name')?.text ?? '',
    type: textOf(given, 'ContentType') ?? 'application/octet-stream',
    isInline: textOf(given, 'IsInline') === 'true',
    content: Buffer.from(childOf(given, 'Content')?.text ?? '', 'base64'),
  }
}

/** What names an own property, however it is written. */
export function extendedKey({ attributes }: XmlElement): string {
  const set = attributes.get('DistinguishedPropertySetId') ?? attributes.get('PropertySetId')?.toLowerCase() ?? ''
  const tag = attributes.get('PropertyTag')
  const name = attributes.get('PropertyName') ?? attributes.get('PropertyId')
  return tag === undefined ? `${set}|${name}` : `tag|${Number(tag)}`
}

/** One `t:SetItemField`, `t:AppendToItemField` or `t:DeleteItemField`. */
export function changeItem(mailbox: TwinMailbox, item: TwinItem, change: XmlElement): void {
  const [path, given] = change.children
  if (!path) throw invalid(`The element '${change.name}' has incomplete content.`)
  const isDelete = change.name === 'DeleteItemField'
  const part = given?.children[0]
  if (!isDelete && (!given || !part || given.children.length !== 1)) {
    throw new EwsError(
      'ErrorIncorrectUpdatePropertyCount',
      'An object within a change description must contain one and only one property to modify.',
    )
  }
  if (given && !isDelete && classOf(given) !== item.itemClass) {
    throw new EwsError('ErrorObjectTypeChanged', 'The object type changed.')
  }
  if (path.name === 'ExtendedFieldURI') {
    if (isDelete) item.extended.delete(extendedKey(path))
    else if (part) setPart(mailbox, item, part)
    return
  }
  const name = (path.attributes.get('FieldURI') ?? '').replace(/^\w+:/, '')
  if (path.name === 'IndexedFieldURI') {
    changeEntry(item, name, path.attributes.get('FieldIndex') ?? '', part)
    return
  }
  if (isDelete) {
    if (computed.has(name))
      throw new EwsError('ErrorInvalidPropertyDelete', `Delete action is not supported for ${name}.`)
    if (name === 'Start' || name === 'End')
      throw new EwsError('ErrorInvalidPropertyDelete', `${name} cannot be deleted.`)
    item.fields.delete(name)
    if (name === 'Recurrence') {
      item.exceptions.clear()
      item.deletedOccurrences.clear()
    }
    return
  }
  if (!part || part.name !== name) {
    throw new EwsError(
      'ErrorUpdatePropertyMismatch',
      `The property ${name} does not match the property in the object to update.`,
    )
  }
  const before = item.fields.get(name)
  if (change.name === 'AppendToItemField' && before) {
    item.fields.set(name, {
      ...before,
      text: before.text + part.text,
      children: [...before.children, ...part.children],
    })
    return
  }
  setPart(mailbox, item, part)
  // Another pattern is another series: what was said of its occurrences holds no more.
  if (name === 'Recurrence' || name === 'Start') {
    item.exceptions.clear()
    item.deletedOccurrences.clear()
  }
}

const lists: Readonly<Record<string, string>> = {
  EmailAddress: 'EmailAddresses',
  PhoneNumber: 'PhoneNumbers',
  ImAddress: 'ImAddresses',
}

/** `contacts:EmailAddress` with an index, or `contacts:PhysicalAddress:City`. */
function changeEntry(item: TwinItem, name: string, index: string, part: XmlElement | undefined): void {
  const [list = '', inner] = name.split(':')
  const listName = inner === undefined ? lists[list] : 'PhysicalAddresses'
  if (listName === undefined) throw invalid(`The index of ${name} is not known.`)
  const before = item.fields.get(listName)
  const template: XmlElement = before ?? {
    name: listName,
    namespace: part?.namespace ?? '',
    attributes: new Map(),
    children: [],
    text: '',
  }
  const old = template.children.find(entry => entry.attributes.get('Key') === index)
  const given = part?.children.find(entry => entry.attributes.get('Key') === index)
  if (part && !given) throw new EwsError('ErrorUpdatePropertyMismatch', `There is no entry ${index}.`)
  let entry = given
  if (inner !== undefined) {
    const rest = (old?.children ?? []).filter(child => child.name !== inner)
    const parts = [...rest, ...(given?.children ?? [])].toSorted(
      (a, b) => addressOrder.indexOf(a.name) - addressOrder.indexOf(b.name),
    )
    entry =
      parts.length === 0
        ? undefined
        : { ...(given ?? old ?? template), name: 'Entry', attributes: new Map([['Key', index]]), children: parts }
  }
  const others = template.children.filter(each => each.attributes.get('Key') !== index)
  const children = [...others, ...(entry ? [entry] : [])]
  if (children.length === 0) item.fields.delete(listName)
  else item.fields.set(listName, { ...template, children })
}

const addressOrder = ['Street', 'City', 'State', 'CountryOrRegion', 'PostalCode']
