import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HubError } from '../../kernel/error.ts'
import { parseContentType } from './content-type.ts'
import { decodeTransfer, MultipartReader } from './read-multipart.ts'

async function* inChunks(bytes: Uint8Array | string, size: number): AsyncGenerator<Uint8Array> {
  const all = Buffer.from(bytes as string)
  for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size)
}

async function readAll(content: Uint8Array | string, boundary: string, size = 5): Promise<[string, string][]> {
  const reader = new MultipartReader(inChunks(content, size), boundary)
  const parts: [string, string][] = []
  for (let part = await reader.next(); part; part = await reader.next()) {
    const chunks: Uint8Array[] = []
    for await (const chunk of decodeTransfer(part)) chunks.push(Buffer.from(chunk))
    parts.push([part.headers['content-id'] ?? '', Buffer.concat(chunks).toString('latin1')])
  }
  return parts
}

const refusal = (content: string, boundary = 'b', size = 5) =>
  readAll(content, boundary, size).then(
    parts => JSON.stringify(parts),
    (error: unknown) => (error instanceof HubError ? error.code : String(error)),
  )

test.each([
  ['as the standard has it', '--b\r\nContent-ID: 1\r\n\r\none\r\n--b\r\nContent-ID: 2\r\n\r\ntwo\r\n--b--\r\n'],
  ['with bare line feeds', '--b\nContent-ID: 1\n\none\n--b\nContent-ID: 2\n\ntwo\n--b--'],
  [
    'with a preamble and an epilogue',
    'hello\r\n\r\n--b\r\nContent-ID: 1\r\n\r\none\r\n--b\r\nContent-ID: 2\r\n\r\ntwo\r\n--b--\r\nbye\r\n--b\r\n\r\nthree',
  ],
  [
    'with blanks behind boundaries',
    '--b  \t\r\nContent-ID: 1\r\n\r\none\r\n--b\t\r\nContent-ID: 2\r\n\r\ntwo\r\n--b-- ',
  ],
  ['with folded headers', '--b\r\nContent-ID:\r\n 1\r\n\r\none\r\n--b\r\nX: y\r\nContent-ID: 2\r\n\r\ntwo\r\n--b--'],
])('parts are read %s', async (_title, content) => {
  for (const size of [1, 2, 3, 7, 1000]) {
    expect(await readAll(content, 'b', size)).toEqual([
      ['1', 'one'],
      ['2', 'two'],
    ])
  }
})

test('empty parts, parts without header, and content that looks like a boundary', async () => {
  const content = [
    '--b\r\n\r\n\r\n--b',
    '\r\nContent-ID: 1\r\n\r\n\r\n--b',
    '\r\n\r\n--bb\r\n--b-\r\n --b\r\n--b x\r\n\r\n\r\n--b--',
  ].join('')
  for (const size of [1, 2, 3, 1000]) {
    expect(await readAll(content, 'b', size)).toEqual([
      ['', ''],
      ['1', ''],
      ['', '--bb\r\n--b-\r\n --b\r\n--b x\r\n\r\n'],
    ])
  }
})

test('what is left of a part is passed over when the next is asked for', async () => {
  const content = '--b\r\nContent-ID: 1\r\n\r\nlong content\r\n--b\r\nContent-ID: 2\r\n\r\ntwo\r\n--b--'
  const reader = new MultipartReader(inChunks(content, 4), 'b')
  const first = await reader.next()
  const second = await reader.next()
  expect(second?.headers['content-id']).toBe('2')
  // The first one has nothing more to give: its octets are gone.
  for await (const chunk of first?.body ?? []) expect(chunk).toBeUndefined()
  expect(await reader.next()).toBeUndefined()
  expect(await reader.next()).toBeUndefined()
})

describe('refused is', () => {
  test.each([
    ['nothing', '', 'MULTIPART_BROKEN'],
    ['no boundary at all', 'hello', 'MULTIPART_BROKEN'],
    ['an end without the last boundary', '--b\r\n\r\none', 'MULTIPART_BROKEN'],
    ['an end in a boundary', '--b\r\n\r\none\r\n--', 'MULTIPART_BROKEN'],
    ['an end between two parts', '--b\r\n\r\none\r\n--b\r\n', 'MULTIPART_BROKEN'],
    ['an end in a header', '--b\r\nContent-ID: 1', 'MULTIPART_BROKEN'],
    [
      'an encoding that is not read',
      '--b\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n=41\r\n--b--',
      'MULTIPART_BROKEN',
    ],
    [
      'quoted-printable that is none',
      '--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=4x\r\n--b--',
      'MULTIPART_BROKEN',
    ],
    ['a preamble without end', `${'x'.repeat(70_000)}\r\n--b\r\n\r\none\r\n--b--`, 'MULTIPART_BROKEN'],
    ['a header without end', `--b\r\nX: ${'y'.repeat(20_000)}\r\n\r\none\r\n--b--`, 'MULTIPART_TOO_LARGE'],
    ['parts without number', `${'--b\r\n\r\nx\r\n'.repeat(201)}--b--`, 'MULTIPART_TOO_LARGE'],
  ])('%s', async (_title, content, code) => {
    for (const size of [3, 1000]) expect(await refusal(content, 'b', size)).toBe(code)
  })

  test.each([[''], ['x'.repeat(201)]])('the boundary "%.10s…"', async boundary => {
    expect(await refusal('--b--', boundary)).toBe('MULTIPART_BROKEN')
  })
})

