import { decodeXmlBytes } from './decode-xml.ts'
import { createXmlReader, localName, type XmlLimits } from './xml-reader.ts'

/**
 * An element as mappings read it. Elements with text only are fields of the element around them (`Amount`, and its
 * attributes as `Amount@currencyCode`); all others, and fields that repeat, are children. A repeated field has its text
 * as the field `#text`. Names come without prefix.
 */
export interface XmlNode {
  readonly name: string
  readonly fields: Map<string, string>
  readonly children: XmlNode[]
}

interface OpenNode extends XmlNode {
  text: string
  isRecord: boolean
  readonly attributes: Readonly<Record<string, string>>
}

/** A whole document as a tree; throws the errors of area XML. */
export function parseXmlTree(bytes: Uint8Array, limits: Partial<XmlLimits> = {}, charset?: string): XmlNode {
  const stack: OpenNode[] = []
  let root: XmlNode | undefined
  const reader = createXmlReader(
    {
      open(name, attributes) {
        const above = stack.at(-1)
        if (above) above.isRecord = true
        const node: OpenNode = {
          name: localName(name),
          fields: new Map(),
          children: [],
          text: '',
          isRecord: false,
          attributes,
        }
        stack.push(node)
      },
      text(text) {
        const open = stack.at(-1)
        if (open) open.text += text
      },
      close() {
        const node = stack.pop()
        if (!node) return
        const above = stack.at(-1)
        if (!above) root = closeRecord(node)
        else if (node.isRecord) above.children.push(closeRecord(node))
        else closeField(above, node)
      },
    },
    limits,
  )
  reader.write(decodeXmlBytes(bytes, charset))
  reader.end()
  // The reader refuses a document without a root.
  return root ?? { name: '', fields: new Map(), children: [] }
}

function closeRecord({ name, fields, children, text, attributes, isRecord }: OpenNode): XmlNode {
  for (const [attribute, value] of namedAttributes(attributes)) fields.set(`@${attribute}`, value)
  if (!isRecord || text.trim() !== '') fields.set('#text', text)
  return { name, fields, children }
}

function closeField(above: OpenNode, node: OpenNode): void {
  if (above.fields.has(node.name)) {
    above.children.push(closeRecord(node))
    return
  }
  above.fields.set(node.name, node.text)
  for (const [attribute, value] of namedAttributes(node.attributes))
    above.fields.set(`${node.name}@${attribute}`, value)
}

function* namedAttributes(attributes: Readonly<Record<string, string>>): Generator<[string, string]> {
  for (const [name, value] of Object.entries(attributes)) {
    if (name !== 'xmlns' && !name.startsWith('xmlns:')) yield [localName(name), value]
  }
}
