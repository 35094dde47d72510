import { SaxesParser } from 'saxes'
import { tokenLimits } from '../token-limits.ts'
import { AssertionRefused } from './refused.ts'

/** An element with its namespace; attributes by `{namespace}name`, or the bare name where it has none. */
export interface XmlElement {
  readonly name: string
  readonly namespace: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly XmlElement[]
  /** Text directly inside, as it stands there. */
  readonly text: string
}

interface Growing extends XmlElement {
  readonly children: Growing[]
  text: string
}

/**
 * Reads a document that has elements, attributes and text and nothing else. A comment or processing instruction splits
 * a text for one reader and not for the next, so what a signer wrote and what is read could differ: no assertion needs
 * one, and all are refused. So are DOCTYPE and CDATA. Throws AssertionRefused.
 */
export function parseStrictXml(text: string): XmlElement {
  const parser = new SaxesParser({ xmlns: true })
  const open: Growing[] = []
  let root: Growing | undefined
  let elements = 0
  const refuse = (what: string) => () => {
    throw new AssertionRefused(`its XML has ${what}`)
  }
  parser.on('error', error => {
    throw new AssertionRefused(`its XML is broken: ${error.message}`)
  })
  parser.on('doctype', refuse('a DOCTYPE'))
  parser.on('comment', refuse('a comment'))
  parser.on('cdata', refuse('a CDATA section'))
  parser.on('processinginstruction', refuse('a processing instruction'))
  parser.on('opentag', ({ local, uri, attributes }) => {
    elements++
    if (elements > tokenLimits.assertionElements) throw new AssertionRefused('its XML has too many elements')
    if (open.length >= tokenLimits.assertionDepth) throw new AssertionRefused('its XML is too deep')
    const named = Object.values(attributes)
      .filter(({ prefix, name }) => prefix !== 'xmlns' && name !== 'xmlns')
      .map(each => [each.uri === '' ? each.local : `{${each.uri}}${each.local}`, each.value] as const)
    const element: Growing = { name: local, namespace: uri, attributes: new Map(named), children: [], text: '' }
    const parent = open.at(-1)
    if (parent) parent.children.push(element)
    else root = element
    open.push(element)
  })
  parser.on('text', part => {
    const parent = open.at(-1)
    if (parent) parent.text += part
  })
  parser.on('closetag', () => void open.pop())
  parser.write(text).close()
  if (!root) throw new AssertionRefused('it is empty')
  return root
}

/** The element and everything below it. */
export function* everyElement(element: XmlElement): Generator<XmlElement> {
  yield element
  for (const child of element.children) yield* everyElement(child)
}

export function childrenOf(element: XmlElement, namespace: string, name: string): readonly XmlElement[] {
  return element.children.filter(child => child.namespace === namespace && child.name === name)
}

/** The one child of this name; throws AssertionRefused when there is none, or a second. */
export function onlyChild(element: XmlElement, namespace: string, name: string): XmlElement {
  const [first, second] = childrenOf(element, namespace, name)
  if (!first || second) throw new AssertionRefused(`${element.name} has ${first ? 'more than one' : 'no'} ${name}`)
  return first
}
