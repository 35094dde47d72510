import { childOf, textOf, type XmlElement } from '../xml/xml-element.ts'
import {
  type ExtendedProperty,
  type FieldChange,
  type FieldPath,
  type ItemClass,
  writeExtendedUri,
  writeItem,
  writePath,
} from './fields.ts'
import { type FolderRef, writeFolderRef } from './folders.ts'
import { element, textElement } from './write-xml.ts'

/** An item by its id, or an occurrence of a series by its number (from 1, deleted ones counted). */
export type ItemRef =
  | { readonly id: string; readonly changeKey?: string | undefined }
  | { readonly masterId: string; readonly changeKey?: string | undefined; readonly instance: number }

/** An item that Exchange holds. */
export interface StoredRef {
  readonly id: string
  readonly changeKey: string
  readonly element: XmlElement
}

/** Whether others hear of a change: `SendToNone` keeps edits made for the CRM out of their mailboxes. */
export type Invitations = 'SendToNone' | 'SendOnlyToAll' | 'SendToAllAndSaveCopy'

export interface ItemShape {
  readonly itemClass: ItemClass
  readonly fields: readonly FieldPath[]
  readonly mime?: boolean
  readonly bodyType?: 'Text' | 'HTML' | 'Best'
}

export interface ItemUpdate {
  readonly ref: ItemRef
  readonly itemClass: ItemClass
  readonly changes: readonly FieldChange[]
}

export type SearchTerm = {
  readonly value: string
} & ({ readonly uri: string } | { readonly property: ExtendedProperty } | { readonly globalObjectId: true })

export function writeItemRef(ref: ItemRef): string {
  return 'id' in ref
    ? element('t:ItemId', { Id: ref.id, ChangeKey: ref.changeKey })
    : element('t:OccurrenceItemId', {
        RecurringMasterId: ref.masterId,
        ChangeKey: ref.changeKey,
        InstanceIndex: ref.instance,
      })
}

export function writeSyncFolderItems(folder: FolderRef, state: string | undefined, changesMax: number): string {
  return element(
    'm:SyncFolderItems',
    {},
    element('m:ItemShape', {}, textElement('t:BaseShape', 'IdOnly')),
    element('m:SyncFolderId', {}, writeFolderRef(folder)),
    // Left out on the first call: an empty one is an invalid one.
    state === undefined ? '' : textElement('m:SyncState', state),
    textElement('m:MaxChangesReturned', changesMax),
    textElement('m:SyncScope', 'NormalItems'),
  )
}

export function writeGetItem(refs: readonly ItemRef[], shape: ItemShape): string {
  return element('m:GetItem', {}, writeShape(shape), element('m:ItemIds', {}, ...refs.map(writeItemRef)))
}

function writeShape({ itemClass, fields, mime, bodyType }: ItemShape): string {
  const paths = fields.map(path => writePath(itemClass, path))
  return element(
    'm:ItemShape',
    {},
    textElement('t:BaseShape', 'IdOnly'),
    mime === undefined ? '' : textElement('t:IncludeMimeContent', mime),
    bodyType === undefined ? '' : textElement('t:BodyType', bodyType),
    paths.length === 0 ? '' : element('t:AdditionalProperties', {}, ...paths),
  )
}

/** Items of a folder that have one of the values. */
export function writeFindItem(folder: FolderRef, shape: ItemShape, terms: readonly SearchTerm[], max: number): string {
  const tests = terms.map(term =>
    element(
      't:IsEqualTo',
      {},
      'uri' in term
        ? element('t:FieldURI', { FieldURI: term.uri })
        : 'property' in term
          ? writeExtendedUri(term.property)
          : globalObjectUri(),
      element('t:FieldURIOrConstant', {}, element('t:Constant', { Value: term.value })),
    ),
  )
  return element(
    'm:FindItem',
    { Traversal: 'Shallow' },
    writeShape(shape),
    element('m:IndexedPageItemView', { MaxEntriesReturned: max, Offset: 0, BasePoint: 'Beginning' }),
    element('m:Restriction', {}, tests.length === 1 ? (tests[0] ?? '') : element('t:Or', {}, ...tests)),
    element('m:ParentFolderIds', {}, writeFolderRef(folder)),
  )
}

