import { SaxesParser } from 'saxes'
import type { SourceNode } from '../../src/mapping/source.ts'

interface OpenNode {
  readonly name: string
  readonly fields: Map<string, string>
  readonly children: OpenNode[]
  isSegment: boolean
  text: string
}

/** What a programmer writes first around saxes: one IDoc as a tree of segments, with no limits and no places of errors. */
export function readWithSaxes(text: string): SourceNode {
  const parser = new SaxesParser()
  const stack: OpenNode[] = []
  let idoc: SourceNode | undefined
  parser.on('error', error => {
    throw error
  })
  parser.on('opentag', ({ name, attributes }) => {
    const above = stack.at(-1)
    if (above) above.isSegment = true
    stack.push({ name, fields: new Map(), children: [], isSegment: attributes['SEGMENT'] !== undefined, text: '' })
  })
  parser.on('text', piece => {
    const open = stack.at(-1)
    if (open) open.text += piece
  })
  parser.on('closetag', () => {
    const node = stack.pop()
    const above = stack.at(-1)
    if (!node) return
    if (node.name === 'IDOC') idoc = node
    if (!above) return
    if (node.isSegment) above.children.push(node)
    else above.fields.set(node.name, node.text)
  })
  parser.write(text).close()
  if (!idoc) throw new Error('There is no IDoc in it.')
  return idoc
}
