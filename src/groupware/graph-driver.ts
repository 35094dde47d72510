import { asHubError, HubError } from '../kernel/error.ts'
import type { JsonObject } from '../kernel/json.ts'
import { type GraphCall, GraphClient, type GraphClientOptions } from '../protocols/graph/client.ts'
import { graphErrors } from '../protocols/graph/errors.ts'
import { graphLimits } from '../protocols/graph/limits.ts'
import { propertyEquals } from '../protocols/graph/link-property.ts'
import type { GraphAnswer } from '../protocols/graph/refusal.ts'
import { netErrors } from '../protocols/net/errors.ts'
import { crmMark } from './crm-mark.ts'
import type {
  Abilities,
  ChangePage,
  Concern,
  CreateOutcome,
  Creation,
  Removal,
  Scope,
  ScopeCheck,
  SideDriver,
  SideItem,
  Update,
  WatchRequest,
  WriteOutcome,
} from './drivers.ts'
import { inlineFiles } from './graph/attachments.ts'
import { DeltaReader } from './graph/changes.ts'
import { readContactLists } from './graph/contact-lists.ts'
import { extended, extendedAt } from './graph/extended.ts'
import type { GraphInbox } from './graph/inbox.ts'
import { kinds, normalise } from './graph/kinds.ts'
import { followTexts, writeExceptions } from './graph/occurrences.ts'
import { Places, userPath } from './graph/places.ts'
import { listAt, msAt, textAt } from './graph/row.ts'
import { withZone } from './graph/series-zone.ts'
import { taskLink } from './graph/task.ts'
import { type LinkedTask, writeTaskLinks } from './graph/task-links.ts'
import { translateIds } from './graph/translate-ids.ts'
import { watchMailboxes } from './graph/watch.ts'
import { changeBody, creationBody } from './graph/write.ts'
import { changesTexts, laggingTexts } from './lagging-texts.ts'
import type { Appointment, Attachment, Item, ItemKind } from './plan/items.ts'

export interface GraphDriverOptions extends GraphClientOptions {
  /** The category that people see on items that are synced. */
  readonly markCategory: string
  /** Where notifications come in; without it mailboxes are polled only. */
  readonly inbox?: GraphInbox | undefined
}

const batch = { read: graphLimits.batchRequests, write: graphLimits.batchRequests, find: graphLimits.batchRequests }

/**
 * The mailbox side over Microsoft Graph, with a token of the application: one driver for all mailboxes of an
 * organization. Exchange sends invitations for what is written to a meeting; Graph knows no way to keep it from that.
 */
export function makeGraphDriver(options: GraphDriverOptions): SideDriver {
  return new GraphDriver(options)
}

class GraphDriver implements SideDriver {
  readonly side = 'exchange'
  readonly idSpace = 'graph'
  readonly sharesRequests = true
  readonly #client: GraphClient
  readonly #places: Places
  readonly #deltas: DeltaReader
  readonly #options: GraphDriverOptions
  /** Only where notifications can come in. */
  readonly watch?: (request: WatchRequest) => Promise<void>

