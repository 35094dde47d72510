import type { HubError } from '../../kernel/error.ts'
import { childOf, textOf, type XmlElement } from '../xml/xml-element.ts'
import { failureOfRow, type ResponseMessage } from './answer.ts'
import {
  type NewAttachment,
  readAttachmentContent,
  writeCreateAttachment,
  writeDeleteAttachment,
  writeGetAttachment,
} from './attachments.ts'
import { ewsErrors } from './errors.ts'
import { EwsExchange, type EwsOptions } from './exchange.ts'
import { type Folder, type FolderRef, readFolder, writeFindFolder, writeGetFolder } from './folders.ts'
import {
  type Invitations,
  type ItemRef,
  type ItemShape,
  type ItemUpdate,
  itemsIn,
  type NewItem,
  readSyncPage,
  refOf,
  type SearchTerm,
  type StoredRef,
  type SyncPage,
  writeCreateItem,
  writeDeleteItem,
  writeFindItem,
  writeGetItem,
  writeSyncFolderItems,
  writeUpdateItem,
} from './items.ts'
import { ewsLimits } from './limits.ts'
import { type StreamListener, streamEvents, writeSubscribe, writeUnsubscribe } from './notifications.ts'
import { element, textElement } from './write-xml.ts'

/** Whose mailbox, and until when. */
export interface At {
  /** Primary mail address. */
  readonly mailbox: string
  readonly signal: AbortSignal
}

/** What became of one item of a batch. */
export type Outcome<T> = T | HubError

/**
 * An account at an Exchange server. Each method is one request; batches answer in their order, an item that failed with
 * its error in its place, and what concerns the whole request is thrown (areas EWS and NET).
 */
export class EwsClient {
  readonly #exchange: EwsExchange

  constructor(options: EwsOptions) {
    this.#exchange = new EwsExchange(options)
  }

  get server(): string {
    return this.#exchange.server
  }

  close(): Promise<void> {
    return this.#exchange.close()
  }

