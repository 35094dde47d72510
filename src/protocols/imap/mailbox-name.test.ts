import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeMailboxName, encodeMailboxName, quoteMailbox } from './mailbox-name.ts'

test.each([
  ['INBOX', '"INBOX"'],
  ['Aufträge', '"Auftr&AOQ-ge"'],
  ['A & B', '"A &- B"'],
  ['台北', '"&U,BTFw-"'],
  ['say "hi" \\o', '"say \\"hi\\" \\\\o"'],
  ['😀', '"&2D3eAA-"'],
])('folder %s goes over the wire as %s', (name, wire) => {
  expect(quoteMailbox(name)).toBe(wire)
})

test('every name comes back as it was, and is plain ASCII on the wire', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), name => {
      const wire = encodeMailboxName(name)
      expect(decodeMailboxName(wire)).toBe(name)
      expect(wire).toMatch(/^[\x20-\x7e]*$/)
    }),
  )
})

test('what is not modified UTF-7 stays as it stands', () => {
  for (const odd of ['&', '&A-', '&-', 'a&b', '&AOQ']) expect(() => decodeMailboxName(odd)).not.toThrow()
  expect(decodeMailboxName('a&b')).toBe('a&b')
})

test.each(['', 'a\r\nA1 DELETE INBOX', 'nul\0', 'x'.repeat(1_001)])('%j is no folder name', name => {
  expect(() => quoteMailbox(name)).toThrow(expect.objectContaining({ code: 'IMAP_FOLDER_NAME' }))
})
