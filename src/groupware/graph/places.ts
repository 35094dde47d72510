import { HubError } from '../../kernel/error.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { GraphClient } from '../../protocols/graph/client.ts'
import { graphErrors } from '../../protocols/graph/errors.ts'
import type { GraphAnswer } from '../../protocols/graph/refusal.ts'
import type { Scope } from '../drivers.ts'
import { listAt, textAt } from './row.ts'

/** Where the items of a scope lie: folders by id or well-known name, with the name that people know. */
export interface Place {
  readonly id: string
  readonly name: string
}

/** The usual places of a mailbox by their names, the list of tasks as `tasks`; what could not be found, with its reason. */
type Usual = ReadonlyMap<string, Place | HubError>

/** Answers that are remembered of each sort; those that were not asked for longest go first. */
const answersKept = 20_000

/** Folders of mailboxes, looked up once, and those that every mailbox has in one request. */
export class Places {
  readonly #client: GraphClient
  readonly #usual = new Map<string, Promise<Usual>>()
  readonly #own = new Map<string, Promise<readonly Place[]>>()
  readonly #bins = new Map<string, Promise<string>>()

  constructor(client: GraphClient) {
    this.#client = client
  }

  /** The folders of a scope; of a calendar there is one, without a name of its own. */
  async of(scope: Scope, signal: AbortSignal): Promise<readonly Place[]> {
    const { mailbox, kind, folders } = scope
    if (kind === 'appointment') return [{ id: 'calendar', name: 'Calendar' }]
    if (kind === 'task') return [{ id: await this.taskList(mailbox, signal), name: 'Tasks' }]
    if (folders.length > 0) {
      return remembered(this.#own, JSON.stringify([mailbox, kind, folders]), () => this.#find(scope, signal))
    }
    if (kind === 'contact') return [{ id: 'contacts', name: 'Contacts' }]
    const usual = await this.#usualOf(mailbox, signal)
    return usualFolders.map(name => placeOrThrow(usual.get(name), mailbox, name))
  }

  /** Folders may have been deleted and made anew: they are looked for again. */
  forget(mailbox: string): void {
    this.#usual.delete(mailbox)
    this.#bins.delete(mailbox)
    for (const key of this.#own.keys()) if (key.startsWith(`[${JSON.stringify(mailbox)},`)) this.#own.delete(key)
  }

  /** Id of the folder where deleted mails and contacts lie; '' for an application that may not see folders of mail. */
  bin(mailbox: string, signal: AbortSignal): Promise<string> {
    return remembered(this.#bins, mailbox, async () => {
      const found = (await this.#usualOf(mailbox, signal)).get(binName)
      // It may have been given contacts alone: what is thrown away counts as gone when Exchange empties the folder.
      if (found instanceof HubError && unseen.has(found.code)) return ''
      return placeOrThrow(found, mailbox, binName).id
    })
  }

  /** Whether an item was thrown away: an immutable id leads to mails and contacts in Deleted Items, too. */
  async isThrownAway(
    { mailbox }: Scope,
    row: JsonObject,
    folders: ReadonlyMap<string, string>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const place = textAt(row, 'parentFolderId')
    return place !== '' && !folders.has(place) && place === (await this.bin(mailbox, signal))
  }

  /** Id of the usual list of tasks. */
  async taskList(mailbox: string, signal: AbortSignal): Promise<string> {
    const usual = await this.#usualOf(mailbox, signal)
    return placeOrThrow(usual.get('tasks'), mailbox, 'tasks').id
  }

  #usualOf(mailbox: string, signal: AbortSignal): Promise<Usual> {
    return remembered(this.#usual, mailbox, async () => {
      const user = userPath(mailbox)
      const folders = [...usualFolders, binName].map(name => `${user}/mailFolders/${name}?$select=id,displayName`)
      const calls = [...folders, `${user}/todo/lists`].map(path => ({ method: 'GET' as const, path }))
      const answers = await this.#client.batch(calls, signal)
      const usual = new Map<string, Place | HubError>()
      for (const [index, name] of [...usualFolders, binName, 'tasks'].entries()) {
        const answer = answers[index]
        if (answer instanceof HubError) usual.set(name, answer)
        else if (name === 'tasks') usual.set(name, await this.#defaultList(mailbox, answer, signal))
        else usual.set(name, placeOf((answer?.body ?? {}) as JsonObject))
      }
      // What is wrong may be mended by the next time.
      if ([...usual.values()].some(each => each instanceof HubError)) this.#usual.delete(mailbox)
      return usual
    })
  }

  /** Mostly on the first page of the lists. */
  async #defaultList(mailbox: string, answer: GraphAnswer | undefined, signal: AbortSignal): Promise<Place | HubError> {
    const isDefault = (list: JsonObject) => textAt(list, 'wellknownListName') === 'defaultList'
    const body = (answer?.body ?? {}) as JsonObject
    const first = listAt(body, 'value').find(isDefault)
    if (first) return placeOf(first)
    const path = `${userPath(mailbox)}/todo/lists`
    if (body['@odata.nextLink'] !== undefined) {
      for await (const list of this.#client.list(path, [], signal)) if (isDefault(list)) return placeOf(list)
    }
    return graphErrors.GONE({ path, code: 'no default list', text: 'the mailbox has no list of tasks' })
  }

  async #find(scope: Scope, signal: AbortSignal): Promise<readonly Place[]> {
    if (scope.kind === 'contact') return this.#contactFolders(scope, signal)
    const found: Place[] = []
    for (const folder of scope.folders) found.push(await this.#mailFolder(scope.mailbox, folder, signal))
    return found
  }

  async #contactFolders({ mailbox, folders }: Scope, signal: AbortSignal): Promise<readonly Place[]> {
    const all: Place[] = [{ id: 'contacts', name: 'Contacts' }]
    for await (const row of this.#client.list(`${userPath(mailbox)}/contactFolders`, [], signal)) {
      all.push(placeOf(row))
    }
    return folders.map(folder => {
      const place = all.find(each => each.name === folder || each.id === folder)
      if (place) return place
      throw folderGone(mailbox, folder)
    })
  }

