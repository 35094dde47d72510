import { createHash, randomBytes } from 'node:crypto'
import type { Json } from '../../kernel/json.ts'
import type { Clock } from '../../kernel/time.ts'
import { refusals } from './graph-error.ts'
import { blank, type ItemType } from './shapes.ts'

export type Values = Record<string, Json>

/** One occurrence that differs from its series; undefined values are as in the series. */
export interface Override {
  isCancelled: boolean
  values: Values
}

export interface StoredItem {
  readonly type: ItemType
  /** Stays when the item moves; `entryId` does not. */
  readonly id: string
  entryId: string
  folder: string
  values: Values
  readonly extended: Map<string, string>
  readonly attachments: Map<string, StoredAttachment>
  /** Occurrences of a series by their original day in its zone. */
  readonly overrides: Map<string, Override>
  readonly createdAt: number
  readonly createdSeq: number
  modifiedAt: number
  seq: number
}

export interface StoredAttachment {
  readonly id: string
  readonly name: string
  readonly contentType: string
  readonly bytes: Buffer
  readonly isInline: boolean
  /** A mail within a mail: Graph names no type of it, and gives its MIME as `$value` only. */
  readonly isItem?: true
}

export interface Folder {
  readonly id: string
  readonly displayName: string
  readonly wellKnown: string | undefined
  readonly parent: string | undefined
  readonly holds: ItemType
}

export interface Removed {
  readonly id: string
  readonly type: ItemType
  readonly folder: string
  readonly seq: number
  readonly createdSeq: number
  /** The day of an occurrence that was deleted from its series. */
  readonly isOccurrence: boolean
}

const wellKnown: readonly (readonly [name: string, displayName: string, holds: ItemType])[] = [
  ['inbox', 'Inbox', 'message'],
  ['sentitems', 'Sent Items', 'message'],
  ['drafts', 'Drafts', 'message'],
  ['deleteditems', 'Deleted Items', 'message'],
  ['archive', 'Archive', 'message'],
  ['calendar', 'Calendar', 'event'],
  ['contacts', 'Contacts', 'contact'],
  ['tasks', 'Tasks', 'todoTask'],
]

/** A mailbox of the twin: folders, items, and in which order they changed. */
export class GraphMailbox {
  readonly address: string
  readonly userId: string
  /** False: the application may not open it. */
  inScope = true
  /** False: the user has no mailbox in the cloud. */
  isOnline = true
  readonly items = new Map<string, StoredItem>()
  readonly folders = new Map<string, Folder>()
  readonly removed: Removed[] = []
  seq = 0
  readonly #clock: Clock
  readonly #byEntry = new Map<string, string>()

  constructor(address: string, clock: Clock) {
    this.address = address.toLowerCase()
    this.#clock = clock
    const hash = createHash('sha256').update(this.address).digest('hex')
    this.userId = `${hash.slice(0, 8)}-${hash.slice(8, 12)}-4${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`
    for (const [name, displayName, holds] of wellKnown) this.addFolder(displayName, holds, undefined, name)
  }

  addFolder(displayName: string, holds: ItemType, parent?: string, known?: string): Folder {
    const folder = {
      id: `AQMkAD${randomBytes(18).toString('base64url')}=`,
      displayName,
      wellKnown: known,
      parent,
      holds,
    }
    this.folders.set(folder.id, folder)
    return folder
  }

  /** By id or well-known name. */
  folder(name: string, holds: ItemType): Folder {
    const lower = name.toLowerCase()
    const found = this.folders.get(name) ?? [...this.folders.values()].find(each => each.wellKnown === lower)
    if (!found || found.holds !== holds) throw refusals.noItem()
    return found
  }

  get(id: string, type: ItemType): StoredItem {
    if (!/^[A-Za-z0-9_=-]{20,}$/.test(id)) throw refusals.malformedId()
    const item = this.items.get(id) ?? this.items.get(this.#byEntry.get(id) ?? '')
    if (item?.type !== type) throw refusals.noItem()
    return item
  }

  add(type: ItemType, folder: string, values: Values): StoredItem {
    const now = this.#clock.now()
    this.seq += 1
    const item: StoredItem = {
      type,
      id: `AAkALg${randomBytes(24).toString('base64url')}=`,
      entryId: this.#newEntryId(),
      folder,
      values: { ...(blank[type] as Values), ...values },
      extended: new Map(),
      attachments: new Map(),
      overrides: new Map(),
      createdAt: now,
      createdSeq: this.seq,
      modifiedAt: now,
      seq: this.seq,
    }
    this.items.set(item.id, item)
    this.#byEntry.set(item.entryId, item.id)
    return item
  }

  touch(item: StoredItem): void {
    this.seq += 1
    item.seq = this.seq
    item.modifiedAt = this.#clock.now()
  }

  move(item: StoredItem, folder: string): void {
    this.#byEntry.delete(item.entryId)
    this.seq += 1
    this.removed.push(this.#tombstone(item))
    item.entryId = this.#newEntryId()
    item.folder = folder
    this.#byEntry.set(item.entryId, item.id)
    this.touch(item)
  }

  remove(item: StoredItem): void {
    this.seq += 1
    this.removed.push(this.#tombstone(item))
    this.items.delete(item.id)
    this.#byEntry.delete(item.entryId)
  }

  /** Tells of an occurrence that is no more. */
  removeOccurrence(item: StoredItem, id: string): void {
    this.touch(item)
    this.removed.push({ ...this.#tombstone(item), id, seq: this.seq, isOccurrence: true })
  }

  etagOf(item: StoredItem): string {
    return `W/"${this.changeKeyOf(item)}"`
  }

  changeKeyOf(item: StoredItem): string {
    return Buffer.from(`${this.userId.slice(0, 8)}${String(item.seq).padStart(10, '0')}`).toString('base64')
  }

  /** Throws 412 where the caller means another state. */
  refuseStale(item: StoredItem, ifMatch: string | undefined): void {
    if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== this.etagOf(item)) throw refusals.stale()
  }

  #tombstone({ id, type, folder, createdSeq }: StoredItem): Removed {
    return { id, type, folder, seq: this.seq, createdSeq, isOccurrence: false }
  }

  #newEntryId(): string {
    return `AAMkAD${randomBytes(36).toString('base64url')}=`
  }
}
