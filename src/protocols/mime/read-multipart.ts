import { defineErrors } from '../../kernel/error.ts'
import { KiB } from '../../kernel/size.ts'
import { firstValues, readMailHeader } from './header.ts'

export const multipartErrors = defineErrors('MULTIPART', {
  BROKEN: {
    side: 'sender',
    retry: 'never',
    means: 'The multipart content is broken: {text}.',
    next: 'Look at what sent it and at what stands between (a proxy that cuts requests); nothing of it was taken.',
  },
  TOO_LARGE: {
    side: 'sender',
    retry: 'never',
    means: 'The multipart content goes beyond the limit {limit} of {max}.',
    next: 'Send fewer or smaller parts; the limit keeps one message from taking the memory of all.',
  },
})

export const multipartLimits = {
  /** Parts of one content. */
  parts: 200,
  /** The header of one part. */
  partHeaderBytes: 16 * KiB,
  /** What may stand before the first boundary. */
  preambleBytes: 64 * KiB,
  /** RFC 2046 section 5.1.1 allows 70; some senders make longer ones. */
  boundaryLetters: 200,
} as const

/** One part: its header fields (names in lower case) and its bytes, still encoded as the header says. */
export interface MimePart {
  readonly headers: Readonly<Record<string, string>>
  /** The bytes, to be read before the next part is asked for; what is left then is passed over. */
  readonly body: AsyncIterable<Uint8Array>
}

/** Blanks after a boundary (RFC 2046: transport padding). */
const paddingBytes = 256
const [lineFeed, carriageReturn, hyphen, blank, tab] = [10, 13, 45, 32, 9]

interface Delimiter {
  /** Where the content before it ends, and where its own line ends. */
  readonly from: number
  readonly to: number
  readonly isLast: boolean
}

/**
 * The parts of a multipart content (RFC 2046 section 5.1) as they come: memory stays that of one chunk. Tolerated: bare
 * LF, a byte order mark or blank lines before the first boundary, an epilogue. A content without its closing boundary
 * was cut and is refused.
 */
export class MultipartReader {
  readonly #source: AsyncIterator<Uint8Array>
  readonly #mark: Buffer
  #rest: Buffer = Buffer.alloc(0)
  /** Octets at the beginning of the rest that stand for the line end before the content. */
  #lead = 0
  #isSourceOver = false
  #state: 'start' | 'part' | 'header' | 'closed' = 'start'
  #partCount = 0

  constructor(source: AsyncIterable<Uint8Array>, boundary: string) {
    if (boundary === '' || boundary.length > multipartLimits.boundaryLetters) {
      throw multipartErrors.BROKEN({ text: 'the Content-Type names no usable boundary' })
    }
    this.#source = source[Symbol.asyncIterator]()
    this.#mark = Buffer.from(`\n--${boundary}`, 'latin1')
  }

