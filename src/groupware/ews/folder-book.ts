import { HubError } from '../../kernel/error.ts'
import { SharedAnswer } from '../../kernel/shared-answer.ts'
import type { At, EwsClient } from '../../protocols/ews/client.ts'
import { ewsErrors } from '../../protocols/ews/errors.ts'
import type { Folder } from '../../protocols/ews/folders.ts'
import type { Scope } from '../drivers.ts'
import type { ItemKind } from '../plan/items.ts'
import { kindFacts } from './kinds.ts'

/** A folder of a scope. */
export interface ScopeFolder {
  readonly id: string
  /** As the scope names it: `calendar`, `Projects/North`. */
  readonly name: string
}

/** A folder of the kind of a scope that the scope leaves out. */
export interface OtherFolder extends ScopeFolder {
  readonly itemCount: number
}

/** A usual folder of a mailbox, or why it cannot be used. */
type Usual = Pick<Folder, 'id' | 'itemCount'> | HubError

/** Mailboxes whose folders are remembered; those that were not asked for longest go first. About 1 KB each. */
const mailboxesKept = 20_000

/** The usual folders of all kinds: they are asked for together, since one request asks for many. */
const usualNames = [...new Set(Object.values(kindFacts).flatMap(({ folders }) => folders)), 'deleteditems']

/** Ids of the folders that are synced, asked once per mailbox, and once more for folders of a profile's own. */
export class FolderBook {
  readonly #client: EwsClient
  readonly #usual = new Remembered<ReadonlyMap<string, Usual>>()
  readonly #own = new Remembered<readonly ScopeFolder[]>()
  readonly #others = new Remembered<readonly OtherFolder[]>()

  constructor(client: EwsClient) {
    this.#client = client
  }

  /** The folders of a scope. Throws EWS_FOLDER_GONE for one that is not there. */
  async foldersOf(
    scope: Pick<Scope, 'mailbox' | 'kind' | 'folders'>,
    signal: AbortSignal,
  ): Promise<readonly ScopeFolder[]> {
    const { mailbox, folders, kind } = scope
    const at = { mailbox, signal }
    if (folders.length > 0)
      return this.#own.get(`${mailbox} ${folders.join('|')}`, signal, () => this.#ask(at, folders))
    const usual = await this.#usualOf(at)
    return kindFacts[kind].folders.map(name => ({ name, id: folderOrThrow(usual.get(name), mailbox, name).id }))
  }

  /** How many items lie in the folders of a scope, as far as the mailbox said when it was asked for them. */
  async countOf(scope: Pick<Scope, 'mailbox' | 'kind' | 'folders'>, signal: AbortSignal): Promise<number | undefined> {
    await this.foldersOf(scope, signal)
    if (scope.folders.length > 0) return undefined
    const usual = await this.#usualOf({ mailbox: scope.mailbox, signal })
    return kindFacts[scope.kind].folders
      .map(name => folderOrThrow(usual.get(name), scope.mailbox, name).itemCount)
      .reduce((sum, count) => sum + count, 0)
  }

  /**
   * The folders of the kind of a scope that it leaves out, but for what lies in Deleted Items; asked for anew, since one may
   * just have been made for what was moved there.
   */
  async othersOf(scope: Scope, signal: AbortSignal): Promise<readonly OtherFolder[]> {
    this.#others.forget(scope.mailbox)
    return this.#othersOf(scope, signal)
  }

