import { existsSync, lstatSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { version } from '../../../kernel/version.ts'
import { flagNumbers, numberOf, stateNumbers, textOf } from '../../columns.ts'
import { storeErrors } from '../../errors.ts'
import { pieceOf } from '../contents.ts'
import { asStoreError, isMissingFile } from '../failure.ts'
import { sqliteLimits } from '../limits.ts'
import { holdBodies } from '../lock.ts'
import { databaseFile } from '../open.ts'
import type { Piece } from '../segment-book.ts'
import { readPieces, segmentFile } from '../segment-file.ts'
import { syncFolder } from '../sync-folder.ts'
import { copyFile, type Digest, digestOf } from './copy-file.ts'
import { backupLimits } from './limits.ts'
import { FileList, type Manifest } from './manifest.ts'
import { refuseTo } from './refuse-to.ts'

export interface BackupRequest {
  /** The data folder; a hub may be at work with it. */
  readonly folder: string
  /** Where the backup comes to lie: nothing is there yet, and the folder that it lies in is. */
  readonly target: string
  /** Databases beside that of the store, by their path in the data folder; those that are not there are left out. */
  readonly books: readonly string[]
  /** Ends the backup; nothing of it stays. */
  readonly signal: AbortSignal
  /** Told often: so many bytes are copied, and what is copied now. */
  readonly onProgress: (bytes: number, path: string) => void
}

/**
 * Copies all that an embedded store holds, as of one moment, while a hub goes on writing. The databases are read within a
 * transaction each, that begins at that moment; the bodies that they name stay there until they are copied, since nobody
 * removes any meanwhile. The folder has its name only when all of it is on the disk. Throws STORE_NOT_EMBEDDED,
 * STORE_BACKUP_THERE, STORE_BACKUP_NOT_WRITTEN, STORE_BACKUP_UNDER_WAY, STORE_DAMAGED.
 */
export async function backUp(request: BackupRequest): Promise<Manifest> {
  const { folder, target, signal } = request
  if (!existsSync(join(folder, databaseFile))) throw storeErrors.NOT_EMBEDDED({ folder })
  if (lstatSync(target, { throwIfNoEntry: false })) throw storeErrors.BACKUP_THERE({ folder: target })
  const letGo = await waitForBodies(folder, signal)
  const unfinished = `${target}.unfinished`
  try {
    await makeUnfinished(unfinished).catch(refuseTo(unfinished))
    try {
      const manifest = await new Backup(request, unfinished).run()
      await rename(unfinished, target).catch(refuseTo(target))
      await syncFolder(dirname(target))
      return manifest
    } catch (thrown) {
      await rm(unfinished, { recursive: true, force: true })
      throw thrown
    }
  } catch (thrown) {
    throw signal.aborted ? signal.reason : asStoreError(thrown)
  } finally {
    letGo()
  }
}

async function waitForBodies(folder: string, signal: AbortSignal): Promise<() => void> {
  const until = performance.now() + backupLimits.holdMs
  for (;;) {
    const letGo = holdBodies(folder)
    if (letGo) return letGo
    if (performance.now() > until) throw storeErrors.BACKUP_UNDER_WAY({ folder })
    await sleep(backupLimits.askEveryMs, undefined, { signal }).catch(() => signal.throwIfAborted())
  }
}

/** Makes the folder anew, also where a backup that was killed has left one. */
async function makeUnfinished(folder: string): Promise<void> {
  const names = await readdir(folder).catch(thrown => {
    if (isMissingFile(thrown)) return []
    throw thrown
  })
  if (names.length > 0 && !FileList.isIn(names)) throw storeErrors.BACKUP_THERE({ folder })
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { mode: 0o700 })
}

class Backup {
  readonly #request: BackupRequest
  readonly #unfinished: string
  readonly #folders = new Set<string>()
  #bytes = 0
  #damaged = 0

  constructor(request: BackupRequest, unfinished: string) {
    this.#request = request
    this.#unfinished = unfinished
  }

