import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Body, heldBody } from '../kernel/body.ts'
import { listAttachments } from './attachments.ts'

const mail = [
  'From: ann@contoso.com',
  'Content-Type: multipart/mixed;',
  ' boundary="outer"',
  '',
  'preamble',
  '--outer',
  'Content-Type: multipart/alternative; boundary=inner',
  '',
  '--inner',
  'Content-Type: text/plain',
  '',
  'hello',
  '--not-a-boundary',
  '--inner--',
  '--outer',
  'Content-Type: application/pdf; name="order.pdf"',
  'Content-Disposition: attachment; filename="order.pdf"',
  'Content-Transfer-Encoding: base64',
  '',
  ...Array.from({ length: 100 }, () => 'A'.repeat(76)),
  '--outer',
  "Content-Disposition: inline; filename*=utf-8''M%C3%BCnchen.png",
  'Content-Type: image/png',
  '',
  'xx',
  '--outer',
  'Content-Type: application/x; name="=?utf-8?B?w5xiZXI=?= =?utf-8?Q?sicht=2Exlsx?="',
  '',
  'y',
  '--outer--',
  'epilogue',
].join('\r\n')

function chunked(text: string, size: number, type = 'message/rfc822'): Body {
  const bytes = Buffer.from(text)
  return {
    bytes: bytes.length,
    type,
    held: undefined,
    async *stream() {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
    },
  }
}

const plain = (list: readonly Map<string, unknown>[]) => list.map(entry => Object.fromEntries(entry))

test('a mail shows its attachments by name, type and size, whatever the chunks', async () => {
  const expected = [
    { name: 'order.pdf', type: 'application/pdf', size: 5700 },
    { name: 'München.png', type: 'image/png', size: 2 },
    { name: 'Übersicht.xlsx', type: 'application/x', size: 1 },
  ]
  for (const size of [1, 7, 64, 1 << 20])
    expect(plain(await listAttachments(chunked(mail, size), {}))).toEqual(expected)
})

test('a mail without parts and a body that is no mail have none, and are not read', async () => {
  const body = { ...chunked(mail, 100), stream: () => expect.unreachable() }
  expect(await listAttachments({ ...body, type: 'application/json' }, {})).toEqual([])
  expect(await listAttachments(body, { 'content-type': 'text/plain; charset=utf-8' })).toEqual([])
})

test('a single part that is a file is an attachment', async () => {
  const single = 'Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\n12345'
  const headers = { 'content-type': 'application/pdf', 'content-disposition': 'attachment; filename=a.pdf' }
  expect(plain(await listAttachments(chunked(single, 9), headers))).toEqual([
    { name: 'a.pdf', type: 'application/pdf', size: 5 },
  ])
})

test.each([
  ['a name whose quotation mark is not closed', 'filename="order list (1).exe', 'order list (1).exe'],
  ['and behind which parameters stand', 'size=1; filename="order.exe; x=1', 'order.exe; x=1'],
  ['a quotation mark with nothing behind it', 'filename="', ''],
  ['a backslash at the end', 'filename="order.exe\\', 'order.exe'],
])('%s is read to the end of its line', async (_what, parameter, name) => {
  const text = `Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment; ${parameter}\r\n\r\n\r\n--b--`
  expect(plain(await listAttachments(heldBody(text, 'message/rfc822'), {}))).toEqual([
    { name, type: 'text/plain', size: 0 },
  ])
})

test.each([
  ['application/pdf (a bill); (its name) name="a (1).pdf" (of May)', 'attachment', 'a (1).pdf'],
  ['application/pdf', '(x) attachment (y); filename=a(1).pdf', 'a(1).pdf'],
  ['application/pdf (a; name=b.pdf)', 'attachment (c; filename=d.pdf); filename=a.pdf', 'a.pdf'],
])('comments in %s and %s say nothing', async (type, disposition, name) => {
  const head = `Content-Type: ${type}\r\nContent-Disposition: ${disposition}\r\n\r\n`
  const text = `Content-Type: multipart/mixed (parts); boundary=b (b)\r\n\r\n--b\r\n${head}\r\n--b--`
  expect(plain(await listAttachments(heldBody(text, 'message/rfc822'), {}))).toEqual([
    { name, type: 'application/pdf', size: 0 },
  ])
})