test('every cut of a content is noticed', async () => {
  const content = '--b\r\nContent-ID: 1\r\n\r\none\r\n--b\r\nContent-ID: 2\r\n\r\ntwo\r\n--b--'
  for (let length = 0; length < content.length; length++) {
    expect(await refusal(content.slice(0, length), 'b', 1000)).toBe('MULTIPART_BROKEN')
  }
})

test('any content comes out as it went in, however it is cut into chunks', async () => {
  // Pieces of boundaries and line ends, which a reader may stumble over.
  const piece = fc.constantFrom(
    '\r',
    '\n',
    '\r\n',
    '-',
    '--',
    '--bou',
    '\r\n--bound',
    '\n--boundar',
    'x',
    ' ',
    '\0',
    'é',
  )
  const body = fc.array(piece, { maxLength: 12 }).map(pieces => pieces.join(''))
  const hasBoundary = (text: string) => /(^|\n)--boundary(--)?[ \t]*(\r?\n|$)/.test(text)
  await fc.assert(
    fc.asyncProperty(
      fc.array(body, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 40 }),
      async (bodies, size) => {
        fc.pre(!bodies.some(hasBoundary))
        const parts = bodies.map((content, index) => `--boundary\r\nContent-ID: ${index}\r\n\r\n${content}\r\n`)
        const bytes = Buffer.from(`${parts.join('')}--boundary--\r\n`, 'latin1')
        expect(await readAll(bytes, 'boundary', size)).toEqual(bodies.map((content, index) => [`${index}`, content]))
      },
    ),
    { numRuns: 500 },
  )
})

test('base64 is decoded across chunks', async () => {
  const bytes = Buffer.from(Array.from({ length: 300 }, (_, index) => index % 256))
  const lines = bytes.toString('base64').replace(/.{1,76}/g, '$&\r\n')
  const content = `--b\r\nContent-Transfer-Encoding: BASE64\r\n\r\n${lines}--b--`
  for (const size of [1, 7, 1000]) expect((await readAll(content, 'b', size))[0]?.[1]).toBe(bytes.toString('latin1'))
})

test('quoted-printable is decoded across chunks', async () => {
  const content = [
    '--b',
    'Content-Transfer-Encoding: Quoted-Printable',
    '',
    '<a b=3D"=C3=BC">=',
    'one =',
    ' line</a> \t',
    '',
    'a=20',
    '=e4=   ',
    '--b--',
  ].join('\r\n')
  for (const size of [1, 2, 3, 7, 1000]) {
    expect((await readAll(content, 'b', size))[0]?.[1]).toBe('<a b="Ã¼">one  line</a>\r\n\r\na \r\nä')
  }
})

test('quoted-printable in one line of megabytes, or with as many blanks, is decoded as quickly', async () => {
  for (const inside of ['=41b'.repeat(500_000), `${' '.repeat(2_000_000)}x`]) {
    const content = `--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n${inside}\r\n--b--`
    const [part] = await readAll(content, 'b', 65_537)
    // Without a comparison of megabytes, should it fail.
    expect(part?.[1] === inside.replaceAll('=41', 'A')).toBe(true)
  }
})

test.each([
  ['multipart/related; boundary=a', 'multipart/related', 'a'],
  ['Multipart/Related;Boundary="uuid:1; 2" ; x=y', 'multipart/related', 'uuid:1; 2'],
  ['multipart/related; boundary="a\\"b"', 'multipart/related', 'a"b'],
  ['multipart/related; boundary=a; boundary=b', 'multipart/related', 'a'],
  ['text/xml', 'text/xml', undefined],
  ['', '', undefined],
  [';;;=', '', undefined],
])('the Content-Type %s', (text, type, boundary) => {
  const parsed = parseContentType(text)
  expect([parsed.type, parsed.parameters.get('boundary')]).toEqual([type, boundary])
})
