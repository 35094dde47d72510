import { decodeXmlBytes } from './decode-xml.ts'
import { xmlErrors } from './errors.ts'
import { createXmlReader, type XmlLimits } from './xml-reader.ts'

/** An element with its namespace resolved. Attributes by local name; declarations of namespaces are left out. */
export interface XmlElement {
  readonly name: string
  /** Empty: none. */
  readonly namespace: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly XmlElement[]
  /** All text directly inside, together. */
  readonly text: string
}

type Namespaces = ReadonlyMap<string, string>

/** The prefix `xml` is declared by the standard (Namespaces in XML 1.0 section 3). */
export const rootNamespaces: Namespaces = new Map([['xml', 'http://www.w3.org/XML/1998/namespace']])

/** The declarations in scope inside an element with these attributes. */
export function namespacesIn(outer: Namespaces, attributes: Readonly<Record<string, string>>): Namespaces {
  let inner: Map<string, string> | undefined
  for (const name in attributes) {
    const prefix = name === 'xmlns' ? '' : name.startsWith('xmlns:') ? name.slice(6) : undefined
    if (prefix === undefined) continue
    inner ??= new Map(outer)
    inner.set(prefix, attributes[name] ?? '')
  }
  return inner ?? outer
}

/** Prefix and local name of a name as it stands. */
export function splitName(name: string): { readonly prefix: string; readonly local: string } {
  const at = name.indexOf(':')
  return at < 0 ? { prefix: '', local: name } : { prefix: name.slice(0, at), local: name.slice(at + 1) }
}

interface OpenElement {
  readonly name: string
  readonly namespace: string
  readonly attributes: Map<string, string>
  readonly children: XmlElement[]
  readonly scope: Namespaces
  text: string
}

/** Hears the events of a reader and builds the tree of each element it is told to. */
export function createElementBuilder(onRoot: (root: XmlElement) => void, outer: Namespaces = rootNamespaces) {
  const stack: OpenElement[] = []
  return {
    open(name: string, attributes: Readonly<Record<string, string>>, place: { line: number; column: number }): void {
      const scope = namespacesIn(stack.at(-1)?.scope ?? outer, attributes)
      const { prefix, local } = splitName(name)
      const namespace = scope.get(prefix)
      if (namespace === undefined && prefix !== '') {
        throw xmlErrors.MALFORMED({ ...place, text: `the prefix ${prefix.slice(0, 60)} is not declared` })
      }
      const own = new Map<string, string>()
      for (const [attribute, value] of Object.entries(attributes)) {
        if (attribute !== 'xmlns' && !attribute.startsWith('xmlns:')) own.set(splitName(attribute).local, value)
      }
      stack.push({ name: local, namespace: namespace ?? '', attributes: own, children: [], scope, text: '' })
    },
    text(text: string): void {
      const open = stack.at(-1)
      if (open) open.text += text
    },
    close(): void {
      const closed = stack.pop()
      if (!closed) return
      const { scope: _, ...element } = closed
      const above = stack.at(-1)
      if (above) above.children.push(element)
      else onRoot(element)
    },
    get depth(): number {
      return stack.length
    },
  }
}

/** A whole, small document as a tree. Throws the errors of area XML. */
export function parseXmlElement(bytes: Uint8Array, limits: Partial<XmlLimits> = {}, charset?: string): XmlElement {
  const roots: XmlElement[] = []
  const builder = createElementBuilder(element => roots.push(element))
  const reader = createXmlReader(
    {
      open: (name, attributes) => builder.open(name, attributes, reader.place()),
      text: builder.text,
      close: builder.close,
    },
    limits,
  )
  reader.write(decodeXmlBytes(bytes, charset))
  reader.end()
  const [root] = roots
  if (!root) throw xmlErrors.MALFORMED({ ...reader.place(), text: 'there is no element' })
  return root
}

/** The first child with this local name (and namespace, where given). */
export function childOf(element: XmlElement | undefined, name: string, namespace?: string): XmlElement | undefined {
  return element?.children.find(
    child => child.name === name && (namespace === undefined || child.namespace === namespace),
  )
}

/** Text of a child with blanks trimmed; undefined where it is absent or empty. */
export function textOf(element: XmlElement | undefined, name: string): string | undefined {
  return childOf(element, name)?.text.trim() || undefined
}