  /** The folders of a scope, and those that it leaves out where one of `parents` is none of it. */
  async foldersAround(
    scope: Scope,
    folders: readonly ScopeFolder[],
    parents: readonly (string | undefined)[],
    signal: AbortSignal,
  ): Promise<readonly ScopeFolder[]> {
    const areKnown = (known: readonly ScopeFolder[]) => parents.every(id => known.some(folder => folder.id === id))
    if (areKnown(folders)) return folders
    const known = [...folders, ...(await this.#othersOf(scope, signal))]
    return areKnown(known) ? known : [...folders, ...(await this.othersOf(scope, signal))]
  }

  #othersOf(scope: Scope, signal: AbortSignal): Promise<readonly OtherFolder[]> {
    const { mailbox, kind } = scope
    return this.#others.get(`${mailbox} ${kind} ${scope.folders.join('|')}`, signal, async () => {
      const at = { mailbox, signal }
      const bin = folderOrThrow((await this.#usualOf(at)).get('deleteditems'), mailbox, 'deleteditems').id
      const own = new Set((await this.foldersOf(scope, signal)).map(({ id }) => id))
      const all = await this.#client.findFolders(at, { known: 'msgfolderroot' })
      const byId = new Map(all.map(folder => [folder.id, folder]))
      return all.filter(folder => {
        const isOfKind = folder.folderClass === kindFacts[kind].folderClass
        return isOfKind && !own.has(folder.id) && !lineOf(folder, byId).some(({ parentId }) => parentId === bin)
      })
    })
  }

  /** Folders may have been made or moved: they are asked for again. */
  forget(mailbox: string): void {
    this.#usual.forget(mailbox)
    this.#own.forget(mailbox)
    this.#others.forget(mailbox)
  }

  #usualOf(at: At): Promise<ReadonlyMap<string, Usual>> {
    return this.#usual.get(at.mailbox, at.signal, async () => {
      const answers = await this.#client.getFolders(
        at,
        usualNames.map(known => ({ known })),
      )
      const usual = new Map<string, Usual>()
      for (const [index, answer] of answers.entries()) {
        const name = usualNames[index] ?? ''
        usual.set(name, answer instanceof HubError ? answer : { id: answer.id, itemCount: answer.itemCount })
      }
      // What is wrong may be mended by the next time.
      if (answers.some(answer => answer instanceof HubError)) this.#usual.forget(at.mailbox)
      return usual
    })
  }

  async #ask(at: At, names: readonly string[]): Promise<readonly ScopeFolder[]> {
    const usual = names.filter(name => wellKnown.has(name.toLowerCase()))
    const answers =
      usual.length === 0
        ? []
        : await this.#client.getFolders(
            at,
            usual.map(known => ({ known: known.toLowerCase() })),
          )
    const ids = new Map<string, string>()
    for (const [index, answer] of answers.entries()) {
      if (answer instanceof HubError) throw answer
      ids.set(usual[index] ?? '', answer.id)
    }
    if (usual.length < names.length) {
      const paths = pathsOf(await this.#client.findFolders(at, { known: 'msgfolderroot' }))
      for (const name of names) {
        const id = ids.get(name) ?? paths.get(name.toLowerCase())
        if (id === undefined) throw ewsErrors.FOLDER_GONE({ mailbox: at.mailbox, folder: name })
        ids.set(name, id)
      }
    }
    return names.map(name => ({ name, id: ids.get(name) ?? '' }))
  }
}

/** Answers by mailbox (and what stands behind it, after a space); what failed is asked for again by the next one. */
class Remembered<T> {
  readonly #known = new Map<string, SharedAnswer<T>>()

  get(key: string, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    const known = this.#known.get(key)
    this.#known.delete(key)
    const shared = known ?? new SharedAnswer(ask(), signal)
    this.#known.set(key, shared)
    if (known) return known.waitFor(signal, () => this.get(key, signal, ask))
    shared.answer.catch(() => {
      if (this.#known.get(key) === shared) this.#known.delete(key)
    })
    const [oldest] = this.#known.keys()
    if (this.#known.size > mailboxesKept && oldest !== undefined) this.#known.delete(oldest)
    return shared.answer
  }

  forget(mailbox: string): void {
    this.#known.delete(mailbox)
    for (const key of this.#known.keys()) if (key.startsWith(`${mailbox} `)) this.#known.delete(key)
  }
}

function folderOrThrow(folder: Usual | undefined, mailbox: string, name: string): Exclude<Usual, HubError> {
  if (folder instanceof HubError) throw folder
  if (!folder) throw ewsErrors.FOLDER_GONE({ mailbox, folder: name })
  return folder
}

const wellKnown: ReadonlySet<string> = new Set(
  'calendar contacts tasks inbox sentitems drafts deleteditems junkemail outbox msgfolderroot notes journal'.split(' '),
)

/** Folders by the names that lead to them, in lower case: `projects/north`. */
function pathsOf(folders: readonly Folder[]): ReadonlyMap<string, string> {
  const byId = new Map(folders.map(folder => [folder.id, folder]))
  const paths = new Map<string, string>()
  for (const folder of folders) {
    const names = lineOf(folder, byId).map(({ name }) => name)
    paths.set(names.toReversed().join('/').toLowerCase(), folder.id)
  }
  return paths
}

/** A folder, the one that it lies in, and so on. */
function lineOf(folder: Folder, byId: ReadonlyMap<string, Folder>): readonly Folder[] {
  const line: Folder[] = []
  for (let at: Folder | undefined = folder; at && line.length < 50; at = byId.get(at.parentId ?? '')) line.push(at)
  return line
}

/** Whose changes a folder may tell. */
export function kindOfFolder(
  folders: ReadonlyMap<ItemKind, readonly ScopeFolder[]>,
  id: string | undefined,
): ItemKind | undefined {
  for (const [kind, list] of folders) if (list.some(folder => folder.id === id)) return kind
  return undefined
}
