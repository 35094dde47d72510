import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeHeaderText } from './encoded-word.ts'

test.each([
  ['plain', 'plain'],
  // As it is left when a line that was folded with a tab is unfolded.
  ['an order\tfor pumps', 'an order for pumps'],
  ['=?utf-8?Q?Auftr=C3=A4ge_1?=', 'Aufträge 1'],
  ['=?UTF-8?B?QXVmdHLDpGdl?=', 'Aufträge'],
  ['=?iso-8859-1?q?Auftr=E4ge?= neu', 'Aufträge neu'],
  ['=?utf-8?Q?a?= =?utf-8?Q?b?=', 'ab'],
  ['=?utf-8?Q?a?=\t=?iso-8859-1?Q?=E4?= c', 'aä c'],
  ['x =?utf-8?Q?a?= y', 'x a y'],
  // A letter cut in two over neighbouring words.
  ['=?utf-8?B?w6Q=?= =?utf-8?B?w6?= =?utf-8?B?pA==?=', 'ää'],
  ['=?utf-8*de?Q?=C3=A4?=', 'ä'],
  ['=?koi8-r?B?79TexdQ=?=', 'Отчет'],
  ['=?shift_jis?B?k/qWew==?=', '日本'],
  ['=?gb2312?B?xOO6ww==?=', '你好'],
  ['=?no-such-charset?Q?a?=', '=?no-such-charset?Q?a?='],
  ['=?utf-8?X?a?=', '=?utf-8?X?a?='],
  ['=?utf-8?Q?line=0D=0ABcc:_x?=', 'line Bcc: x'],
  ['=?utf-8?Q??=', ''],
  // Blanks inside are out of order; mailers write them, and mail programs read them.
  ['=?utf-8?Q?Gr=C3=BC=C3=9Fe aus K=C3=B6ln?= 1', 'Grüße aus Köln 1'],
  ['=?utf-8?B?R3LD vMOfZQ==?=', 'Grüße'],
  ['is =?this a? or =?that b?=', 'is =?this a? or =?that b?='],
  ['=?utf-8?Q?=ZZ?=', '=ZZ'],
  ['=?', '=?'],
])('%s reads %s', (value, text) => {
  expect(decodeHeaderText(value)).toBe(text)
})

test('a text that was encoded comes back', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'ä', '日', ' ', '=', '?', '_') })
  fc.assert(
    fc.property(text, words => {
      const encoded = `=?utf-8?B?${Buffer.from(words).toString('base64')}?=`
      expect(decodeHeaderText(encoded)).toBe(words)
    }),
  )
})

test('a hostile header is read in time that grows with its length only', () => {
  const startedAt = performance.now()
  for (const part of ['=?', '=?a?Q?', '=?utf-8?Q?x?= ', '?=']) decodeHeaderText(part.repeat(8_000))
  expect(performance.now() - startedAt).toBeLessThan(1_000)
})
