import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

// What is remembered of the sources is run as it is, so whoever can write it runs code as the user of the hub.

const program = resolve(import.meta.dirname, 'isthmus.js')
let folder: string
let home: string
let temporary: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-cache-'))
  home = join(folder, 'home')
  temporary = join(folder, 'tmp')
  mkdirSync(home)
  mkdirSync(temporary)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Runs the program with these variables only. */
function run(environment: NodeJS.ProcessEnv): void {
  const env = { PATH: process.env['PATH'], TMPDIR: temporary, ...environment }
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, '--version'], { env, encoding: 'utf8' })
  expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+/) })
  expect(readdirSync(temporary)).toEqual([])
}

const isUsed = (path: string) => existsSync(path) && readdirSync(path).length > 0

test('sources are remembered in a folder of the user alone, and never in the one for temporary files of all', () => {
  run({ HOME: home })
  const cache = join(home, '.cache/isthmus')
  expect(isUsed(cache)).toBe(true)
  expect(statSync(cache).mode & 0o777).toBe(0o700)
})

test.each([
  ['XDG_CACHE_HOME', 'given', 'given/isthmus'],
  ['CACHE_DIRECTORY', 'given:other', 'given'],
])('%s says where', (name, value, expected) => {
  run({
    HOME: home,
    [name]: value
      .split(':')
      .map(each => join(folder, each))
      .join(':'),
  })
  expect(isUsed(join(folder, expected))).toBe(true)
  expect(existsSync(join(home, '.cache'))).toBe(false)
})

test('a folder that others may write to is left alone', () => {
  const cache = join(home, '.cache/isthmus')
  mkdirSync(cache, { recursive: true })
  chmodSync(cache, 0o777)
  run({ HOME: home })
  expect(isUsed(cache)).toBe(false)
})

test.runIf(process.getuid?.() === 0)('a folder of somebody else is left alone', () => {
  const cache = join(home, '.cache/isthmus')
  mkdirSync(cache, { recursive: true })
  chownSync(cache, 12_345, 12_345)
  run({ HOME: home })
  expect(isUsed(cache)).toBe(false)
})

test('a user without a home does without', () => {
  writeFileSync(join(folder, 'file'), '')
  run({ HOME: join(folder, 'file') })
})
