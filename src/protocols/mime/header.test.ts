import fc from 'fast-check'
import { expect, test } from 'vitest'
import { allValues, firstValues, hasWholeHeader, headerLimits, readMailHeader } from './header.ts'

function read(text: string, encoding: BufferEncoding = 'utf8') {
  const header = readMailHeader(Buffer.from(text, encoding))
  return { ...firstValues(header) }
}

test('the first value of each name counts; folded lines are joined', () => {
  const mail = 'Subject: one\r\n two\r\n\tthree\r\nX-A: first\r\nx-a: second\r\nEmpty:\r\n\r\nBody: no\r\n'
  expect(read(mail)).toEqual({ subject: 'one two\tthree', 'x-a': 'first', empty: '' })
  expect(allValues(readMailHeader(Buffer.from(mail)), 'x-a')).toEqual(['first', 'second'])
})

test.each([
  ['bare LF', 'A: 1\nB: 2\n\nbody: x', { a: '1', b: '2' }],
  ['mixed line ends', 'A: 1\r\nB: 2\n\r\nbody: x', { a: '1', b: '2' }],
  ['an mbox line', 'From x@y.example Mon Jan  5 10:00:00 2026\r\nA: 1\r\n\r\n', { a: '1' }],
  ['no body', 'A: 1\r\nB: 2', { a: '1', b: '2' }],
  ['no header', '\r\nA: 1\r\n', {}],
  ['nothing', '', {}],
  ['a line without colon', 'A: 1\r\nthis is no header\r\nB: 2\r\n\r\n', { a: '1', b: '2' }],
  ['a blank before the colon', 'A : 1\r\n\r\n', { a: '1' }],
  ['a folded line first', ' folded\r\nA: 1\r\n\r\n', { a: '1' }],
  ['NUL and bell', 'A: x\0y\x07z\r\n\r\n', { a: 'x y z' }],
  ['a bare CR', 'A: x\rB: y\r\n\r\n', { a: 'x B: y' }],
  ['UTF-8', 'Subject: Aufträge\r\n\r\n', { subject: 'Aufträge' }],
  ['a colon alone', ': x\r\nA: 1\r\n\r\n', { a: '1' }],
])('%s is tolerated', (_, text, headers) => {
  expect(read(text)).toEqual(headers)
})

test('octets that are no UTF-8 are read as Latin-1', () => {
  expect(read('Subject: Auftr\xe4ge\r\n\r\n', 'latin1')).toEqual({ subject: 'Aufträge' })
})

test('a field in Latin-1 changes nothing about the others', () => {
  const to = Buffer.from('To: Jürgen <jürgen@müller.example>\r\nSubject: Auf\r\n träge\r\n')
  const header = readMailHeader(Buffer.concat([to, Buffer.from('X-Spam: gr\xfcn \xff\r\n\r\n', 'latin1')]))
  expect(firstValues(header)).toEqual({
    to: 'Jürgen <jürgen@müller.example>',
    subject: 'Auf träge',
    'x-spam': 'grün ÿ',
  })
})

test('names that JavaScript knows are plain names', () => {
  const headers = read('__proto__: a\r\nconstructor: b\r\ntoString: c\r\n\r\n')
  expect(headers).toEqual({ constructor: 'b', tostring: 'c' })
  expect(({} as Record<string, unknown>)['a']).toBeUndefined()
})

test('limits cut the header, never the mail: the reader says so', () => {
  const many = readMailHeader(Buffer.from(`${'X: y\r\n'.repeat(5_000)}\r\n`))
  expect([many.fields.length, many.isWhole]).toEqual([headerLimits.fields, false])
  const long = readMailHeader(Buffer.from(`X: ${'word, '.repeat(50_000)}\r\n\r\n`))
  expect(long.isWhole).toBe(false)
  const { x: value = '' } = firstValues(long)
  expect(value.length).toBeLessThanOrEqual(headerLimits.valueLetters)
  // Cut between words: the beginning of an address is another address.
  expect(value).toMatch(/ word,?$/)
})

test('where the header is cut, the word that is cut goes with it', () => {
  const filler = `X: ${'y'.repeat(headerLimits.blockBytes - 27)}\r\n`
  const header = readMailHeader(Buffer.from(`${filler}To: <a@b.example>, c@d.example\r\n\r\n`))
  expect(header.isWhole).toBe(false)
  expect(allValues(header, 'to')).toEqual(['<a@b.example>,'])
  expect(readMailHeader(Buffer.alloc(headerLimits.blockBytes, 'a')).isWhole).toBe(false)
})

test('a header that never ends is not waited for', () => {
  expect(hasWholeHeader(Buffer.from('A: 1\r\n'))).toBe(false)
  expect(hasWholeHeader(Buffer.from('A: 1\r\n\r\n'))).toBe(true)
  expect(hasWholeHeader(Buffer.alloc(headerLimits.blockBytes, 'a'))).toBe(true)
})

test('no octets whatever make it fail, and what was written is read', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), octets => void readMailHeader(octets)))
  const name = fc.stringMatching(/^x-[a-z]{1,10}$/)
  const value = fc.stringMatching(/^[!-~]([ -~]{0,30}[!-~])?$/)
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), fields => {
      const text = fields.map(([n, v]) => `${n.toUpperCase()}: ${v}\r\n`).join('')
      expect(readMailHeader(Buffer.from(`${text}\r\nbody`)).fields).toEqual(fields)
    }),
  )
})
