import { TransientMap } from '../../kernel/transient-map.ts'
import { storeErrors } from '../errors.ts'
import type { StoredBody } from '../port.ts'
import type { Piece, SegmentBook } from './segment-book.ts'
import type { SegmentWriter } from './segment-writer.ts'

export interface BodyPlacingOptions {
  readonly writer: Pick<SegmentWriter, 'append'>
  readonly book: Pick<SegmentBook, 'letGo'>
  /** Bodies up to this go into the row. */
  readonly rowBodyBytes: number
}

type WriteRows<T> = (piece: Piece | undefined) => Promise<T>

/**
 * Brings the bytes of a body to the disk before the rows that name them are written. The rows of one flow are asked for
 * in the order of the calls, although some bodies take longer: who comes later waits, also with a small body.
 */
export class BodyPlacing {
  readonly #options: BodyPlacingOptions
  readonly #lastOfFlow = new TransientMap<string, Promise<void>>()
  readonly #outOfOrder = new Set<Promise<unknown>>()
  #isClosed = false

  constructor(options: BodyPlacingOptions) {
    this.#options = options
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** For a new delivery. The fast way for a small body with nobody before it waits for nothing. */
  inOrder<T>(flow: string, body: StoredBody, write: WriteRows<T>): Promise<T> {
    if (this.#isClosed) return Promise.reject(storeErrors.CLOSED())
    const before = this.#lastOfFlow.get(flow)
    const placed = this.#place(body)
    if (!before && !placed) return write(undefined)
    // Wrapped, so that the next one goes on when this write is asked for; that it is durable comes later.
    const asked = Promise.allSettled([placed, before]).then(([own]) => {
      if (own.status === 'rejected') throw own.reason
      return { written: this.#writeRows(own.value, write) }
    })
    const leave = () => {
      if (this.#lastOfFlow.get(flow) === passed) this.#lastOfFlow.delete(flow)
    }
    const passed = asked.then(leave, leave)
    this.#lastOfFlow.set(flow, passed)
    return asked.then(({ written }) => written)
  }

  /** For a delivery that is there already: its place does not depend on when this is written. */
  async atOnce<T>(body: StoredBody, write: WriteRows<T>): Promise<T> {
    if (this.#isClosed) throw storeErrors.CLOSED()
    const placed = this.#place(body)
    if (!placed) return write(undefined)
    this.#outOfOrder.add(placed)
    try {
      return await this.#writeRows(await placed, write)
    } finally {
      this.#outOfOrder.delete(placed)
    }
  }

  /** Takes no more; resolves when the rows of everything taken have been asked for. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.allSettled([...this.#lastOfFlow.values(), ...this.#outOfOrder])
  }

  #place({ inline }: StoredBody): Promise<Piece> | undefined {
    return inline && inline.length > this.#options.rowBodyBytes ? this.#options.writer.append(inline) : undefined
  }

  async #writeRows<T>(piece: Piece | undefined, write: WriteRows<T>): Promise<T> {
    try {
      return await write(piece)
    } finally {
      // Rows name it now, or the write was refused and nobody ever will.
      if (piece) this.#options.book.letGo(piece.segment)
    }
  }
}
