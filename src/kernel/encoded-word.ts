import { decodeCharset } from './charset.ts'

const wordPattern = /=\?([^?\s*]{1,60})(?:\*[^?\s]{0,40})?\?([BbQq])\?([^?]*)\?=/g

/**
 * A header value as people read it (RFC 2047, with the language of RFC 2231). Words whose charset nobody knows stay as
 * they are, or become what `decodeUnknown` makes of them. Octets of neighbouring words of one charset are joined before
 * decoding: many mailers cut letters in two.
 */
export function decodeHeaderText(value: string, decodeUnknown?: (octets: Buffer) => string): string {
  if (!value.includes('=?')) return withoutControls(value)
  let text = ''
  let textAt = 0
  let run: { charset: string; octets: Buffer[]; raw: string } | undefined
  const endRun = () => {
    if (run) {
      const octets = Buffer.concat(run.octets)
      text += decodeCharset(octets, run.charset) ?? decodeUnknown?.(octets) ?? run.raw
    }
    run = undefined
  }
  for (const match of value.matchAll(wordPattern)) {
    const [raw, charset = '', encoding = '', encoded = ''] = match
    const between = value.slice(textAt, match.index)
    const isNeighbour = run !== undefined && between.trim() === ''
    const octets = encoding.toUpperCase() === 'B' ? Buffer.from(encoded, 'base64') : decodeQ(encoded)
    if (run && isNeighbour && run.charset === charset.toLowerCase()) {
      run.octets.push(octets)
      run.raw += between + raw
    } else {
      endRun()
      if (!isNeighbour) text += between
      run = { charset: charset.toLowerCase(), octets: [octets], raw }
    }
    textAt = match.index + raw.length
  }
  endRun()
  return withoutControls(text + value.slice(textAt))
}

/** A tab, too, is a blank to people: some mailers fold long lines with it. */
function withoutControls(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ')
}

function decodeQ(encoded: string): Buffer {
  const latin1 = encoded
    .replaceAll('_', ' ')
    .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(latin1, 'latin1')
}
