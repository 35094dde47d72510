import type { GraphClient } from '../../protocols/graph/client.ts'
import { graphErrors } from '../../protocols/graph/errors.ts'
import type { Scope } from '../drivers.ts'
import { textAt } from './row.ts'

/** Where the items of a scope lie: folders by id or well-known name, with the name that people know. */
export interface Place {
  readonly id: string
  readonly name: string
}

/** Folders of mailboxes, looked up once. */
export class Places {
  readonly #client: GraphClient
  readonly #known = new Map<string, Promise<readonly Place[]>>()
  readonly #taskLists = new Map<string, Promise<string>>()
  readonly #bins = new Map<string, Promise<string>>()

  constructor(client: GraphClient) {
    this.#client = client
  }

  /** The folders of a scope; of a calendar there is one, without a name of its own. */
  of(scope: Scope, signal: AbortSignal): Promise<readonly Place[]> {
    const key = JSON.stringify([scope.mailbox, scope.kind, scope.folders])
    return remembered(this.#known, key, () => this.#find(scope, signal))
  }

  /** Id of the folder where deleted mail lies. */
  bin(mailbox: string, signal: AbortSignal): Promise<string> {
    return remembered(this.#bins, mailbox, async () => {
      const path = `${userPath(mailbox)}/mailFolders/deleteditems?$select=id`
      return textAt(await this.#client.object({ method: 'GET', path }, signal), 'id')
    })
  }

  /** Id of the usual list of tasks. */
  taskList(mailbox: string, signal: AbortSignal): Promise<string> {
    return remembered(this.#taskLists, mailbox, async () => {
      const path = `${userPath(mailbox)}/todo/lists`
      for await (const list of this.#client.list(path, [], signal)) {
        if (textAt(list, 'wellknownListName') === 'defaultList') return textAt(list, 'id')
      }
      throw graphErrors.GONE({ path, code: 'no default list', text: 'the mailbox has no list of tasks' })
    })
  }

  async #find(scope: Scope, signal: AbortSignal): Promise<readonly Place[]> {
    const { mailbox, kind, folders } = scope
    switch (kind) {
      case 'appointment':
        return [{ id: 'calendar', name: 'Calendar' }]
      case 'task':
        return [{ id: await this.taskList(mailbox, signal), name: 'Tasks' }]
      case 'contact':
        return folders.length === 0 ? [{ id: 'contacts', name: 'Contacts' }] : this.#contactFolders(scope, signal)
      case 'mail': {
        const wanted = folders.length === 0 ? ['inbox', 'sentitems'] : folders
        const found: Place[] = []
        for (const folder of wanted) found.push(await this.#mailFolder(mailbox, folder, signal))
        return found
      }
    }
  }

  async #contactFolders({ mailbox, folders }: Scope, signal: AbortSignal): Promise<readonly Place[]> {
    const all: Place[] = [{ id: 'contacts', name: 'Contacts' }]
    for await (const row of this.#client.list(`${userPath(mailbox)}/contactFolders`, [], signal)) {
      all.push({ id: textAt(row, 'id'), name: textAt(row, 'displayName') })
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
      return { id: textAt(row, 'id'), name: textAt(row, 'displayName') }
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

async function remembered<T>(map: Map<string, Promise<T>>, key: string, find: () => Promise<T>): Promise<T> {
  const known = map.get(key)
  if (known) return known
  const finding = find()
  map.set(key, finding)
  // What failed is looked for again by the next one, not remembered.
  finding.catch(() => map.delete(key))
  return finding
}
