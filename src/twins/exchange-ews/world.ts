import type { ItemClass } from '../../protocols/ews/fields.ts'
import type { XmlElement } from '../../protocols/xml/xml-element.ts'
import { EwsError } from './soap.ts'

export interface TwinAttachment {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly isInline: boolean
  readonly content: Buffer
}

/** What an exception of a series overrides, by the number of the occurrence. */
export type Exceptions = Map<number, Map<string, XmlElement>>

export interface TwinItem {
  readonly id: string
  readonly itemClass: ItemClass
  folderId: string
  /** Elements as they were written, by name; own properties by what names them. */
  readonly fields: Map<string, XmlElement>
  readonly extended: Map<string, XmlElement>
  attachments: TwinAttachment[]
  mime: string | undefined
  readonly exceptions: Exceptions
  readonly deletedOccurrences: Set<number>
  version: number
  createdAt: number
  modifiedAt: number
  /** Numbers in the log of the mailbox: when it came to its folder, was changed, was only read or unread. */
  createdSeq: number
  changedSeq: number
  readSeq: number
}

export interface TwinFolder {
  readonly id: string
  readonly known: string | undefined
  readonly name: string
  readonly parentId: string
  readonly folderClass: string
  readonly gone: { readonly id: string; readonly seq: number; readonly createdSeq: number; readonly version: number }[]
}

/** What a mailbox tells to those who subscribed. */
export interface MailboxEvent {
  readonly kind: 'Created' | 'Modified' | 'Deleted' | 'NewMail' | 'Moved'
  readonly item: TwinItem
  readonly folderId: string
}

const usual: readonly (readonly [known: string, name: string, folderClass: string, parent: string])[] = [
  ['msgfolderroot', 'Top of Information Store', 'IPF', 'root'],
  ['inbox', 'Inbox', 'IPF.Note', 'msgfolderroot'],
  ['drafts', 'Drafts', 'IPF.Note', 'msgfolderroot'],
  ['sentitems', 'Sent Items', 'IPF.Note', 'msgfolderroot'],
  ['outbox', 'Outbox', 'IPF.Note', 'msgfolderroot'],
  ['deleteditems', 'Deleted Items', 'IPF.Note', 'msgfolderroot'],
  ['junkemail', 'Junk Email', 'IPF.Note', 'msgfolderroot'],
  ['calendar', 'Calendar', 'IPF.Appointment', 'msgfolderroot'],
  ['contacts', 'Contacts', 'IPF.Contact', 'msgfolderroot'],
  ['tasks', 'Tasks', 'IPF.Task', 'msgfolderroot'],
]

/** How many items a mailbox of the twin holds. */
const itemsMax = 50_000

/** A mailbox: folders, items, and a log of changes from which SyncFolderItems and notifications are told. */
export class TwinMailbox {
  readonly address: string
  readonly name: string
  readonly aliases: readonly string[]
  readonly folders = new Map<string, TwinFolder>()
  readonly items = new Map<string, TwinItem>()
  readonly listeners = new Set<(event: MailboxEvent) => void>()
  /** Sync states of another one are lost. */
  generation = 1
  #seq = 0
  #counter = 0
  readonly #now: () => number

  constructor(address: string, name: string, aliases: readonly string[], now: () => number) {
    this.address = address
    this.name = name
    this.aliases = aliases
    this.#now = now
    const root = this.#newId('F')
    this.folders.set(root, { id: root, known: 'root', name: 'Root', parentId: root, folderClass: 'IPF', gone: [] })
    for (const [known, folderName, folderClass, parent] of usual) {
      this.addFolder(folderName, this.folder(parent).id, folderClass, known)
    }
  }

  get now(): number {
    return this.#now()
  }

  get seq(): number {
    return this.#seq
  }

