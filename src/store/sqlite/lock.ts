import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { storeErrors } from '../errors.ts'
import { isBusy } from './failure.ts'

/**
 * Takes a data folder for this process; the returned function gives it back. Throws STORE_LOCKED with the other pid.
 * The lock is one of the operating system on a file of its own, so it ends with the process however that ends, and
 * backups may still read the database. The pid lies beside it for people.
 */
export function lockFolder(folder: string): () => void {
  const pidFile = join(folder, 'store.pid')
  const unlock = takeLock(join(folder, 'store.lock'))
  if (!unlock) throw storeErrors.LOCKED({ folder, pid: readPid(pidFile) })
  writeFileSync(pidFile, `${process.pid}\n`)
  return () => {
    rmSync(pidFile, { force: true })
    unlock()
  }
}

/**
 * Taken by whoever removes bodies of a data folder, and by a backup as long as it copies them, so that what its database
 * names is there. Undefined: somebody else has it. The returned function gives it back.
 */
export function holdBodies(folder: string): (() => void) | undefined {
  return takeLock(join(folder, 'bodies.lock'))
}

function takeLock(file: string): (() => void) | undefined {
  const lock = new DatabaseSync(file)
  try {
    lock.exec('pragma busy_timeout = 0; begin exclusive')
  } catch (thrown) {
    lock.close()
    if (isBusy(thrown)) return undefined
    throw thrown
  }
  return () => lock.close()
}

function readPid(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    // The owner is between taking the lock and writing its pid; the error still says that there is one.
    return 'unknown'
  }
}
