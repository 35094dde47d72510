import { expect, test } from 'vitest'
import { readMailboxList } from './mailbox-list.ts'

const addresses = (text: string) => readMailboxList(text).rows.map(({ mailbox }) => mailbox.address)

test.each([
  ['an address in each line', 'a@x.example\nB@X.example\r\n\n# left\n', ['a@x.example', 'b@x.example']],
  [
    'what a mail program copies',
    'Ada Byron <ada@x.example>; "Ben, B." <ben@x.example>',
    ['ada@x.example', 'ben@x.example'],
  ],
  [
    'words with separators',
    'a@x.example, b@x.example;c@x.example\td@x.example',
    ['a', 'b', 'c', 'd'].map(name => `${name}@x.example`),
  ],
  [
    'an address without brackets beside others',
    'Ada <ada@x.example>; ben@x.example',
    ['ada@x.example', 'ben@x.example'],
  ],
  ['a byte order mark', '\uFEFFa@x.example', ['a@x.example']],
])('%s is read', (_name, text, expected) => {
  expect(readMailboxList(text).mistakes).toEqual([])
  expect(addresses(text)).toEqual(expected)
})

test('a CSV names its columns, in any order and with the separator of the country', () => {
  const text = 'crm-user;mailbox;credential\r\n"ada.b@crm.example";Ada@x.example;own\r\n;ben@x.example;\r\n'
  expect(readMailboxList(text)).toEqual({
    rows: [
      { line: 2, mailbox: { address: 'ada@x.example', crmAddress: 'ada.b@crm.example', auth: 'own' } },
      { line: 3, mailbox: { address: 'ben@x.example' } },
    ],
    mistakes: [],
  })
})

test.each([
  ['sep=;', ';'],
  ['"sep=|"', '|'],
  ['SEP=,', ','],
  ['sep=\t', '\t'],
])('the line %j before a CSV, by which programs tell Excel its separator, is understood', (line, separator) => {
  const text = `\uFEFF${line}\r\nmailbox${separator}crm-user\r\nada@x.example${separator}ada.b@crm.example\r\n`
  const [row] = readMailboxList(text).rows
  expect(row).toEqual({ line: 3, mailbox: { address: 'ada@x.example', crmAddress: 'ada.b@crm.example' } })
})

test('that line before a mere list says nothing', () => {
  expect(readMailboxList('sep=;\na@x.example')).toMatchObject({ rows: [{ line: 2 }], mistakes: [] })
})

test('emptied columns of Excel, and what is not seen in a copied address, do no harm', () => {
  expect(readMailboxList('mailbox;crm-user;;\r\nada@x.example;ada@crm.example;;\r\nben@x.example;;;\r\n')).toEqual({
    rows: [
      { line: 2, mailbox: { address: 'ada@x.example', crmAddress: 'ada@crm.example' } },
      { line: 3, mailbox: { address: 'ben@x.example' } },
    ],
    mistakes: [],
  })
  expect(addresses('\u200Bada@x.example\u2060\nben\uFEFF@x.example')).toEqual(['ada@x.example', 'ben@x.example'])
})

test.each([
  ['no address', 'a@x.example\nnobody', { line: 2, message: 'address: a mail address' }],
  ['an address twice', 'a@x.example\n\nA@x.example', { line: 3, message: 'a@x.example stands in line 1 already' }],
  [
    'an unknown column',
    'mailbox,role\na@x.example,x',
    { line: 1, message: expect.stringContaining('unknown column "role"') },
  ],
  [
    'a column with a name of the language',
    'mailbox,constructor\na@x.example,x',
    { line: 1, message: expect.stringContaining('unknown column "constructor"') },
  ],
  ['a column twice', 'mailbox,mailbox\na@x.example,x', { line: 1, message: 'column "mailbox" is there twice' }],
  ['too many values', 'mailbox,crm-user\na@x.example,b@x.example,c', { line: 2, message: '3 values for 2 columns' }],
  ['an open quote', 'mailbox,crm-user\n"a@x.example,b@x.example', { line: 2, message: 'a quote that is not closed' }],
  ['a formula', 'mailbox\n=cmd|x', { line: 2, message: 'address: a mail address' }],
  ['an injected header', 'mailbox\n"a@x.example>\n<b@x.example"', { line: 2, message: 'a quote that is not closed' }],
])('%s is told with its line', (_name, text, mistake) => {
  expect(readMailboxList(text).mistakes).toContainEqual(mistake)
})

test('a list beyond the limit is refused as a whole', () => {
  const text = 'a@x.example\n'.repeat(400_000)
  expect(readMailboxList(text)).toEqual({
    rows: [],
    mistakes: [{ line: 1, message: expect.stringContaining('larger') }],
  })
})

test.each([
  ['words', 'x '.repeat(2_000_000)],
  ['lines', 'x\n'.repeat(2_000_000)],
  ['rows of a CSV', `mailbox\n${'x,y\n'.repeat(1_000_000)}`],
])('%s that are no list are not read to their end', (_name, text) => {
  const { mistakes } = readMailboxList(text)
  expect(mistakes.length).toBeLessThan(1_100)
  expect(mistakes.at(-1)?.message).toContain('no list of mailboxes')
})

test('a list that was not saved as UTF-8 is told so; the names beside its addresses do not matter', () => {
  const latin = (text: string) => new TextDecoder().decode(Buffer.from(text, 'latin1'))
  const message = 'letters that are not UTF-8: save the list as UTF-8'
  expect(readMailboxList(latin('mailbox;crm-user\nada@x.example;jörg@x.example')).mistakes).toEqual([
    { line: 2, message },
  ])
  expect(readMailboxList(latin('Jörg <joerg@x.example>')).mistakes).toEqual([])
})