test.each([
  ['in the octets of Latin-1', 'filename="Best\xe4tigung.pdf"', 'Bestätigung.pdf'],
  ['in those of UTF-8', 'filename="Best\xc3\xa4tigung.pdf"', 'Bestätigung.pdf'],
  ['with a line end in it', "filename*=utf-8''a%0D%0ANext%3A%20nothing%1B.pdf", 'a Next: nothing .pdf'],
  ['with an end that nobody sees', "filename*=utf-8''order.exe%00%0A", 'order.exe'],
  ['with blanks and no quotation marks', 'filename=order list 1.exe; size=3', 'order list 1.exe'],
  ['that is empty, beside one of the type', 'filename=""', 'name of the type.exe'],
  ['in pieces, beside a plain one', 'filename="order.txt"; filename*0="order."; filename*1="exe"', 'order.exe'],
  [
    'in encoded pieces before a plain one',
    "filename*0*=utf-8''Best%C3%A4; filename*1=tigung.pdf; filename=x",
    'Bestätigung.pdf',
  ],
  ['with blanks around it', 'filename=" order.exe "', 'order.exe'],
  ['with a letter cut in two', 'filename="=?utf-8?B?QmVzdMM=?=\r\n =?utf-8?B?pHRpZ3VuZy5wZGY=?="', 'Bestätigung.pdf'],
  ['in words of a language', 'filename="=?utf-8*de?Q?Best=C3=A4tigung.pdf?="', 'Bestätigung.pdf'],
  ['in words of a charset that nobody knows', 'filename="=?klingon?Q?Best=C3=A4tigung.pdf?="', 'BestÃ¤tigung.pdf'],
])('a name %s is read', async (_what, parameter, name) => {
  const type = 'Content-Type: a/b; name="name of the type.exe"'
  const text = `${type}\r\nContent-Disposition: attachment; ${parameter}\r\n\r\n`
  const [found] = await listAttachments(heldBody(Buffer.from(text, 'latin1'), 'message/rfc822'), {})
  expect(found?.get('name')).toBe(name)
})

test('a field of nothing but parentheses or quotation marks costs little', async () => {
  const started = performance.now()
  for (const piece of ['(', ' (', '"', ' (")', ' (\\']) {
    const text = `Content-Disposition: attachment; ${piece.repeat(20_000)}\r\n\r\n`
    await listAttachments(heldBody(text, 'message/rfc822'), {})
  }
  expect(performance.now() - started).toBeLessThan(2_000)
})

test.each([
  ['is not closed', 'boundary="b', '\r\nx\r\n--b--\r\n'],
  ['ends with a blank', 'boundary="b "', '\r\nx\r\n--b --\r\n'],
  ['stands right behind the header of a part', 'boundary=b', '--b--\r\n'],
  ['never comes again, nor an empty line', 'boundary=b', ''],
])('an attachment is seen though the boundary %s', async (_what, boundary, rest) => {
  const text = `Content-Type: multipart/mixed; ${boundary}\r\n\r\n--b\r\nContent-Disposition: attachment; filename=a.exe\r\n${rest}`
  expect((await listAttachments(chunked(text, 7), {})).map(entry => entry.get('name'))).toEqual(['a.exe'])
})

test.each([
  ['stand behind 200 KiB of other fields', `X-Sent: ${'x'.repeat(990)}\r\n`.repeat(200)],
  ['stand behind a line of 200 KiB', `X-Sent: ${'x'.repeat(200_000)}\r\n`],
  ['stand behind a line of 200 KiB of blanks', `X-Sent:${' '.repeat(200_000)}\r\n`],
  ['stand behind a folded line of blanks', 'Subject: an order\r\n \t\r\n'],
  ['have blanks before their colons', 'X-Sent : yes\r\n', ' :'],
  ['have folded lines of blanks inside', '', ':\r\n \r\n\t\r\n'],
])('an attachment is seen though its fields %s', async (_what, before, colon = ':') => {
  const type = `Content-Type${colon} multipart/mixed; boundary=b`
  const disposition = `Content-Disposition${colon} attachment; filename=a.exe`
  const text = `${before}${type}\r\n\r\n--b\r\n${before}${disposition}\r\n\r\nx\r\n--b--\r\n`
  for (const size of [99, 65_536, 1 << 20])
    expect((await listAttachments(chunked(text, size), {})).map(entry => entry.get('name'))).toEqual(['a.exe'])
})

