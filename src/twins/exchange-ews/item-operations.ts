import { element, textElement } from '../../protocols/ews/write-xml.ts'
import { childOf, textOf, type XmlElement } from '../../protocols/xml/xml-element.ts'
import { changeItem, classOf, fillItem, readAttachment, settleTask } from './item-parts.ts'
import { respondToMeeting, tellAttendees } from './meetings.ts'
import { occurrence, occurrenceId, originalStartOf, readOccurrenceId } from './series.ts'
import type { Session } from './session.ts'
import { readShape, showItem } from './show-item.ts'
import { EwsError, errorRow, fault, invalid, needed, response, row } from './soap.ts'
import { changeKey, type TwinItem } from './world.ts'

/** An item of a request: itself, or the occurrence of a series. */
interface Found {
  readonly item: TwinItem
  readonly instance: number | undefined
  readonly changeKey: string | undefined
}

function find({ mailbox }: Session, ref: XmlElement): Found {
  const given = ref.attributes.get('ChangeKey')
  if (ref.name === 'OccurrenceItemId') {
    const item = mailbox.item(ref.attributes.get('RecurringMasterId') ?? '')
    return { item, instance: Number(ref.attributes.get('InstanceIndex')), changeKey: given }
  }
  if (ref.name === 'RecurringMasterItemId') {
    const part = readOccurrenceId(ref.attributes.get('OccurrenceId') ?? '')
    return { item: mailbox.item(part?.masterId ?? ''), instance: undefined, changeKey: given }
  }
  const id = ref.attributes.get('Id') ?? ''
  const part = readOccurrenceId(id)
  if (part) return { item: mailbox.item(part.masterId), instance: part.instance, changeKey: given }
  if (!/^[A-Za-z0-9+/=]+$/.test(id)) throw new EwsError('ErrorInvalidIdMalformed', 'Id is malformed.')
  return { item: mailbox.item(id), instance: undefined, changeKey: given }
}

/** Runs each part of a request on its own; what concerns all of it becomes a fault. */
export function eachRow(
  operation: string,
  session: Session,
  parts: readonly XmlElement[],
  run: (part: XmlElement) => string,
) {
  const stopAfter = session.takeBatchStop()
  const rows = parts.map((part, index) => {
    try {
      if (stopAfter !== undefined && index >= stopAfter) {
        throw new EwsError('ErrorBatchProcessingStopped', 'Batch processing was stopped.')
      }
      const failure = session.takeRowFailure()
      if (failure) throw failure
      return row(operation, run(part))
    } catch (thrown) {
      if (thrown instanceof EwsError && !thrown.isFault) return errorRow(operation, thrown)
      throw thrown
    }
  })
  return response(operation, rows)
}

export function getItem(session: Session, request: XmlElement): string {
  const shape = readShape(request, session.illegalReferences)
  return eachRow('GetItem', session, needed(request, 'ItemIds').children, ref => {
    const { item, instance } = find(session, ref)
    if (instance !== undefined) occurrence(item, instance)
    return element('m:Items', {}, showItem(session.mailbox, item, shape, instance))
  })
}

export function createItem(session: Session, request: XmlElement): string {
  const { mailbox } = session
  const saved = childOf(request, 'SavedItemFolderId')?.children[0]
  return eachRow('CreateItem', session, needed(request, 'Items').children, given => {
    if (/^(AcceptItem|DeclineItem|TentativelyAcceptItem)$/.test(given.name)) return respondToMeeting(session, given)
    const itemClass = classOf(given)
    const invitations = request.attributes.get('SendMeetingInvitations')
    if (itemClass === 'CalendarItem' && invitations === undefined) {
      throw fault('ErrorSendMeetingInvitationsRequired', 'SendMeetingInvitations attribute is required.')
    }
    if (itemClass === 'Message' && request.attributes.get('MessageDisposition') === undefined) {
      throw fault('ErrorMessageDispositionRequired', 'Message disposition is required.')
    }
    const usual = { Message: 'drafts', CalendarItem: 'calendar', Contact: 'contacts', Task: 'tasks' }[itemClass]
    const folder = saved ? session.folder(saved) : mailbox.folder(usual)
    if (folder.folderClass === 'IPF.Appointment' && itemClass !== 'CalendarItem') {
      throw new EwsError('ErrorCannotCreateCalendarItemInNonCalendarFolder', 'Item and folder do not fit.')
    }
    const item = mailbox.add(itemClass, folder.id, fresh => {
      fillItem(mailbox, fresh, given)
      settleTask(fresh, mailbox.now)
      checkWhole(fresh)
    })
    if (itemClass === 'CalendarItem') tellAttendees(session, item, invitations)
    return element('m:Items', {}, idOf(item))
  })
}

