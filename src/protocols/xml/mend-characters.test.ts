import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createMender } from './mend-characters.ts'
import { isXmlText } from './write-xml.ts'

test.each([
  ['a control character', 'a\u0001b', 'ab', 'a#b'],
  ['a reference to one', 'a&#1;b&#x1F;c', 'abc', 'a#b#c'],
  ['zeros in front', '&#x0000B;&#00011;', '', '##'],
  ['no character at all', '&#xFFFE;&#x110000;\uFFFF', '', '###'],
  ['half a surrogate', 'a\uD800b', 'ab', 'a#b'],
  [
    'what XML can hold',
    'a\tb\n&#13;&#xE4;&amp;😀 &#x1F600;',
    'a\tb\n&#13;&#xE4;&amp;😀 &#x1F600;',
    'a\tb\n&#13;&#xE4;&amp;😀 &#x1F600;',
  ],
  ['what is no reference', 'R&D &# &#x; &#xZ;', 'R&D &# &#x; &#xZ;', 'R&D &# &#x; &#xZ;'],
])('%s', (_, text, removed, substituted) => {
  expect(createMender('remove')(text, true)).toBe(removed)
  expect(createMender('substitute')(text, true)).toBe(substituted)
})

test('however the text is cut, the same comes out, and XML can hold it', () => {
  const piece = fc.oneof(
    fc.constantFrom('&#1;', '&#x', '1F;', '&', '#', '&#65;', '\u0000', 'ä', '😀', '&amp;', 'x', ';', '00'),
    fc.string({ maxLength: 4 }),
  )
  fc.assert(
    fc.property(fc.array(piece), pieces => {
      const mend = createMender('substitute')
      const cut = pieces.map(text => mend(text)).join('') + mend('', true)
      const whole = createMender('substitute')(pieces.join(''), true)
      expect(cut).toBe(whole)
      expect(isXmlText(whole)).toBe(true)
    }),
  )
})
