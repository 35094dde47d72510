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

/** By body; empty where all of them go into rows. */
type Pieces = readonly (Piece | undefined)[]
type WriteRows<T> = (pieces: Pieces) => Promise<T>

/**
 * Brings the bytes of bodies to the disk before the rows that name them are written. The rows of one flow are asked for
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

  /** For new deliveries. The fast way for small bodies with nobody before them waits for nothing. */
  inOrder<T>(flow: string, bodies: readonly StoredBody[], write: WriteRows<T>): Promise<T> {
    if (this.#isClosed) return Promise.reject(storeErrors.CLOSED())
    const before = this.#lastOfFlow.get(flow)
    const placed = this.#place(bodies)
    if (!before && !placed) return write([])
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
    const placed = this.#place([body])
    if (!placed) return write([])
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

  #place(bodies: readonly StoredBody[]): Promise<Pieces> | undefined {
    const { writer, rowBodyBytes } = this.#options
    const isLarge = ({ inline }: StoredBody) => inline !== undefined && inline.length > rowBodyBytes
    if (!bodies.some(isLarge)) return undefined
    return this.#allOrNone(
      bodies.map(async body => (body.inline && isLarge(body) ? writer.append(body.inline) : undefined)),
    )
  }

  async #allOrNone(placing: readonly Promise<Piece | undefined>[]): Promise<Pieces> {
    const ends = await Promise.allSettled(placing)
    const pieces = ends.map(end => (end.status === 'fulfilled' ? end.value : undefined))
    const failure = ends.find(end => end.status === 'rejected')
    if (!failure) return pieces
    this.#letGo(pieces)
    throw failure.reason
  }

  async #writeRows<T>(pieces: Pieces | undefined, write: WriteRows<T>): Promise<T> {
    try {
      return await write(pieces ?? [])
    } finally {
      // Rows name them now, or the write was refused and nobody ever will.
      this.#letGo(pieces ?? [])
    }
  }

  #letGo(pieces: Pieces): void {
    for (const piece of pieces) if (piece) this.#options.book.letGo(piece.segment)
  }
}
