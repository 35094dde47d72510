import { randomUUID } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KiB } from '../kernel/size.ts'

const readBytes = 64 * KiB

/** The bytes of a request for a while: in memory as long as they are few, then in a file that has no name. */
export class Spool {
  readonly #heldBytesMax: number
  #held: Uint8Array[] = []
  #file: FileHandle | undefined
  bytes = 0

  constructor(heldBytesMax: number) {
    this.#heldBytesMax = heldBytesMax
  }

  get isHeld(): boolean {
    return this.#file === undefined
  }

  async add(chunk: Uint8Array): Promise<void> {
    this.bytes += chunk.length
    if (!this.#file && this.bytes <= this.#heldBytesMax) {
      this.#held.push(chunk)
      return
    }
    if (!this.#file) {
      this.#file = await openUnnamed()
      for (const early of this.#held.splice(0)) await this.#file.appendFile(early)
    }
    await this.#file.appendFile(chunk)
  }

  /** All of it, where it lies in memory. */
  held(): Uint8Array {
    const [only] = this.#held
    return this.#held.length === 1 && only ? only : Buffer.concat(this.#held)
  }

  /** From the start; may be asked for again. */
  async *stream(): AsyncGenerator<Uint8Array> {
    if (!this.#file) {
      yield* this.#held
      return
    }
    for (let position = 0; position < this.bytes; ) {
      const buffer = Buffer.allocUnsafe(readBytes)
      const { bytesRead } = await this.#file.read(buffer, 0, readBytes, position)
      if (bytesRead === 0) return
      position += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  }

  async close(): Promise<void> {
    this.#held = []
    await this.#file?.close()
  }
}

/** Its name is gone before anything stands in it: whatever happens to the process, nothing stays behind. */
async function openUnnamed(): Promise<FileHandle> {
  const path = join(tmpdir(), `isthmus-idoc-${randomUUID()}`)
  const file = await open(path, 'wx+', 0o600)
  await unlink(path)
  return file
}