  constructor(options: GraphDriverOptions) {
    this.#options = options
    this.#client = new GraphClient(options)
    this.#places = new Places(this.#client)
    this.#deltas = new DeltaReader(this.#client, this.#places, () => options.clock.now())
    const { inbox, clock } = options
    if (inbox)
      this.watch = request => watchMailboxes({ client: this.#client, places: this.#places, inbox, clock }, request)
  }

  abilities(kind: ItemKind): Abilities {
    // Of calendars and mail folders only a window is listed, by Graph itself.
    const listsMarks = kind === 'contact' || kind === 'task'
    return { holds: true, holdsMark: true, listsMarks, tellsDeletions: true, holdsSeries: true, batch }
  }

  normalise(item: Item): Item {
    return normalise(item)
  }

  changes(scope: Scope, token: string | undefined, signal: AbortSignal): Promise<ChangePage | 'token-lost'> {
    return this.#deltas.read(scope, token, signal)
  }

  /** The usual places in one request, and one item of what has none of its own in another. */
  async check(scopes: readonly Scope[], signal: AbortSignal): Promise<readonly ScopeCheck[]> {
    const checks: ScopeCheck[] = []
    const probed = scopes.filter(({ kind }) => kind === 'appointment' || kind === 'contact')
    const calls = probed.map(({ kind, mailbox }): GraphCall => {
      return { method: 'GET', path: `${kinds[kind].collection(mailbox, '')}?$select=id&$top=1` }
    })
    try {
      const answers = await this.#client.batch(calls, signal)
      for (const scope of scopes) {
        const answer = probed.includes(scope) ? answers[probed.indexOf(scope)] : undefined
        if (answer instanceof HubError) throw answer
        await this.#places.of(scope, signal)
        checks.push({ itemCount: undefined })
      }
    } catch (thrown) {
      checks.push({ error: asHubError(thrown) })
    }
    return checks
  }

  async read(scope: Scope, ids: readonly string[], signal: AbortSignal): Promise<readonly (SideItem | undefined)[]> {
    const { query, prefer } = kinds[scope.kind]
    const collection = await this.#collection(scope, signal)
    const calls = ids.map(
      (id): GraphCall => ({ method: 'GET', path: `${collection}/${encodeURIComponent(id)}${query}`, prefer }),
    )
    const folders = await this.#folderNames(scope, signal)
    const items: (SideItem | undefined)[] = []
    for (const answer of await this.#client.batch(calls, signal)) {
      if (answer instanceof HubError && answer.code !== graphErrors.GONE.code) throw answer
      const row = answer instanceof HubError ? undefined : ((answer.body ?? {}) as JsonObject)
      // What was begun and is not finished is not there yet: the create that began it is repeated, and finishes it.
      const isWhole = row !== undefined && extendedAt(row, 'unfinished') === ''
      const isThere = isWhole && !(await this.#places.isThrownAway(scope, row, folders, signal))
      // A task repeats, too, but keeps no hour.
      const hasZone = isThere && scope.kind === 'appointment'
      const whole = hasZone ? await withZone(this.#client, scope.mailbox, row, signal) : row
      items.push(isThere && whole ? this.#item(scope, whole, folders) : undefined)
    }
    return items
  }

  async findByMark(scope: Scope, marks: readonly string[], signal: AbortSignal) {
    if (scope.kind !== 'task')
      return this.#find(
        scope,
        marks.map(mark => propertyEquals(crmMark, mark)),
        signal,
      )
    // To Do filters by no link: the list is read, and searched here.
    const rows = await Array.fromAsync(
      this.#client.list(`${await this.#collection(scope, signal)}${kinds.task.query}`, [], signal),
    )
    return marks.map(mark =>
      rows.filter(row => taskLink(row)?.mark === mark).map(row => this.#item(scope, row, undefined)),
    )
  }

  async findByIdentity(scope: Scope, identities: readonly string[], signal: AbortSignal) {
    const filters = identities.map(identity => kinds[scope.kind].byIdentity(identity))
    const known = filters.filter(filter => filter !== undefined)
    const found = known.length === filters.length ? await this.#find(scope, known, signal) : []
    return identities.map((_, index) => found[index] ?? [])
  }

  async create(scope: Scope, items: readonly Creation[], signal: AbortSignal): Promise<readonly CreateOutcome[]> {
    const collection = await this.#creationPath(scope, signal)
    const outcomes: CreateOutcome[] = []
    const light: { readonly call: GraphCall; readonly index: number }[] = []
    const callOf = ({ item, key, mark }: Creation, files?: readonly JsonObject[]): GraphCall => {
      return {
        method: 'POST',
        path: collection(item),
        body: creationBody(item, key, mark, this.#options.markCategory, files),
      }
    }
    for (const [index, creation] of items.entries()) {
      const { item, openAttachment } = creation
      // Files go with the mail itself, and a batch would be too large with several of them.
      if (item.kind === 'mail' && item.attachments.length > 0) {
        outcomes[index] = await this.#created(scope, creation, signal, async () => {
          const files = await inlineFiles(collection(item), item.attachments, openAttachment)
          return this.#client.send(callOf(creation, files), signal)
        })
      } else light.push({ call: callOf(creation), index })
    }
    const calls = light.map(({ call }) => call)
    const answers = await this.#client.batch(calls, signal)
    for (const [at, { index }] of light.entries()) {
      const [creation, answer] = [items[index], answers[at]]
      if (creation && answer) outcomes[index] = await this.#created(scope, creation, signal, async () => answer)
    }
    return outcomes
  }

  async update(scope: Scope, changes: readonly Update[], signal: AbortSignal): Promise<readonly WriteOutcome[]> {
    const outcomes: WriteOutcome[] = []
    const collection = await this.#collection(scope, signal)
    const plain: { readonly change: Update; readonly call: GraphCall; readonly index: number }[] = []
    const marked: { readonly task: LinkedTask; readonly id: string; readonly index: number }[] = []
    const lists = await readContactLists(this.#client, collection, changes, signal)
    for (const [index, change] of changes.entries()) {
      const path = `${collection}/${encodeURIComponent(change.id)}`
      const body = changeBody(change, this.#options.markCategory, lists.get(change.id))
      const call: GraphCall = { method: 'PATCH', path, body, ifMatch: change.version, prefer: kinds[scope.kind].prefer }
      const { after, mark, id } = change
      if (after.kind === 'task' && mark !== undefined)
        marked.push({ task: { change: call, mark, subject: after.subject }, id, index })
      else if (isSimple(change)) plain.push({ change, call, index })
      else outcomes[index] = await this.#outcome(change.id, () => this.#changeAll(scope, change, call, signal))
    }
    const answers = await this.#client.batch(
      plain.map(({ call }) => call),
      signal,
    )
    const linked = await writeTaskLinks(
      this.#client,
      marked.map(({ task }) => task),
      signal,
    )
    for (const [at, { id, index }] of marked.entries()) {
      const row = linked[at]
      if (row instanceof HubError) outcomes[index] = this.#failed(row)
      else outcomes[index] = { state: 'done', id, version: textAt(row ?? {}, '@odata.etag'), identity: null }
    }
    for (const [at, { change, index }] of plain.entries()) {
      const answer = answers[at]
      outcomes[index] = await this.#outcome(
        change.id,
        async () => {
          if (!answer || answer instanceof HubError) throw answer
          return (answer.body ?? {}) as JsonObject
        },
        scope,
      )
    }
    return outcomes
  }

  async remove(scope: Scope, items: readonly Removal[], signal: AbortSignal): Promise<readonly WriteOutcome[]> {
    const collection = await this.#collection(scope, signal)
    const calls = items.map(({ id, version }): GraphCall => {
      return { method: 'DELETE', path: `${collection}/${encodeURIComponent(id)}`, ifMatch: version }
    })
    return (await this.#client.batch(calls, signal)).map((answer, index): WriteOutcome => {
      const id = items[index]?.id ?? ''
      const done: WriteOutcome = { state: 'done', id, version: '', identity: null }
      if (!(answer instanceof HubError) || answer.code === graphErrors.GONE.code) return done
      return this.#failed(answer)
    })
  }

  openAttachment(scope: Scope, id: string, attachment: Attachment, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const path = `${kinds[scope.kind].collection(scope.mailbox, '')}/${encodeURIComponent(id)}`
    return this.#client.bytes(`${path}/attachments/${encodeURIComponent(attachment.id)}/$value`, signal)
  }

  concerns(error: HubError): Concern {
    if (error.isAboutMessage) return 'item'
    // Where Graph does not say what it refuses, it may be this mailbox alone.
    if (error.code === graphErrors.PERMISSION_MISSING.code) return 'either'
    return ofAccount.has(error.code) || error.code.startsWith('NET_') ? 'account' : 'mailbox'
  }

  translateIds({ mailbox }: Scope, ids: readonly string[], signal: AbortSignal) {
    return translateIds(this.#client, mailbox, ids, signal)
  }

  /** What became of a create, with what does not go into the same request. */
  async #created(
    scope: Scope,
    { item }: Creation,
    signal: AbortSignal,
    work: () => Promise<GraphAnswer | HubError>,
  ): Promise<CreateOutcome> {
    let row: JsonObject
    try {
      const answer = await work()
      if (answer instanceof HubError) throw answer
      row = (answer.body ?? {}) as JsonObject
    } catch (thrown) {
      if (!(thrown instanceof HubError) || this.concerns(thrown) !== 'item') throw thrown
      return { state: 'refused', error: thrown }
    }
    const id = textAt(row, 'id')
    const identity = kinds[scope.kind].identity(row)
    if (id === '') throw graphErrors.ANSWER_ODD({ path: scope.mailbox, reason: 'what was created has no id' })
    const isSeries = item.kind === 'appointment' && Object.keys(item.exceptions).length > 0
    if (!isSeries) return { state: 'done', id, version: textAt(row, '@odata.etag'), identity }
    const change = { before: { ...item, exceptions: {} }, after: item }
    await writeExceptions(this.#client, scope.mailbox, id, change, signal)
    const path = `${kinds[scope.kind].collection(scope.mailbox, '')}/${encodeURIComponent(id)}`
    const body = { singleValueExtendedProperties: [extended('unfinished', '')] }
    const finished = await this.#client.object({ method: 'PATCH', path, body }, signal)
    return { state: 'done', id, version: textAt(finished, '@odata.etag'), identity }
  }

  /** A change that needs more than one request: occurrences, and cancelling. */
  async #changeAll(scope: Scope, change: Update, call: GraphCall, signal: AbortSignal): Promise<JsonObject> {
    const { before, after, fields, id } = change
    const path = call.path
    const isCancelled = fields.includes('isCancelled') && after.kind === 'appointment' && after.isCancelled
    if (isCancelled) {
      await this.#client.send({ method: 'DELETE', path, ifMatch: change.version }, signal)
      return { id, '@odata.etag': '' }
    }
    // Also with nothing to write: the version is the condition of all that follows.
    const importance = 'importance' in after ? after.importance : 'normal'
    const isEmpty = Object.keys(call.body ?? {}).length === 0
    const row = await this.#client.object(isEmpty ? { ...call, body: { importance } } : call, signal)
    if (after.kind === 'appointment' && before.kind === 'appointment' && after.recurrence) {
      const isNewSeries = ['start', 'end', 'isAllDay', 'zone', 'recurrence'].some(field => fields.includes(field))
      // Another pattern is another series: nothing of the old exceptions is left in it.
      const old: Appointment = isNewSeries ? { ...after, exceptions: {} } : before
      if (isNewSeries || fields.includes('exceptions')) {
        await writeExceptions(this.#client, scope.mailbox, id, { before: old, after }, signal)
      }
      if (changesTexts({ fields, after })) {
        const [now] = await this.read(scope, [id], signal)
        if (now?.item.kind === 'appointment') {
          const lagging = laggingTexts({ before, after }, now.item)
          await followTexts(this.#client, scope.mailbox, id, { after, lagging }, signal)
        }
      }
    }
    return { ...row, '@odata.etag': await this.#version(path, signal) }
  }

  async #version(path: string, signal: AbortSignal): Promise<string> {
    return textAt(await this.#client.object({ method: 'GET', path }, signal), '@odata.etag')
  }

  async #outcome(id: string, work: () => Promise<JsonObject>, scope?: Scope): Promise<WriteOutcome> {
    try {
      const row = await work()
      return {
        state: 'done',
        id,
        version: textAt(row, '@odata.etag'),
        identity: scope ? kinds[scope.kind].identity(row) : textAt(row, 'iCalUId') || null,
      }
    } catch (thrown) {
      if (!(thrown instanceof HubError)) throw thrown
      return this.#failed(thrown)
    }
  }

  #failed(error: HubError): WriteOutcome {
    if (error.code === graphErrors.CHANGED_MEANWHILE.code) return { state: 'conflict' }
    if (error.code === graphErrors.GONE.code) return { state: 'gone' }
    if (this.concerns(error) !== 'item') throw error
    return { state: 'refused', error }
  }

  async #find(
    scope: Scope,
    filters: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly (readonly SideItem[])[]> {
    const { query, prefer } = kinds[scope.kind]
    const collection = await this.#collection(scope, signal)
    // Graph expands exceptions of a single event only; the mark and the identity need none.
    const wanted = query.replace(encodeURIComponent(',exceptionOccurrences'), '').replace(',cancelledOccurrences', '')
    const calls = filters.map((filter): GraphCall => {
      return { method: 'GET', path: `${collection}${wanted}&$filter=${encodeURIComponent(filter)}`, prefer }
    })
    const answers = (await this.#client.batch(calls, signal)).map(answer => {
      if (answer instanceof HubError) throw answer
      return listAt((answer.body ?? {}) as JsonObject, 'value')
    })
    if (scope.kind !== 'appointment') {
      const folders = await this.#folderNames(scope, signal)
      const found: SideItem[][] = []
      for (const rows of answers) {
        const there: SideItem[] = []
        for (const row of rows)
          if (!(await this.#places.isThrownAway(scope, row, folders, signal)))
            there.push(this.#item(scope, row, folders))
        found.push(there)
      }
      return found
    }
    // Of a series its exceptions belong to it: it is read whole.
    return Promise.all(
      answers.map(async rows => {
        const read = await this.read(
          scope,
          rows.map(row => textAt(row, 'id')),
          signal,
        )
        return read.filter(item => item !== undefined)
      }),
    )
  }

  async #collection(scope: Scope, signal: AbortSignal): Promise<string> {
    const list = scope.kind === 'task' ? await this.#places.taskList(scope.mailbox, signal) : ''
    return kinds[scope.kind].collection(scope.mailbox, list)
  }

  /** Where a new item goes: the first folder of the scope; a mail that was sent, among those that were sent. */
  async #creationPath(scope: Scope, signal: AbortSignal): Promise<(item: Item) => string> {
    const { mailbox, kind } = scope
    const collection = await this.#collection(scope, signal)
    const [place] = kind === 'mail' || kind === 'contact' ? await this.#places.of(scope, signal) : []
    if (kind === 'mail') {
      return item => {
        const folder = item.kind === 'mail' && item.direction === 'out' ? 'sentitems' : (place?.id ?? 'inbox')
        return `${userPath(mailbox)}/mailFolders/${encodeURIComponent(folder)}/messages`
      }
    }
    const isOwnFolder = kind === 'contact' && place !== undefined && place.id !== 'contacts'
    return () =>
      isOwnFolder ? `${userPath(mailbox)}/contactFolders/${encodeURIComponent(place.id)}/contacts` : collection
  }

  async #folderNames(scope: Scope, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    return new Map((await this.#places.of(scope, signal)).map(({ id, name }) => [id, name]))
  }

  #item(scope: Scope, row: JsonObject, folders: ReadonlyMap<string, string> | undefined): SideItem {
    const kind = kinds[scope.kind]
    const place = textAt(row, 'parentFolderId')
    return {
      id: textAt(row, 'id'),
      version: textAt(row, '@odata.etag'),
      identity: kind.identity(row),
      mark: kind.mark(row),
      modifiedAt: msAt(row, 'lastModifiedDateTime'),
      folder: folders?.get(place) ?? (place || null),
      item: kind.read(row, scope),
    }
  }
}

const ofAccount: ReadonlySet<string> = new Set([
  graphErrors.LOGIN_REFUSED.code,
  graphErrors.REDIRECTED.code,
  graphErrors.LINK_FOREIGN.code,
  graphErrors.WEBHOOK_UNREACHABLE.code,
  netErrors.NO_CONNECTOR.code,
])

/** True where one PATCH does it all. */
function isSimple({ after, fields }: Update): boolean {
  if (after.kind !== 'appointment') return true
  if (fields.includes('isCancelled') || changesTexts({ fields, after })) return false
  const isWhen = ['start', 'end', 'isAllDay', 'zone', 'recurrence'].some(field => fields.includes(field))
  return !fields.includes('exceptions') && !(isWhen && Object.keys(after.exceptions).length > 0)
}