  /** `inbox`, or a path of names: `Customers/Contoso`. */
  async #mailFolder(mailbox: string, folder: string, signal: AbortSignal): Promise<Place> {
    const root = `${userPath(mailbox)}/mailFolders`
    if (/^[a-z]+$/.test(folder)) {
      const row = await this.#client.object({ method: 'GET', path: `${root}/${folder}?$select=id,displayName` }, signal)
      return placeOf(row)
    }
    let parent = ''
    for (const name of folder.split('/').filter(part => part !== '')) {
      const query = `?$filter=${encodeURIComponent(`displayName eq '${name.replaceAll("'", "''")}'`)}&$select=id,displayName`
      const path = parent === '' ? `${root}${query}` : `${root}/${encodeURIComponent(parent)}/childFolders${query}`
      const page = await this.#client.page(path, [], signal)
      const [row] = page.items
      if (!row) throw folderGone(mailbox, folder)
      parent = textAt(row, 'id')
    }
    return { id: parent, name: folder }
  }
}

const unseen: ReadonlySet<string> = new Set([graphErrors.PERMISSION_MISSING.code, graphErrors.OUT_OF_SCOPE.code])
const usualFolders = ['inbox', 'sentitems'] as const
const binName = 'deleteditems'

function placeOf(row: JsonObject): Place {
  return { id: textAt(row, 'id'), name: textAt(row, 'displayName') }
}

function placeOrThrow(place: Place | HubError | undefined, mailbox: string, name: string): Place {
  if (place instanceof HubError) throw place
  if (!place) throw folderGone(mailbox, name)
  return place
}

function folderGone(mailbox: string, folder: string) {
  return graphErrors.GONE({
    path: `${mailbox}: ${folder}`,
    code: 'no such folder',
    text: 'the mailbox has no folder of that name',
  })
}

/** `users/a%40x.example` */
export function userPath(mailbox: string): string {
  return `users/${encodeURIComponent(mailbox)}`
}

function remembered<T>(map: Map<string, Promise<T>>, key: string, find: () => Promise<T>): Promise<T> {
  const known = map.get(key)
  map.delete(key)
  const finding = known ?? find()
  map.set(key, finding)
  if (known) return known
  // What failed is looked for again by the next one, not remembered.
  finding.catch(() => {
    if (map.get(key) === finding) map.delete(key)
  })
  const [oldest] = map.keys()
  if (map.size > answersKept && oldest !== undefined) map.delete(oldest)
  return finding
}
