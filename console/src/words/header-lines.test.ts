import { expect, test } from 'vitest'
import { readJson } from './directions.ts'
import { headersOfLines, linesOfHeaders } from './header-lines.ts'

test.each<Record<string, string>>([
  { subject: 'Order 4711', 'message-id': '<1@contoso.com>' },
  { 'sap-client': '100', colon: 'a: b: c' },
  { folded: 'one\ntwo' },
  { empty: '' },
])('headers %j come back from their lines', headers => {
  expect(headersOfLines(linesOfHeaders(headers))).toEqual(headers)
})

test('characters that are shown as escapes come back as what they are', () => {
  const headers = { subject: '\u202B\u05E9\u05DC\u05D5\u05DD\u202C order', to: '\u2068anna\u2069 <a@b.example>' }
  const shown = readJson(JSON.stringify(headers)) as typeof headers
  expect(shown.to).toContain(String.raw`\u2068`)
  expect(headersOfLines(linesOfHeaders(shown))).toEqual(headers)
})

test.each([
  ['a line without a colon', 'a: 1\nnonsense', 2],
  ['a line without a name', ': 1', 1],
  ['a name that is there twice', 'a: 1\n\na: 2', 3],
])('%s is named', (_what, text, wrongLine) => {
  expect(headersOfLines(text)).toEqual({ wrongLine })
})
