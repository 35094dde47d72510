import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { Committer, type Flusher } from '../../store/sqlite/committer.ts'
import { sqliteLimits } from '../../store/sqlite/limits.ts'
import { WalFlusher } from '../../store/sqlite/wal-flusher.ts'
import type { Side } from '../drivers.ts'
import {
  elsewhereOf,
  ghostOf,
  intentOf,
  linkColumns,
  linkOf,
  openWorkOf,
  pairOf,
  type Row,
  stateOf,
  unseenOf,
  waitingOf,
} from './sqlite-rows.ts'
import { migrateSyncStore } from './sqlite-schema.ts'
import { isEmptyWrite, type ScopeKey, type ScopeState, type SyncStore, type SyncWrite } from './sync-store.ts'

/**
 * Opens the memory of the groupware sync in a file of its own; the data folder it lies in is locked by the hub's store.
 * `:memory:` makes one that ends with the process.
 */
export function openSyncStore({ file }: { readonly file: string }): SyncStore {
  const isInMemory = file === ':memory:'
  if (!isInMemory) mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const database = new DatabaseSync(file)
  database.exec(`
    pragma busy_timeout = ${sqliteLimits.busyMs};
    pragma journal_mode = ${isInMemory ? 'memory' : 'wal'};
    pragma synchronous = normal;
    pragma journal_size_limit = 67108864`)
  try {
    migrateSyncStore(database)
  } catch (thrown) {
    database.close()
    throw thrown
  }
  const wal = isInMemory ? undefined : new WalFlusher(file)
  const flusher: Flusher = wal ?? { flush: () => Promise.resolve() }
  const committer = new Committer(database, flusher, sqliteLimits)
  const scopes = new Scopes(database)
  const read = openReads(database, scopes)
  const write = openWrites(database, scopes)
  return {
    ...read,
    write: (scope, change) =>
      isEmptyWrite(change) ? Promise.resolve() : committer.commit(() => write.apply(scope, change)),
    forget: scope => committer.commit(() => write.forget(scope)),
    purgeGhosts: before => committer.commit(() => write.purgeGhosts(before)),
    async close() {
      await committer.close()
      wal?.close()
      database.close()
    },
  }
}

/** Numbers of scopes; a scope gets one with its first write. */
class Scopes {
  readonly #known = new Map<string, number>()
  readonly #select
  readonly #insert

  constructor(database: DatabaseSync) {
    this.#select = database.prepare('select number from scope where organization = ? and mailbox = ? and kind = ?')
    this.#insert = database.prepare('insert into scope (organization, mailbox, kind) values (?, ?, ?)')
  }

  find({ organization, mailbox, kind }: ScopeKey): number | undefined {
    const name = `${kind} ${mailbox} ${organization}`
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const row = this.#select.get(organization, mailbox, kind)
    if (!row) return undefined
    const number = Number(row['number'])
    this.#known.set(name, number)
    return number
  }

