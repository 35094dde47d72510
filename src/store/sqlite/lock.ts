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
  const lock = new DatabaseSync(join(folder, 'store.lock'))
  try {
    lock.exec('pragma busy_timeout = 0; begin exclusive')
  } catch (thrown) {
    lock.close()
    if (isBusy(thrown)) throw storeErrors.LOCKED({ folder, pid: readPid(pidFile) }, { cause: thrown })
    throw thrown
  }
  writeFileSync(pidFile, `${process.pid}\n`)
  return () => {
    rmSync(pidFile, { force: true })
    lock.close()
  }
}

function readPid(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    // The owner is between taking the lock and writing its pid; the error still says that there is one.
    return 'unknown'
  }
}
