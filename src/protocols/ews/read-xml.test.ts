import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { XmlElement } from '../xml/xml-element.ts'
import { readEwsXml } from './read-xml.ts'
import { element, namespaces, textElement, writeElement } from './write-xml.ts'

const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]{0,12}$/).filter(each => !each.toLowerCase().startsWith('xml'))
/** Every character that XML 1.0 has, line ends and half surrogates left out. */
const text = fc
  .string({ unit: 'grapheme', maxLength: 40 })
  .map(each => each.replace(/[^\t\n\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, ''))

const tree: fc.Memo<XmlElement> = fc.memo(depth =>
  fc
    .record({
      name,
      namespace: fc.constant(namespaces.types),
      attributes: fc.dictionary(name, text, { maxKeys: 3 }).map(each => new Map(Object.entries(each))),
      children: depth > 1 ? fc.array(tree(depth - 1), { maxLength: 3 }) : fc.constant([]),
      text,
    })
    .map(each => (each.children.length > 0 ? { ...each, text: '' } : each)),
)

function read(xml: string): XmlElement | undefined {
  return readEwsXml(`<x xmlns:t="${namespaces.types}">${xml}</x>`).children[0]
}

test('what is written is read as it was', () => {
  fc.assert(
    fc.property(tree(4), written => {
      expect(read(writeElement(written))).toEqual(written)
    }),
    { numRuns: 300 },
  )
})

test('what XML has no place for is written as U+FFFD, and read so', () => {
  expect(read(textElement('t:a', 'x\u0000\u001f\ud800y'))?.text).toBe('x\ufffd\ufffd\ufffdy')
  expect(read(element('t:a', { b: '\u0007' }))?.attributes.get('b')).toBe('\ufffd')
})

test('any text at all is read or refused with an error of its own, in time that grows with its length', () => {
  const pieces = fc.constantFrom(
    '<',
    '>',
    '/',
    '&',
    ';',
    '"',
    "'",
    '=',
    'a',
    ':',
    ' ',
    '<a',
    '</a>',
    '<!--',
    '-->',
    '<![CDATA[',
    ']]>',
    '<?',
    '?>',
    '&#x',
    '&amp;',
    'xmlns',
    '\u0000',
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 60 }), parts => {
      try {
        readEwsXml(parts.join(''))
      } catch (thrown) {
        expect(thrown).toHaveProperty('code', expect.stringMatching(/^XML_/))
      }
    }),
    { numRuns: 2000 },
  )
})

describe('what Exchange writes and a strict reader refuses', () => {
  test.each([
    ['a null', '<a>x&#x0;y</a>', 'x\ufffdy'],
    [
      'all controls',
      `<a>${Array.from({ length: 31 }, (_, code) => `&#x${(code + 1).toString(16)};`).join('')}</a>`,
      undefined,
    ],
    ['a half surrogate', '<a>&#xD800;</a>', '\ufffd'],
    ['a number beyond Unicode', '<a>&#x110000;</a>', '\ufffd'],
    ['a raw control', '<a>x\u0008y</a>', 'x\ufffdy'],
    ['a carriage return as reference', '<a>x&#xD;&#xA;y</a>', 'x\r\ny'],
    ['line ends of Windows', '<a>x\r\ny\rz</a>', 'x\ny\nz'],
    ['umlauts as numbers', '<a>&#252;&#xFC;&#x1F600;</a>', 'üü😀'],
    ['a mark of byte order', '\ufeff<a>x</a>', 'x'],
    ['sections and comments', '<a>x<!-- - --><![CDATA[<&>]]>y</a>', 'x<&>y'],
    ['an instruction', '<?xml version="1.0"?><a>x<?pi?></a><!-- end -->\n', 'x'],
  ])('%s', (_name, xml, expected) => {
    const root = readEwsXml(xml)
    if (expected === undefined)
      expect(root.text).toBe(`${'\ufffd'.repeat(8)}\t\n${'\ufffd'.repeat(2)}\r${'\ufffd'.repeat(18)}`)
    else expect(root.text).toBe(expected)
  })

  test('prefixes of any name, and a namespace without one', () => {
    const soap = namespaces.soap
    for (const xml of [
      `<SOAP:Envelope xmlns:SOAP="${soap}"/>`,
      `<Envelope xmlns="${soap}"/>`,
      `<s:Envelope xmlns:s='${soap}'/>`,
    ]) {
      expect(readEwsXml(xml)).toMatchObject({ name: 'Envelope', namespace: soap })
    }
    const nested = readEwsXml('<a xmlns="one"><b xmlns="two"/><c/></a>')
    expect(nested.children.map(child => child.namespace)).toEqual(['two', 'one'])
  })
})

describe('what is refused', () => {
  test.each([
    ['nothing', '', 'XML_MALFORMED'],
    ['blanks', ' \n', 'XML_MALFORMED'],
    ['a root that is not closed', '<a><b></b>', 'XML_MALFORMED'],
    ['tags that cross', '<a><b></a></b>', 'XML_MALFORMED'],
    ['a closing tag too many', '<a/></a>', 'XML_MALFORMED'],
    ['two roots', '<a/><b/>', 'XML_MALFORMED'],
    ['text before the root', 'x<a/>', 'XML_MALFORMED'],
    ['text after the root', '<a/>x', 'XML_MALFORMED'],
    ['a section after the root', '<a/><![CDATA[x]]>', 'XML_MALFORMED'],
    ['a prefix that nobody declared', '<s:a/>', 'XML_MALFORMED'],
    ['a document type', '<!DOCTYPE a><a/>', 'XML_REFUSED'],
    ['an entity of its own', '<a>&lol;</a>', 'XML_MALFORMED'],
    ['an entity without an end', '<a>&amp</a>', 'XML_MALFORMED'],
    ['an ampersand', '<a>R&D</a>', 'XML_MALFORMED'],
    ['an attribute twice', '<a b="1" b="2"/>', 'XML_MALFORMED'],
    ['an attribute without quotes', '<a b=1/>', 'XML_MALFORMED'],
    ['an attribute with a tag in it', '<a b="<"/>', 'XML_MALFORMED'],
    ['a tag that never ends', '<a b="1"', 'XML_MALFORMED'],
    ['a comment that never ends', '<a><!-- </a>', 'XML_MALFORMED'],
    ['a name that is none', '<1/>', 'XML_MALFORMED'],
    ['elements inside each other without end', '<a>'.repeat(200), 'XML_TOO_LARGE'],
    ['a name without end', `<${'a'.repeat(1000)}/>`, 'XML_TOO_LARGE'],
  ])('%s', (_name, xml, code) => {
    expect(() => readEwsXml(xml)).toThrowError(expect.objectContaining({ code }) as Error)
  })

  test('the place of a mistake is told', () => {
    expect(() => readEwsXml('<a>\n  <b></c>\n</a>')).toThrowError(/line 2, column 5/)
  })
})
