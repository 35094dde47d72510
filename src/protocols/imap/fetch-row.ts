import type { Literal, ResponsePart } from './response.ts'
import { notImap } from './response-reader.ts'

/** What a FETCH row says about a mail; the items may stand in any order. */
export interface FetchRow {
  readonly uid: number | undefined
  /** RFC822.SIZE; Exchange estimates it. */
  readonly size: number | undefined
  /** The value of `BODY[]`: a literal, a quoted string, or null for NIL; undefined when the row has none. */
  readonly body: Literal | null | undefined
}

const depthMax = 100

/** Reads the rest of a FETCH response (`(UID 17 BODY[] `, literal, `)`). Throws IMAP_PROTOCOL. */
export function parseFetchRow(parts: readonly ResponsePart[]): FetchRow {
  const cursor = new Cursor(parts)
  let uid: number | undefined
  let size: number | undefined
  let body: Literal | null | undefined
  if (!cursor.take('(')) throw notImap('a FETCH row without a list', parts)
  while (!cursor.take(')')) {
    const name = cursor.itemName()
    const value = cursor.value(0)
    if (name === '' || value === undefined) throw notImap('a FETCH row that does not end', parts)
    if (name === 'UID') uid = asNumber(value)
    else if (name === 'RFC822.SIZE') size = asNumber(value)
    else if (name === 'BODY[]') body = asBody(value)
  }
  return { uid, size, body }
}

/** The UID in the text of a row before its literal, if it stands there. */
export function uidBefore(head: readonly ResponsePart[]): number | undefined {
  const match = typeof head[0] === 'string' ? /[( ]UID (\d{1,10})(?= )/i.exec(head[0]) : null
  return match ? Number(match[1]) : undefined
}

/** True when the text before a literal ends with the name of the whole body. */
export function announcesBody(head: readonly ResponsePart[]): boolean {
  const last = head.at(-1)
  return typeof last === 'string' && /BODY\[\] ?$/i.test(last)
}

/** `false` stands for a list, whose content nobody needs. */
type Value = string | Literal | null | false

function asNumber(value: Value): number | undefined {
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : undefined
}

function asBody(value: Value): Literal | null {
  if (value === false) return null
  if (typeof value !== 'string') return value
  const held = Buffer.from(value, 'latin1')
  return { bytes: held.length, held }
}

class Cursor {
  readonly #parts: readonly ResponsePart[]
  #part = 0
  #at = 0

  constructor(parts: readonly ResponsePart[]) {
    this.#parts = parts
  }

  take(letter: string): boolean {
    const text = this.#text()
    if (text?.[this.#at] !== letter) return false
    this.#at++
    return true
  }

  itemName(): string {
    return this.#match(/[A-Za-z0-9.-]+(?:\[[^\]]*\])?(?:<\d+>)?/y).toUpperCase()
  }

  /** A value; undefined at the end of the response. A list is only stepped over. */
  value(depth: number): Value | undefined {
    const text = this.#text()
    if (text === undefined) return this.#literal()
    if (text[this.#at] === '"') return this.#match(/"((?:[^"\\]|\\.)*)"/sy, 1).replace(/\\(.)/gs, '$1')
    if (!this.take('(')) {
      const atom = this.#match(/[^() "]+/y)
      if (atom === '') return undefined
      return atom.toUpperCase() === 'NIL' ? null : atom
    }
    if (depth > depthMax) return undefined
    while (!this.take(')')) if (this.value(depth + 1) === undefined) return undefined
    return false
  }

  /** The text here, without leading spaces; undefined when a literal or the end comes next. */
  #text(): string | undefined {
    for (;;) {
      const part = this.#parts[this.#part]
      if (typeof part !== 'string') return undefined
      while (part[this.#at] === ' ') this.#at++
      if (this.#at < part.length) return part
      this.#part++
      this.#at = 0
    }
  }

  #literal(): Literal | undefined {
    const part = this.#parts[this.#part]
    if (part === undefined || typeof part === 'string') return undefined
    this.#part++
    this.#at = 0
    return part
  }

  #match(pattern: RegExp, group = 0): string {
    const text = this.#text()
    if (text === undefined) return ''
    pattern.lastIndex = this.#at
    const match = pattern.exec(text)
    if (!match) return ''
    this.#at += match[0].length
    return match[group] ?? ''
  }
}
