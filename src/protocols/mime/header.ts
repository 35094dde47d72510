import { isAscii } from 'node:buffer'
import { decodeUnlabelled } from '../../kernel/charset.ts'
import { KiB } from '../../kernel/size.ts'

export const headerLimits = {
  /** Octets of a header block that are looked at; a mail with a longer one travels unchanged, with fewer known headers. */
  blockBytes: 128 * KiB,
  /** Header fields that are read. */
  fields: 2_000,
  /** Letters of one value that are kept with a message. */
  valueLetters: 32 * KiB,
} as const

/** The header fields of a mail as far as they could be read. It never fails: odd lines are passed over. */
export interface MailHeader {
  /** Name in lower case and unfolded value (not decoded) of each field, in their order. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  /** Where the body begins, or undefined when the block did not end within the octets given. */
  readonly bodyAt: number | undefined
  /** False when limits cut the block short. */
  readonly isWhole: boolean
}

// The control characters of Unicode (Cc) without the tab.
const controlLetter = /[\0-\x08\x0a-\x1f\x7f-\x9f]/
const controlLetters = /[\0-\x08\x0a-\x1f\x7f-\x9f]/g

const lineFeed = 10
const carriageReturn = 13

/**
 * Reads the header block at the beginning of a mail (RFC 5322 section 2.2). Tolerated: bare LF, folding, 8-bit octets
 * (in each field UTF-8 where they are, else Latin-1), an mbox `From ` line on top, lines without a colon, no header, no body.
 */
export function readMailHeader(bytes: Uint8Array): MailHeader {
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, headerLimits.blockBytes))
  const bodyAt = findBody(block)
  const head = block.subarray(0, bodyAt ?? block.length)
  const isPlain = isAscii(head)
  const fields: [string, string][] = []
  let isWhole = bodyAt !== undefined || bytes.length < headerLimits.blockBytes
  const text = head.toString('latin1')
  for (const line of unfoldedLines(isWhole ? text : cutAtWord(text))) {
    if (fields.length >= headerLimits.fields) {
      isWhole = false
      break
    }
    const field = readField(isPlain ? line : decodeUnlabelled(Buffer.from(line, 'latin1')))
    if (field) fields.push(field)
  }
  return { fields, bodyAt, isWhole }
}

const read = new WeakMap<Uint8Array, MailHeader>()

/** The header of a mail whose bytes do not change any more: read once, however many ask for it. */
export function mailHeaderOf(bytes: Uint8Array): MailHeader {
  let header = read.get(bytes)
  if (!header) {
    header = readMailHeader(bytes)
    read.set(bytes, header)
  }
  return header
}

/** True when the block has ended, or will not be read any further: enough of a mail is there to call readMailHeader. */
export function hasWholeHeader(bytes: Uint8Array): boolean {
  return (
    bytes.length >= headerLimits.blockBytes ||
    findBody(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)) !== undefined
  )
}

/** The first value of each name, as it is kept with a message. `__proto__` is no field (readField); other names of JavaScript are names like any. */
export function firstValues(header: MailHeader): Record<string, string> {
  const first: Record<string, string> = {}
  for (const [name, value] of header.fields) if (!Object.hasOwn(first, name)) first[name] = shortened(value)
  return first
}

/** All values of a name (lower case), in their order. */
export function allValues(header: MailHeader, name: string): string[] {
  return header.fields.filter(field => field[0] === name).map(field => field[1])
}

/** The octet after the first empty line. */
function findBody(block: Buffer): number | undefined {
  let lineAt = 0
  for (;;) {
    const end = block.indexOf(lineFeed, lineAt)
    if (end < 0) return undefined
    if (end === lineAt || (end === lineAt + 1 && block[lineAt] === carriageReturn)) return end + 1
    lineAt = end + 1
  }
}

function unfoldedLines(text: string): string[] {
  const unfolded = text.includes('\n ') || text.includes('\n\t') ? text.replace(/\r?\n(?=[ \t])/g, '') : text
  return unfolded.split('\n')
}

function readField(line: string): [string, string] | undefined {
  const colonAt = line.indexOf(':')
  if (colonAt < 1) return undefined
  const name = line.slice(0, colonAt).trimEnd().toLowerCase()
  // An mbox line (`From x@y Mon 10:00`) and text have blanks before their colon, header names have none.
  if (!/^[!-9;-~]{1,200}$/.test(name) || name === '__proto__') return undefined
  const value = line.slice(colonAt + 1).trim()
  return [name, controlLetter.test(value) ? value.replaceAll(controlLetters, ' ') : value]
}

function shortened(value: string): string {
  return value.length <= headerLimits.valueLetters ? value : cutAtWord(value.slice(0, headerLimits.valueLetters))
}

/** Without its last word, which is not whole: the beginning of an address is another address. */
function cutAtWord(text: string): string {
  return text.slice(0, Math.max(text.lastIndexOf(','), text.lastIndexOf(' '), 0))
}
