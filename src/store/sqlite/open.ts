import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { defaultLimits } from '../../kernel/limit.ts'
import { type Clock, systemClock } from '../../kernel/time.ts'
import type { Store } from '../port.ts'
import { Attempts } from './attempts.ts'
import { openAudit } from './audit.ts'
import { openBodies } from './bodies.ts'
import { Committer } from './committer.ts'
import { Contents } from './contents.ts'
import { openDeliveries } from './deliveries.ts'
import { Facts } from './facts.ts'
import { asStoreError } from './failure.ts'
import { FlowBook } from './flow-book.ts'
import { openInspection } from './inspection.ts'
import { openLeases } from './leases.ts'
import { type SqliteLimits, sqliteLimits } from './limits.ts'
import { lockFolder } from './lock.ts'
import { migrate } from './migrations.ts'
import type { StoreParts } from './parts.ts'
import { DeliveryQueue } from './queue.ts'
import { rebuildQueue } from './rebuild.ts'
import { Receipts } from './receipts.ts'
import { openRecords } from './records.ts'
import { DeliverySequence } from './sequence.ts'
import { Words } from './words.ts'

const databaseFile = 'isthmus.db'
const pageBytes = 8192

export interface SqliteStoreOptions {
  /** Where the database, its lock and the bodies lie; made when it is missing. One process at a time has it. */
  readonly folder: string
  readonly limits?: { readonly inlineBytes?: number } & Partial<SqliteLimits>
  readonly clock?: Clock
}

/**
 * Opens the store of one data folder. Throws STORE_LOCKED when another process has it, STORE_NEWER when a newer program
 * wrote it, STORE_DAMAGED and STORE_FULL as the disk has it.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { folder, clock = systemClock } = options
  const limits = { ...sqliteLimits, inlineBytes: defaultLimits.inlineBytes, ...options.limits }
  const undo: (() => void)[] = []
  try {
    mkdirSync(join(folder, 'bodies'), { recursive: true, mode: 0o700 })
    undo.push(lockFolder(folder))
    const database = openDatabase(join(folder, databaseFile), limits)
    undo.push(() => database.close())
    migrate(database)
    const store = assemble(database, join(folder, 'bodies'), limits, clock)
    return {
      ...store,
      async close() {
        store.committer.close()
        for (const step of undo.splice(0).toReversed()) step()
      },
    }
  } catch (thrown) {
    for (const step of undo.toReversed()) step()
    throw asStoreError(thrown)
  }
}

function openDatabase(file: string, limits: SqliteLimits): DatabaseSync {
  const database = new DatabaseSync(file)
  // Pages of 8 KiB hold several small messages each, which halves what a commit writes. FULL: a commit is on the disk.
  database.exec(`
    pragma page_size = ${pageBytes};
    pragma max_page_count = ${Math.floor(limits.databaseBytes / pageBytes)};
    pragma busy_timeout = ${limits.busyMs};
    pragma journal_mode = wal;
    pragma synchronous = full;
    pragma cache_size = -16384;
    pragma wal_autocheckpoint = 4000;
    pragma journal_size_limit = 67108864`)
  return database
}

function assemble(
  database: DatabaseSync,
  bodyFolder: string,
  limits: SqliteLimits & { inlineBytes: number },
  clock: Clock,
) {
  const committer = new Committer(database, limits.groupWrites)
  const facts = new Facts(database)
  const flows = new FlowBook(database)
  committer.join(flows)
  const work = openWorkBell()
  const parts: StoreParts = {
    database,
    limits,
    committer,
    facts,
    flows,
    sequence: new DeliverySequence(database, facts),
    queue: new DeliveryQueue(),
    contents: new Contents(database, limits.cacheBytes),
    words: new Words(database, limits),
    receipts: new Receipts(database, limits.rowReceipts),
    attempts: new Attempts(database, limits.attempts),
    bodies: openBodies(database, bodyFolder, limits, clock),
    announceWork: work.ring,
  }
  rebuildQueue(parts)
  const { write, read, collect } = parts.bodies
  return {
    committer,
    onWork: work.listen,
    ...openDeliveries(parts),
    ...openInspection(parts),
    ...openRecords(parts),
    ...openAudit(parts),
    ...openLeases(parts),
    bodies: { write, read, collect },
  }
}

/** Tells listeners once per group of commits that there may be work. */
function openWorkBell() {
  const listeners: (() => void)[] = []
  let isRinging = false
  return {
    listen: (callback: () => void) => void listeners.push(callback),
    ring() {
      if (isRinging) return
      isRinging = true
      queueMicrotask(() => {
        isRinging = false
        for (const listener of listeners) listener()
      })
    },
  }
}
