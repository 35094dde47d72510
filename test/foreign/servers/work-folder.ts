import { chmodSync, mkdtempSync, rmSync } from 'node:fs'

/** A UNIX socket's path has at most 107 bytes, and Dovecot puts its sockets some 40 bytes below its folder. */
const folderBytesMax = 60

export interface WorkFolder {
  readonly path: string
  remove(): void
}

/**
 * A temporary folder that other users of the machine can read: servers drop their privileges and still open files in
 * it. It is removed when the process ends, whether the test passed or not.
 */
export function makeWorkFolder(name: string): WorkFolder {
  // Not os.tmpdir(): a long TMPDIR would not leave room for the socket paths.
  const path = mkdtempSync(`/tmp/i-${name}-${process.pid}-`)
  if (path.length > folderBytesMax) throw new Error(`The folder ${path} is too long for UNIX sockets below it.`)
  chmodSync(path, 0o755)
  const remove = () => {
    process.off('exit', remove)
    rmSync(path, { recursive: true, force: true, maxRetries: 3 })
  }
  process.on('exit', remove)
  return { path, remove }
}
