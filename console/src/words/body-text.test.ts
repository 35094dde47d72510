import fc from 'fast-check'
import { expect, test } from 'vitest'
import { base64Of, bodyOfText, editableText, readBody } from './body-text.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)

test.each([
  ['line feeds', 'one\ntwo\n', '\n'],
  ['carriage returns and line feeds', 'one\r\ntwo\r\n', '\r\n'],
  ['one line', 'one', '\n'],
  ['a byte order mark', '\uFEFF<a/>\r\n', '\r\n'],
])('text with %s can be edited, and what nobody touched comes back byte for byte', (_what, text, lineEnd) => {
  const found = editableText(bytesOf(text))
  expect(found?.lineEnd).toBe(lineEnd)
  expect(found?.text).not.toContain('\r')
  expect(found && bodyOfText(found)).toBe(text)
})

test.each([
  ['mixed line ends', bytesOf('one\r\ntwo\n')],
  ['a lone carriage return', bytesOf('one\rtwo')],
  ['bytes that are no UTF-8', Uint8Array.of(0x47, 0x72, 0xfc, 0xdf, 0x65)],
  ['a NUL', Uint8Array.of(0x50, 0x4b, 0, 1)],
])('%s cannot be edited in a field, which would change them', (_what, bytes) => {
  expect(editableText(bytes)).toBeUndefined()
})

test('whatever can be edited comes back as it was', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'é', '€', '\t', '\n', '\r\n', '\r', '\uFEFF')), letters => {
      const text = letters.join('')
      const found = editableText(bytesOf(text))
      if (found) expect(bodyOfText(found)).toBe(text)
    }),
  )
})

test('a letter that the end of the part cuts in two does not make bytes of a text', () => {
  const bytes = bytesOf('Grüße €')
  for (const length of [bytes.length, bytes.length - 1, bytes.length - 2]) {
    expect(readBody(bytes.subarray(0, length)).kind).toBe('text')
  }
  expect(readBody(bytes.subarray(0, bytes.length - 1)).text).toBe('Grüße ')
})

test('bytes that are no text are shown as bytes', () => {
  const shown = readBody(Uint8Array.of(0x50, 0x4b, 3, 4, 0xff))
  expect(shown).toEqual({ kind: 'hex', text: `000000  ${'50 4b 03 04 ff'.padEnd(48)} PK...` })
})

test('base64 says the same bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000 }), bytes => {
      expect(base64Of(bytes)).toBe(Buffer.from(bytes).toString('base64'))
    }),
    { numRuns: 20 },
  )
})
