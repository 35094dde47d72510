/** What becomes of characters that XML 1.0 cannot hold (section 2.2): they are taken out, or `#` stands for each. */
export type MendMode = 'remove' | 'substitute'

/** The longest reference that is looked at: `&#x10FFFF;`, with some zeros in front. */
const referenceLengthMax = 24

/** A text that stands for itself, not for XML: a reference in it is none. */
export function mendText(text: string, mode: MendMode): string {
  return text.replace(forbidden, mode === 'remove' ? '' : '#')
}

const forbidden = /[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu
const reference = /&#(?:x([0-9a-fA-F]{1,20})|([0-9]{1,20}));/g

/**
 * Mends the text of an XML document piece by piece, whether such a character stands there itself or as `&#1;`. The last
 * call has `isLast`. A reference that is cut by the end of a piece is kept for the next.
 */
export function createMender(mode: MendMode): (text: string, isLast?: boolean) => string {
  const instead = mode === 'remove' ? '' : '#'
  let kept = ''
  return (text, isLast = false) => {
    const whole = kept + text
    const cut = isLast ? whole.length : endOfWhole(whole)
    kept = whole.slice(cut)
    return whole
      .slice(0, cut)
      .replace(forbidden, instead)
      .replace(reference, (found, hex: string | undefined, decimal: string | undefined) =>
        isXmlCharacter(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)) ? found : instead,
      )
  }
}

/** Where a reference begins whose end is still to come; the whole length when none does. */
function endOfWhole(text: string): number {
  const at = text.lastIndexOf('&', text.length)
  if (at < 0 || text.length - at > referenceLengthMax) return text.length
  return /^&(#(x[0-9a-fA-F]*|[0-9]*)?)?$/.test(text.slice(at)) ? at : text.length
}

function isXmlCharacter(code: number): boolean {
  return (
    code === 0x9 ||
    code === 0xa ||
    code === 0xd ||
    (code >= 0x20 && code <= 0xd7ff) ||
    (code >= 0xe000 && code <= 0xfffd) ||
    (code >= 0x10000 && code <= 0x10ffff)
  )
}