  addFolder(name: string, parentId: string, folderClass: string, known?: string): TwinFolder {
    const folder: TwinFolder = { id: this.#newId('F'), known, name, parentId, folderClass, gone: [] }
    this.folders.set(folder.id, folder)
    return folder
  }

  removeFolder(id: string): void {
    for (const item of this.itemsOf(id)) this.items.delete(item.id)
    this.folders.delete(id)
  }

  /** A folder by id or well-known name. */
  folder(ref: string): TwinFolder {
    const folder = this.folders.get(ref) ?? [...this.folders.values()].find(each => each.known === ref)
    if (!folder) throw new EwsError('ErrorFolderNotFound', 'The specified folder could not be found in the store.')
    return folder
  }

  itemsOf(folderId: string): TwinItem[] {
    return [...this.items.values()].filter(item => item.folderId === folderId)
  }

  item(id: string): TwinItem {
    const item = this.items.get(id)
    if (!item) throw new EwsError('ErrorItemNotFound', 'The specified object was not found in the store.')
    return item
  }

  add(itemClass: ItemClass, folderId: string, fill: (item: TwinItem) => void): TwinItem {
    if (this.items.size >= itemsMax) throw new EwsError('ErrorQuotaExceeded', 'The mailbox quota has been exceeded.')
    const now = this.#now()
    const item: TwinItem = {
      id: this.#newId('I'),
      itemClass,
      folderId,
      fields: new Map(),
      extended: new Map(),
      attachments: [],
      mime: undefined,
      exceptions: new Map(),
      deletedOccurrences: new Set(),
      version: 1,
      createdAt: now,
      modifiedAt: now,
      createdSeq: 0,
      changedSeq: 0,
      readSeq: 0,
    }
    fill(item)
    this.items.set(item.id, item)
    this.#seq += 1
    item.createdSeq = this.#seq
    item.changedSeq = this.#seq
    this.#tell({ kind: 'Created', item, folderId })
    return item
  }

  touched(item: TwinItem, onlyRead = false): void {
    this.#seq += 1
    item.version += 1
    item.modifiedAt = this.#now()
    if (onlyRead) item.readSeq = this.#seq
    else item.changedSeq = this.#seq
    this.#tell({ kind: 'Modified', item, folderId: item.folderId })
  }

  /** Away for good, or to another folder, where it is new. */
  remove(item: TwinItem, to?: string): void {
    this.#seq += 1
    const from = this.folders.get(item.folderId)
    const { id, createdSeq, version } = item
    from?.gone.push({ id, createdSeq, version, seq: this.#seq })
    const folderId = item.folderId
    this.items.delete(item.id)
    if (to === undefined) {
      this.#tell({ kind: 'Deleted', item, folderId })
      return
    }
    // An item that is moved has another id (EWS ids name the folder too).
    const moved: TwinItem = {
      ...item,
      id: this.#newId('I'),
      folderId: to,
      createdSeq: this.#seq,
      changedSeq: this.#seq,
    }
    this.items.set(moved.id, moved)
    this.#tell({ kind: 'Moved', item: moved, folderId })
  }

  newAttachmentId(): string {
    return this.#newId('A')
  }

  /** Changes of a folder after a number of the log, in their order. */
  changesSince(folder: TwinFolder, seq: number): readonly FolderChange[] {
    const changes: FolderChange[] = []
    for (const item of this.itemsOf(folder.id)) {
      const last = Math.max(item.changedSeq, item.readSeq)
      if (last <= seq) continue
      const kind = item.createdSeq > seq ? 'Create' : item.changedSeq > seq ? 'Update' : 'ReadFlagChange'
      changes.push({ kind, seq: last, id: item.id, version: item.version, item })
    }
    for (const { id, seq: at, createdSeq, version } of folder.gone) {
      if (at > seq && createdSeq <= seq) changes.push({ kind: 'Delete', seq: at, id, version, item: undefined })
    }
    return changes.toSorted((one, other) => one.seq - other.seq)
  }

  #newId(letter: string): string {
    this.#counter += 1
    const text = `${letter}|${this.address}|${this.#counter}`
    return `AAMk${Buffer.from(text).toString('base64')}`
  }

  #tell(event: MailboxEvent): void {
    for (const listener of this.listeners) listener(event)
  }
}

export interface FolderChange {
  readonly kind: 'Create' | 'Update' | 'Delete' | 'ReadFlagChange'
  readonly seq: number
  readonly id: string
  readonly version: number
  readonly item: TwinItem | undefined
}

export function changeKey(version: number): string {
  return `DwAAAB${Buffer.from(`v${version}`).toString('base64')}`
}
