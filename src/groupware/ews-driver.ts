import { asHubError, HubError } from '../kernel/error.ts'
import type { Clock } from '../kernel/time.ts'
import { type At, EwsClient } from '../protocols/ews/client.ts'
import { ewsErrors } from '../protocols/ews/errors.ts'
import type { EwsOptions } from '../protocols/ews/exchange.ts'
import { readExtendedProperty } from '../protocols/ews/fields.ts'
import { globalObjectId } from '../protocols/ews/global-object-id.ts'
import type { SearchTerm, StoredRef } from '../protocols/ews/items.ts'
import { ewsLimits } from '../protocols/ews/limits.ts'
import { childOf, textOf, type XmlElement } from '../protocols/xml/xml-element.ts'
import type {
  Abilities,
  Change,
  ChangePage,
  Concern,
  CreateOutcome,
  Creation,
  MovedHalf,
  Removal,
  Scope,
  ScopeCheck,
  SideDriver,
  SideItem,
  Update,
  WatchRequest,
  WriteOutcome,
} from './drivers.ts'
import { exceptionFields, exceptionIds } from './ews/appointment.ts'
import { concernOf } from './ews/concerns.ts'
import { FolderBook, type ScopeFolder } from './ews/folder-book.ts'
import { kindFacts, normaliseItem, readItem, shapes } from './ews/kinds.ts'
import { findMoved } from './ews/moved.ts'
import { markProperty, millisOf, unfinishedProperty } from './ews/parts.ts'
import { readToken, type SyncToken, writeToken } from './ews/sync-token.ts'
import { watchMailboxes } from './ews/watch.ts'
import { isInWindow } from './ews/window.ts'
import { EwsWriter } from './ews/writer.ts'
import type { Attachment, Item, ItemKind } from './plan/items.ts'

export interface EwsDriverOptions extends EwsOptions {
  /** The category that shows which items are synced (`SyncRules.markCategory`). */
  readonly markCategory: string
}

/** Items of one search and of one request that reads or writes. */
const batch = { read: ewsLimits.batchItems, write: 25, find: 10 }
const foundMax = 100

/** The mailboxes of an organization, by Exchange Web Services. */
export class EwsDriver implements SideDriver {
  readonly side = 'exchange'
  readonly idSpace = 'ews'
  readonly client: EwsClient
  readonly #book: FolderBook
  readonly #writer: EwsWriter
  readonly #clock: Clock
  readonly #access: EwsOptions['access']

