const CR = 13
const LF = 10
const DOT = 46
const dot = Buffer.from('.')
const crlf = Buffer.from('\r\n')

/** Parts of one chunk that are written each for itself; where lines with dots are many, a copy costs less. */
const partsMax = 64

/**
 * Prepares a mail for DATA (RFC 5321 section 4.5.2), chunk by chunk and with native search: a dot is put before each
 * line that begins with one. `end()` closes the last line and gives the final dot.
 * With `repairLineEnds` a bare CR or LF becomes CRLF. A lone line end followed by a dot is read differently by
 * different servers, and that is how one mail is smuggled inside another; it never leaves as it is.
 */
export class DotStuffer {
  readonly #repairs: boolean
  #atLineStart = true
  #owesLf = false

  constructor({ repairLineEnds }: { readonly repairLineEnds: boolean }) {
    this.#repairs = repairLineEnds
  }

  /** The octets to write for this chunk: parts of the chunk itself, with dots between them. */
  stuff(chunk: Uint8Array): Uint8Array[] {
    const bytes = this.#repairs ? this.#repair(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    if (bytes.length === 0) return []
    const out: Uint8Array[] = []
    let from = 0
    if (this.#atLineStart && bytes[0] === DOT) out.push(dot)
    for (let at = bytes.indexOf('\n.'); at >= 0; at = bytes.indexOf('\n.', at + 1)) {
      if (out.length >= partsMax) {
        out.push(Buffer.from(bytes.toString('latin1', from).replaceAll('\n.', '\n..'), 'latin1'))
        from = bytes.length
        break
      }
      out.push(bytes.subarray(from, at + 1), dot)
      from = at + 1
    }
    if (from < bytes.length) out.push(bytes.subarray(from))
    this.#atLineStart = bytes[bytes.length - 1] === LF
    return out
  }

  /** What closes the mail: CRLF unless it ends in one, then the dot. */
  end(): Uint8Array {
    const isOpen = this.#owesLf || !this.#atLineStart
    return Buffer.from(isOpen ? '\r\n.\r\n' : '.\r\n')
  }

  // A CR at the end of a chunk waits for the next one: only then is it known whether an LF belongs to it.
  #repair(chunk: Uint8Array): Buffer {
    let bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    if (bytes.length === 0) return bytes
    let head: Buffer | undefined
    if (this.#owesLf) {
      head = crlf
      if (bytes[0] === LF) bytes = bytes.subarray(1)
    }
    this.#owesLf = bytes[bytes.length - 1] === CR
    if (this.#owesLf) bytes = bytes.subarray(0, -1)
    const body = Buffer.from(bytes.toString('latin1').replace(/\r\n|\r|\n/g, '\r\n'), 'latin1')
    return head ? Buffer.concat([head, body]) : body
  }
}
