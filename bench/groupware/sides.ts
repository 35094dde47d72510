import type {
  Abilities,
  Change,
  ChangePage,
  CreateOutcome,
  Creation,
  FeedPage,
  Scope,
  SideDriver,
  SideItem,
  Update,
  WriteOutcome,
} from '../../src/groupware/drivers.ts'
import type { Item } from '../../src/groupware/plan/items.ts'
import { askSince, watermarkToken } from '../../src/groupware/sync/watermark.ts'

/** What stands in for the servers: answers from memory, counts requests, costs next to nothing. */
interface Row {
  readonly id: string
  readonly owner: string
  item: Item
  version: number
  mark: string | null
  changedAt: number
}

/** Items per request as the real sides take them: 25 for Exchange (50 is usual), 50 in a $batch. */
const batch = { read: 50, write: 50, find: 25 }
const pageIds = 512

abstract class MemorySide implements SideDriver {
  abstract readonly side: 'exchange' | 'crm'
  requests = 0
  now = 0
  protected readonly rows = new Map<string, Row>()
  protected readonly byOwner = new Map<string, Row[]>()
  #count = 0

  abstract abilities(): Abilities
  abstract changes(scope: Scope, token: string | undefined): Promise<ChangePage>

  protected abstract identityOf(row: Row): string

  add(owner: string, item: Item, mark: string | null = null): Row {
    this.#count += 1
    const row = { id: `${this.side}-${this.#count}`, owner, item, version: 1, mark, changedAt: this.now }
    this.rows.set(row.id, row)
    const key = `${owner} ${item.kind}`
    this.byOwner.set(key, [...(this.byOwner.get(key) ?? []), row])
    return row
  }

  protected rowsOf({ mailbox, kind }: Scope): readonly Row[] {
    return this.byOwner.get(`${mailbox} ${kind}`) ?? []
  }

  async read(_scope: Scope, ids: readonly string[]): Promise<readonly (SideItem | undefined)[]> {
    this.requests += 1
    return ids.map(id => this.show(this.rows.get(id)))
  }

  async findByMark(scope: Scope, marks: readonly string[]): Promise<readonly (readonly SideItem[])[]> {
    this.requests += 1
    const rows = this.rowsOf(scope)
    return marks.map(mark => rows.filter(row => row.mark === mark).flatMap(row => this.show(row) ?? []))
  }

  async findByIdentity(scope: Scope, identities: readonly string[]): Promise<readonly (readonly SideItem[])[]> {
    this.requests += 1
    const rows = this.rowsOf(scope)
    return identities.map(name =>
      rows.filter(row => this.identityOf(row) === name).flatMap(row => this.show(row) ?? []),
    )
  }

  async create(scope: Scope, items: readonly Creation[]): Promise<readonly CreateOutcome[]> {
    this.requests += 1
    return items.map(({ item, mark }) => {
      const row = this.add(scope.mailbox, item, mark)
      return { state: 'done', id: row.id, version: '1', identity: this.identityOf(row) }
    })
  }

  async update(_scope: Scope, changes: readonly Update[]): Promise<readonly WriteOutcome[]> {
    this.requests += 1
    return changes.map(({ id, version, after, mark }) => {
      const row = this.rows.get(id)
      if (!row) return { state: 'gone' }
      if (String(row.version) !== version) return { state: 'conflict' }
      row.item = after
      if (mark !== undefined) row.mark = mark
      row.version += 1
      row.changedAt = this.now
      return { state: 'done', id, version: String(row.version), identity: this.identityOf(row) }
    })
  }

  async remove(): Promise<readonly WriteOutcome[]> {
    throw new Error('nothing is deleted here')
  }

  normalise(item: Item): Item {
    return item
  }

  concerns(): 'mailbox' {
    return 'mailbox'
  }

  protected show(row: Row | undefined): SideItem | undefined {
    if (!row) return undefined
    const { id, version, mark, changedAt, item } = row
    const identity = this.identityOf(row)
    return { id, version: String(version), identity, mark, modifiedAt: changedAt, folder: null, item }
  }
}

/** A mailbox server: pages of 512 ids, versions told with them. */
export class MemoryExchange extends MemorySide {
  readonly side = 'exchange'

  abilities(): Abilities {
    return { holds: true, holdsMark: true, tellsDeletions: true, holdsSeries: true, batch }
  }

  async changes(scope: Scope, token: string | undefined): Promise<ChangePage> {
    this.requests += 1
    const since = Number(token ?? -1)
    const rows = this.rowsOf(scope)
      .filter(row => row.changedAt > since)
      .slice(0, pageIds)
    const changes = rows.map(({ id, version }): Change => ({ id, isDeleted: false, version: String(version) }))
    return { changes, token: String(this.now), hasMore: false }
  }

  protected identityOf({ id }: Row): string {
    return `uid-${id}`
  }
}

/** A CRM: changes by time with an overlap, for one owner or for all of them. */
export class MemoryCrm extends MemorySide {
  readonly side = 'crm'

  abilities(): Abilities {
    return { holds: true, holdsMark: true, tellsDeletions: false, holdsSeries: true, batch }
  }

  async changes(scope: Scope, token: string | undefined): Promise<ChangePage> {
    this.requests += 1
    const since = askSince(token) ?? 0
    const changes = this.rowsOf(scope).flatMap(row => (row.changedAt >= since ? this.#changeOf(row) : []))
    return { changes, token: watermarkToken(this.now), hasMore: false }
  }

  async feed(_organization: string, kind: string, token: string | undefined): Promise<FeedPage> {
    this.requests += 1
    const since = askSince(token) ?? 0
    const rows = [...this.rows.values()].filter(row => row.changedAt >= since && row.item.kind === kind)
    const owners = rows.map(row => [row.owner])
    return {
      changes: rows.flatMap(row => this.#changeOf(row)),
      owners,
      token: watermarkToken(this.now),
      hasMore: false,
    }
  }

  async allKeys(): Promise<ReadonlySet<string>> {
    // A page of keys has a thousand.
    this.requests += Math.ceil(this.rows.size / 1000)
    return new Set(this.rows.keys())
  }

  protected identityOf({ id }: Row): string {
    return id
  }

  #changeOf(row: Row): readonly Change[] {
    const item = this.show(row)
    return item ? [{ id: row.id, isDeleted: false, version: item.version, item }] : []
  }
}