  /** The next part, or undefined after the last one; by then the source is read to its end. */
  async next(): Promise<MimePart | undefined> {
    if (this.#state === 'start') await this.#skipPreamble()
    for (let piece = await this.#piece(); piece; piece = await this.#piece());
    if (this.#state === 'closed') {
      await this.#drain()
      return undefined
    }
    this.#partCount += 1
    if (this.#partCount > multipartLimits.parts) {
      throw multipartErrors.TOO_LARGE({ limit: 'parts', max: multipartLimits.parts })
    }
    const headers = await this.#readHeader()
    return { headers, body: this.#pieces(this.#partCount) }
  }

  async *#pieces(number: number): AsyncGenerator<Uint8Array> {
    while (this.#partCount === number) {
      const piece = await this.#piece()
      if (!piece) return
      if (piece.length > 0) yield piece
    }
  }

  async #skipPreamble(): Promise<void> {
    while (this.#rest.length < 3 && (await this.#fill()));
    const hasMark = this.#rest[0] === 0xef && this.#rest[1] === 0xbb && this.#rest[2] === 0xbf
    // The first boundary has no line end before it.
    this.#rest = Buffer.concat([Buffer.from('\n'), this.#rest.subarray(hasMark ? 3 : 0)])
    this.#state = 'part'
    let bytes = 0
    for (let piece = await this.#piece(); piece; piece = await this.#piece()) {
      bytes += piece.length
      if (bytes > multipartLimits.preambleBytes) {
        throw multipartErrors.BROKEN({ text: 'it does not begin with the boundary of its Content-Type' })
      }
    }
  }

  /** Content up to the next boundary, piece by piece; undefined when the boundary is reached. */
  async #piece(): Promise<Uint8Array | undefined> {
    while (this.#state === 'part') {
      const found = this.#findDelimiter()
      if (typeof found === 'object') {
        const piece = this.#rest.subarray(this.#lead, Math.max(this.#lead, found.from))
        this.#rest = this.#rest.subarray(found.to)
        this.#state = found.isLast ? 'closed' : 'header'
        return piece
      }
      if (found > this.#lead) {
        const piece = this.#rest.subarray(this.#lead, found)
        this.#rest = this.#rest.subarray(found)
        this.#lead = 0
        return piece
      }
      if (!(await this.#fill())) throw multipartErrors.BROKEN({ text: 'it ends before its closing boundary' })
    }
    return undefined
  }

  /** The next boundary line in the rest, or up to where there is certainly none. */
  #findDelimiter(): Delimiter | number {
    const rest = this.#rest
    for (let at = 0; ; ) {
      const hit = rest.indexOf(this.#mark, at)
      // A carriage return and all but the last letter of the mark may be the beginning of one.
      if (hit < 0) return Math.max(0, rest.length - this.#mark.length)
      let end = hit + this.#mark.length
      const from = hit > 0 && rest[hit - 1] === carriageReturn ? hit - 1 : hit
      if (rest[end] === hyphen && end + 1 >= rest.length && !this.#isSourceOver) return from
      const isLast = rest[end] === hyphen && rest[end + 1] === hyphen
      if (isLast) end += 2
      const paddingFrom = end
      while (rest[end] === blank || rest[end] === tab) end += 1
      const isShort = end >= rest.length || (rest[end] === carriageReturn && end + 1 >= rest.length)
      if (isShort) {
        if (this.#isSourceOver) return { from, to: rest.length, isLast }
        if (end - paddingFrom <= paddingBytes) return from
      } else if (rest[end] === lineFeed) return { from, to: end + 1, isLast }
      else if (rest[end] === carriageReturn && rest[end + 1] === lineFeed) return { from, to: end + 2, isLast }
      // Another, longer boundary that begins like this one.
      at = hit + 1
    }
  }

  async #readHeader(): Promise<Readonly<Record<string, string>>> {
    for (;;) {
      const header = readMailHeader(this.#rest)
      if (header.bodyAt !== undefined && header.bodyAt <= multipartLimits.partHeaderBytes) {
        // The empty line may be the line end before the next boundary at the same time.
        this.#rest = this.#rest.subarray(header.bodyAt - 1)
        this.#lead = 1
        this.#state = 'part'
        return firstValues(header)
      }
      if (this.#rest.length > multipartLimits.partHeaderBytes) {
        throw multipartErrors.TOO_LARGE({ limit: 'partHeaderBytes', max: multipartLimits.partHeaderBytes })
      }
      if (!(await this.#fill())) throw multipartErrors.BROKEN({ text: 'it ends in the header of a part' })
    }
  }

  async #fill(): Promise<boolean> {
    if (this.#isSourceOver) return false
    const { done, value } = await this.#source.next()
    if (done) {
      this.#isSourceOver = true
      // What was held back for its next letter can be judged now.
      return this.#state === 'part' && typeof this.#findDelimiter() === 'object'
    }
    this.#rest = Buffer.concat([this.#rest, value])
    return true
  }

  /** The epilogue is nobody's, but a request that is answered must be read to its end. */
  async #drain(): Promise<void> {
    this.#rest = Buffer.alloc(0)
    while (!this.#isSourceOver) this.#isSourceOver = (await this.#source.next()).done === true
  }
}

/** Decodes a part (RFC 2045 section 6). Throws MULTIPART_BROKEN for an encoding that is not read. */
export function decodeTransfer(part: MimePart): AsyncIterable<Uint8Array> {
  const encoding = part.headers['content-transfer-encoding']?.trim().toLowerCase() ?? ''
  if (encoding === '' || encoding === '7bit' || encoding === '8bit' || encoding === 'binary') return part.body
  if (encoding === 'base64') return decodeBase64(part.body)
  if (encoding === 'quoted-printable') return decodeQuotedPrintable(part.body)
  throw multipartErrors.BROKEN({ text: `a part is encoded as ${encoding.slice(0, 40)}, which is not read` })
}

async function* decodeBase64(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let waiting = ''
  for await (const chunk of body) {
    waiting += Buffer.from(chunk).toString('latin1').replace(/\s+/g, '')
    const whole = waiting.length - (waiting.length % 4)
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(waiting)) {
      throw multipartErrors.BROKEN({ text: 'a part says base64 and holds other letters' })
    }
    yield Buffer.from(waiting.slice(0, whole), 'base64')
    waiting = waiting.slice(whole)
  }
  if (waiting !== '') yield Buffer.from(waiting, 'base64')
}

/** Senders should break lines after 76 letters; some write a whole document in one, which is not held whole here. */
const quotedLineLetters = 64 * KiB

async function* decodeQuotedPrintable(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let waiting = ''
  for await (const chunk of body) {
    waiting += Buffer.from(chunk).toString('latin1')
    const lines = waiting.split('\n')
    waiting = lines.pop() ?? ''
    if (lines.length > 0) yield unquote(lines.map(line => wholeLine(line, '\n')).join(''))
    if (waiting.length <= quotedLineLetters) continue
    // What begins with a sign of equality may go on in the next chunk.
    const signAt = waiting.indexOf('=', waiting.length - 2)
    const end = signAt < 0 ? waiting.length : signAt
    yield unquote(waiting.slice(0, end))
    waiting = waiting.slice(end)
  }
  yield unquote(wholeLine(waiting, ''))
}

/** RFC 2045 section 6.7: blanks at the end of a line are not meant, and a sign of equality there joins it with the next. */
function wholeLine(line: string, lineEnd: string): string {
  const isCrLf = line.endsWith('\r')
  let length = line.length - (isCrLf ? 1 : 0)
  while (line[length - 1] === ' ' || line[length - 1] === '\t') length -= 1
  return line[length - 1] === '=' ? line.slice(0, length - 1) : line.slice(0, length) + (isCrLf ? '\r' : '') + lineEnd
}

function unquote(text: string): Buffer {
  const decoded = text.replace(/=([0-9A-Fa-f]{2})?/g, (_, hex: string | undefined) => {
    if (hex === undefined) throw multipartErrors.BROKEN({ text: 'a part says quoted-printable and holds a bare "="' })
    return String.fromCharCode(Number.parseInt(hex, 16))
  })
  return Buffer.from(decoded, 'latin1')
}