  /** Within a transaction. A number is remembered only once it is read back, since the transaction may be undone. */
  make(scope: ScopeKey): number {
    const found = this.find(scope)
    if (found !== undefined) return found
    return Number(this.#insert.run(scope.organization, scope.mailbox, scope.kind).lastInsertRowid)
  }
}

/** Up to so many links are looked up one by one, which is cheaper than a list that SQLite has to parse. */
const singlesMax = 8

type Reads = Omit<SyncStore, 'write' | 'forget' | 'purgeGhosts' | 'close'>

function openReads(database: DatabaseSync, scopes: Scopes): Reads {
  const prepare = (sql: string) => database.prepare(sql)
  const inList = 'in (select value from json_each(?))'
  const state = prepare('select * from scope where number = ?')
  // Without the names SQLite walks all links of the scope: it knows nothing of how many there are.
  const bySide: Record<Side, StatementSync> = {
    exchange: prepare(`select * from link indexed by link_exchange where scope = ? and exchange_id ${inList}`),
    crm: prepare(`select * from link indexed by link_crm where scope = ? and crm_id ${inList}`),
  }
  const oneBySide: Record<Side, StatementSync> = {
    exchange: prepare('select * from link where scope = ? and exchange_id = ?'),
    crm: prepare('select * from link where scope = ? and crm_id = ?'),
  }
  const byIdentity = prepare(
    `select * from link indexed by link_identity where scope = ? and exchange_identity ${inList}`,
  )
  const open = {
    dirty: prepare('select * from link indexed by link_dirty where scope = ? and is_dirty = 1'),
    held: prepare('select * from link indexed by link_held where scope = ? and held_side is not null'),
  }
  const page = prepare('select key, exchange_id, crm_id from link where scope = ? and key > ? order by key limit ?')
  // Left to itself it begins with all mailboxes of the organization, and walks all links of each.
  const elsewhere = prepare(`
    select link.key, link.crm_id, link.role, scope.mailbox
    from link indexed by link_elsewhere cross join scope on scope.number = link.scope
    where link.crm_id ${inList} and scope.organization = ? and scope.kind = ? and scope.mailbox <> ?`)
  const count = prepare('select count(*) as found from link where scope = ?')
  const countHeld = prepare(
    'select count(*) as found from link indexed by link_held where scope = ? and held_side is not null',
  )
  const intents = prepare('select content from intent where scope = ? order by at, key')
  const countDeleted = prepare("select count(*) as found from ghost where scope = ? and reason = 'deleted' and at > ?")
  const unseen = prepare('select * from unseen where scope = ?')
  const ghosts = prepare(`select * from ghost where scope = ? and side = ? and id ${inList}`)
  const due = prepare(`
    select * from waiting where scope = ?1 and due_at is not null and (due_at <= ?2 or at > ?2) order by due_at`)
  const nextDue = prepare('select min(due_at) as at from waiting where scope = ? and due_at > ?')
  const openWork = prepare(`
    select scope.organization, scope.mailbox, min(open.due_at) as due_at
    from (
      select number, 0 as due_at from scope where is_under_way = 1 or is_brake_released = 1
      union all
      select scope, min(due_at) from waiting where due_at is not null group by scope
    ) as open join scope on scope.number = open.number
    group by scope.organization, scope.mailbox`)
  const waiting = prepare(`select * from waiting where scope = ? and side = ? and id ${inList}`)
  const allWaiting = prepare('select * from waiting where scope = ? order by at desc limit ?')

  /** The rows of a scope; none while it has none. */
  function rows(scope: ScopeKey, statement: StatementSync, ...values: (string | number)[]): readonly Row[] {
    const number = scopes.find(scope)
    return number === undefined ? [] : statement.all(number, ...values)
  }
  const countOf = (scope: ScopeKey, statement: StatementSync) => Number(rows(scope, statement)[0]?.['found'] ?? 0)
  const list = (ids: readonly string[]) => JSON.stringify(ids)

  return {
    readScope: async scope => stateOf(rows(scope, state)[0]),
    async findLinks(scope, side, ids) {
      if (ids.length > singlesMax) return rows(scope, bySide[side], list(ids)).map(linkOf)
      return [...new Set(ids)].flatMap(id => rows(scope, oneBySide[side], id).map(linkOf))
    },
    findByIdentity: async (scope, identities) =>
      identities.length === 0 ? [] : rows(scope, byIdentity, list(identities)).map(linkOf),
    openLinks: async (scope, which) => rows(scope, open[which]).map(linkOf),
    listPairs: async (scope, after, limit) => rows(scope, page, after ?? '', limit).map(pairOf),
    linksElsewhere: async ({ organization, kind, mailbox }, crmIds) =>
      elsewhere.all(list(crmIds), organization, kind, mailbox).map(elsewhereOf),
    countLinks: async scope => countOf(scope, count),
    countHeld: async scope => countOf(scope, countHeld),
    intents: async scope => rows(scope, intents).map(intentOf),
    unseen: async scope => rows(scope, unseen).map(unseenOf),
    countDeleted: async (scope, since) => Number(rows(scope, countDeleted, since)[0]?.['found'] ?? 0),
    findGhosts: async (scope, side, ids) => (ids.length === 0 ? [] : rows(scope, ghosts, side, list(ids)).map(ghostOf)),
    dueWaiting: async (scope, now) => rows(scope, due, now).map(waitingOf),
    nextWaitingAt: async (scope, now) => Number(rows(scope, nextDue, now)[0]?.['at'] ?? Number.POSITIVE_INFINITY),
    openWork: async () => openWork.all().map(openWorkOf),
    findWaiting: async (scope, side, ids) =>
      ids.length === 0 ? [] : rows(scope, waiting, side, list(ids)).map(waitingOf),
    listWaiting: async (scope, limit) => rows(scope, allWaiting, limit).map(waitingOf),
  }
}

function openWrites(database: DatabaseSync, scopes: Scopes) {
  const prepare = (sql: string) => database.prepare(sql)
  // Its role stays what it is: another mailbox may have taken it since the link was read.
  const putLink = prepare(`
    insert into link values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (scope, key) do update set
      exchange_id = excluded.exchange_id, exchange_version = excluded.exchange_version,
      exchange_identity = excluded.exchange_identity, crm_id = excluded.crm_id, crm_version = excluded.crm_version,
      crm_identity = excluded.crm_identity, base = excluded.base, pending = excluded.pending,
      is_dirty = excluded.is_dirty, held_side = excluded.held_side, held_at = excluded.held_at,
      said_in_crm = excluded.said_in_crm`)
  const makeDirty = prepare('update link set is_dirty = 1 where scope = ? and key = ?')
  const makeAllDirty = prepare('update link set is_dirty = 1 where scope = ?')
  const begin = prepare('update scope set is_under_way = 1 where number = ?')
  const dropLink = prepare('delete from link where scope = ? and key = ?')
  const demote = prepare("update link set role = 'follower' where scope = ? and key = ?")
  const putIntent = prepare('insert or replace into intent values (?, ?, ?, ?)')
  const dropIntent = prepare('delete from intent where scope = ? and key = ?')
  const putUnseen = prepare('insert or replace into unseen values (?, ?, ?, ?)')
  const dropUnseen = prepare('delete from unseen where scope = ? and side = ? and id = ?')
  const putGhost = prepare('insert or replace into ghost values (?, ?, ?, ?, ?, ?)')
  const dropGhost = prepare('delete from ghost where scope = ? and side = ? and id = ?')
  const putWaiting = prepare('insert or replace into waiting values (?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const dropWaiting = prepare('delete from waiting where scope = ? and side = ? and id = ?')
  const purge = prepare("delete from ghost where at < ? and reason = 'deleted'")
  const readState = prepare('select * from scope where number = ?')
  const putState = prepare(`
    update scope set exchange_token = ?, crm_token = ?, keys_compared_at = ?, stored_at = ?, first_round_at = ?,
      is_brake_released = ?, brake_released_at = ?, admission = ?, id_space = ?, is_under_way = ? where number = ?`)
  const forgetting = ['link', 'intent', 'unseen', 'ghost', 'waiting'].map(table =>
    prepare(`delete from ${table} where scope = ?`),
  )

  function writeState(number: number, change: Partial<ScopeState>): void {
    const state: ScopeState = { ...stateOf(readState.get(number)), ...change }
    putState.run(
      state.tokens.exchange ?? null,
      state.tokens.crm ?? null,
      whole(state.keysComparedAt),
      whole(state.storedAt),
      whole(state.firstRoundAt),
      Number(state.isBrakeReleased),
      whole(state.brakeReleasedAt),
      state.admission ? JSON.stringify(state.admission) : null,
      state.idSpace ?? null,
      Number(state.isUnderWay),
      number,
    )
  }

  return {
    apply(scope: ScopeKey, change: SyncWrite): void {
      const number = scopes.make(scope)
      if (change.begins) begin.run(number)
      for (const key of change.dropLinks ?? []) dropLink.run(number, key)
      for (const link of change.putLinks ?? []) putLink.run(...linkColumns(number, link))
      for (const { mailbox, key } of change.demote ?? []) {
        const other = scopes.find({ ...scope, mailbox })
        if (other !== undefined) demote.run(other, key)
      }
      for (const { mailbox, key } of change.makeDirty ?? []) {
        const other = scopes.find({ ...scope, mailbox })
        if (other !== undefined) makeDirty.run(other, key)
      }
      for (const key of change.dropIntents ?? []) dropIntent.run(number, key)
      for (const intent of change.putIntents ?? [])
        putIntent.run(number, intent.key, whole(intent.at), JSON.stringify(intent))
      for (const { side, id } of change.dropUnseen ?? []) dropUnseen.run(number, side, id)
      for (const { side, id, at } of change.putUnseen ?? []) putUnseen.run(number, side, id, whole(at))
      for (const { side, id } of change.dropGhosts ?? []) dropGhost.run(number, side, id)
      for (const { side, id, version, reason, at } of change.putGhosts ?? []) {
        putGhost.run(number, side, id, version, reason, whole(at))
      }
      for (const { side, id } of change.dropWaiting ?? []) dropWaiting.run(number, side, id)
      for (const { side, id, version, attemptCount, dueAt, at, error, isWanted } of change.putWaiting ?? []) {
        putWaiting.run(
          number,
          side,
          id,
          version ?? null,
          attemptCount,
          whole(dueAt),
          whole(at),
          error ? JSON.stringify(error) : null,
          Number(isWanted),
        )
      }
      if (change.areAllDirty) makeAllDirty.run(number)
      if (change.state) writeState(number, change.state)
    },
    forget(scope: ScopeKey): void {
      const number = scopes.find(scope)
      if (number === undefined) return
      for (const statement of forgetting) statement.run(number)
      putState.run(null, null, null, null, null, 0, null, null, null, 0, number)
    },
    purgeGhosts: (before: number): number => Number(purge.run(before).changes),
  }
}

/** Times are whole milliseconds, whatever the clock says. */
function whole(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms)
}
