import { Readable } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ApiWorld, apiWorld } from '../api/api-world.ts'
import { run } from './run.ts'

let world: ApiWorld
beforeEach(async () => {
  world = await apiWorld()
})
afterEach(() => world.close())

async function isthmus(...words: readonly string[]) {
  const out: string[] = []
  const err: string[] = []
  const code = await run(words, {
    stdin: Readable.from([]),
    stdout: { write: text => out.push(String(text)) },
    stderr: { write: text => err.push(String(text)) },
    env: { ISTHMUS_URL: world.url, ISTHMUS_TOKEN_FILE: world.tokenFile },
    cwd: '/',
    signal: new AbortController().signal,
    program: () => Promise.reject(new Error('no hub is started here')),
  })
  return { code, out: out.join(''), err: err.join('') }
}

test('an entry is written, read, listed and forgotten, and the audit log knows', async () => {
  expect((await isthmus('keymap', 'list')).out).toContain('MAP')
  expect(await isthmus('keymap', 'set', 'accounts', 'BAR303/00 ü', '{"id":"a"}')).toMatchObject({
    code: 0,
    out: 'BAR303/00 ü is kept in accounts (revision 1).\n',
  })
  await isthmus('keymap', 'set', 'accounts', 'long', '12345678901234567')
  expect((await isthmus('keymap', 'get', 'accounts', 'long')).out).toMatch(/^Value: +12345678901234567$/m)
  await isthmus('keymap', 'delete', 'accounts', 'long')
  await isthmus('keymap', 'set', 'accounts', '1001', 'plain text')
  expect((await isthmus('keymap', 'get', 'accounts', 'BAR303/00 ü')).out).toMatch(/^Value: +\{"id":"a"\}$/m)
  expect((await isthmus('keymap', 'list')).out).toMatch(/^accounts +2$/m)
  expect((await isthmus('keymap', 'list', 'accounts', '--limit', '1')).out).toMatch(
    /^1001 +plain text[\s\S]*--after '1001'/m,
  )
  expect((await isthmus('keymap', 'list', 'accounts', '--after', '1001')).out).toContain('BAR303/00')
  expect(JSON.parse((await isthmus('--json', 'keymap', 'get', 'accounts', '1001')).out)).toMatchObject({
    value: 'plain text',
    revision: 1,
  })
  expect((await isthmus('keymap', 'delete', 'accounts', '1001')).code).toBe(0)
  const gone = await isthmus('keymap', 'get', 'accounts', '1001')
  expect(gone).toMatchObject({ code: 4, err: expect.stringContaining('has nothing under 1001') })
  expect((await isthmus('keymap', 'delete', 'accounts', '1001')).code).toBe(4)
  const audit = JSON.stringify(await world.ask(200, 'GET', '/api/audit'))
  expect(audit).toContain('key-map.set')
  expect(audit).toContain('key-map.delete')
})

test('a whole map is forgotten, or a part of it', async () => {
  const write = (_: unknown, index: number) =>
    world.store().rewrite({ map: 'accounts', key: `${index % 2}-${index}`, value: index, at: 0 })
  await Promise.all(Array.from({ length: 1005 }, write))
  expect((await isthmus('keymap', 'delete', 'accounts', '--all', '--prefix', '1-1')).out).toMatch(
    /^\d+ keys are forgotten/,
  )
  expect((await isthmus('keymap', 'list', 'accounts', '--prefix', '1-1')).out).not.toContain('1-1')
  expect((await isthmus('keymap', 'delete', 'accounts', '--all')).code).toBe(0)
  expect(await world.store().keyMaps()).toEqual([])
  expect((await isthmus('keymap', 'delete', 'accounts')).code).toBe(2)
  expect((await isthmus('keymap', 'delete', 'accounts', 'a', '--all')).code).toBe(2)
})

test('a write by an old revision, a strange map and a value that is too large are refused', async () => {
  await isthmus('keymap', 'set', 'accounts', '1001', '1')
  expect((await isthmus('keymap', 'set', 'accounts', '1001', '2', '--expected', '0')).err).toContain(
    'STORE_CHANGED_MEANWHILE',
  )
  expect((await isthmus('keymap', 'set', 'accounts', '1001', '2', '--expected', 'x')).code).toBe(2)
  expect((await isthmus('keymap', 'get', 'a b', '1')).code).toBe(4)
  expect((await isthmus('keymap', 'set', 'accounts', 'k', 'x'.repeat(70_000))).err).toContain('API_BODY_TOO_LARGE')
})