function checkWhole({ itemClass, fields }: TwinItem): void {
  if (itemClass !== 'CalendarItem') return
  const [start, end] = [fields.get('Start')?.text ?? '', fields.get('End')?.text ?? '']
  if (start === '' || end === '') return
  if (Date.parse(end) < Date.parse(start)) {
    throw new EwsError('ErrorCalendarEndDateIsEarlierThanStartDate', 'EndDate is earlier than StartDate')
  }
}

function idOf(item: TwinItem, instance?: number): string {
  const id = instance === undefined ? item.id : occurrenceId(item.id, instance)
  return element(`t:${item.itemClass}`, {}, element('t:ItemId', { Id: id, ChangeKey: changeKey(item.version) }))
}

export function updateItem(session: Session, request: XmlElement): string {
  const { mailbox } = session
  const resolution = request.attributes.get('ConflictResolution')
  const invitations = request.attributes.get('SendMeetingInvitationsOrCancellations')
  return eachRow('UpdateItem', session, needed(request, 'ItemChanges').children, change => {
    const [ref] = change.children
    if (!ref) throw invalid("The element 'ItemChange' has incomplete content.")
    const { item, instance, changeKey: given } = find(session, ref)
    if (item.itemClass === 'CalendarItem' && invitations === undefined) {
      throw fault(
        'ErrorSendMeetingInvitationsOrCancellationsRequired',
        'SendMeetingInvitationsOrCancellations attribute is required.',
      )
    }
    if (item.itemClass === 'Message' && request.attributes.get('MessageDisposition') === undefined) {
      throw fault('ErrorMessageDispositionRequired', 'Message disposition is required.')
    }
    if (resolution !== 'AlwaysOverwrite' && given === undefined && instance === undefined) {
      throw new EwsError('ErrorChangeKeyRequired', 'The change key is required for this operation.')
    }
    if (resolution === 'NeverOverwrite' && given !== undefined && given !== changeKey(item.version)) {
      throw new EwsError(
        'ErrorIrresolvableConflict',
        'The send or update operation could not be performed because the change key passed in the request does not match the current change key for the item.',
      )
    }
    const updates = needed(change, 'Updates').children
    // All or nothing: a change that is refused leaves the item as it was.
    const copy = copyOf(item)
    try {
      if (instance === undefined) for (const update of updates) changeItem(mailbox, item, update)
      else changeOccurrence(session, item, instance, updates)
      settleTask(item, mailbox.now)
      checkWhole(item)
    } catch (thrown) {
      restore(item, copy)
      throw thrown
    }
    const onlyRead = updates.every(update => update.children[0]?.attributes.get('FieldURI') === 'message:IsRead')
    mailbox.touched(item, onlyRead)
    if (item.itemClass === 'CalendarItem') tellAttendees(session, item, invitations)
    return `${element('m:Items', {}, idOf(item, instance))}${element('m:ConflictResults', {}, textElement('t:Count', 0))}`
  })
}

function changeOccurrence(session: Session, item: TwinItem, instance: number, updates: readonly XmlElement[]): void {
  occurrence(item, instance)
  const own = item.exceptions.get(instance) ?? new Map<string, XmlElement>()
  const view: TwinItem = { ...item, fields: new Map(own), exceptions: new Map(), deletedOccurrences: new Set() }
  for (const update of updates) changeItem(session.mailbox, view, update)
  checkWhole(view)
  item.exceptions.set(instance, view.fields)
}

function copyOf(item: TwinItem) {
  const { fields, extended, exceptions, deletedOccurrences, attachments, mime } = item
  return {
    fields: new Map(fields),
    extended: new Map(extended),
    exceptions: new Map(exceptions),
    deleted: new Set(deletedOccurrences),
    attachments,
    mime,
  }
}

