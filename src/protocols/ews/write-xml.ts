import type { XmlElement } from '../xml/xml-element.ts'

export const namespaces = {
  soap: 'http://schemas.xmlsoap.org/soap/envelope/',
  types: 'http://schemas.microsoft.com/exchange/services/2006/types',
  messages: 'http://schemas.microsoft.com/exchange/services/2006/messages',
  errors: 'http://schemas.microsoft.com/exchange/services/2006/errors',
} as const

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

/** An element as XML: `element('t:ItemId', { Id: 'AAMk=' })`. Content is XML already; attributes and `textOf` are escaped. */
export function element(name: string, attributes: Attributes = {}, ...content: readonly string[]): string {
  let start = `<${name}`
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== undefined) start += ` ${attribute}="${escaped(String(value))}"`
  }
  const inside = content.join('')
  return inside === '' ? `${start}/>` : `${start}>${inside}</${name}>`
}

/** An element with text in it. */
export function textElement(name: string, text: string | number | boolean, attributes: Attributes = {}): string {
  return element(name, attributes, escaped(String(text)))
}

/** An element of the types namespace as it was read, with all that is in it. */
export function writeElement(read: XmlElement): string {
  const prefix = prefixes[read.namespace] ?? 't'
  const attributes = Object.fromEntries(read.attributes)
  const content = read.children.length > 0 ? read.children.map(writeElement) : [escaped(read.text)]
  return element(`${prefix}:${read.name}`, attributes, ...content)
}

const prefixes: Readonly<Record<string, string>> = {
  [namespaces.types]: 't',
  [namespaces.messages]: 'm',
  [namespaces.soap]: 's',
}

/** The envelope of a request or an answer, with the prefixes s, t and m. */
export function envelope(header: string, body: string): string {
  const { soap, types, messages } = namespaces
  return (
    `<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="${soap}" xmlns:t="${types}" xmlns:m="${messages}">` +
    `<s:Header>${header}</s:Header><s:Body>${body}</s:Body></s:Envelope>`
  )
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#xD;',
  '\t': '&#x9;',
  '\n': '\n',
}

// What XML 1.0 has no place for (section 2.2), half surrogates among it, and what must be written as an entity.
const special = /[^\x20\x21\x23-\x25\x27-\x3b\x3d\x3f-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu

/** Text for a place between tags or in quotes. */
function escaped(text: string): string {
  return text.replace(special, character => entities[character] ?? '\ufffd')
}
