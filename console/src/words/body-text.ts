import { showDirections } from './directions.ts'

/** Bytes as text that may be edited, and how to make the same bytes of it again. */
export interface EditableText {
  readonly text: string
  /** A field of a browser knows only line feeds; these are put back. */
  readonly lineEnd: '\n' | '\r\n'
}

/** Bytes as people may read them; `text` where they are UTF-8 without control characters, else `hex`. */
export interface ReadableBody {
  readonly kind: 'text' | 'hex'
  readonly text: string
}

const hexBytesMax = 4096
const hexPerLine = 16

/** What is shown of a body. A letter that the end of the part cuts in two is left out. */
export function readBody(bytes: Uint8Array): ReadableBody {
  const text = decode(trimCutLetter(bytes))
  return text === undefined
    ? { kind: 'hex', text: hexOf(bytes.subarray(0, hexBytesMax)) }
    : { kind: 'text', text: showDirections(text) }
}

/** The text of a body that a browser can edit without changing what nobody touched; undefined: it cannot. */
export function editableText(bytes: Uint8Array): EditableText | undefined {
  const text = decode(bytes)
  if (text === undefined) return undefined
  const withReturn = text.split('\r\n').length - 1
  const feeds = text.split('\n').length - 1
  const returns = text.split('\r').length - 1
  if (returns === 0) return { text, lineEnd: '\n' }
  if (withReturn === feeds && withReturn === returns) return { text: text.replaceAll('\r\n', '\n'), lineEnd: '\r\n' }
  return undefined
}

/** The text as it goes back, with the line ends it had. */
export function bodyOfText({ text, lineEnd }: EditableText): string {
  return lineEnd === '\n' ? text : text.replaceAll('\n', lineEnd)
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    // Tab, line feed, form feed, carriage return and escape stand in text; other control characters do not.
    return /[\u0000-\u0008\u000B\u000E-\u001A\u001C-\u001F]/.test(text) ? undefined : text
  } catch {
    return undefined
  }
}

/** Without the beginning of a UTF-8 sequence that has no end. */
function trimCutLetter(bytes: Uint8Array): Uint8Array {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0
    if (byte < 0x80) return bytes
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
      return length > back ? bytes.subarray(0, bytes.length - back) : bytes
    }
  }
  return bytes
}

function hexOf(bytes: Uint8Array): string {
  const lines: string[] = []
  for (let start = 0; start < bytes.length; start += hexPerLine) {
    const row = [...bytes.subarray(start, start + hexPerLine)]
    const hex = row.map(byte => byte.toString(16).padStart(2, '0')).join(' ')
    const letters = row.map(byte => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    lines.push(`${start.toString(16).padStart(6, '0')}  ${hex.padEnd(hexPerLine * 3)} ${letters}`)
  }
  return lines.join('\n')
}

/** Bytes as base64, as the API takes them. */
export function base64Of(bytes: Uint8Array): string {
  let binary = ''
  for (let start = 0; start < bytes.length; start += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(start, start + 0x8000))
  }
  return btoa(binary)
}
