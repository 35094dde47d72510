import { HubError } from '../../kernel/error.ts'
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

const mailboxesKept = 10_000

/** Ids of the folders that are synced, asked once per mailbox and set of folders. */
export class FolderBook {
  readonly #client: EwsClient
  readonly #known = new Map<string, Promise<readonly ScopeFolder[]>>()

  constructor(client: EwsClient) {
    this.#client = client
  }

  /** The folders of a scope. Throws EWS_FOLDER_GONE for one that is not there. */
  foldersOf(scope: Pick<Scope, 'mailbox' | 'kind' | 'folders'>, signal: AbortSignal): Promise<readonly ScopeFolder[]> {
    const names = scope.folders.length > 0 ? scope.folders : kindFacts[scope.kind].folders
    const key = `${scope.mailbox} ${names.join('|')}`
    const known = this.#known.get(key)
    if (known) return known
    const asked = this.#ask({ mailbox: scope.mailbox, signal }, names)
    if (this.#known.size >= mailboxesKept) this.#known.clear()
    this.#known.set(key, asked)
    asked.catch(() => this.#known.delete(key))
    return asked
  }

  /** Folders may have been made or moved: they are asked for again. */
  forget(mailbox: string): void {
    for (const key of this.#known.keys()) if (key.startsWith(`${mailbox} `)) this.#known.delete(key)
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

const wellKnown: ReadonlySet<string> = new Set(
  'calendar contacts tasks inbox sentitems drafts deleteditems junkemail outbox msgfolderroot notes journal'.split(' '),
)

/** Folders by the names that lead to them, in lower case: `projects/north`. */
function pathsOf(folders: readonly Folder[]): ReadonlyMap<string, string> {
  const byId = new Map(folders.map(folder => [folder.id, folder]))
  const paths = new Map<string, string>()
  for (const folder of folders) {
    const names: string[] = []
    for (let at: Folder | undefined = folder; at && names.length < 50; at = byId.get(at.parentId ?? ''))
      names.unshift(at.name)
    paths.set(names.join('/').toLowerCase(), folder.id)
  }
  return paths
}

/** Whose changes a folder may tell. */
export function kindOfFolder(
  folders: ReadonlyMap<ItemKind, readonly ScopeFolder[]>,
  id: string | undefined,
): ItemKind | undefined {
  for (const [kind, list] of folders) if (list.some(folder => folder.id === id)) return kind
  return undefined
}
