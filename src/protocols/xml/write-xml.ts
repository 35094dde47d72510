/** Text as it stands between tags. Characters that XML 1.0 cannot hold are taken out of the way by the caller. */
export function escapeText(text: string): string {
  // A carriage return would become a line feed when read (XML 1.0 section 2.11).
  return /[&<>\r]/.test(text)
    ? text.replace(/[&<>\r]/g, character => (character === '\r' ? '&#13;' : (entities[character] ?? character)))
    : text
}

/** Text as it stands in an attribute between double quotes. */
export function escapeAttribute(text: string): string {
  // Tabs and line ends would become blanks when read (XML 1.0 section 3.3.3).
  return text.replace(/[&<>"\t\n\r]/g, letter => entities[letter] ?? `&#${letter.charCodeAt(0)};`)
}

/** Whether XML 1.0 can hold every character (section 2.2: no controls but tab and line ends, no half surrogates). */
export function isXmlText(text: string): boolean {
  return !/[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u.test(text)
}

/** Words for people, cut to `lettersMax`; what XML cannot hold becomes a question mark, so that an error can always be told. */
export function xmlWords(text: string, lettersMax: number): string {
  const cut = text.slice(0, lettersMax).replace(/[\uD800-\uDBFF]$/, '')
  return cut.replace(/[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '?')
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }
