import { imapErrors } from './errors.ts'
import { imapLimits } from './limits.ts'
import { endsInText, type Literal, type ResponsePart, readableLine } from './response.ts'

/** Where the octets of a literal go, chunk by chunk, as they come from the socket. */
export interface LiteralSink {
  push(chunk: Buffer): void
  /** Called after the last octet; what it returns stands in the response. */
  end(): Literal
}

/** Cuts a byte stream into responses. Octets of literals are counted, never looked at. */
export class ResponseReader {
  readonly #onResponse: (parts: ResponsePart[]) => void
  readonly #chooseSink: (head: readonly ResponsePart[], bytes: number) => LiteralSink
  #pieces: Buffer[] = []
  #pieceBytes = 0
  #parts: ResponsePart[] = []
  #literalCount = 0
  #sink: LiteralSink | undefined
  #literalLeft = 0

  constructor(
    onResponse: (parts: ResponsePart[]) => void,
    chooseSink: (head: readonly ResponsePart[], bytes: number) => LiteralSink,
  ) {
    this.#onResponse = onResponse
    this.#chooseSink = chooseSink
  }

  /** True between responses; bytes before STARTTLS must not wait here (RFC 3501 section 6.2.1). */
  get isEmpty(): boolean {
    return this.#pieceBytes === 0 && this.#parts.length === 0
  }

  /** Takes what the socket brought. Throws IMAP_PROTOCOL and IMAP_LIMIT; the connection is of no use afterwards. */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#sink) {
        const end = Math.min(chunk.length, at + this.#literalLeft)
        this.#sink.push(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end))
        this.#literalLeft -= end - at
        at = end
        if (this.#literalLeft === 0) this.#endLiteral()
        continue
      }
      const lineEnd = chunk.indexOf(10, at)
      const piece = chunk.subarray(at, lineEnd < 0 ? chunk.length : lineEnd)
      this.#pieceBytes += piece.length
      if (this.#pieceBytes > imapLimits.lineBytes) {
        throw imapErrors.LIMIT({ limit: 'lineBytes', allowed: imapLimits.lineBytes })
      }
      this.#pieces.push(piece)
      if (lineEnd < 0) return
      at = lineEnd + 1
      this.#endLine()
    }
  }

  #endLine(): void {
    const whole = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces)
    let text = whole?.toString('latin1') ?? ''
    if (text.endsWith('\r')) text = text.slice(0, -1)
    this.#pieces = []
    this.#pieceBytes = 0
    const literal = text.endsWith('}') ? /~?\{(\d{1,19})\+?\}$/.exec(text) : null
    const head = this.#parts[0] ?? text
    if (literal && !(typeof head === 'string' && endsInText(head))) {
      this.#parts.push(text.slice(0, -literal[0].length))
      this.#startLiteral(Number(literal[1]))
      return
    }
    const parts = this.#parts
    parts.push(text)
    this.#parts = []
    this.#literalCount = 0
    this.#onResponse(parts)
  }

  #startLiteral(bytes: number): void {
    if (bytes > imapLimits.literalBytes) {
      throw imapErrors.LIMIT({ limit: 'literalBytes', allowed: imapLimits.literalBytes })
    }
    if (++this.#literalCount > imapLimits.literalsPerResponse) {
      throw imapErrors.LIMIT({ limit: 'literalsPerResponse', allowed: imapLimits.literalsPerResponse })
    }
    this.#sink = this.#chooseSink(this.#parts, bytes)
    this.#literalLeft = bytes
    if (bytes === 0) this.#endLiteral()
  }

  #endLiteral(): void {
    const sink = this.#sink
    this.#sink = undefined
    if (sink) this.#parts.push(sink.end())
  }
}

/** Keeps the octets: one buffer, filled as they come. Throws IMAP_LIMIT above `bytesMax`. */
export function holdingSink(bytes: number, bytesMax: number): LiteralSink {
  if (bytes > bytesMax) throw imapErrors.LIMIT({ limit: 'smallLiteralBytes', allowed: bytesMax })
  const held = Buffer.allocUnsafe(bytes)
  let filled = 0
  return {
    push(chunk) {
      filled += chunk.copy(held, filled)
    },
    end: () => ({ bytes, held }),
  }
}

/** Lets the octets pass unread. */
export function discardingSink(bytes: number): LiteralSink {
  return { push() {}, end: () => ({ bytes, held: undefined }) }
}

/** IMAP_PROTOCOL with the line that could not be understood. */
export function notImap(reason: string, parts: readonly ResponsePart[]): Error {
  const line = parts.map(part => (typeof part === 'string' ? part : `{${part.bytes}}`)).join('')
  return imapErrors.PROTOCOL({ reason, line: readableLine(line) })
}
