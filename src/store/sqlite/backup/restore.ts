import { existsSync, readdirSync, statSync } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { storeErrors } from '../../errors.ts'
import { lifeRecord } from '../../life-record.ts'
import { asStoreError } from '../failure.ts'
import { lockFolder } from '../lock.ts'
import { migrate } from '../migrations.ts'
import { databaseFile, restoringFile } from '../open.ts'
import { syncFolder } from '../sync-folder.ts'
import { copyFile, digestOf } from './copy-file.ts'
import { type HeldBack, holdBack, type Switch } from './hold-back.ts'
import { type ListedFile, type Manifest, readBackup } from './manifest.ts'
import { refuseTo } from './refuse-to.ts'

interface Reading {
  /** Ends it. */
  readonly signal: AbortSignal
  /** Told often: so many bytes are read, and of which file now. */
  readonly onProgress: (bytes: number, path: string) => void
}

export interface RestoreRequest extends Reading {
  /** The folder of the backup. */
  readonly backup: string
  /** The data folder: without a store, and no hub runs with it. */
  readonly folder: string
  /** Whoever restores, for the audit log. */
  readonly who: string
  readonly now: number
  /** All goes on as if nothing had been. Right only where no hub has worked since the backup was taken. */
  readonly deliverWaiting: boolean
  /** What does not begin by itself with the start of the hub. */
  readonly switches: readonly Switch[]
}

export interface Restored extends HeldBack {
  readonly manifest: Manifest
}

/** What in a data folder belongs to a store, and comes back with a restore. */
const restored = [
  'bodies',
  'groupware',
  `${restoringFile}-wal`,
  `${restoringFile}-shm`,
  `${restoringFile}-journal`,
  restoringFile,
]

/**
 * Brings a backup into a data folder. It is there whole, or the next start of a hub says that it is not. Throws
 * STORE_BACKUP_DAMAGED, STORE_LOCKED while a hub has the folder, STORE_FOLDER_TAKEN, STORE_NEWER, and
 * STORE_BACKUP_NOT_WRITTEN where the disk of the data folder is full.
 */
export async function restore(request: RestoreRequest): Promise<Restored> {
  const { backup, folder, signal } = request
  const { manifest, list } = await readBackup(backup)
  let unlock = () => {}
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    unlock = lockFolder(folder)
    refuseStore(folder)
    await removeRestored(folder)
    try {
      await (await open(join(folder, restoringFile), 'w', 0o600)).close()
      await syncFolder(folder)
      const folders = new Set([folder])
      const bytes = countBytes(request)
      for await (const file of list()) await restoreFile(file, request, folders, bytes)
      const heldBack = finishDatabase(manifest, request)
      for (const each of folders) await syncFolder(each)
      await rename(join(folder, restoringFile), join(folder, databaseFile))
      await syncFolder(folder)
      return { manifest, ...heldBack }
    } catch (thrown) {
      await removeRestored(folder)
      throw thrown
    }
  } catch (thrown) {
    throw signal.aborted ? signal.reason : asStoreError(thrown)
  } finally {
    unlock()
  }
}

/** Looks at every byte of a backup; the paths of files that are not what they were. Throws STORE_BACKUP_DAMAGED. */
export async function verify(
  request: Reading & { readonly backup: string },
): Promise<{ readonly manifest: Manifest; readonly damaged: readonly string[] }> {
  const { backup, signal } = request
  const { manifest, list } = await readBackup(backup)
  const damaged: string[] = []
  const bytes = countBytes(request)
  for await (const { path, sha256 } of list()) {
    const digest = await digestOf(join(backup, path), { signal, onBytes: bytes(path) })
    if (digest?.sha256 !== sha256) damaged.push(path)
  }
  return { manifest, damaged }
}

async function restoreFile(
  { path, sha256 }: ListedFile,
  { backup, folder, signal }: RestoreRequest,
  folders: Set<string>,
  bytes: (path: string) => (count: number) => void,
): Promise<void> {
  const to = join(folder, path === databaseFile ? restoringFile : path)
  await mkdir(dirname(to), { recursive: true, mode: 0o700 })
  for (let above = dirname(to); !folders.has(above); above = dirname(above)) folders.add(above)
  const from = join(backup, path)
  const digest = await copyFile({ from, to, signal, refuse: refuseTo(folder), onBytes: bytes(path) })
  if (digest?.sha256 === sha256) return
  const text = digest ? `${path} is not what it was.` : `${path} is missing.`
  throw storeErrors.BACKUP_DAMAGED({ folder: backup, text })
}

/** The last changes before the database gets its name: it knows that time has passed. */
function finishDatabase({ takenAt }: Manifest, { folder, ...request }: RestoreRequest): HeldBack {
  const database = new DatabaseSync(join(folder, restoringFile))
  try {
    migrate(database)
    // The hub that was backed up while it worked has not died.
    database.prepare('delete from record where area = ? and id = ?').run(lifeRecord.area, lifeRecord.id)
    return holdBack(database, { takenAt, ...request })
  } finally {
    database.close()
  }
}

function refuseStore(folder: string): void {
  const isUnfinished = existsSync(join(folder, restoringFile)) && !existsSync(join(folder, databaseFile))
  if (isUnfinished) return
  for (const file of [databaseFile, `${databaseFile}-wal`, 'bodies', 'groupware']) {
    if (holdsBytes(join(folder, file))) throw storeErrors.FOLDER_TAKEN({ folder, file })
  }
}

/** True for a file with something in it, and for a folder with any file. */
function holdsBytes(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found?.isDirectory()) return (found?.size ?? 0) > 0
  return readdirSync(path, { recursive: true, withFileTypes: true }).some(each => each.isFile())
}

/** The file that says so goes last: until then a restore is unfinished. */
async function removeRestored(folder: string): Promise<void> {
  for (const each of restored) await rm(join(folder, each), { recursive: true, force: true })
}

function countBytes({ onProgress }: Reading): (path: string) => (count: number) => void {
  let bytes = 0
  return path => count => {
    bytes += count
    onProgress(bytes, path)
  }
}
