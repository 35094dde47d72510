import { globSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { expect, test } from 'vitest'
import { parse } from 'yaml'

// What an editor makes of the JSON Schema of flow documents, told by a validator of others.
const root = join(import.meta.dirname, '../..')
const schema: unknown = JSON.parse(readFileSync(join(root, 'docs/reference/flow.schema.json'), 'utf8'))
const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats.default(ajv)
const isRight = ajv.compile(schema as object)

interface Written {
  readonly name: string
  readonly document: unknown
}

function documentsOf(pattern: string, textsIn: (text: string) => readonly string[]): Written[] {
  return globSync(pattern, { cwd: root }).flatMap(file =>
    textsIn(readFileSync(join(root, file), 'utf8')).flatMap((text, index) => {
      const document: unknown = /^flow:/m.test(text) && /^from:/m.test(text) ? parse(text) : undefined
      return document === undefined ? [] : [{ name: `${relative(root, join(root, file))} ${index + 1}`, document }]
    }),
  )
}

const documents = [
  ...documentsOf('examples/**/*.yaml', text => [text]),
  ...documentsOf('{README.md,docs/guides/*.md,examples/**/*.md}', text =>
    [...text.matchAll(/```yaml[^\n]*\n([\s\S]*?)```/g)].map(([, inner = '']) => inner),
  ),
]

test('there are documents to look at', () => {
  expect(documents.length).toBeGreaterThan(35)
})

test.each(documents)('an editor finds no fault with $name', ({ document }) => {
  isRight(document)
  expect(isRight.errors ?? []).toEqual([])
})

const from = { imap: { host: 'mail.contoso.com', user: 'orders@contoso.com', auth: 'mailbox' } }
const to = { http: { url: 'https://s4.example', auth: 's4' } }

test.each([
  ['a parameter as a port', { imap: { ...from.imap, port: '${params.port}' } }, to, true],
  ['a part of a text', { imap: { ...from.imap, host: 'mail.${ params.domain }' } }, to, true],
  ['a word as a port', { imap: { ...from.imap, port: 'imaps' } }, to, false],
  ['something else as a parameter', { imap: { ...from.imap, port: '${message.port}' } }, to, false],
  ['a parameter as a name', { imap: { ...from.imap, '${params.port}': 993 } }, to, false],
  ['a setting that there is not', { imap: { ...from.imap, prot: 993 } }, to, false],
  ['a choice', from, { http: { ...to.http, method: '${params.method}' } }, true],
  ['another choice', from, { http: { ...to.http, method: 'FETCH' } }, false],
])('%s', (_what, sender, receiver, right) => {
  expect(isRight({ flow: 'x', params: { PORT2: { type: 'port' } }, from: sender, to: receiver })).toBe(right)
})

test('the kind of a parameter is none itself', () => {
  expect(isRight({ flow: 'x', params: { port: { type: '${params.kind}' } }, from, to })).toBe(false)
})