function restore(item: TwinItem, copy: ReturnType<typeof copyOf>): void {
  const refill = <K, V>(target: Map<K, V>, source: ReadonlyMap<K, V>) => {
    target.clear()
    for (const [key, value] of source) target.set(key, value)
  }
  refill(item.fields, copy.fields)
  refill(item.extended, copy.extended)
  refill(item.exceptions, copy.exceptions)
  item.deletedOccurrences.clear()
  for (const instance of copy.deleted) item.deletedOccurrences.add(instance)
  item.attachments = copy.attachments
  item.mime = copy.mime
}

export function deleteItem(session: Session, request: XmlElement): string {
  const { mailbox } = session
  const type = request.attributes.get('DeleteType')
  if (!/^(MoveToDeletedItems|SoftDelete|HardDelete)$/.test(type ?? '')) throw invalid('DeleteType is required.')
  return eachRow('DeleteItem', session, needed(request, 'ItemIds').children, ref => {
    const { item, instance, changeKey: given } = find(session, ref)
    if (item.itemClass === 'CalendarItem' && request.attributes.get('SendMeetingCancellations') === undefined) {
      throw fault('ErrorSendMeetingCancellationsRequired', 'SendMeetingCancellations attribute is required.')
    }
    if (item.itemClass === 'Task' && request.attributes.get('AffectedTaskOccurrences') === undefined) {
      throw fault('ErrorAffectedTaskOccurrencesRequired', 'AffectedTaskOccurrences attribute is required.')
    }
    if (given !== undefined && given !== changeKey(item.version)) {
      throw new EwsError('ErrorStaleObject', 'The change key is stale.')
    }
    if (instance !== undefined) {
      originalStartOf(item, instance)
      occurrence(item, instance)
      item.exceptions.delete(instance)
      item.deletedOccurrences.add(instance)
      mailbox.touched(item)
    } else {
      const bin = mailbox.folder('deleteditems')
      mailbox.remove(item, type === 'MoveToDeletedItems' && item.folderId !== bin.id ? bin.id : undefined)
    }
    return ''
  })
}

export function createAttachment(session: Session, request: XmlElement): string {
  const { mailbox } = session
  const item = mailbox.item(needed(request, 'ParentItemId').attributes.get('Id') ?? '')
  return eachRow('CreateAttachment', session, needed(request, 'Attachments').children, given => {
    const attachment = readAttachment(mailbox, given)
    item.attachments = [...item.attachments, attachment]
    mailbox.touched(item)
    const id = element('t:AttachmentId', {
      Id: attachment.id,
      RootItemId: item.id,
      RootItemChangeKey: changeKey(item.version),
    })
    return element('m:Attachments', {}, element('t:FileAttachment', {}, id))
  })
}

function attachmentOf(session: Session, id: string) {
  for (const item of session.mailbox.items.values()) {
    const attachment = item.attachments.find(each => each.id === id)
    if (attachment) return { item, attachment }
  }
  throw new EwsError('ErrorItemNotFound', 'The specified object was not found in the store.')
}

export function getAttachment(session: Session, request: XmlElement): string {
  return eachRow('GetAttachment', session, needed(request, 'AttachmentIds').children, ref => {
    const { attachment } = attachmentOf(session, ref.attributes.get('Id') ?? '')
    const { id, name, type, isInline, content } = attachment
    return element(
      'm:Attachments',
      {},
      element(
        't:FileAttachment',
        {},
        element('t:AttachmentId', { Id: id }),
        textElement('t:Name', name),
        textElement('t:ContentType', type),
        textElement('t:IsInline', isInline),
        textElement('t:Content', content.toString('base64')),
      ),
    )
  })
}

export function deleteAttachment(session: Session, request: XmlElement): string {
  const { mailbox } = session
  return eachRow('DeleteAttachment', session, needed(request, 'AttachmentIds').children, ref => {
    const { item, attachment } = attachmentOf(session, ref.attributes.get('Id') ?? '')
    item.attachments = item.attachments.filter(each => each !== attachment)
    mailbox.touched(item)
    return element('m:RootItemId', { RootItemId: item.id, RootItemChangeKey: changeKey(item.version) })
  })
}

/** The text of a child that must be a number within limits. */
export function numberIn(parent: XmlElement, name: string, min: number, max: number): number {
  const value = Number(textOf(parent, name) ?? Number.NaN)
  if (!Number.isInteger(value) || value < min || value > max) throw invalid(`The value of '${name}' is invalid.`)
  return value
}
