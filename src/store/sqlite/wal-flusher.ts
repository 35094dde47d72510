import { closeSync, fdatasync, openSync } from 'node:fs'
import type { Flusher } from './committer.ts'

/**
 * Flushes the write-ahead log of a database to the disk. With `synchronous = normal` a commit is in the log, and the log
 * is whole (every frame has its checksum), but it may still lie in memory; a flush of the file, by whichever descriptor,
 * makes it durable (https://www.sqlite.org/wal.html, "Performance Considerations").
 */
export class WalFlusher implements Flusher {
  readonly #file: string
  #descriptor: number | undefined

  /** `database` is the path of the database; its log lies beside it. */
  constructor(database: string) {
    this.#file = `${database}-wal`
  }

  flush(): Promise<void> {
    const descriptor = this.#open()
    return new Promise((resolve, reject) => {
      fdatasync(descriptor, error => (error ? reject(error) : resolve()))
    })
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
    this.#descriptor = undefined
  }

  // SQLite makes the log with the first write and keeps the file until the database is closed.
  #open(): number {
    this.#descriptor ??= openSync(this.#file, 'r+')
    return this.#descriptor
  }
}
