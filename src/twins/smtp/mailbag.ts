import { createHash } from 'node:crypto'

/** A mail that a twin took. */
export interface ReceivedMail {
  /** 1 for the first mail of this server. */
  readonly number: number
  /** Number of the connection it came over. */
  readonly connection: number
  /** Milliseconds since 1970 UTC. */
  readonly at: number
  readonly helo: string
  /** Who logged in. */
  readonly user: string | undefined
  readonly isEncrypted: boolean
  /** Envelope sender; empty for the null sender. */
  readonly from: string
  readonly to: readonly string[]
  /** Parameters of MAIL FROM as they were given: `SIZE=120`, `BODY=8BITMIME`. */
  readonly parameters: readonly string[]
  readonly command: 'DATA' | 'BDAT'
  readonly bytes: number
  /** Of the octets, hex. */
  readonly sha256: string
  /** Of its header, with angle brackets; empty when there is none. */
  readonly messageId: string
  /** A CR or LF stood alone in it. */
  readonly hasBareLineEnd: boolean
  /** The octets, dot-stuffing undone; undefined when the server keeps digests only. */
  readonly octets: Buffer | undefined
}

// Enough for the header lines before Message-ID in any mail that a test makes.
const headBytes = 64 * 1024

/** Takes the octets of one mail as they come: kept, or counted and hashed only. */
export class MailSink {
  readonly #hash = createHash('sha256')
  readonly #keeps: boolean
  readonly #kept: Buffer[] = []
  readonly #head: Buffer[] = []
  #last = -1
  #headBytes = 0
  bytes = 0
  hasBareLineEnd = false

  constructor(keeps: boolean) {
    this.#keeps = keeps
  }

  take(chunk: Uint8Array): void {
    // The chunk is a window on the socket's buffer, which is used again.
    const bytes =
      this.#keeps || this.#headBytes < headBytes
        ? Buffer.from(chunk)
        : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    this.bytes += bytes.length
    this.#hash.update(bytes)
    if (this.#keeps) this.#kept.push(bytes)
    if (this.#headBytes < headBytes) {
      this.#head.push(bytes)
      this.#headBytes += bytes.length
    }
    this.hasBareLineEnd ||= (this.#last === 13) !== (bytes[0] === 10) || isBareInside(bytes)
    this.#last = bytes[bytes.length - 1] ?? this.#last
  }

  finish(): Pick<ReceivedMail, 'bytes' | 'sha256' | 'messageId' | 'hasBareLineEnd' | 'octets'> {
    const head = Buffer.concat(this.#head).toString('latin1', 0, headBytes)
    const header = head.slice(0, /\r?\n\r?\n/.exec(head)?.index ?? head.length)
    return {
      bytes: this.bytes,
      sha256: this.#hash.digest('hex'),
      // A copy: as a part of it, it would keep the whole header in memory.
      messageId: Buffer.from(/^message-id:\s*(<[^>\r\n]*>)/im.exec(header)?.[1] ?? '', 'latin1').toString('latin1'),
      hasBareLineEnd: this.hasBareLineEnd || this.#last === 13,
      octets: this.#keeps ? Buffer.concat(this.#kept) : undefined,
    }
  }
}

function isBareInside(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(10, 1); at >= 0; at = bytes.indexOf(10, at + 1)) if (bytes[at - 1] !== 13) return true
  for (let at = bytes.indexOf(13); at >= 0 && at < bytes.length - 1; at = bytes.indexOf(13, at + 1)) {
    if (bytes[at + 1] !== 10) return true
  }
  return false
}

/** The mails of one server, in the order of their acceptance. Beyond `mailsMax` the oldest are forgotten. */
export class Mailbag {
  readonly #mailsMax: number
  readonly #mails: ReceivedMail[] = []
  readonly #waiting = new Set<() => void>()
  /** All mails ever taken, the forgotten ones too. */
  count = 0

  constructor(mailsMax: number) {
    this.#mailsMax = mailsMax
  }

  get mails(): readonly ReceivedMail[] {
    return this.#mails
  }

  add(mail: Omit<ReceivedMail, 'number'>): ReceivedMail {
    const numbered = { number: ++this.count, ...mail }
    this.#mails.push(numbered)
    if (this.#mails.length > this.#mailsMax) this.#mails.shift()
    for (const look of this.#waiting) look()
    return numbered
  }

  clear(): void {
    this.#mails.length = 0
  }

  /** Resolves when so many mails have come in all; rejects after `timeoutMs`. */
  reached(count: number, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (this.count < count) return
        done()
        resolve()
      }
      const timer = setTimeout(() => {
        done()
        reject(new Error(`only ${this.count} of ${count} mails came within ${timeoutMs} ms`))
      }, timeoutMs)
      const done = () => {
        clearTimeout(timer)
        this.#waiting.delete(look)
      }
      this.#waiting.add(look)
      look()
    })
  }
}