  constructor(options: EwsDriverOptions) {
    this.#clock = options.clock
    this.#access = options.access
    this.client = new EwsClient(options)
    this.#book = new FolderBook(this.client)
    this.#writer = new EwsWriter(this.client, options.markCategory, (scope, ids, signal) =>
      this.read(scope, ids, signal),
    )
  }

  abilities(_kind: ItemKind): Abilities {
    return { holds: true, holdsMark: true, listsMarks: true, tellsDeletions: true, holdsSeries: true, batch }
  }

  /** One page of one folder; folders are told one after the other. */
  async changes(scope: Scope, text: string | undefined, signal: AbortSignal): Promise<ChangePage | 'token-lost'> {
    const at = { mailbox: scope.mailbox, signal }
    const folders = await this.#book.foldersOf(scope, signal)
    const token = readToken(text)
    if (!token) return 'token-lost'
    const folder = folders.find(each => token.left.includes(each.id)) ?? folders[0]
    const left = token.left.length > 0 ? token.left : folders.map(each => each.id)
    if (!folder) return { changes: [], token: writeToken(token), hasMore: false }
    const state = token.states[folder.id]
    try {
      const page = await this.client.syncItems(at, { id: folder.id }, state)
      // A folder that is listed for the first time: only what lies in the window, and that as a whole.
      const isListing = state === undefined || token.listing.includes(folder.id)
      const changes = await this.#told(scope, folder, page.changes, isListing, signal)
      const rest = page.isLast ? left.filter(id => id !== folder.id) : left
      const next: SyncToken = {
        states: { ...token.states, [folder.id]: page.state },
        left: rest,
        listing: [...token.listing.filter(id => id !== folder.id), ...(isListing && !page.isLast ? [folder.id] : [])],
      }
      return { changes, token: writeToken(next), hasMore: rest.length > 0 }
    } catch (thrown) {
      const code = thrown instanceof HubError ? thrown.code : ''
      const isLost = code === ewsErrors.SYNC_STATE_LOST.code || code === ewsErrors.FOLDER_GONE.code
      if (!isLost || state === undefined) throw thrown
      this.#book.forget(scope.mailbox)
      return 'token-lost'
    }
  }

  async #told(
    scope: Scope,
    folder: ScopeFolder,
    changes: Awaited<ReturnType<EwsClient['syncItems']>>['changes'],
    isListing: boolean,
    signal: AbortSignal,
  ): Promise<ChangePage['changes']> {
    const { itemClass } = kindFacts[scope.kind]
    const relevant = changes.filter(change => !('itemClass' in change) || change.itemClass === itemClass)
    const hasWindow =
      (scope.kind === 'mail' || scope.kind === 'appointment') && (scope.from !== null || scope.to !== null)
    if (!isListing || !hasWindow) {
      return relevant.flatMap((change): Change[] => {
        if (change.kind === 'read-flag') return []
        const { id } = change
        return [
          change.kind === 'delete' ? { id, isDeleted: true } : { id, isDeleted: false, version: change.changeKey },
        ]
      })
    }
    const ids = relevant.flatMap(change => (change.kind === 'create' || change.kind === 'update' ? [change.id] : []))
    const items = await this.#readFrom(scope, ids, signal, [folder]).catch((thrown: unknown) => {
      // One of them is damaged: who reads them one by one finds out which.
      if (!(thrown instanceof HubError) || concernOf(thrown) !== 'item') throw thrown
    })
    if (!items) return ids.map(id => ({ id, isDeleted: false }))
    return items.flatMap((item): Change[] =>
      // Also outside of the window: whose mark it carries must be known.
      item && (isInWindow(item.item, scope) || item.mark !== null)
        ? [{ id: item.id, isDeleted: false, version: item.version, item }]
        : [],
    )
  }

  async read(scope: Scope, ids: readonly string[], signal: AbortSignal): Promise<readonly (SideItem | undefined)[]> {
    return this.#readFrom(scope, ids, signal, await this.#book.foldersOf(scope, signal))
  }

  async #readFrom(
    scope: Scope,
    ids: readonly string[],
    signal: AbortSignal,
    folders: readonly ScopeFolder[],
  ): Promise<readonly (SideItem | undefined)[]> {
    const at = { mailbox: scope.mailbox, signal }
    const items: (SideItem | undefined)[] = []
    for (let from = 0; from < ids.length; from += batch.read) {
      const refs = ids.slice(from, from + batch.read).map(id => ({ id }))
      const stored = (await this.client.getItems(at, refs, shapes[scope.kind])).map(presentOrThrow)
      const occurrences = scope.kind === 'appointment' ? await this.#occurrences(at, stored) : new Map()
      const parents = stored.flatMap(each => (each ? [parentOf(each)] : []))
      const around = await this.#book.foldersAround(scope, folders, parents, signal)
      for (const each of stored) items.push(each ? sideItem(scope, each, occurrences, around) : undefined)
    }
    return items
  }

  /** The occurrences of these series that differ, by their id. */
  async #occurrences(at: At, series: readonly (StoredRef | undefined)[]): Promise<ReadonlyMap<string, XmlElement>> {
    const ids = series.flatMap(each => (each ? exceptionIds(each.element) : []))
    const found = new Map<string, XmlElement>()
    const shape = {
      itemClass: 'CalendarItem' as const,
      fields: exceptionFields.map(name => ({ field: name })),
      bodyType: 'Text' as const,
    }
    for (let from = 0; from < ids.length; from += batch.read) {
      const chunk = ids.slice(from, from + batch.read)
      const answers = await this.client.getItems(
        at,
        chunk.map(id => ({ id })),
        shape,
      )
      for (const [index, answer] of answers.entries()) {
        const stored = presentOrThrow(answer)
        if (stored) found.set(chunk[index] ?? '', stored.element)
      }
    }
    return found
  }

  findByMark(scope: Scope, marks: readonly string[], signal: AbortSignal): Promise<readonly (readonly SideItem[])[]> {
    const terms = marks.map(value => ({ property: markProperty, value }))
    return this.#find(scope, terms, marks, signal, item => item.mark)
  }

  async findByIdentity(
    scope: Scope,
    identities: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly (readonly SideItem[])[]> {
    if (scope.kind !== 'appointment' && scope.kind !== 'mail') return identities.map(() => [])
    const terms = identities.map(
      (value): SearchTerm =>
        scope.kind === 'mail'
          ? { uri: 'message:InternetMessageId', value }
          : { globalObjectId: true, value: globalObjectId(value).toString('base64') },
    )
    return this.#find(scope, terms, identities, signal, item => item.identity)
  }

  async #find(
    scope: Scope,
    terms: readonly SearchTerm[],
    values: readonly string[],
    signal: AbortSignal,
    keyOf: (item: SideItem) => string | null,
  ): Promise<readonly (readonly SideItem[])[]> {
    const at = { mailbox: scope.mailbox, signal }
    const folders = await this.#book.foldersOf(scope, signal)
    const shape = { itemClass: kindFacts[scope.kind].itemClass, fields: [{ property: unfinishedProperty }] }
    const ids: string[] = []
    const unfinished: string[] = []
    for (const folder of folders) {
      for (let from = 0; from < terms.length; from += batch.find) {
        const chunk = terms.slice(from, from + batch.find)
        for (const { id, element } of await this.client.findItems(at, { id: folder.id }, shape, chunk, foundMax)) {
          const isWhole = readExtendedProperty(element, unfinishedProperty) === undefined
          ;(isWhole ? ids : unfinished).push(id)
        }
      }
    }
    // What was begun and never finished is begun anew: half a series would look like a series that somebody changed.
    if (unfinished.length > 0)
      await this.client.deleteItems(
        at,
        unfinished.map(id => ({ id })),
      )
    const items = await this.#readFrom(scope, ids, signal, folders)
    return values.map(value => items.filter(item => item !== undefined).filter(item => keyOf(item) === value))
  }

  findMoved(
    scope: Scope,
    halves: readonly MovedHalf[],
    signal: AbortSignal,
  ): Promise<readonly (SideItem | undefined)[]> {
    const read = (ids: readonly string[], folders: readonly ScopeFolder[]) =>
      this.#readFrom(scope, ids, signal, folders)
    return findMoved({ client: this.client, book: this.#book, read, termsMax: batch.find }, scope, halves, signal)
  }

  async create(scope: Scope, items: readonly Creation[], signal: AbortSignal): Promise<readonly CreateOutcome[]> {
    const folders = await this.#book.foldersOf(scope, signal)
    return this.#writer.create(scope, folders, items, signal)
  }

  update(scope: Scope, changes: readonly Update[], signal: AbortSignal): Promise<readonly WriteOutcome[]> {
    return this.#writer.update(scope, changes, signal)
  }

  async remove(scope: Scope, items: readonly Removal[], signal: AbortSignal): Promise<readonly WriteOutcome[]> {
    const at = { mailbox: scope.mailbox, signal }
    const refs = items.map(({ id, version }) => ({ id, changeKey: version === '' ? undefined : version }))
    const answers = await this.client.deleteItems(at, refs)
    return answers.map((error, index): WriteOutcome => {
      const done = { state: 'done', id: items[index]?.id ?? '', version: '', identity: null } as const
      if (error === undefined || error.code === ewsErrors.ITEM_GONE.code) return done
      if (concernOf(error) !== 'item') throw error
      return error.code === ewsErrors.CHANGED_MEANWHILE.code ? { state: 'conflict' } : { state: 'refused', error }
    })
  }

  async *openAttachment(
    scope: Scope,
    _id: string,
    attachment: Attachment,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    yield await this.client.getAttachment({ mailbox: scope.mailbox, signal }, attachment.id)
  }

  normalise(item: Item): Item {
    return normaliseItem(item)
  }

  concerns(error: HubError): Concern {
    return concernOf(error, this.#access)
  }

  watch(request: WatchRequest): Promise<void> {
    return watchMailboxes({ client: this.client, book: this.#book, clock: this.#clock }, request)
  }

  /** The folders of all kinds in one request, which also proves that the account may act for the mailbox. */
  async check(scopes: readonly Scope[], signal: AbortSignal): Promise<readonly ScopeCheck[]> {
    const checks: ScopeCheck[] = []
    for (const scope of scopes) {
      try {
        checks.push({ itemCount: await this.#book.countOf(scope, signal) })
      } catch (thrown) {
        return [...checks, { error: asHubError(thrown) }]
      }
    }
    return checks
  }

  close(): Promise<void> {
    return this.client.close()
  }
}

/** An item, or undefined when it is gone; what else went wrong is thrown. */
function presentOrThrow(outcome: StoredRef | HubError): StoredRef | undefined {
  if (!(outcome instanceof HubError)) return outcome
  if (outcome.code === ewsErrors.ITEM_GONE.code) return undefined
  throw outcome
}

/** An item as the sync sees it; undefined for one that is not what the scope holds, or not whole yet. */
function sideItem(
  scope: Scope,
  stored: StoredRef,
  occurrences: ReadonlyMap<string, XmlElement>,
  folders: readonly ScopeFolder[],
): SideItem | undefined {
  const { id, changeKey, element } = stored
  if (element.name !== kindFacts[scope.kind].itemClass) return undefined
  if (readExtendedProperty(element, unfinishedProperty) !== undefined) return undefined
  const folder = folders.find(each => each.id === parentOf(stored))
  // Thrown away: for the sync it is gone.
  if (!folder) return undefined
  const hasTimes = ['Start', 'End'].every(name => !Number.isNaN(millisOf(textOf(element, name))))
  if (scope.kind === 'appointment' && !hasTimes) {
    const text = 'the appointment does not say when it is'
    throw ewsErrors.ITEM_REFUSED({ mailbox: scope.mailbox, code: 'damaged', text })
  }
  const item = readItem(scope.kind, element, { mailbox: scope.mailbox, occurrences })
  const modifiedAt = millisOf(textOf(element, 'LastModifiedTime'))
  return {
    id,
    version: changeKey,
    identity: identityOf(item, element),
    mark: readExtendedProperty(element, markProperty) || null,
    modifiedAt: Number.isNaN(modifiedAt) ? null : modifiedAt,
    folder: folder.name,
    item,
  }
}

function parentOf({ element }: StoredRef): string | undefined {
  return childOf(element, 'ParentFolderId')?.attributes.get('Id')
}

function identityOf(item: Item, element: XmlElement): string | null {
  if (item.kind === 'appointment') return textOf(element, 'UID') ?? null
  return item.kind === 'mail' && item.messageId !== '' ? item.messageId : null
}
