import type { Body } from '../plan/items.ts'

// What XML 1.0 has no place for (section 2.2), half surrogates among it.
const illegal = /[^\t\n\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu

/** Text as Exchange gives it back: what XML cannot carry becomes U+FFFD, lines end with \n, and none at the end. */
export function cleanText(text: string): string {
  return text.replace(/\r\n?/g, '\n').replace(illegal, '\ufffd').trimEnd()
}

/** Text of one line, no longer than the property that holds it. */
export function lineOf(text: string, lettersMax: number): string {
  const line = cleanText(text)
    .replace(/\s*\n\s*/g, ' ')
    .replaceAll('\t', ' ')
    .trim()
  // Half of a pair of surrogates is no letter.
  return line
    .slice(0, lettersMax)
    .replace(/[\uD800-\uDBFF]$/, '')
    .trimEnd()
}

/**
 * Bodies of appointments, contacts and tasks travel as plain text: Exchange writes HTML anew each time it stores it, and a
 * body that never comes back as it was written would be a change each time.
 */
export function plainBody(body: Body): Body {
  return { type: 'text', content: cleanText(body.type === 'html' ? textOfHtml(body.content) : body.content) }
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }

/** The words of an HTML text, with the line breaks that a reader sees. */
export function textOfHtml(html: string): string {
  return html
    .replace(/<!--[\s\S]*?-->/g, '')
    .replace(/<(style|script|head|title)\b[\s\S]*?<\/\1\s*>/gi, '')
    .replace(/[\r\n\t ]+/g, ' ')
    .replace(/ ?<br\s*\/?> ?/gi, '\n')
    .replace(/ ?<\/(p|div|li|tr|h[1-6])\s*> ?/gi, '\n')
    .replace(/<li\b[^>]*>/gi, '- ')
    .replace(/<[^>]*>/g, '')
    .replace(/&(#x?[0-9a-f]+|\w+);/gi, (whole, name: string) => characterOf(name) ?? whole)
    .replace(/\n{3,}/g, '\n\n')
    .trim()
}

function characterOf(name: string): string | undefined {
  const known = entities[name.toLowerCase()]
  if (known !== undefined) return known
  const [, hex, decimal] = /^#(?:x([0-9a-f]{1,6})|(\d{1,7}))$/i.exec(name) ?? []
  if (hex === undefined && decimal === undefined) return undefined
  const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
  return code <= 0x10ffff ? String.fromCodePoint(code) : undefined
}
