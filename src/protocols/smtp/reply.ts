import { decodeUnlabelled } from '../../kernel/charset.ts'
import { KiB } from '../../kernel/size.ts'
import { smtpErrors } from './errors.ts'

/** A reply of a mail server (RFC 5321 section 4.2), all its lines together. */
export interface Reply {
  /** 200 to 599. */
  readonly code: number
  /** Enhanced status code (RFC 2034) of the first line, `5.7.1`; undefined where there is none. */
  readonly enhanced: string | undefined
  /** Texts behind the code, control characters removed. */
  readonly lines: readonly string[]
}

/** RFC 5321 section 4.5.3.1.5 asks for 512 octets a line; real servers put whole diagnoses into one. */
const replyLimits = { lineBytes: 8 * KiB, lines: 256, textChars: 600 }

/** The reply in one line as people know it: `250 2.0.0 Ok: queued as 4F2A1`. */
export function formatReply(reply: Reply): string {
  return `${reply.code} ${reply.lines.join(' ')}`.trimEnd().slice(0, replyLimits.textChars)
}

const lineForm = /^([2-5]\d\d)(?:([ -])(.*))?$/s
const enhancedForm = /^([245]\.\d{1,3}\.\d{1,3})(?:\s|$)/

/** One reply and nothing else; undefined where the bytes are none. */
export function readReply(bytes: Uint8Array): Reply | undefined {
  try {
    const reader = new ReplyReader('')
    const [reply, ...others] = reader.push(bytes)
    return others.length > 0 || reader.isInside ? undefined : reply
  } catch {
    return undefined
  }
}

/** Cuts the bytes of a connection into replies. */
export class ReplyReader {
  readonly #server: string
  #rest: Buffer = Buffer.alloc(0)
  #code = 0
  #lines: string[] = []

  constructor(server: string) {
    this.#server = server
  }

  /** True while a reply has begun and not ended. */
  get isInside(): boolean {
    return this.#rest.length > 0 || this.#lines.length > 0
  }

  /** The replies that are complete with these bytes. Throws SMTP_PROTOCOL. */
  push(chunk: Uint8Array): Reply[] {
    const bytes =
      this.#rest.length > 0
        ? Buffer.concat([this.#rest, chunk])
        : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const replies: Reply[] = []
    let from = 0
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      const line = decodeUnlabelled(bytes.subarray(from, end > from && bytes[end - 1] === 13 ? end - 1 : end))
      from = end + 1
      const reply = this.#takeLine(line)
      if (reply) replies.push(reply)
    }
    this.#rest = bytes.subarray(from)
    if (this.#rest.length > replyLimits.lineBytes) throw this.#strange('a reply line without end')
    return replies
  }

  #takeLine(line: string): Reply | undefined {
    if (line.length > replyLimits.lineBytes) throw this.#strange('a reply line that is too long')
    const match = lineForm.exec(line)
    if (!match) throw this.#strange(`"${printable(line).slice(0, 80)}"`)
    const code = Number(match[1])
    if (this.#lines.length > 0 && code !== this.#code)
      throw this.#strange(`a reply of ${this.#code} and ${code} at once`)
    this.#code = code
    this.#lines.push(printable(match[3] ?? ''))
    if (match[2] === '-') {
      if (this.#lines.length >= replyLimits.lines)
        throw this.#strange(`a reply of more than ${replyLimits.lines} lines`)
      return undefined
    }
    const lines = this.#lines
    this.#lines = []
    return { code, enhanced: enhancedForm.exec(lines[0] ?? '')?.[1], lines }
  }

  #strange(text: string): Error {
    return smtpErrors.PROTOCOL({ server: this.#server, text })
  }
}

// Replies go to logs, consoles and terminals; a server must not be able to write escape sequences there.
function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, ' ')
}