test.each(['=?utf-8?Q?b?=', 'Gr\xfc\xdfe', 'Gr\xc3\xbc\xc3\x9fe'])(
  'the boundary "%s" is taken as it stands',
  async boundary => {
    const part = `--${boundary}\r\nContent-Disposition: attachment; filename=a.exe\r\n\r\nx\r\n--${boundary}--\r\n`
    const text = `Content-Type: multipart/mixed; boundary="${boundary}"\r\n\r\n${part}`
    const list = await listAttachments(heldBody(Buffer.from(text, 'latin1'), 'message/rfc822'), {})
    expect(list.map(entry => entry.get('name'))).toEqual(['a.exe'])
  },
)

test('a boundary inside a line is none, whatever the chunks', async () => {
  const file = (name: string) => `--b\r\nContent-Disposition: attachment; filename=${name}\r\n\r\nx--b--\r\n`
  const text = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${file('1.txt')}${file('2.txt')}-\r\n--b--\r\n`
  for (let size = 1; size < text.length; size++)
    expect((await listAttachments(chunked(text, size), {})).map(entry => entry.get('size'))).toEqual([6, 9])
})

test('an attachment is seen inside of 100 multiparts, and a mail of nothing but boundaries costs little', async () => {
  const nested = Array.from(
    { length: 100 },
    (_unused, depth) => `Content-Type: multipart/mixed; boundary=b${depth}\r\n\r\n--b${depth}\r\n`,
  ).join('')
  const text = `${nested}Content-Disposition: attachment; filename=a.exe\r\n\r\nx\r\n`
  expect((await listAttachments(chunked(text, 99), {})).map(entry => entry.get('name'))).toEqual(['a.exe'])
  const started = performance.now()
  await listAttachments(chunked(`${text}${'--\r\n'.repeat(1_000_000)}`, 65_536), {})
  expect(performance.now() - started).toBeLessThan(3_000)
})

test.each([
  ['nothing at all', ''],
  ['a header without an end', 'Content-Type: multipart/mixed; boundary=a'],
  ['a boundary that never comes', 'Content-Type: multipart/mixed; boundary=a\r\n\r\nbody'],
  ['an empty boundary', 'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n--\r\n'],
  ['bare line feeds', 'Content-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--a--'],
  ['a charset nobody knows', "Content-Disposition: attachment; filename*=klingon''a%FF.pdf\r\n\r\n"],
  ['percent signs that are none', 'Content-Disposition: attachment; filename*=%zz%\r\n\r\n'],
  ['a continuation without beginning', 'Content-Disposition: attachment; filename*1=b\r\n\r\n'],
  ['multiparts inside themselves', 'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n'.repeat(3_000)],
])('%s does no harm', async (_what, text) => {
  expect(Array.isArray(await listAttachments(heldBody(text, 'message/rfc822'), {}))).toBe(true)
})

test('a mail with more parts than anybody sends is listed up to a limit, in little time', async () => {
  const part = '--b\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nx\r\n'
  const text = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${part.repeat(20_000)}`
  const started = performance.now()
  expect(await listAttachments(heldBody(text, 'message/rfc822'), {})).toHaveLength(1_000)
  const dashes = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--\r\n'.repeat(200_000)}`
  expect(await listAttachments(heldBody(dashes, 'message/rfc822'), {})).toEqual([])
  expect(performance.now() - started).toBeLessThan(5_000)
})

test('any bytes give a list', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...mail.split('\r\n'), '--', '', ' x')),
      fc.integer({ min: 1, max: 50 }),
      async (lines, size) => {
        expect(Array.isArray(await listAttachments(chunked(lines.join('\r\n'), size), {}))).toBe(true)
      },
    ),
  )
})
