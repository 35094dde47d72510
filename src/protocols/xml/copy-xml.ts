import { escapeAttribute, escapeText } from './write-xml.ts'

/**
 * Writes again what a reader reads: same elements, attributes and text; comments and processing instructions are left
 * out, entities and CDATA sections become plain text.
 */
export function createXmlCopy() {
  let text = ''
  return {
    /** `more`: declarations of namespaces to add where the element has none of that name. */
    open(
      name: string,
      attributes: Readonly<Record<string, string>>,
      isSelfClosing: boolean,
      more: Readonly<Record<string, string>> = {},
    ): void {
      text += `<${name}`
      for (const attribute in attributes) text += ` ${attribute}="${escapeAttribute(attributes[attribute] ?? '')}"`
      for (const attribute in more) {
        if (!Object.hasOwn(attributes, attribute)) text += ` ${attribute}="${escapeAttribute(more[attribute] ?? '')}"`
      }
      text += isSelfClosing ? '/>' : '>'
    },
    text(content: string): void {
      text += escapeText(content)
    },
    close(name: string): void {
      text += `</${name}>`
    },
    /** What was written since it was last taken. */
    take(): string {
      const taken = text
      text = ''
      return taken
    },
  }
}
