import { open, rm } from 'node:fs/promises'
import { checksumOf } from '../../kernel/checksum.ts'
import type { Clock } from '../../kernel/time.ts'
import { storeErrors } from '../errors.ts'
import { asStoreError } from './failure.ts'
import type { SqliteLimits } from './limits.ts'
import type { BookedSegment, Piece, SegmentBook } from './segment-book.ts'
import { segmentFile } from './segment-file.ts'
import { syncFolder } from './sync-folder.ts'

/** What the writer asks of an open file. */
export interface SegmentHandle {
  /** May take fewer bytes than there are. */
  writev(chunks: readonly Uint8Array[], position: number): Promise<{ readonly bytesWritten: number }>
  datasync(): Promise<void>
  truncate(bytes: number): Promise<void>
  close(): Promise<void>
}

/** Makes a new file for appending; a test gives one whose disk is full. */
export type CreateSegment = (file: string) => Promise<SegmentHandle>

export interface SegmentWriterOptions {
  readonly folder: string
  readonly book: SegmentBook
  readonly limits: Pick<SqliteLimits, 'segmentBytes' | 'segmentGroupBytes'>
  readonly clock: Clock
  readonly create?: CreateSegment | undefined
}

interface Waiting {
  readonly content: Uint8Array
  readonly resolve: (piece: Piece) => void
  readonly reject: (error: unknown) => void
}

interface OpenSegment {
  readonly booked: BookedSegment
  readonly handle: SegmentHandle
  readonly file: string
}

/**
 * Appends bodies to segment files, off the main thread. What is asked for while a write is under way goes together into
 * the next one: one `writev`, one flush. Every process begins a segment of its own, so that the torn end which a crash
 * leaves is never written to again; no row names it, and it goes with its file.
 */
export class SegmentWriter {
  readonly #options: SegmentWriterOptions
  readonly #create: CreateSegment
  #waiting: Waiting[] = []
  #running: Promise<void> | undefined
  #open: OpenSegment | undefined
  #isClosed = false

  constructor(options: SegmentWriterOptions) {
    this.#options = options
    this.#create = options.create ?? (file => open(file, 'wx', 0o600))
  }

  /**
   * Resolves when the bytes are durable, in the order of the calls. The segment is held for the caller, who lets go of it
   * when rows name the piece or nobody will. Throws STORE_FULL; then none of the bytes count.
   */
  append(content: Uint8Array): Promise<Piece> {
    if (this.#isClosed) return Promise.reject(storeErrors.CLOSED())
    return new Promise<Piece>((resolve, reject) => {
      this.#waiting.push({ content, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#running
    await this.#leaveSegment()
  }

  async #run(): Promise<void> {
    // What else this turn of the event loop brings belongs into the first write.
    await new Promise(resolve => setImmediate(resolve))
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup()
      try {
        const pieces = await this.#write(group.map(one => one.content))
        for (const [index, piece] of pieces.entries()) group[index]?.resolve(piece)
      } catch (thrown) {
        const error = asStoreError(thrown)
        await this.#abandonSegment()
        for (const one of group) one.reject(error)
      }
    }
    this.#running = undefined
  }

  #takeGroup(): readonly Waiting[] {
    let bytes = 0
    const count = this.#waiting.findIndex(({ content }, index) => {
      bytes += content.length
      return index > 0 && bytes > this.#options.limits.segmentGroupBytes
    })
    return this.#waiting.splice(0, count < 0 ? this.#waiting.length : count)
  }

  async #write(contents: readonly Uint8Array[]): Promise<readonly Piece[]> {
    const { booked, handle } = await this.#segmentWithRoom()
    const { book } = this.#options
    let position = booked.fileBytes
    const pieces = contents.map(content => {
      const piece = { segment: booked.number, position, bytes: content.length, crc32: checksumOf(content) }
      position += content.length
      return piece
    })
    await writeWhole(handle, contents, booked.fileBytes)
    await handle.datasync()
    booked.fileBytes = position
    for (const { segment } of pieces) book.hold(segment)
    return pieces
  }

  async #segmentWithRoom(): Promise<OpenSegment> {
    const { folder, book, limits, clock } = this.#options
    if (this.#open && this.#open.booked.fileBytes < limits.segmentBytes) return this.#open
    await this.#leaveSegment()
    // Numbers follow the time, so that one is never given again, not even after its file and all its rows are gone.
    const number = Math.max(book.last + 1, clock.now())
    const file = segmentFile(folder, number)
    const handle = await this.#create(file)
    this.#open = { booked: book.opened(number), handle, file }
    await syncFolder(folder)
    return this.#open
  }

  async #leaveSegment(): Promise<void> {
    const left = this.#open
    this.#open = undefined
    if (!left) return
    await left.handle.close()
    left.booked.isOpen = false
  }

  /**
   * After a failure nothing more is written to the file: what of the failed write reached the disk is unknown. What lies
   * before it stays; the rest is cut off to give the room back, and if that fails, too, it goes with the file later.
   */
  async #abandonSegment(): Promise<void> {
    const left = this.#open
    this.#open = undefined
    if (!left) return
    const { booked, handle, file } = left
    if (booked.fileBytes > 0) await handle.truncate(booked.fileBytes).catch(() => {})
    await handle.close().catch(() => {})
    if (booked.fileBytes === 0) {
      await rm(file, { force: true }).then(
        () => this.#options.book.removed(booked.number),
        () => {},
      )
    }
    booked.isOpen = false
  }
}

async function writeWhole(handle: SegmentHandle, contents: readonly Uint8Array[], start: number): Promise<void> {
  let rest = contents
  let position = start
  for (;;) {
    const { bytesWritten } = await handle.writev(rest, position)
    position += bytesWritten
    rest = afterBytes(rest, bytesWritten)
    if (rest.length === 0) return
    if (bytesWritten === 0) throw storeErrors.FULL({ text: 'the disk took no byte of a body' })
  }
}

/** What of a list of chunks is left behind its first bytes. */
function afterBytes(chunks: readonly Uint8Array[], byteCount: number): readonly Uint8Array[] {
  let left = byteCount
  for (const [index, chunk] of chunks.entries()) {
    if (left < chunk.length) return [chunk.subarray(left), ...chunks.slice(index + 1)]
    left -= chunk.length
  }
  return []
}
