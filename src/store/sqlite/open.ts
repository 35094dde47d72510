import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { defaultLimits } from '../../kernel/limit.ts'
import { type Clock, systemClock } from '../../kernel/time.ts'
import { optionalNumberOf } from '../columns.ts'
import { storeErrors } from '../errors.ts'
import type { BodyStore, KeyMaps, Store } from '../port.ts'
import { DeliveryQueue } from '../queue/queue.ts'
import { DeliverySequence } from '../sequence.ts'
import { openWorkBell } from '../work-bell.ts'
import { Attempts } from './attempts.ts'
import { openAudit } from './audit.ts'
import { openBodies } from './bodies.ts'
import { Committer } from './committer.ts'
import { Contents, isDamaged } from './contents.ts'
import { openDeliveries } from './deliveries.ts'
import { Facts } from './facts.ts'
import { asStoreError } from './failure.ts'
import { FlowBook } from './flow-book.ts'
import { openInspection } from './inspection.ts'
import { KeyMapTable } from './key-maps.ts'
import { openLeases } from './leases.ts'
import { type SqliteLimits, sqliteLimits } from './limits.ts'
import { holdBodies, lockFolder } from './lock.ts'
import { countFramesBehindDamage } from './log-damage.ts'
import { migrate } from './migrations.ts'
import type { StoreParts } from './parts.ts'
import { BodyPlacing } from './placing.ts'
import { rebuildQueue } from './rebuild.ts'
import { Receipts } from './receipts.ts'
import { openRecords } from './records.ts'
import { SegmentBook } from './segment-book.ts'
import { openSegmentCleaning } from './segment-cleaning.ts'
import { listSegments } from './segment-file.ts'
import { type CreateSegment, SegmentWriter } from './segment-writer.ts'
import { TermIndex } from './term-index.ts'
import { WalFlusher } from './wal-flusher.ts'
import { Words } from './words.ts'

export const databaseFile = 'isthmus.db'
/** There from the first step of a restore to its last, which gives it the name of the database. */
export const restoringFile = 'isthmus.db.restoring'
const pageBytes = 8192

export interface SqliteStoreOptions {
  /** Where the database, its lock and the bodies lie; made when it is missing. One process at a time has it. */
  readonly folder: string
  readonly limits?: { readonly inlineBytes?: number } & Partial<SqliteLimits>
  readonly clock?: Clock
  /** The end of what was written last cannot be read: so many pages of the log lie behind a damaged one. */
  readonly onLogDamaged?: ((pages: number) => void) | undefined
  /** Makes the files that small bodies are appended to; a test gives ones that fail. */
  readonly createSegment?: CreateSegment
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
    // Made by the hub, so that one who backs up as another user does not keep it from removing bodies.
    holdBodies(folder)?.()
    if (existsSync(join(folder, restoringFile))) throw storeErrors.RESTORE_UNFINISHED({ folder })
    refuseOrphans(folder)
    const database = openDatabase(join(folder, databaseFile), limits)
    undo.push(() => database.close())
    const pagesLost = countFramesBehindDamage(database, `${join(folder, databaseFile)}-wal`)
    if (pagesLost > 0) options.onLogDamaged?.(pagesLost)
    migrate(database)
    const flusher = new WalFlusher(join(folder, databaseFile))
    undo.push(() => flusher.close())
    const store = assemble(database, flusher, { ...options, clock, limits })
    return {
      ...store.port,
      async close() {
        await store.settle()
        for (const step of undo.splice(0).toReversed()) step()
      },
    }
  } catch (thrown) {
    for (const step of undo.toReversed()) step()
    throw asStoreError(thrown)
  }
}

/**
 * A new database would need none of the bodies that are there, and the next `collect` would take them all; and SQLite
 * empties a log whose database it does not find, with all that was committed last.
 */
function refuseOrphans(folder: string): void {
  const file = join(folder, databaseFile)
  if (bytesOf(file) > 0) return
  if (bytesOf(`${file}-wal`) > 0) throw storeErrors.DAMAGED({ text: `${file} is empty or gone, and its log is not` })
  const hasBodies = readdirSync(join(folder, 'bodies'), { recursive: true, withFileTypes: true }).some(each =>
    each.isFile(),
  )
  if (hasBodies) throw storeErrors.DAMAGED({ text: `${file} is empty or gone, and the folder bodies is not empty` })
}

function bytesOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

