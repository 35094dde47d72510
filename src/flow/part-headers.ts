import { decodeCharset, decodeUnlabelled } from '../kernel/charset.ts'
import { decodeHeaderText } from '../kernel/encoded-word.ts'

/** What `message.attachments` wants to know of the header of a MIME part. */
export interface PartHeaders {
  readonly type: string
  readonly boundary: string | undefined
  readonly name: string
  readonly isAttachment: boolean
  readonly encoding: string
}

/** Reads the header of a part, given as Latin-1 text with its line ends. Never throws: odd headers give less. */
export function readPartHeaders(header: string): PartHeaders {
  const unfolded = header.replace(/\r?\n[ \t]+/g, ' ')
  const field = (name: string) =>
    withoutComments(new RegExp(`^${name}[ \\t]*:(.*)$`, 'im').exec(unfolded)?.[1] ?? '').trim()
  const contentType = field('content-type')
  const disposition = field('content-disposition')
  const type = contentType.split(';')[0]?.trim().toLowerCase() || 'text/plain'
  const isMultipart = type.startsWith('multipart/')
  return {
    type,
    boundary: isMultipart ? parameter(contentType, 'boundary', text => text) : undefined,
    name: isMultipart ? '' : readName(parameter(disposition, 'filename') || parameter(contentType, 'name') || ''),
    isAttachment: !isMultipart && /^attachment\b/i.test(disposition),
    encoding: field('content-transfer-encoding').toLowerCase(),
  }
}

/** A line end in a name would begin a line of somebody else's choice; a blank or NUL at its end, and it ends in no `.exe`. */
function readName(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim()
}

/**
 * RFC 2045 section 5.1: `text/plain (a text)`. Only comments that stand apart: file names without quotation marks have
 * parentheses, too.
 */
function withoutComments(value: string): string {
  return value.replace(
    /"(?:[^"\\]|\\.)*(?:"|\\?$)|(^|[\s;])\((?:[^()\\]|\\.)*\)/g,
    (found, before: string | undefined) => (before === undefined ? found : `${before} `),
  )
}

// The whole header is bounded by partHeaderBytesMax, and each pattern below is linear.
function parameter(value: string, name: string, decode = decodeWords): string | undefined {
  const parts = new Map<string, string>()
  // A quotation mark that is not closed holds to the end, as mail programs read it.
  for (const match of value.matchAll(/;\s*([^=;\s"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)(?:"|\\?$)|([^;]*))/g)) {
    const [, key = '', quoted, unquoted = ''] = match
    // Blanks in a name that has no quotation marks are of the name; a boundary has none.
    const plain = name === 'boundary' ? unquoted.split(/\s/, 1)[0] : unquoted.trimEnd()
    if (!parts.has(key.toLowerCase())) parts.set(key.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '')
  }
  const plain = parts.get(name)
  const extended = parts.get(`${name}*`)
  if (extended !== undefined) return decodeExtended(extended)
  // Beside a name in pieces a plain one is for programs that do not know RFC 2231; mail programs show the other.
  return continued(parts, name) ?? (plain === undefined ? undefined : decode(plain))
}

/** RFC 2231 section 3: `filename*0="a"; filename*1*=%20b`. */
function continued(parts: ReadonlyMap<string, string>, name: string): string | undefined {
  let text = ''
  let isExtended = false
  for (let number = 0; ; number++) {
    const encoded = parts.get(`${name}*${number}*`)
    const piece = encoded ?? parts.get(`${name}*${number}`)
    if (piece === undefined) break
    if (encoded !== undefined) isExtended = true
    text += encoded ?? piece.replace(/%/g, '%25')
  }
  if (text === '') return undefined
  return isExtended ? decodeExtended(text) : text.replace(/%25/g, '%')
}

/** RFC 2231 section 4: `utf-8'de'M%C3%BCnchen.pdf`. */
function decodeExtended(text: string): string {
  const match = /^([^']*)'[^']*'(.*)$/s.exec(text)
  const charset = match?.[1] || 'utf-8'
  const encoded = match?.[2] ?? text
  const bytes = encoded.replace(/%([0-9a-f]{2})/gi, (_all, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return decodeBytes(Buffer.from(bytes, 'latin1'), charset)
}

/** RFC 2047 words, which senders put into parameters although section 5 forbids it; raw octets are taken, too. */
function decodeWords(text: string): string {
  return decodeHeaderText(decodeUnlabelled(Buffer.from(text, 'latin1')), asLatin1)
}

function decodeBytes(bytes: Buffer, charset: string): string {
  return decodeCharset(bytes, charset) ?? asLatin1(bytes)
}

/** Of a charset that nobody knows the letters that ASCII has are still right, and a rule on `.pdf` works. */
function asLatin1(bytes: Buffer): string {
  return bytes.toString('latin1')
}
