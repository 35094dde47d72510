import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HubError } from '../../kernel/error.ts'
import { readExtensions } from './extensions.ts'
import { formatReply, type Reply, ReplyReader } from './reply.ts'

const read = (...chunks: readonly string[]): Reply[] => {
  const reader = new ReplyReader('s4:25')
  return chunks.flatMap(chunk => reader.push(Buffer.from(chunk)))
}

test('lines of one reply come together, with the enhanced status code', () => {
  expect(read('250-s4.example\r\n250-SIZE 100\r\n250 8BITMIME\r\n550 5.1.1 <x@y> unknown\r\n')).toEqual([
    { code: 250, enhanced: undefined, lines: ['s4.example', 'SIZE 100', '8BITMIME'] },
    { code: 550, enhanced: '5.1.1', lines: ['5.1.1 <x@y> unknown'] },
  ])
})

test('a code alone and a bare LF are taken as servers send them', () => {
  expect(read('250\r\n220 ready\n').map(formatReply)).toEqual(['250', '220 ready'])
})

test('a reply cannot write escape sequences into a log', () => {
  expect(read('550 \x1b[31mred\x07\r\n').map(formatReply)).toEqual(['550  [31mred'])
})

test('a reply is read in UTF-8, or else in Latin-1, as old servers write their own language', () => {
  const reader = new ReplyReader('s4:25')
  const octets = Buffer.concat([Buffer.from('550-Empfänger\r\n'), Buffer.from('550 Empfänger unbekannt\r\n', 'latin1')])
  expect([...octets].flatMap(octet => reader.push(Uint8Array.of(octet))).map(formatReply)).toEqual([
    '550 Empfänger Empfänger unbekannt',
  ])
})

describe('what is not SMTP is refused', () => {
  const cases: Readonly<Record<string, string>> = {
    'a web server': 'HTTP/1.1 400 Bad Request\r\n',
    'an IMAP server': '* OK ready\r\n',
    'a code out of range': '999 hello\r\n',
    'an intermediate code of FTP': '120 wait\r\n',
    'no blank behind the code': '250hello\r\n',
    'two codes in one reply': '250-a\r\n251 b\r\n',
    'a line without end': 'x'.repeat(9000),
    'a line that is too long': `250 ${'x'.repeat(9000)}\r\n`,
    'more lines than anybody needs': '250-x\r\n'.repeat(300),
    'binary garbage': '\x16\x03\x01\x02\x00\r\n',
  }
  for (const [name, text] of Object.entries(cases)) {
    test(name, () => {
      expect(() => read(text)).toThrow(HubError)
      expect(() => read(...text.split(''))).toThrow('s4:25')
    })
  }
})

test('however the bytes are cut, the same replies come out', () => {
  const line = fc.stringMatching(/^[ -~]{0,40}$/)
  const reply = fc.record({
    code: fc.integer({ min: 200, max: 599 }),
    lines: fc.array(line, { minLength: 1, maxLength: 5 }),
  })
  fc.assert(
    fc.property(fc.array(reply, { minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 20 }), (replies, size) => {
      const text = replies
        .flatMap(({ code, lines }) => lines.map((each, i) => `${code}${i < lines.length - 1 ? '-' : ' '}${each}\r\n`))
        .join('')
      const chunks = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
      expect(read(...chunks).map(({ code, lines }) => ({ code, lines }))).toEqual(replies)
    }),
  )
})

test('extensions are read whatever their case and form', () => {
  const [reply] = read('250-host\r\n250-size 52428800\r\n250-AUTH=LOGIN\r\n250-AUTH PLAIN xoauth2\r\n250 Chunking\r\n')
  const extensions = readExtensions(reply ?? { code: 0, enhanced: undefined, lines: [] })
  expect(extensions).toMatchObject({ sizeMax: 52_428_800, chunking: true, pipelining: false })
  expect([...extensions.auth]).toEqual(['LOGIN', 'PLAIN', 'XOAUTH2'])
})