function openDatabase(file: string, limits: SqliteLimits): DatabaseSync {
  // SQLite would let everybody read a new one, and its log has the rights of the database.
  writeFileSync(file, '', { flag: 'a', mode: 0o600 })
  const database = new DatabaseSync(file)
  // Pages of 8 KiB hold several small messages each, which halves what a commit writes. NORMAL: SQLite flushes its log
  // before a checkpoint, and the committer flushes it before anybody is told (wal-flusher.ts), which makes FULL of it.
  database.exec(`
    pragma page_size = ${pageBytes};
    pragma max_page_count = ${Math.floor(limits.databaseBytes / pageBytes)};
    pragma busy_timeout = ${limits.busyMs};
    pragma journal_mode = wal;
    pragma synchronous = normal;
    pragma cache_size = -16384;
    pragma wal_autocheckpoint = 4000;
    pragma journal_size_limit = 67108864`)
  return database
}

interface Settled extends SqliteStoreOptions {
  readonly limits: SqliteLimits & { readonly inlineBytes: number }
  readonly clock: Clock
}

function assemble(database: DatabaseSync, flusher: WalFlusher, { folder, limits, clock, createSegment }: Settled) {
  const bodyFolder = join(folder, 'bodies')
  const segmentFolder = join(bodyFolder, 'segments')
  const committer = new Committer(database, flusher, limits)
  const segments = new SegmentBook(database, listSegments(segmentFolder))
  committer.join(segments)
  const segmentWriter = new SegmentWriter({
    folder: segmentFolder,
    book: segments,
    limits,
    clock,
    create: createSegment,
  })
  const { rowBodyBytes, cacheBytes } = limits
  const facts = new Facts(database)
  const flows = new FlowBook(database)
  committer.join(flows)
  const terms = new TermIndex(database, facts, limits)
  committer.join(terms)
  const work = openWorkBell()
  const parts: StoreParts = {
    database,
    limits,
    committer,
    facts,
    flows,
    sequence: new DeliverySequence(newestOf(database), facts),
    queue: new DeliveryQueue(),
    contents: new Contents({ database, segments, segmentFolder, cacheBytes }),
    words: new Words(database, limits, terms),
    terms,
    receipts: new Receipts(database, limits),
    attempts: new Attempts(database, limits.attempts),
    keyMaps: new KeyMapTable(database, committer),
    bodies: openBodies(database, bodyFolder, limits, clock, () => committer.durable()),
    segments,
    segmentFolder,
    segmentWriter,
    placing: new BodyPlacing({ writer: segmentWriter, book: segments, rowBodyBytes }),
    announceWork: work.ring,
  }
  rebuildQueue(parts)
  return {
    port: {
      onWork: work.listen,
      ...openDeliveries(parts),
      ...openInspection(parts),
      ...openRecords(parts),
      ...openAudit(parts),
      ...openLeases(parts),
      ...openKeyMaps(parts.keyMaps),
      bodies: openBodyPort(parts, folder),
    },
    /** Everything asked for before is durable, and nothing more is taken. */
    async settle() {
      await parts.placing.close()
      await committer.close()
      await segmentWriter.close()
    },
  }
}

function newestOf(database: DatabaseSync): number {
  return optionalNumberOf(database.prepare('select max(seq) as seq from delivery').get()?.['seq']) ?? 0
}

/** The port is spread, and methods of a class do not come along. */
function openKeyMaps(table: KeyMapTable): KeyMaps {
  return {
    recall: (map, key) => table.recall(map, key),
    keyMapEntries: query => table.keyMapEntries(query),
    keyMaps: () => table.keyMaps(),
    rewrite: write => table.rewrite(write),
    forgetKeys: query => table.forgetKeys(query),
  }
}

/** Both places of bodies as one: segments for those that count as inline, files for the others. */
function openBodyPort(parts: StoreParts, folder: string): BodyStore {
  const { write, read, collect } = parts.bodies
  const cleanSegments = openSegmentCleaning(parts)
  return {
    write,
    async *read(body, into) {
      if (isDamaged(body)) throw storeErrors.BODY_DAMAGED({ bytes: body.bytes })
      yield* read(body, into)
    },
    async collect() {
      const letGo = holdBodies(folder)
      // A backup copies them; the next round finds the same.
      if (!letGo) return 0
      try {
        const removed = await collect()
        await cleanSegments()
        return removed
      } finally {
        letGo()
      }
    },
  }
}
