import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-module-'))
  mkdirSync(join(folder, 'lib'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** What is written before the module is loaded, as text by name; the first file of the first round is the module. */
type Round = Readonly<Record<string, string>>

// The runner of the tests loads modules in its own way; the hub does not, so this happens in a process of its own.
const program = `
import { writeFileSync } from 'node:fs'
const { loadModule } = await import(${JSON.stringify(new URL('load-module.ts', import.meta.url).href)})
const rounds = JSON.parse(process.argv[1])
const given = []
for (const round of rounds) {
  for (const [name, text] of Object.entries(round)) writeFileSync(name, text)
  given.push(await loadModule(process.cwd() + '/' + Object.keys(rounds[0])[0]).then(
    ({ rate }) => typeof rate === 'function' ? rate() : rate,
    error => error.message,
  ))
}
console.log(JSON.stringify(given))`

/** What the module exports as `rate` (or what that gives) after each round; the message of a failure. */
async function rates(...rounds: readonly Round[]): Promise<unknown> {
  const args = ['--input-type=module', '--eval', program, JSON.stringify(rounds)]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder })
  return JSON.parse(stdout)
}

test('a corrected module counts when it is loaded again, and the same one is loaded once', async () => {
  const counting = 'globalThis.loads = (globalThis.loads ?? 0) + 1\nexport const rate: number = globalThis.loads'
  expect(await rates({ 'map.ts': counting }, {}, { 'map.ts': `${counting} * 100` }, {})).toEqual([1, 1, 200, 200])
})

test('so does what it imports from beside it, however far away', async () => {
  const modules = {
    'map.ts': "import { by } from './lib/by.ts'\nexport const rate = by * 10",
    'lib/by.ts': "import table from '../table.json' with { type: 'json' }\nexport const by: number = table.by",
    'table.json': '{ "by": 1 }',
  }
  const corrected = { 'lib/by.ts': 'export const by = 3' }
  expect(await rates(modules, { 'table.json': '{ "by": 2 }' }, corrected)).toEqual([10, 20, 30])
})

test('so does what it imports late, and CommonJS', async () => {
  const modules = {
    'map.mjs': "export const rate = async () => (await import('./other.js')).default.rate",
    'other.js': "exports.rate = require('./base.js').base + 1",
    'base.js': 'exports.base = 1',
  }
  expect(await rates(modules, { 'base.js': 'exports.base = 2' })).toEqual([2, 3])
})

test('so does CommonJS that is required without its ending, as most of it is, also behind a link', async () => {
  mkdirSync(join(folder, 'real/lib'), { recursive: true })
  mkdirSync(join(folder, 'linked'))
  for (const name of ['map.cjs', 'base.js', 'lib'])
    symlinkSync(join(folder, 'real', name), join(folder, 'linked', name))
  const modules = {
    'linked/map.cjs': "exports.rate = require('./base').base + require('./lib').more",
    'linked/base.js': 'exports.base = 1',
    'linked/lib/index.js': 'exports.more = 10',
  }
  const corrected = [{ 'linked/base.js': 'exports.base = 2' }, { 'linked/lib/index.js': 'exports.more = 20' }]
  expect(await rates(modules, ...corrected)).toEqual([11, 12, 22])
})

test('a module that cannot be loaded is tried again when it is corrected, and when what it lacked has come', async () => {
  const modules = { 'map.ts': "import { rate } from 'rates'\nexport { rate }" }
  const has = { 'node_modules/rates/index.js': 'exports.rate = 5' }
  mkdirSync(join(folder, 'node_modules/rates'), { recursive: true })
  const failed = expect.stringContaining('Cannot find package') as string
  expect(await rates(modules, has, { 'map.ts': 'export const rate = 6' })).toEqual([failed, 5, 6])
  expect(await rates({ 'map.ts': 'export const rate: = 6' }, { 'map.ts': 'export const rate = 6' })).toEqual([
    expect.stringContaining('Unexpected token'),
    6,
  ])
})

test('what failed by the state of the machine is tried again, though the module is the same', async () => {
  const module =
    "import { existsSync } from 'node:fs'\nif (!existsSync('ready')) throw new Error('not yet')\nexport const rate = 7"
  expect(await rates({ 'map.ts': module }, {}, { ready: '' })).toEqual(['not yet', 'not yet', 7])
})

test('modules of the hub are there once, whatever their importers are', async () => {
  const same = 'export const rate = () => (globalThis.made ??= defineMapping) === defineMapping'
  const first = `import { defineMapping } from 'isthmus/mapping'\n${same}`
  expect(await rates({ 'map.ts': first }, { 'map.ts': `${first}\n` })).toEqual([true, true])
  const near = relative(folder, join(import.meta.dirname, '../mapping/define.ts'))
  const byPath = `import { defineMapping } from '${near}'\n${same}`
  expect(await rates({ 'map.ts': byPath }, { 'map.ts': `${byPath}\n` })).toEqual([true, true])
})

test('two that import each other are loaded', async () => {
  const modules = {
    'map.ts': "import { b } from './b.ts'\nexport const rate = () => b()",
    'b.ts': "import { rate } from './map.ts'\nexport const b = () => typeof rate",
  }
  expect(await rates(modules)).toEqual(['function'])
})
