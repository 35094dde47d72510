import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, expect, test } from 'vitest'
import { readText } from './input.ts'

const folder = mkdtempSync(join(tmpdir(), 'cli-input-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const text = 'mailbox\r\njürgen@x.example\r\n'
const utf16 = Buffer.from(`\uFEFF${text}`, 'utf16le')

test.each([
  ['UTF-8', Buffer.from(text)],
  ['UTF-8 with a mark, as Excel writes it', Buffer.from(`\uFEFF${text}`)],
  ['UTF-16, as PowerShell writes it', utf16],
  ['UTF-16 the other way round', Buffer.from(utf16).swap16()],
])('a file in %s is read, and standard input too', async (_name, bytes) => {
  writeFileSync(join(folder, 'list.csv'), bytes)
  const { signal } = new AbortController()
  const stdin = Object.assign(Readable.from([bytes]), { isTTY: false })
  expect(await readText('list.csv', { cwd: folder, stdin, signal })).toBe(text)
  expect(await readText('-', { cwd: folder, stdin, signal })).toBe(text)
})