  /** The folders with these names or ids; an error in place of one that is not there. */
  async getFolders(at: At, folders: readonly FolderRef[]): Promise<readonly Outcome<Folder>[]> {
    const rows = await this.#rows(at, writeGetFolder(folders), folders.length, false)
    return rows.map(row => this.#outcome(at, row, () => readFolder(childOf(row.element, 'Folders')?.children[0])))
  }

  /** All folders below one, page by page. */
  async findFolders(at: At, below: FolderRef): Promise<readonly Folder[]> {
    const found: Folder[] = []
    for (let offset = 0; offset <= found.length; ) {
      const [row] = await this.#rows(at, writeFindFolder(below, offset, 500), 1, false)
      if (!row || row.isError) throw this.#failure(at, row)
      const root = childOf(row.element, 'RootFolder')
      for (const each of childOf(root, 'Folders')?.children ?? []) {
        const folder = readFolder(each)
        if (folder) found.push(folder)
      }
      const next = Number(root?.attributes.get('IndexedPagingOffset') ?? 0)
      if (root?.attributes.get('IncludesLastItemInRange') !== 'false' || next <= offset) return found
      offset = next
    }
    return found
  }

  /** Primary addresses and names that the directory knows for a text. */
  async resolveNames(at: At, text: string): Promise<readonly { readonly address: string; readonly name: string }[]> {
    const entry = textElement('m:UnresolvedEntry', text)
    const body = element('m:ResolveNames', { ReturnFullContactData: false, SearchScope: 'ActiveDirectory' }, entry)
    const [row] = await this.#rows(at, body, 1, false)
    if (!row || row.code === 'ErrorNameResolutionNoResults') return []
    // Several people: a warning with all of them.
    if (row.isError) throw this.#failure(at, row)
    return (childOf(row.element, 'ResolutionSet')?.children ?? []).map(each => ({
      address: textOf(childOf(each, 'Mailbox'), 'EmailAddress')?.toLowerCase() ?? '',
      name: textOf(childOf(each, 'Mailbox'), 'Name') ?? '',
    }))
  }

  /** A page of what changed in a folder since a state; without one all that is in it. Throws EWS_SYNC_STATE_LOST. */
  async syncItems(at: At, folder: FolderRef, state: string | undefined, max?: number): Promise<SyncPage> {
    const body = writeSyncFolderItems(folder, state, Math.min(max ?? ewsLimits.syncPage, ewsLimits.syncPage))
    const [row] = await this.#rows(at, body, 1, false)
    if (!row || row.isError) throw this.#failure(at, row)
    const page = readSyncPage(row.element)
    if (!page) throw this.#odd('a page of changes has no state, or a change no id')
    return page
  }

  async getItems(at: At, refs: readonly ItemRef[], shape: ItemShape): Promise<readonly Outcome<StoredRef>[]> {
    return this.#batch(at, refs, false, part => writeGetItem(part, shape))
  }

  /** Items of a folder that have one of the values, at most `max`. */
  async findItems(
    at: At,
    folder: FolderRef,
    shape: ItemShape,
    terms: readonly SearchTerm[],
    max: number,
  ): Promise<readonly StoredRef[]> {
    const [row] = await this.#rows(at, writeFindItem(folder, shape, terms, max), 1, false)
    if (!row || row.isError) throw this.#failure(at, row)
    const items = childOf(childOf(row.element, 'RootFolder'), 'Items')?.children ?? []
    return items.map(storedRef).filter(each => each !== undefined)
  }

  async createItems(
    at: At,
    folder: FolderRef,
    items: readonly NewItem[],
    invitations: Invitations = 'SendToNone',
  ): Promise<readonly Outcome<StoredRef>[]> {
    return this.#batch(at, items, true, part => writeCreateItem(folder, part, invitations))
  }

  async updateItems(
    at: At,
    updates: readonly ItemUpdate[],
    invitations: Invitations = 'SendToNone',
  ): Promise<readonly Outcome<StoredRef>[]> {
    return this.#batch(at, updates, true, part => writeUpdateItem(part, invitations))
  }

  /** Moves items to Deleted Items; undefined: done. */
  async deleteItems(
    at: At,
    refs: readonly ItemRef[],
    cancellations: Invitations = 'SendToNone',
  ): Promise<readonly (HubError | undefined)[]> {
    const outcomes = await this.#batchRows(at, refs, true, part => writeDeleteItem(part, cancellations))
    return outcomes.map(row => (row.isError ? this.#failure(at, row) : undefined))
  }

  async getAttachment(at: At, id: string): Promise<Buffer> {
    const [row] = await this.#rows(at, writeGetAttachment(id), 1, false)
    if (!row || row.isError) throw this.#failure(at, row)
    const content = readAttachmentContent(row.element)
    if (!content) throw this.#odd('an attachment has no content')
    return content
  }

  /** Adds files to an item, which has the returned ChangeKey then. */
  async createAttachments(at: At, parentId: string, files: readonly NewAttachment[]): Promise<string | undefined> {
    const rows = await this.#rows(at, writeCreateAttachment(parentId, files), files.length, true)
    let changeKey: string | undefined
    for (const row of rows) {
      if (row.isError) throw this.#failure(at, row)
      const [attachment] = childOf(row.element, 'Attachments')?.children ?? []
      changeKey = childOf(attachment, 'AttachmentId')?.attributes.get('RootItemChangeKey') ?? changeKey
    }
    return changeKey
  }

  /** Takes files away from their item, which has the returned ChangeKey then. */
  async deleteAttachments(at: At, ids: readonly string[]): Promise<string | undefined> {
    const rows = await this.#rows(at, writeDeleteAttachment(ids), ids.length, true)
    let changeKey: string | undefined
    for (const row of rows) {
      if (row.isError) throw this.#failure(at, row)
      changeKey = childOf(row.element, 'RootItemId')?.attributes.get('RootItemChangeKey') ?? changeKey
    }
    return changeKey
  }

  /** A subscription for notifications of these folders. `anchor`: see `EwsCall`. */
  async subscribe(at: At, folders: readonly FolderRef[], anchor?: string): Promise<string> {
    const [row] = await this.#rows(at, writeSubscribe(folders), 1, true, anchor)
    if (!row || row.isError) throw this.#failure(at, row)
    const id = textOf(row.element, 'SubscriptionId')
    if (id === undefined) throw this.#odd('a subscription has no id')
    return id
  }

  async unsubscribe(at: At, subscription: string, anchor?: string): Promise<void> {
    const [row] = await this.#rows(at, writeUnsubscribe(subscription), 1, true, anchor)
    if (!row || row.isError) throw this.#failure(at, row)
  }

  /**
   * Hears notifications until the server closes the stream (at the latest after `minutes`), or the signal ends it.
   * `at.mailbox` is the one to whose share of open streams it counts.
   */
  streamEvents(
    at: At,
    subscriptions: readonly string[],
    listener: StreamListener,
    how: { readonly minutes?: number; readonly silenceMs?: number; readonly anchor?: string } = {},
  ): Promise<void> {
    return streamEvents({
      exchange: this.#exchange,
      ...at,
      subscriptions,
      listener,
      anchor: how.anchor,
      minutes: how.minutes,
      silenceMs: how.silenceMs,
    })
  }

  async #batch<T>(
    at: At,
    parts: readonly T[],
    isWrite: boolean,
    write: (parts: readonly T[]) => string,
  ): Promise<readonly Outcome<StoredRef>[]> {
    const rows = await this.#batchRows(at, parts, isWrite, write)
    return rows.map(row => this.#outcome(at, row, () => storedRef(itemsIn(row.element)[0])))
  }

  /** A batch that Exchange stops in the middle goes on with what was not done, as long as it gets on. */
  async #batchRows<T>(
    at: At,
    parts: readonly T[],
    isWrite: boolean,
    write: (parts: readonly T[]) => string,
  ): Promise<readonly ResponseMessage[]> {
    const rows: ResponseMessage[] = []
    while (rows.length < parts.length) {
      const rest = parts.slice(rows.length)
      const answered = await this.#rows(at, write(rest), rest.length, isWrite)
      const stoppedAt = answered.findIndex(row => row.isError && row.code === 'ErrorBatchProcessingStopped')
      if (stoppedAt <= 0) return [...rows, ...answered]
      rows.push(...answered.slice(0, stoppedAt))
    }
    return rows
  }

  async #rows(at: At, body: string, count: number, isWrite: boolean, anchor?: string) {
    const rows = await this.#exchange.call({ ...at, body, isWrite, anchor })
    if (rows.length === count) return rows
    // One failure may stand for all of a request (throttling, a folder that is gone).
    const [first] = rows
    if (rows.length === 1 && first?.isError) throw this.#failure(at, first)
    const reason = `${rows.length} answers came for ${count} items`
    throw isWrite ? ewsErrors.OUTCOME_UNKNOWN({ server: this.server, reason }) : this.#odd(reason)
  }

  #outcome<T>(at: At, row: ResponseMessage, read: () => T | undefined): Outcome<T> {
    if (row.isError) return this.#failure(at, row)
    return read() ?? this.#odd('an item has no id')
  }

  #failure(at: At, row: ResponseMessage | undefined): HubError {
    return row ? failureOfRow(row, this.#exchange.context(at.mailbox)) : this.#odd('the answer is empty')
  }

  #odd(reason: string): HubError {
    return ewsErrors.ANSWER_ODD({ server: this.server, reason })
  }
}

function storedRef(item: XmlElement | undefined): StoredRef | undefined {
  const ref = refOf(item)
  return ref && item ? { ...ref, element: item } : undefined
}
