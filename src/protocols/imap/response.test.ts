import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseFetchRow } from './fetch-row.ts'
import { parseResponse, type ResponsePart } from './response.ts'
import { holdingSink, ResponseReader } from './response-reader.ts'

function read(octets: Buffer, pieceBytes: number): ResponsePart[][] {
  const responses: ResponsePart[][] = []
  const reader = new ResponseReader(
    parts => responses.push(parts),
    (_, bytes) => holdingSink(bytes, 1e6),
  )
  for (let at = 0; at < octets.length; at += pieceBytes) reader.push(octets.subarray(at, at + pieceBytes))
  return responses
}

function rows(octets: Buffer, pieceBytes = 7) {
  return read(octets, pieceBytes).map(parts => {
    const response = parseResponse(parts)
    if (response?.kind !== 'data') throw new Error('no data')
    const { uid, size, body } = parseFetchRow(response.rest)
    return { uid, size, body: body?.held?.toString('latin1') ?? body }
  })
}

test('a body comes out as it went in, wherever the packets are cut', () => {
  const mails = fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(mails, fc.integer({ min: 1, max: 50 }), fc.boolean(), (bodies, pieceBytes, isUidLast) => {
      const octets = bodies.map((body, index) => {
        const uid = `UID ${index + 1}`
        const head = `* 1 FETCH (${isUidLast ? '' : `${uid} `}BODY[] {${body.length}}\r\n`
        return Buffer.concat([Buffer.from(head), body, Buffer.from(`${isUidLast ? ` ${uid}` : ''})\r\n`)])
      })
      expect(rows(Buffer.concat(octets), pieceBytes)).toEqual(
        bodies.map((body, index) => ({ uid: index + 1, size: undefined, body: Buffer.from(body).toString('latin1') })),
      )
    }),
  )
})

test.each([
  ['* 1 FETCH (RFC822.SIZE 19189 UID 17)', { uid: 17, size: 19189, body: undefined }],
  ['* 1 FETCH (FLAGS (\\Seen $x) UID 17 INTERNALDATE "01-Jan-2026 00:00:00 +0000")', { uid: 17 }],
  ['* 1 FETCH (UID 17 BODY[] NIL)', { uid: 17, body: null }],
  ['* 1 FETCH (UID 17 BODY[] "a\\"b\\\\")', { uid: 17, body: 'a"b\\' }],
  ['* 1 FETCH (BODYSTRUCTURE (("a" NIL (1 2)) "b") UID 4)', { uid: 4 }],
  ['* 1 FETCH (ENVELOPE NIL BODY[HEADER.FIELDS (SUBJECT)] "x" UID 4)', { uid: 4, body: undefined }],
  ['* 1 FETCH (UID 17 BODY[] {3}\r\nab\n X-THING (1 (2)) RFC822.SIZE 3)', { uid: 17, size: 3, body: 'ab\n' }],
  ['* 1 FETCH (UID 17 BODY[] {0}\r\n)', { uid: 17, body: '' }],
  ['* 1 FETCH (UID 17 BODY[] ~{2}\r\n\0\r)', { uid: 17, body: '\0\r' }],
  ['* 1 fetch (uid 17 body[] {2+}\r\nab)', { uid: 17, body: 'ab' }],
])('%j is a row', (line, row) => {
  expect(rows(Buffer.from(`${line}\r\n`, 'latin1'))).toEqual([expect.objectContaining(row)])
})

test.each([
  '* 1 FETCH',
  '* 1 FETCH (',
  '* 1 FETCH (UID',
  '* 1 FETCH (UID 3',
  '* 1 FETCH (UID 3 BODY[] (',
  '* 1 FETCH (UID "3)',
  '* 1 FETCH (""',
  `* 1 FETCH (X ${'('.repeat(5_000)}`,
])('a row that is not IMAP is refused: %.40s', line => {
  expect(() => rows(Buffer.from(`${line}\r\n`))).toThrow(expect.objectContaining({ code: 'IMAP_PROTOCOL' }))
})

test('text for people that ends like a literal is text', () => {
  const texts = ['* OK see {12}', 'A1 NO [ALERT] no {3}', '* BYE {1}', '+ {5}']
  expect(read(Buffer.from(texts.map(text => `${text}\r\n`).join('')), 3)).toEqual(texts.map(text => [text]))
})

test.each([
  ['lineBytes', Buffer.alloc(9 * 1024 * 1024, 'a')],
  ['literalBytes', Buffer.from('* 1 FETCH (BODY[] {9999999999999999}\r\n')],
  ['literalsPerResponse', Buffer.from(`* 1 FETCH ${'{0}\r\n'.repeat(100)}\r\n`)],
])('the limit %s ends the connection', (limit, octets) => {
  expect(() => read(octets, 1_000_000)).toThrow(
    expect.objectContaining({ code: 'IMAP_LIMIT', fields: { limit, allowed: expect.any(Number) } }),
  )
})

test('no bytes whatever make the reader do anything but read or refuse', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('* ', '1 ', 'FETCH ', '(', ')', 'UID ', '{1}', '\r\n', '"', '\\', '[', 'a', '\0')),
      words => {
        try {
          rows(Buffer.from(words.join('')))
        } catch (error) {
          expect(String(error)).toMatch(/no data|not IMAP|more than the limit/)
        }
      },
    ),
  )
})
