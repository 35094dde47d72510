import { expect, test } from 'vitest'
import { decodeCharset } from './charset.ts'
import { decodeHeaderText } from './encoded-word.ts'

test.each([
  ['cp850', '=?cp850?Q?M=81nchen_=9D?=', 'München Ø'],
  ['IBM437', '=?IBM437?Q?M=81nchen_=9D?=', 'München ¥'],
  ['utf-7', '=?utf-7?Q?Bestellung_f+APw-r_Gr+APYA3w-e_1_+-_2_+ZeVnLA?=', 'Bestellung für Größe 1 + 2 日本'],
  ['cp932', '=?cp932?B?k/qWew==?=', '日本'],
  // A word ends in ASCII and the next one leaves it at once (RFC 1468): two shifts with nothing in between.
  ['iso-2022-jp in two words', '=?ISO-2022-JP?B?GyRCRnwbKEI=?= =?ISO-2022-JP?B?GyRCS1wbKEI=?=', '日本'],
  ['iso-2022-jp, as its alias', '=?csISO2022JP?B?GyRCGyhCGyRCRnxLXBsoQkE=?=', '日本A'],
  ['a charset that nobody knows', '=?klingon?Q?a=41?=', '=?klingon?Q?a=41?='],
  ['a name of the language', '=?constructor?Q?=81?=', '=?constructor?Q?=81?='],
])('%s in a header is read', (_charset, header, text) => {
  expect(decodeHeaderText(header)).toBe(text)
})

test('every octet of a code page has one character', () => {
  for (const charset of ['cp437', 'cp850']) {
    const text =
      decodeCharset(
        Uint8Array.from({ length: 256 }, (_, byte) => byte),
        charset,
      ) ?? ''
    expect([text.length, new Set(text).size]).toEqual([256, 256])
  }
})

test('broken utf-7 does no harm', () => {
  expect(decodeCharset(Buffer.from('a+A b+AO'), 'UTF-7')).toBe('a b')
})
