import type { Body } from '../kernel/body.ts'
import { KiB } from '../kernel/size.ts'
import { type PartHeaders, readPartHeaders } from './part-headers.ts'

/** A part of a mail that carries a file name or is marked as an attachment. */
export type Attachment = Map<'name' | 'type' | 'size', string | number>

/** Multiparts inside each other; deeper ones are not looked into. Mail programs and servers end well before. */
const multipartDepthMax = 100
/** Parts of one mail that are listed. */
const attachmentsMax = 1_000
/** The fields of one part that say what it is, and a line of a header; the rest of longer ones is passed over. */
const partHeaderBytesMax = 64 * KiB
/** The fields that are kept: others may be as many and as long as they like. */
const wantedField = /^content-(?:type|disposition|transfer-encoding)[ \t]*:/i

interface OpenPart {
  readonly headers: PartHeaders
  bytes: number
}

/**
 * `message.attachments`: name, type and size (decoded, within some percent) of each attachment of a mail, read in one
 * pass over the bytes that keeps only headers in memory. A body that is not a mail has none; a broken mail gives what
 * could be read, because a routing rule must not stop on a mail that a reader would still open. RFC 2045, 2046, 2183.
 */
export async function listAttachments(body: Body, headers: Readonly<Record<string, string>>): Promise<Attachment[]> {
  if (!/^message\/(rfc822|global)\b/i.test(body.type)) return []
  // Most mails have no parts, and their headers were parsed when they came in.
  const contentType = headers['content-type'] ?? ''
  if (contentType && !/^\s*multipart\//i.test(contentType) && !/name|attachment/i.test(headerText(headers))) return []
  const scan = new PartScan()
  for await (const chunk of body.stream()) scan.push(chunk)
  return scan.end()
}

function headerText(headers: Readonly<Record<string, string>>): string {
  return `${headers['content-type'] ?? ''} ${headers['content-disposition'] ?? ''}`
}

const lineFeed = 10
const hyphen = 45

class PartScan {
  #rest = Buffer.alloc(0)
  /** What is wanted of the header so far; undefined in a body. */
  #header: string | undefined = ''
  #isWanted = false
  /** False where what comes next goes on with a line whose beginning was read. */
  #isLineBegin = true
  #open: OpenPart | undefined
  readonly #boundaries: string[] = []
  /** The boundaries, to tell at once the many lines that are none. */
  #known: ReadonlySet<string> = new Set()
  readonly #found: Attachment[] = []

  push(chunk: Uint8Array): void {
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk])
    let at = 0
    for (;;) {
      // In a body only lines that begin with two hyphens matter, and they are found natively.
      if (this.#header === undefined && !this.#hasHyphens(at)) {
        if (this.#isLineBegin && this.#rest.length - at < 2) break
        const next = this.#rest.indexOf('\n--', at, 'latin1')
        const upTo = next < 0 ? Math.max(at, this.#rest.length - 2) : next + 1
        if (this.#open) this.#open.bytes += upTo - at
        if (upTo > at) this.#isLineBegin = next >= 0
        at = upTo
        if (next < 0) break
      }
      const end = this.#rest.indexOf(lineFeed, at)
      if (end < 0 && this.#rest.length - at < partHeaderBytesMax) break
      const stop = end < 0 ? this.#rest.length : end + 1
      this.#line(this.#rest.toString('latin1', at, stop), stop - at)
      this.#isLineBegin = end >= 0
      at = stop
    }
    this.#rest = this.#rest.subarray(at)
  }

  #hasHyphens(at: number): boolean {
    return this.#isLineBegin && this.#rest[at] === hyphen && this.#rest[at + 1] === hyphen
  }

  end(): Attachment[] {
    if (this.#rest.length > 0) this.#line(this.#rest.toString('latin1'), this.#rest.length)
    this.#closePart()
    return this.#found
  }

  #line(line: string, bytes: number): void {
    const isBoundary = this.#isLineBegin && line.startsWith('--') && this.#crossBoundary(line.trimEnd())
    if (isBoundary) return
    if (this.#header === undefined) {
      if (this.#open) this.#open.bytes += bytes
      return
    }
    // A line of blanks is a folded one (RFC 5322 section 4.2); only an empty one ends the header.
    if (!this.#isLineBegin || !/^\r?\n?$/.test(line)) {
      if (this.#isLineBegin && !/^[ \t]/.test(line)) this.#isWanted = wantedField.test(line)
      if (this.#isWanted && this.#header.length < partHeaderBytesMax) this.#header += line
      return
    }
    const { boundary } = this.#endHeader(this.#header)
    if (!boundary || this.#boundaries.length >= multipartDepthMax) return
    this.#boundaries.push(`--${boundary}`.trimEnd())
    this.#known = new Set(this.#boundaries)
  }

  #endHeader(text: string): PartHeaders {
    const headers = readPartHeaders(text)
    this.#header = undefined
    this.#open = { headers, bytes: 0 }
    return headers
  }

  #crossBoundary(line: string): boolean {
    const opened = line.endsWith('--') ? line.slice(0, -2) : line
    if (!this.#known.has(line) && !this.#known.has(opened)) return false
    const next = this.#boundaries.lastIndexOf(line)
    const last = opened === line ? -1 : this.#boundaries.lastIndexOf(opened)
    // The line end before a boundary belongs to the boundary (RFC 2046 section 5.1.1).
    if (this.#open && this.#open.headers.encoding !== 'base64') this.#open.bytes = Math.max(0, this.#open.bytes - 2)
    this.#closePart()
    const isLast = last > next
    this.#boundaries.length = isLast ? last : next + 1
    this.#known = new Set(this.#boundaries)
    this.#header = isLast ? undefined : ''
    return true
  }

  #closePart(): void {
    // A part may be all header, without the empty line behind it.
    if (this.#header) this.#endHeader(this.#header)
    const part = this.#open
    this.#open = undefined
    if (!part || this.#found.length >= attachmentsMax) return
    const { name, isAttachment, type, encoding } = part.headers
    if (!isAttachment && !name) return
    // Base64 makes 4 letters of 3 bytes and breaks its lines after 76.
    const bytes = encoding === 'base64' ? Math.round((part.bytes * 3 * 76) / (4 * 78)) : part.bytes
    this.#found.push(
      new Map<'name' | 'type' | 'size', string | number>([
        ['name', name],
        ['type', type],
        ['size', bytes],
      ]),
    )
  }
}
