import { asText, cutText, plainLines } from '../body-text.ts'
import type { Body } from '../plan/items.ts'

// What XML 1.0 has no place for (section 2.2), half surrogates among it.
const illegal = /[^\t\n\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu

/** Text as Exchange gives it back: what XML cannot carry becomes U+FFFD, lines end with \n and no blanks. */
export function cleanText(text: string): string {
  return plainLines(text).replace(illegal, '\ufffd')
}

/** Text of one line, no longer than the property that holds it. */
export function lineOf(text: string, lettersMax: number): string {
  const line = cleanText(text)
    // No blanks stand before a line end any more, and a pattern for them would try each place in a long run.
    .replace(/\n\s*/g, ' ')
    .replaceAll('\t', ' ')
    .trim()
  return cutText(line, lettersMax).trimEnd()
}

/**
 * Bodies of appointments, contacts and tasks travel as plain text: Exchange writes HTML anew each time it stores it, and a
 * body that never comes back as it was written would be a change each time.
 */
export function plainBody(body: Body): Body {
  const { type, content } = asText(body)
  return { type, content: cleanText(content) }
}
