import fc from 'fast-check'
import { expect, test } from 'vitest'
import { headerEnd, headerFields, readSection } from './mail-text.ts'

test.each([
  ['an ordinary mail', 'A: b\r\n\r\nbody', 8],
  ['bare line feeds', 'A: b\n\nbody', 6],
  ['mixed line ends', 'A: b\n\r\nbody', 7],
  ['no header', '\r\nbody', 2],
  ['no body', 'A: b\r\n', 6],
  ['no empty line', 'A: b\r\nbody', 10],
  ['nothing', '', 0],
  ['a bare CR', 'A: b\r\r\n\r\nbody', 9],
])('the header of %s ends where its empty line ends', (_, mail, end) => {
  expect(headerEnd(Buffer.from(mail))).toBe(end)
})

test('folded fields, lines that are no field, names with blanks', () => {
  const mail = Buffer.from(
    'From x@y Sat\r\nSubject : a\r\n b\r\n\tc\r\nno colon here\r\n: nameless\r\nX:\r\n\r\nbody: no',
  )
  expect(headerFields(mail).map(({ name, value }) => [name, value])).toEqual([
    ['subject', 'a b\tc'],
    ['x', ''],
  ])
})

test('header and text are the mail, whatever its octets are', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('A: b', '\r\n', '\n', '\r', ' ', '\0', '\xff', ':')), parts => {
      const mail = Buffer.from(parts.join(''), 'latin1')
      const halves = [readSection(mail, { kind: 'header' }), readSection(mail, { kind: 'text' })]
      expect(Buffer.concat(halves).equals(mail)).toBe(true)
    }),
  )
})
