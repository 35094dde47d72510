import { expect, test } from 'vitest'
import { readBody } from './body-text.ts'
import { readJson } from './directions.ts'

const turned = 'invoice\u202Efdp.exe \u2066x\u2069'
const shown = 'invoice\\u202Efdp.exe \\u2066x\\u2069'

test('characters that turn others around are seen, wherever they stand in an answer or a body', () => {
  const answer = { messages: [{ attributes: { subject: turned, count: 3, none: null } }] }
  expect(readJson(JSON.stringify(answer))).toEqual({
    messages: [{ attributes: { subject: shown, count: 3, none: null } }],
  })
  expect(readBody(new TextEncoder().encode(turned))).toEqual({ kind: 'text', text: shown })
})

test('words that are written from right to left stay as they are', () => {
  const words = { subject: '\u200Fשלום\u200E مرحبا' }
  expect(readJson(JSON.stringify(words))).toEqual(words)
})
