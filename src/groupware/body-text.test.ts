import fc from 'fast-check'
import { expect, test } from 'vitest'
import { asText, asWords, plainLines, textOfHtml } from './body-text.ts'

test.each([
  [
    '<p>Dear Ada,</p><p>the offer<br>is &auml;ttached &amp; signed &#8364;5&#x20AC;</p>',
    'Dear Ada,\nthe offer\nis ättached & signed €5€\n',
  ],
  ['<html><head><title>x</title><style>p{}</style></head><body><script>alert(1)</script>text</body></html>', 'text'],
  ['<!-- <p>hidden</p> -->seen', 'seen'],
  ['a < b and c > d', 'a < b and c > d'],
  ['&unknown; &amp &#0; &#xd800; &#x110000;', '&unknown; &amp \uFFFD \uFFFD \uFFFD'],
  ['R&eacute;union &agrave; Malm&ouml;,&nbsp;5&thinsp;&rarr;&thinsp;6 &#146;', 'Réunion à Malmö, 5\u2009→\u20096 ’'],
  ['<ul><li>one</li><li>two</li></ul>', 'one\ntwo\n\n'],
  ['<p', '<p'],
  ['', ''],
])('%s is read as %j', (html, text) => {
  expect(textOfHtml(html)).toBe(text)
})

test('a body becomes text once and stays it; words are the same in text and in HTML', () => {
  const line = fc.string({ maxLength: 20 })
  fc.assert(
    fc.property(fc.array(line, { maxLength: 5 }), lines => {
      const text = { type: 'text' as const, content: lines.join('\r\n') }
      const once = asText(text)
      expect(asText(once)).toEqual(once)
      expect(plainLines(once.content)).toBe(once.content)
      const escaped = lines.map(each => each.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;'))
      const html = { type: 'html' as const, content: `<html><body>${escaped.join('<br>\r\n')}</body></html>` }
      expect(asWords(html)).toEqual(asWords(text))
    }),
  )
})

test('hostile HTML is read in time that grows with its length', () => {
  for (const piece of ['<', '<a ', '<!--', '&', '&#', '&Counter', '<p>', '</', '<style>', ' ', '\n', ' \n', '\u00a0']) {
    const startedAt = performance.now()
    asWords({ type: 'html', content: `x${piece.repeat(40_000)}x` })
    plainLines(`x${piece.repeat(40_000)}x`)
    expect(performance.now() - startedAt).toBeLessThan(2000)
  }
})
