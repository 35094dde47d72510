/** A whole reply of a mail server, as it passed by. */
export interface PassingReply {
  /** Three digits, where the server keeps to RFC 5321. */
  readonly code: string
  /** All its lines, their octets as Latin-1 letters, as many as are wanted. */
  readonly letters: string
}

/** Finds replies in the octets of a server, however they are cut; nothing is refused, and little is held. */
export class PassingReplies {
  readonly #lettersMax: number
  /** Code and separator of the line that is being read. */
  #head = ''
  #letters = ''

  constructor(lettersMax = 0) {
    this.#lettersMax = lettersMax
  }

  /** Those that end in these octets. Whoever stops asking leaves the rest of the octets unread. */
  *read(octets: Uint8Array): Generator<PassingReply> {
    for (let from = 0; from < octets.length; ) {
      const lineEnd = octets.indexOf(10, from)
      const to = lineEnd < 0 ? octets.length : lineEnd + 1
      this.#head += latin(octets.subarray(from, Math.min(to, from + 4 - this.#head.length)))
      this.#letters += latin(octets.subarray(from, Math.min(to, from + this.#lettersMax - this.#letters.length)))
      if (lineEnd < 0) return
      const head = this.#head
      this.#head = ''
      from = to
      if (head[3] === '-') continue
      const letters = this.#letters
      this.#letters = ''
      yield { code: head.slice(0, 3), letters }
    }
  }
}

/** Octets as letters, one each. */
export function latin(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('latin1')
}
