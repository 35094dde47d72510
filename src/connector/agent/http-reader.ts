import { KiB } from '../../kernel/size.ts'

export const httpReaderLimits = {
  /** Request line or status line with all headers. */
  headBytes: 64 * KiB,
  /** Size line of a chunk, with its extensions. */
  sizeLineBytes: 256,
  trailerBytes: 8 * KiB,
} as const

/** How the end of a body is found (RFC 9112 section 6.3). */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' }

/** What is not HTTP/1.1 in the one way that everybody reads alike. */
export class HttpWrong extends Error {}

export interface HttpTaker {
  /** Start line and headers without the empty line; says how the body ends, or throws. */
  head(lines: HttpHead): Framing
  /** Every byte of the message as it came, head included, in pieces. */
  bytes(piece: Buffer): void
  /** The message is whole. */
  end(): void
}

export interface HttpHead {
  readonly start: string
  /** Names in lower case, in the order they came. */
  readonly headers: readonly (readonly [name: string, value: string])[]
}

/**
 * Reads messages one after the other from a byte stream, without changing them. Strict on purpose (RFC 9112 section
 * 2.2, 5, 6 and 7): lines end with CR LF, no folded headers, no doubtful lengths; what two readers could understand in
 * two ways is thrown out as HttpWrong.
 */
export function readHttp(taker: HttpTaker): (chunk: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0)
  let state: 'head' | 'body' | 'size' | 'data-end' | 'trailer' | 'until-close' = 'head'
  let restBytes = 0
  let isChunked = false

  return chunk => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    while (pending.length > 0 && step());
  }

  /** Takes what it can; false when it needs more bytes. */
  function step(): boolean {
    if (state === 'head') return readHead()
    if (state === 'body') return readBody()
    if (state === 'size') return readSize()
    if (state === 'data-end') return readDataEnd()
    if (state === 'trailer') return readTrailer()
    take(pending.length)
    return false
  }

  function readHead(): boolean {
    const end = pending.indexOf('\r\n\r\n')
    if ((end < 0 ? pending.length : end) > httpReaderLimits.headBytes) throw new HttpWrong('the headers are too long')
    if (end < 0) return false
    const framing = taker.head(parseHead(pending.toString('latin1', 0, end)))
    take(end + 4)
    isChunked = framing.kind === 'chunked'
    restBytes = framing.kind === 'length' ? framing.bytes : 0
    if (framing.kind === 'until-close') state = 'until-close'
    else if (isChunked) state = 'size'
    else if (restBytes > 0) state = 'body'
    else finish()
    return true
  }

  function readBody(): boolean {
    const bytes = Math.min(restBytes, pending.length)
    take(bytes)
    restBytes -= bytes
    if (restBytes > 0) return false
    if (isChunked) state = 'data-end'
    else finish()
    return true
  }

  function readSize(): boolean {
    const line = takeLine(httpReaderLimits.sizeLineBytes)
    if (line === undefined) return false
    const size = /^([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t -~]*)?$/.exec(line)?.[1]
    if (size === undefined) throw new HttpWrong('the size of a chunk is none')
    restBytes = Number.parseInt(size, 16)
    state = restBytes > 0 ? 'body' : 'trailer'
    return true
  }

  function readDataEnd(): boolean {
    if (pending.length < 2) return false
    if (pending[0] !== 13 || pending[1] !== 10) throw new HttpWrong('a chunk is longer than its size')
    take(2)
    state = 'size'
    return true
  }

  function readTrailer(): boolean {
    const line = takeLine(httpReaderLimits.trailerBytes)
    if (line === undefined) return false
    if (line === '') finish()
    else parseHeader(line)
    return true
  }

  function takeLine(bytesMax: number): string | undefined {
    const end = pending.indexOf('\n')
    if ((end < 0 ? pending.length : end) > bytesMax) throw new HttpWrong('a line is too long')
    if (end < 0) return undefined
    if (end === 0 || pending[end - 1] !== 13) throw new HttpWrong('a line ends without CR')
    const line = pending.toString('latin1', 0, end - 1)
    take(end + 1)
    return line
  }

  function take(bytes: number): void {
    const piece = pending.subarray(0, bytes)
    pending = pending.subarray(bytes)
    if (piece.length > 0) taker.bytes(piece)
  }

  function finish(): void {
    state = 'head'
    taker.end()
  }
}

function parseHead(text: string): HttpHead {
  const [start = '', ...lines] = text.split('\r\n')
  if (!/^[\t -~\u0080-\u00ff]+$/.test(start)) throw new HttpWrong('the first line is none')
  return { start, headers: lines.map(parseHeader) }
}

function parseHeader(line: string): readonly [string, string] {
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t -~\u0080-\u00ff]*)$/.exec(line)
  if (!match) throw new HttpWrong('a header is none')
  return [(match[1] ?? '').toLowerCase(), (match[2] ?? '').trim()]
}

/** Length or chunked as the headers say it; undefined where they say nothing. Throws where they say it twice. */
export function framingOf(headers: HttpHead['headers']): Framing | undefined {
  const lengths = valuesOf(headers, 'content-length')
  const encodings = valuesOf(headers, 'transfer-encoding')
  if (lengths.length + encodings.length > 1) throw new HttpWrong('the length is said twice')
  const [length] = lengths
  const [encoding] = encodings
  if (encoding !== undefined) {
    if (encoding.toLowerCase() !== 'chunked') throw new HttpWrong('the transfer encoding is not chunked')
    return { kind: 'chunked' }
  }
  if (length === undefined) return undefined
  if (!/^\d{1,15}$/.test(length)) throw new HttpWrong('the length is no number')
  return { kind: 'length', bytes: Number(length) }
}

export function valuesOf(headers: HttpHead['headers'], name: string): readonly string[] {
  return headers.flatMap(([each, value]) => (each === name ? [value] : []))
}