/** The property by which meetings are found in every mailbox: calendar:UID itself cannot be searched. */
export function globalObjectUri(): string {
  return element('t:ExtendedFieldURI', {
    DistinguishedPropertySetId: 'Meeting',
    PropertyId: 35,
    PropertyType: 'Binary',
  })
}

export interface NewItem {
  readonly itemClass: ItemClass
  readonly parts: readonly FieldChange[]
}

export function writeCreateItem(folder: FolderRef, items: readonly NewItem[], invitations: Invitations): string {
  const isCalendar = items.some(item => item.itemClass === 'CalendarItem')
  return element(
    'm:CreateItem',
    isCalendar ? { SendMeetingInvitations: invitations } : { MessageDisposition: 'SaveOnly' },
    element('m:SavedItemFolderId', {}, writeFolderRef(folder)),
    element('m:Items', {}, ...items.map(item => writeItem(item.itemClass, item.parts))),
  )
}

export function writeUpdateItem(updates: readonly ItemUpdate[], invitations: Invitations): string {
  const changes = updates.map(({ ref, itemClass, changes: fields }) => {
    const updates = fields.map(change =>
      change.xml === undefined
        ? element('t:DeleteItemField', {}, writePath(itemClass, change))
        : element('t:SetItemField', {}, writePath(itemClass, change), writeItem(itemClass, [change])),
    )
    return element('t:ItemChange', {}, writeItemRef(ref), element('t:Updates', {}, ...updates))
  })
  const isCalendar = updates.some(update => update.itemClass === 'CalendarItem')
  return element(
    'm:UpdateItem',
    {
      MessageDisposition: 'SaveOnly',
      ConflictResolution: 'NeverOverwrite',
      SendMeetingInvitationsOrCancellations: isCalendar ? invitations : undefined,
    },
    element('m:ItemChanges', {}, ...changes),
  )
}

export function writeDeleteItem(refs: readonly ItemRef[], cancellations: Invitations): string {
  const how = {
    DeleteType: 'MoveToDeletedItems',
    SendMeetingCancellations: cancellations,
    AffectedTaskOccurrences: 'AllOccurrences',
  }
  return element('m:DeleteItem', how, element('m:ItemIds', {}, ...refs.map(writeItemRef)))
}

export type SyncChange =
  | {
      readonly kind: 'create' | 'update'
      readonly id: string
      readonly changeKey: string
      /** Name of its element: `CalendarItem`, `MeetingRequest`, `DistributionList`, … */
      readonly itemClass: string
    }
  | { readonly kind: 'delete'; readonly id: string }
  | { readonly kind: 'read-flag'; readonly id: string }

export interface SyncPage {
  readonly state: string
  readonly isLast: boolean
  readonly changes: readonly SyncChange[]
}

/** A page of changes; undefined when the answer lacks what makes it one. */
export function readSyncPage(message: XmlElement): SyncPage | undefined {
  const state = textOf(message, 'SyncState')
  if (state === undefined) return undefined
  const changes: SyncChange[] = []
  for (const change of childOf(message, 'Changes')?.children ?? []) {
    const kind = syncKinds[change.name]
    if (kind === undefined) continue
    const holder = kind === 'create' || kind === 'update' ? change.children[0] : change
    const ref = refOf(holder)
    if (!ref) return undefined
    if (kind === 'create' || kind === 'update') changes.push({ kind, ...ref, itemClass: holder?.name ?? '' })
    else changes.push({ kind, id: ref.id })
  }
  return { state, isLast: textOf(message, 'IncludesLastItemInRange') !== 'false', changes }
}

const syncKinds: Readonly<Record<string, SyncChange['kind']>> = {
  Create: 'create',
  Update: 'update',
  Delete: 'delete',
  ReadFlagChange: 'read-flag',
}

/** Id and ChangeKey of an item of an answer. */
export function refOf(item: XmlElement | undefined): { readonly id: string; readonly changeKey: string } | undefined {
  const attributes = childOf(item, 'ItemId')?.attributes
  const id = attributes?.get('Id')
  return id === undefined ? undefined : { id, changeKey: attributes?.get('ChangeKey') ?? '' }
}

/** The items of a row of an answer. */
export function itemsIn(message: XmlElement): readonly XmlElement[] {
  return childOf(message, 'Items')?.children ?? []
}
