import { isAscii } from 'node:buffer'
import { TextDecoder } from 'node:util'
import { xmlErrors } from './errors.ts'

/** Encodings that are read (WHATWG names); others are refused rather than guessed. */
const encodings = new Set(['utf-8', 'utf-16le', 'utf-16be', 'iso-8859-1', 'windows-1252', 'us-ascii', 'iso-8859-15'])

/** The longest XML declaration that is looked at for its encoding. */
const declarationBytes = 256

/**
 * Bytes of an XML document as text, chunk by chunk. Encoding: byte order mark, then `charset` (of the Content-Type,
 * RFC 7303 section 3), then the XML declaration, then UTF-8. Throws XML_ENCODING.
 */
export async function* decodeXml(source: AsyncIterable<Uint8Array>, charset?: string): AsyncGenerator<string> {
  let decoder: TextDecoder | undefined
  let first: Uint8Array = new Uint8Array()
  for await (const chunk of source) {
    if (decoder) {
      yield decode(decoder, chunk, true)
      continue
    }
    first = first.length === 0 ? chunk : Buffer.concat([first, chunk])
    if (first.length < declarationBytes) continue
    decoder = decoderOf(first, charset)
    yield decode(decoder, first, true)
  }
  if (!decoder) {
    decoder = decoderOf(first, charset)
    yield decode(decoder, first, true)
  }
  yield decode(decoder, new Uint8Array(), false)
}

/** One decoder for each encoding: to make one costs more than a document of some kilobytes. They keep nothing between calls. */
const wholeDecoders = new Map<string, TextDecoder>()

/** The whole text at once. */
export function decodeXmlBytes(bytes: Uint8Array, charset?: string): string {
  const encoding = encodingOf(bytes, charset)
  // As most documents of SAP are: their octets are their letters.
  if (encoding === 'utf-8' && isAscii(bytes)) {
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  }
  let decoder = wholeDecoders.get(encoding)
  if (!decoder) {
    decoder = new TextDecoder(encoding, { fatal: true })
    wholeDecoders.set(encoding, decoder)
  }
  return decode(decoder, bytes, false)
}

function decode(decoder: TextDecoder, bytes: Uint8Array, stream: boolean): string {
  try {
    return decoder.decode(bytes, { stream })
  } catch (cause) {
    throw xmlErrors.ENCODING({ encoding: decoder.encoding, text: 'a byte that cannot stand there' }, { cause })
  }
}

function decoderOf(first: Uint8Array, charset: string | undefined): TextDecoder {
  return new TextDecoder(encodingOf(first, charset), { fatal: true })
}

function encodingOf(first: Uint8Array, charset: string | undefined): string {
  const name = byteOrderMark(first) ?? charset?.trim().toLowerCase() ?? declaredEncoding(first) ?? 'utf-8'
  const known = encodings.has(name) ? name : encodingNamed(name)
  if (known !== undefined) return known
  throw xmlErrors.ENCODING({ encoding: name.slice(0, 40), text: 'this encoding is not read' })
}

/** One of them by another of its names (`utf8`, `latin1`, `utf-16`), as the WHATWG lists them. */
function encodingNamed(label: string): string | undefined {
  try {
    const { encoding } = new TextDecoder(label)
    return encodings.has(encoding) ? encoding : undefined
  } catch {
    // No encoding has this name.
    return undefined
  }
}

function byteOrderMark(bytes: Uint8Array): string | undefined {
  const [a, b, c] = bytes
  if (a === 0xef && b === 0xbb && c === 0xbf) return 'utf-8'
  if (a === 0xff && b === 0xfe) return 'utf-16le'
  if (a === 0xfe && b === 0xff) return 'utf-16be'
  // "<?" without a mark (XML 1.0 appendix F).
  if (a === 0x3c && b === 0x00) return 'utf-16le'
  if (a === 0x00 && b === 0x3c) return 'utf-16be'
  return undefined
}

function declaredEncoding(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.subarray(0, declarationBytes)).toString('latin1')
  return /^<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']/.exec(start)?.[1]?.toLowerCase()
}