  async run(): Promise<Manifest> {
    const list = await FileList.begin(this.#unfinished).catch(refuseTo(this.#unfinished))
    try {
      const takenAt = await this.#databases(list)
      const database = new DatabaseSync(this.#to(databaseFile), { readOnly: true })
      try {
        await this.#largeBodies(database, list)
        await this.#segments(database, list)
        const about = { version, takenAt, waiting: countWaiting(database), damaged: this.#damaged }
        const manifest = await list.finish(about).catch(refuseTo(this.#unfinished))
        for (const folder of [...this.#folders, '.']) await syncFolder(this.#to(folder))
        return manifest
      } finally {
        database.close()
      }
    } finally {
      await list.abandon()
    }
  }

  /** Copies the databases, all as of the moment that is returned. */
  async #databases(list: FileList): Promise<number> {
    const { folder, books } = this.#request
    const paths = [databaseFile, ...books.filter(path => existsSync(join(folder, path)))]
    const opened: { readonly path: string; readonly source: DatabaseSync }[] = []
    try {
      for (const path of paths) opened.push({ path, source: new DatabaseSync(join(folder, path), { readOnly: true }) })
      for (const { source } of opened) beginReading(source)
      const takenAt = Date.now()
      for (const { path, source } of opened) {
        await this.#database(path, source)
        // From here on the hub may clear up its log again.
        source.exec('commit')
        const digest = await digestOf(this.#to(path), { signal: this.#request.signal })
        await this.#list(list, path, digest)
      }
      return takenAt
    } finally {
      for (const { source } of opened) source.close()
    }
  }

  async #database(path: string, source: DatabaseSync): Promise<void> {
    const { signal } = this.#request
    const target = await this.#place(path)
    const pageBytes = numberOf(source.prepare('pragma page_size').get()?.['page_size'])
    let copied = 0
    const progress = ({ totalPages, remainingPages }: { totalPages: number; remainingPages: number }) => {
      signal.throwIfAborted()
      const bytes = (totalPages - remainingPages) * pageBytes
      this.#tell(bytes - copied, path)
      copied = bytes
    }
    // SQLite would let everybody read a new one.
    await writeFile(target, '', { flag: 'wx', mode: 0o600 }).catch(refuseTo(target))
    await backup(source, target, { rate: backupLimits.stepPages, progress }).catch(refuseTo(target))
    signal.throwIfAborted()
    checkDatabase(target, path, signal)
  }

  async #largeBodies(database: DatabaseSync, list: FileList): Promise<void> {
    for (const row of database.prepare('select distinct sha256 from body_use').iterate()) {
      const sha256 = textOf(row['sha256'])
      const path = `bodies/${sha256.slice(0, 2)}/${sha256}`
      const digest = await this.#file(path)
      await this.#list(list, path, digest)
      if (digest?.sha256 !== sha256) this.#damaged += 1
    }
  }

  /** Of each segment what rows name: the hub may be writing behind it. */
  async #segments(database: DatabaseSync, list: FileList): Promise<void> {
    const named = ['content', 'original'] as const
    const segments = database.prepare(
      named.map(table => `select segment from ${table} where segment is not null`).join(' union '),
    )
    const pieces = database.prepare(
      named
        .map(table => `select segment, position, length, crc32 from ${table} where segment = ?1`)
        .join(' union all '),
    )
    for (const row of segments.iterate()) {
      const segment = numberOf(row['segment'])
      const found = pieces.all(segment).flatMap(each => pieceOf(each) ?? [])
      const path = segmentFile('bodies/segments', segment)
      const bytes = found.reduce((end, piece) => Math.max(end, piece.position + piece.bytes), 0)
      const digest = await this.#file(path, bytes)
      await this.#list(list, path, digest)
      this.#damaged += await this.#countDamaged(found)
    }
  }

  async #countDamaged(pieces: readonly Piece[]): Promise<number> {
    let damaged = 0
    for (let at = 0; at < pieces.length; at += backupLimits.piecesAtOnce) {
      const some = pieces.slice(at, at + backupLimits.piecesAtOnce)
      const contents = await readPieces(this.#to('bodies/segments'), some)
      damaged += contents.filter(content => content === undefined).length
    }
    return damaged
  }

  async #file(path: string, bytes?: number) {
    const { folder, signal } = this.#request
    const to = await this.#place(path)
    const onBytes = (count: number) => this.#tell(count, path)
    return copyFile({ from: join(folder, path), to, bytes, signal, refuse: refuseTo(to), onBytes })
  }

  /** A body that is gone is in no list: the restored hub says so of its message, as this one does. */
  async #list(list: FileList, path: string, digest: Digest | undefined): Promise<void> {
    if (digest) await list.add(path, digest).catch(refuseTo(this.#unfinished))
  }

  /** Where a file of the backup lies, in a folder that is there. */
  async #place(path: string): Promise<string> {
    for (let folder = dirname(path); folder !== '.' && !this.#folders.has(folder); folder = dirname(folder)) {
      await mkdir(this.#to(folder), { recursive: true, mode: 0o700 }).catch(refuseTo(this.#unfinished))
      this.#folders.add(folder)
    }
    return this.#to(path)
  }

  #to(path: string): string {
    return join(this.#unfinished, path)
  }

  #tell(bytes: number, path: string): void {
    this.#bytes += bytes
    this.#request.onProgress(this.#bytes, path)
  }
}

/** What is read from now on is as of this moment, whatever a hub writes. */
function beginReading(source: DatabaseSync): void {
  source.exec(`pragma busy_timeout = ${sqliteLimits.busyMs}; begin`)
  source.prepare('select count(*) from sqlite_schema').get()
}

/**
 * A page that is damaged is copied as it is, so the copy is looked through. It also gets the form in which it is one file
 * and can be read where nobody may write. Throws STORE_DAMAGED.
 */
function checkDatabase(file: string, path: string, signal: AbortSignal): void {
  const database = new DatabaseSync(file)
  try {
    database.exec('pragma journal_mode = delete')
    for (const row of database.prepare(`select name from sqlite_schema where type = 'table'`).all()) {
      signal.throwIfAborted()
      const found = database.prepare(`pragma quick_check('${textOf(row['name'])}')`).get()
      const text = textOf(found?.['quick_check'])
      if (text !== 'ok') throw storeErrors.DAMAGED({ text: `${path}: ${text}` })
    }
  } finally {
    database.close()
  }
}

function countWaiting(database: DatabaseSync): number {
  const row = database
    .prepare(
      `select count(*) as waiting from delivery where flow in (select number from flow) and state = ${stateNumbers.queued}
        and flags & ${flagNumbers.probe} = 0`,
    )
    .get()
  return numberOf(row?.['waiting'])
}
