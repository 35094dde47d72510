import { xmlErrors } from '../xml/errors.ts'
import type { XmlElement } from '../xml/xml-element.ts'
import { ewsLimits } from './limits.ts'

type Scope = ReadonlyMap<string, string>

interface OpenElement {
  readonly rawName: string
  readonly name: string
  readonly namespace: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: XmlElement[]
  readonly scope: Scope
  text: string
}

const outerScope: Scope = new Map([['xml', 'http://www.w3.org/XML/1998/namespace']])
const noAttributes: ReadonlyMap<string, string> = new Map()
const nameShape = /^[\p{L}_][\p{L}\p{M}\p{N}_.·-]*(?::[\p{L}_][\p{L}\p{M}\p{N}_.·-]*)?$/u
const attributeShape = /\s+([^\s=<>"'/]+)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y
const tagTail = /\s*(\/?)>/y
// What a text must be looked at for: a reference, or a character that XML lacks or changes.
const notPlain = /[\u0000-\u0008\u000b-\u001f&\ufffe\uffff]/
const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/**
 * The tree of what Exchange sends. Strict as XML is (one root, matching tags, declared prefixes, no DTD), but for one
 * thing: Exchange writes characters that XML 1.0 has no place for (`&#x0;` to `&#x1F;`, out of mails as they came), and
 * one such mail must not stop a mailbox. They become U+FFFD. Throws the errors of area XML.
 */
export function readEwsXml(source: string): XmlElement {
  const text = source.charCodeAt(0) === 0xfeff ? source.slice(1) : source
  const stack: OpenElement[] = []
  let root: XmlElement | undefined
  const knownNames = new Set<string>()
  let elementCount = 0
  let at = 0

  const broken = (reason: string, where = at) => xmlErrors.MALFORMED({ ...placeOf(text, where), text: reason })

  const close = (rawName: string) => {
    const open = stack.pop()
    if (!open) throw broken(`</${rawName.slice(0, 60)}> closes nothing`)
    if (open.rawName !== rawName) throw broken(`</${rawName.slice(0, 60)}> stands where ${open.rawName} ends`)
    const { name, namespace, attributes, children, text: own } = open
    const element: XmlElement = { name, namespace, attributes, children, text: own }
    const above = stack.at(-1)
    if (above) above.children.push(element)
    else root = element
  }

  const skipTo = (end: string, what: string) => {
    const found = text.indexOf(end, at)
    if (found < 0) throw broken(`${what} has no end`)
    at = found + end.length
  }

  while (at < text.length) {
    const tag = text.indexOf('<', at)
    const end = tag < 0 ? text.length : tag
    if (end > at) {
      const piece = text.slice(at, end)
      const open = stack.at(-1)
      if (open) open.text += plainText(piece, broken)
      else if (/[^ \t\r\n]/.test(piece)) throw broken('text stands outside of the root')
      at = end
    }
    if (tag < 0) break
    const next = text.charCodeAt(at + 1)
    if (next === 0x2f /* / */) {
      const until = text.indexOf('>', at)
      if (until < 0) throw broken('a tag has no end')
      const rawName = text.slice(at + 2, until).trimEnd()
      close(rawName)
      at = until + 1
    } else if (next === 0x21 /* ! */) {
      if (text.startsWith('<!--', at)) {
        at += 4
        skipTo('-->', 'a comment')
      } else if (text.startsWith('<![CDATA[', at)) {
        const from = at + 9
        skipTo(']]>', 'a CDATA section')
        const open = stack.at(-1)
        if (!open) throw broken('text stands outside of the root')
        open.text += legalText(text.slice(from, at - 3))
      } else {
        throw xmlErrors.REFUSED({ what: 'a document type declaration', ...placeOf(text, at) })
      }
    } else if (next === 0x3f /* ? */) {
      skipTo('?>', 'an instruction')
    } else {
      if (root) throw broken('there is a second root')
      readOpenTag()
    }
  }
  if (stack.length > 0) throw broken(`${stack.at(-1)?.rawName} is not closed`)
  if (!root) throw broken('there is no element')
  return root

  function readOpenTag() {
    let nameEnd = at + 1
    for (let code = text.charCodeAt(nameEnd); !endsName(code); code = text.charCodeAt(nameEnd)) nameEnd += 1
    const rawName = text.slice(at + 1, nameEnd)
    const { depth, nameLength, elements } = ewsLimits
    if (rawName.length > nameLength) throw tooLarge('nameLength', nameLength)
    // The same few names come a thousand times.
    if (!knownNames.has(rawName)) {
      if (!nameShape.test(rawName)) throw broken('a tag has no name')
      knownNames.add(rawName)
    }
    if (stack.length >= depth) throw tooLarge('depth', depth)
    elementCount += 1
    if (elementCount > elements) throw tooLarge('elements', elements)
    let cursor = nameEnd
    let own: Map<string, string> | undefined
    while (text.charCodeAt(cursor) !== 0x3e /* > */) {
      attributeShape.lastIndex = cursor
      const found = attributeShape.exec(text)
      if (!found) break
      const [whole, name = '', double, single] = found
      own ??= new Map()
      if (own.has(name)) throw broken(`the attribute ${name.slice(0, 60)} stands there twice`)
      const value = double ?? single ?? ''
      own.set(name, plainText(/[\t\r\n]/.test(value) ? value.replace(/[\t\r\n]/g, ' ') : value, broken))
      cursor += whole.length
    }
    tagTail.lastIndex = cursor
    const ending = tagTail.exec(text)
    if (!ending) throw broken('a tag is not well-formed', cursor)
    const outer = stack.at(-1)?.scope ?? outerScope
    const { scope, attributes } = own ? declarations(own, outer) : { scope: outer, attributes: noAttributes }
    const colon = rawName.indexOf(':')
    const prefix = colon < 0 ? '' : rawName.slice(0, colon)
    const namespace = scope.get(prefix)
    if (namespace === undefined && prefix !== '') throw broken(`the prefix ${prefix} is not declared`)
    stack.push({
      rawName,
      name: colon < 0 ? rawName : rawName.slice(colon + 1),
      namespace: namespace ?? '',
      attributes,
      children: [],
      scope,
      text: '',
    })
    at = cursor + ending[0].length
    if (ending[1] === '/') close(rawName)
  }

  function tooLarge(limit: string, max: number) {
    return xmlErrors.TOO_LARGE({ limit, max, ...placeOf(text, at) })
  }
}

/** White space, `/`, `>` and the end of the text. */
function endsName(code: number): boolean {
  return code <= 0x20 || code === 0x2f || code === 0x3e || Number.isNaN(code)
}

/** Namespaces that the attributes declare, and the others by local name. */
function declarations(own: ReadonlyMap<string, string>, outer: Scope) {
  let isPlain = true
  for (const name of own.keys()) if (name.includes(':') || name === 'xmlns') isPlain = false
  if (isPlain) return { scope: outer, attributes: own }
  let scope: Map<string, string> | undefined
  const attributes = new Map<string, string>()
  for (const [name, value] of own) {
    if (name === 'xmlns' || name.startsWith('xmlns:')) {
      scope ??= new Map(outer)
      scope.set(name === 'xmlns' ? '' : name.slice(6), value)
    } else {
      attributes.set(name.slice(name.indexOf(':') + 1), value)
    }
  }
  return { scope: scope ?? outer, attributes }
}

function plainText(piece: string, broken: (reason: string) => Error): string {
  if (!notPlain.test(piece)) return piece
  const legal = legalText(piece)
  if (!legal.includes('&')) return legal
  return legal.replace(/&([^;&]{0,12})(;?)/g, (_whole, name: string, end: string) => {
    if (end === '') throw broken('an & stands alone')
    const known = named[name]
    if (known !== undefined) return known
    const [, hex, decimal] = /^#(?:x([0-9a-fA-F]+)|([0-9]+))$/.exec(name) ?? []
    if (hex === undefined && decimal === undefined) throw broken(`the entity ${name} is not known`)
    return legalCharacter(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16))
  })
}

/** XML 1.0 section 2.11 for line ends; what stands there raw and has no place in XML becomes U+FFFD too. */
function legalText(piece: string): string {
  const lines = piece.includes('\r') ? piece.replace(/\r\n?/g, '\n') : piece
  return lines.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
}

/** XML 1.0 section 2.2. */
function legalCharacter(code: number): string {
  const isLegal =
    code === 0x9 ||
    code === 0xa ||
    code === 0xd ||
    (code >= 0x20 && code <= 0xd7ff) ||
    (code >= 0xe000 && code <= 0xfffd) ||
    (code >= 0x10000 && code <= 0x10ffff)
  return isLegal ? String.fromCodePoint(code) : '\ufffd'
}

function placeOf(text: string, at: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, at)
  const lines = before.split('\n')
  return { line: lines.length, column: lines.at(-1)?.length ?? 0 }
}
