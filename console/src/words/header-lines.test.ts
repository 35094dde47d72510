import { expect, test } from 'vitest'
import { headersOfLines, linesOfHeaders } from './header-lines.ts'

test.each<Record<string, string>>([
  { subject: 'Order 4711', 'message-id': '<1@contoso.com>' },
  { 'sap-client': '100', colon: 'a: b: c' },
  { folded: 'one\ntwo' },
  { empty: '' },
])('headers %j come back from their lines', headers => {
  expect(headersOfLines(linesOfHeaders(headers))).toEqual(headers)
})

test.each([
  ['a line without a colon', 'a: 1\nnonsense', 2],
  ['a line without a name', ': 1', 1],
  ['a name that is there twice', 'a: 1\n\na: 2', 3],
])('%s is named', (_what, text, wrongLine) => {
  expect(headersOfLines(text)).toEqual({ wrongLine })
})
