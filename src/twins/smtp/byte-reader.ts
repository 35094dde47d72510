import type { Duplex } from 'node:stream'

/** A line of a client: its text without the line end, and whether CRLF ended it. */
export interface Line {
  readonly text: string
  readonly hasCrlf: boolean
  readonly isTooLong: boolean
}

const CRLF = Buffer.from('\r\n')
const CRLF_DOT = Buffer.from('\r\n.')

/**
 * Pulls bytes off a socket, one chunk at a time, so that a slow reader is felt by the client. Every method returns
 * undefined (or false) when the client is gone.
 */
export class ByteReader {
  readonly #socket: Duplex
  readonly #pace: (bytes: number) => Promise<void>
  #rest: Buffer = Buffer.alloc(0)
  #arrived: Buffer[] = []
  #isOver = false
  #wake: () => void = () => {}

  constructor(socket: Duplex, pace: (bytes: number) => Promise<void>) {
    this.#socket = socket
    this.#pace = pace
    socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onEnd).on('error', this.#onEnd)
  }

  /** True when bytes lie here that nobody has asked for yet. */
  get hasMore(): boolean {
    return this.#rest.length > 0 || this.#arrived.length > 0
  }

  /** Hands the socket on; call it only when `hasMore` is false. */
  detach(): void {
    this.#socket.pause()
    this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onEnd).off('error', this.#onEnd)
  }

  async readLine(bytesMax: number): Promise<Line | undefined> {
    let skipped = 0
    let searched = 0
    for (;;) {
      const end = this.#rest.indexOf(10, searched)
      if (end >= 0) {
        const hasCrlf = end > 0 && this.#rest[end - 1] === 13
        const text = this.#rest.toString('utf8', 0, hasCrlf ? end - 1 : end)
        this.#rest = this.#rest.subarray(end + 1)
        return { text: skipped > 0 ? '' : text, hasCrlf, isTooLong: skipped > 0 || end >= bytesMax }
      }
      searched = this.#rest.length
      if (this.#rest.length > bytesMax) {
        // The rest of an endless line is thrown away as it comes.
        skipped += this.#rest.length
        this.#rest = Buffer.alloc(0)
        searched = 0
      }
      if (!(await this.#more())) return undefined
    }
  }

  /** Hands on exactly `bytes` octets. */
  async readExactly(bytes: number, take: (chunk: Uint8Array) => void): Promise<boolean> {
    for (let left = bytes; left > 0; ) {
      if (this.#rest.length === 0 && !(await this.#more())) return false
      const chunk = this.#rest.subarray(0, left)
      this.#rest = this.#rest.subarray(chunk.length)
      left -= chunk.length
      take(chunk)
    }
    return true
  }

  /**
   * Hands on the octets of a mail up to CRLF.CRLF (RFC 5321 section 4.1.1.4) without the stuffed dots. Only that very
   * sequence ends it: a server that also takes LF.LF can be made to see two mails where the client sent one.
   */
  async readMail(take: (chunk: Uint8Array) => void): Promise<boolean> {
    // The line end of the DATA command counts as the CRLF before the first line; it is not part of the mail.
    let bytes = Buffer.concat([CRLF, this.#rest])
    let skip = CRLF.length
    const hand = (part: Buffer) => {
      const own = part.subarray(Math.min(skip, part.length))
      skip -= part.length - own.length
      if (own.length > 0) take(own)
    }
    for (;;) {
      let from = 0
      let at = bytes.indexOf(CRLF_DOT)
      while (at >= 0 && at + 5 <= bytes.length) {
        hand(bytes.subarray(from, at + 2))
        if (bytes[at + 3] === 13 && bytes[at + 4] === 10) {
          this.#rest = bytes.subarray(at + 5)
          return true
        }
        from = at + 3
        at = bytes.indexOf(CRLF_DOT, from)
      }
      // What may be the beginning of the end waits for more.
      const keepFrom = at >= 0 ? at : Math.max(from, bytes.length - 2)
      hand(bytes.subarray(from, keepFrom))
      this.#rest = Buffer.alloc(0)
      if (!(await this.#more())) return false
      bytes = Buffer.concat([bytes.subarray(keepFrom), this.#rest])
    }
  }

  async #more(): Promise<boolean> {
    if (this.#arrived.length === 0 && !this.#isOver) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      this.#socket.resume()
      await promise
    }
    const chunk = this.#arrived.shift()
    if (!chunk) return false
    await this.#pace(chunk.length)
    this.#rest = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    return true
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#arrived.push(chunk)
    this.#socket.pause()
    this.#wake()
  }

  readonly #onEnd = (): void => {
    this.#isOver = true
    this.#wake()
  }
}
