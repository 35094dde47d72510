import { expect, test } from 'vitest'
import { nameBody } from './body-name.ts'

const acceptedAt = Date.UTC(2026, 10, 23, 3, 27, 0, 45)

test.each([
  ['message/rfc822', 'eml'],
  ['application/JSON; charset=utf-8', 'json'],
  ['application/problem+json', 'json'],
  ['text/xml;charset=utf-8', 'xml'],
  ['application/soap+xml', 'xml'],
  ['text/csv', 'csv'],
  ['text/plain', 'txt'],
  ['multipart/mixed; boundary="a/b"', 'bin'],
  ['../../etc/passwd', 'bin'],
  ['', 'bin'],
])('a body of %s is saved as .%s', (type, ending) => {
  expect(nameBody({ flow: 'mail-o365-to-s4', acceptedAt }, type)).toBe(
    `mail-o365-to-s4-2026-11-23T03-27-00.045Z.${ending}`,
  )
})

test('a name has no letters that a system, or a header, takes for something else', () => {
  expect(nameBody({ flow: 'a"/..\\\r\n;b', acceptedAt }, 'text/plain')).toMatch(/^[\w.-]+$/)
})
