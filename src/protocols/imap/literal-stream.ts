import { imapLimits } from './limits.ts'

/** Octets of a large literal, handed on as they come. It can be read once; the socket is held while the reader is slow. */
export class LiteralStream implements AsyncIterable<Uint8Array> {
  readonly bytes: number
  readonly #hold: () => void
  readonly #release: () => void
  #queue: Buffer[] = []
  #queuedBytes = 0
  #isHolding = false
  #isUnwanted = false
  #isOver = false
  #error: unknown
  #wake: (() => void) | undefined

  constructor(bytes: number, hold: () => void, release: () => void) {
    this.bytes = bytes
    this.#hold = hold
    this.#release = release
  }

  push(chunk: Buffer): void {
    if (this.#isUnwanted) return
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.length
    if (!this.#isHolding && this.#queuedBytes > imapLimits.streamBytes) {
      this.#isHolding = true
      this.#hold()
    }
    this.#wakeReader()
  }

  /** The literal and the row around it have ended well. */
  end(): void {
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
    this.#queuedBytes = 0
    this.#letFlow()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (;;) {
        const chunk = this.#queue.shift()
        if (chunk) {
          this.#queuedBytes -= chunk.length
          if (this.#queuedBytes < imapLimits.streamBytes / 2) this.#letFlow()
          yield chunk
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

  #letFlow(): void {
    if (!this.#isHolding) return
    this.#isHolding = false
    this.#release()
  }

  #wakeReader(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}
