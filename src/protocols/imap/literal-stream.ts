import { imapLimits } from './limits.ts'

export interface LiteralFlow {
  /** Stops the socket, and lets it go on. */
  hold(): void
  release(): void
  /** True when chunks of the socket belong to nobody else (see ImapConnection.ownsChunks). */
  readonly ownsChunks: boolean
}

/**
 * Octets of a large literal, handed on as they come. It can be read once; the socket is held while the reader is slow.
 * A piece is valid until the next is asked for: its memory is then used again, so that a body of any size passes
 * through less than a MiB.
 */
export class LiteralStream implements AsyncIterable<Uint8Array> {
  readonly bytes: number
  readonly #flow: LiteralFlow
  #queue: Piece[] = []
  /** The piece that is being filled. */
  #open: Piece | undefined
  /** Memory that the reader has let go of. */
  #spare: Buffer[] = []
  #queuedBytes = 0
  #isHolding = false
  #isUnwanted = false
  #isOver = false
  #error: unknown
  #wake: (() => void) | undefined

  constructor(bytes: number, flow: LiteralFlow) {
    this.bytes = bytes
    this.#flow = flow
  }

  push(chunk: Buffer): void {
    if (!this.#isUnwanted) this.#keep(chunk)
    if (this.#flow.ownsChunks) giveBack(chunk)
    if (!this.#isHolding && this.#queuedBytes > imapLimits.streamBytes) {
      this.#isHolding = true
      this.#flow.hold()
    }
  }

  /** The literal and the row around it have ended well. */
  end(): void {
    this.#close()
    this.#isOver = true
    this.#wakeReader()
  }

  /** What the reader gets instead of the rest. */
  fail(error: unknown): void {
    if (this.#isOver) return
    this.#error = error
    this.#isOver = true
    this.#wakeReader()
  }

  /** Lets the rest pass unread. */
  discard(): void {
    this.#isUnwanted = true
    this.#queue = []
    this.#open = undefined
    this.#spare = []
    this.#queuedBytes = 0
    this.#letFlow()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (;;) {
        const piece = this.#queue.shift()
        if (piece) {
          this.#queuedBytes -= piece.filledBytes
          if (this.#queuedBytes < imapLimits.streamBytes / 2) this.#letFlow()
          yield piece.memory.subarray(0, piece.filledBytes)
          this.#spare.push(piece.memory)
        } else if (this.#error !== undefined) throw this.#error
        else if (this.#isOver) return
        else {
          await new Promise<void>(resolve => {
            this.#wake = resolve
          })
        }
      }
    } finally {
      this.discard()
    }
  }

  #keep(chunk: Buffer): void {
    for (let from = 0; from < chunk.length; ) {
      this.#open ??= { memory: this.#spare.pop() ?? Buffer.allocUnsafeSlow(imapLimits.pieceBytes), filledBytes: 0 }
      const { memory, filledBytes } = this.#open
      const copiedBytes = chunk.copy(memory, filledBytes, from)
      this.#open.filledBytes += copiedBytes
      from += copiedBytes
      if (this.#open.filledBytes === memory.length) this.#close()
    }
  }

  /** The piece that is being filled is ready to be read. */
  #close(): void {
    if (!this.#open) return
    this.#queue.push(this.#open)
    this.#queuedBytes += this.#open.filledBytes
    this.#open = undefined
    this.#wakeReader()
  }

  #letFlow(): void {
    if (!this.#isHolding) return
    this.#isHolding = false
    this.#flow.release()
  }

  #wakeReader(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}

interface Piece {
  readonly memory: Buffer
  filledBytes: number
}

/**
 * Frees the memory of a chunk that was copied. The garbage collector would do so too, but it looks at its own heap: while
 * that hardly grows, the chunks of a whole body would pile up beside it.
 */
function giveBack({ buffer, length }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0)
}
