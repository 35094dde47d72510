import { isAscii } from 'node:buffer'
import type { Body } from '../../kernel/body.ts'
import { KiB } from '../../kernel/size.ts'

/** What the bytes of a mail ask of the way they are sent. */
interface ContentFacts {
  readonly hasEightBit: boolean
  /** A CR without LF or an LF without CR: DATA cannot carry it unchanged (RFC 5321 section 2.3.8). */
  readonly hasBareLineEnd: boolean
  readonly hasNul: boolean
  readonly endsWithLineEnd: boolean
}

/** The bytes of one mail, together with what was found in them. */
export interface Content {
  readonly bytes: number
  readonly facts: ContentFacts
  /** True when the bytes lie in memory. */
  readonly isHeld: boolean
  /** A fresh pass. Of a body that is not held, a piece is valid until the next is asked for (see Body.stream). */
  pieces(): readonly Uint8Array[] | AsyncIterable<Uint8Array>
}

/** Memory through which a body that is not held passes. */
const passageBytes = 256 * KiB
const textBytes = 32 * KiB

const CR = 13
const LF = 10

/**
 * A body, with octets put before it where a flow adds headers, ready to be sent. A streamed body is read once here:
 * MAIL FROM has to declare what is in it.
 */
export async function inspectContent(body: Body, prefix?: Uint8Array): Promise<Content> {
  const scan = new Scan(body.held ? hasBareLineEndAsText : hasBareLineEnd)
  if (prefix) scan.take(prefix)
  if (body.held) scan.take(body.held)
  else for await (const chunk of body.stream(Buffer.allocUnsafeSlow(passageBytes))) scan.take(chunk)
  const before = prefix ? [prefix] : []
  return {
    bytes: body.bytes + (prefix?.length ?? 0),
    facts: scan.facts(),
    isHeld: body.held !== undefined,
    pieces: () => (body.held ? [...before, body.held] : streamed(before, body)),
  }
}

async function* streamed(before: readonly Uint8Array[], body: Body) {
  yield* before
  yield* body.stream(Buffer.allocUnsafeSlow(passageBytes))
}

/** Looks at bytes with native search only; a loop in JavaScript costs eight times as much. */
class Scan {
  readonly #search: (bytes: Buffer) => boolean
  #hasEightBit = false
  #hasBareLineEnd = false
  #hasNul = false
  #last = -1

  /** `search` tells whether a CR or LF stands alone in bytes; the first and last octets are looked at here. */
  constructor(search: (bytes: Buffer) => boolean) {
    this.#search = search
  }

  take(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    this.#hasEightBit ||= !isAscii(bytes)
    this.#hasNul ||= bytes.indexOf(0) >= 0
    this.#hasBareLineEnd ||= this.#isSplitBadly(bytes) || this.#search(bytes)
    this.#last = bytes[bytes.length - 1] ?? -1
  }

  // The border between two chunks may lie inside a CRLF.
  #isSplitBadly(bytes: Buffer): boolean {
    return (this.#last === CR) !== (bytes[0] === LF)
  }

  facts(): ContentFacts {
    return {
      hasEightBit: this.#hasEightBit,
      hasBareLineEnd: this.#hasBareLineEnd || this.#last === CR,
      hasNul: this.#hasNul,
      endsWithLineEnd: this.#last === LF,
    }
  }
}

/** For large bodies: makes no garbage, which would be as large as the body and make the whole heap grow. */
function hasBareLineEnd(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(LF, 1); at >= 0; at = bytes.indexOf(LF, at + 1)) if (bytes[at - 1] !== CR) return true
  const end = bytes.length - 1
  for (let at = bytes.indexOf(CR); at >= 0 && at < end; at = bytes.indexOf(CR, at + 1)) {
    if (bytes[at + 1] !== LF) return true
  }
  return false
}

/** For ordinary mails: as Latin-1 text, one letter an octet, a search line by line costs less than half as much. */
function hasBareLineEndAsText(bytes: Buffer): boolean {
  // Neighbours share an octet, so that no pair of octets is missed.
  for (let from = 0; from < bytes.length - 1; from += textBytes - 1) {
    if (hasBareLineEndIn(bytes.toString('latin1', from, from + textBytes))) return true
  }
  return false
}

function hasBareLineEndIn(text: string): boolean {
  for (let at = text.indexOf('\n', 1); at >= 0; at = text.indexOf('\n', at + 1)) {
    if (text.charCodeAt(at - 1) !== CR) return true
  }
  const end = text.length - 1
  for (let at = text.indexOf('\r'); at >= 0 && at < end; at = text.indexOf('\r', at + 1)) {
    if (text.charCodeAt(at + 1) !== LF) return true
  }
  return false
}
