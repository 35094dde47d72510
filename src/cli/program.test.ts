import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exitCodes } from './cli-errors.ts'

test('output that a full disk does not take ends a command with a sentence', () => {
  const full = openSync('/dev/full', 'w')
  const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'isthmus.js'), '--help'], {
    stdio: ['ignore', full, 'pipe'],
    encoding: 'utf8',
  })
  closeSync(full)
  expect([status, stderr]).toEqual([exitCodes.unexpected, expect.stringMatching(/^The output .*ENOSPC.*\nNext: .*\n$/)])
})

test.each(['isthmus', 'isthmus-connector'])(
  'an older Node than %s needs is told of, and where the right one lies',
  name => {
    const older = `Object.defineProperty(process.versions, 'node', { value: '20.20.2' })`
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', `data:text/javascript,${older}`, join(import.meta.dirname, `${name}.js`), '--version'],
      { encoding: 'utf8' },
    )
    expect([status, stdout]).toEqual([exitCodes.usage, ''])
    expect(stderr).toMatch(/^Isthmus needs Node 24\.7 or later; .*\nNext: .*\/node_modules\/\.bin:\$PATH"\n$/)
  },
)
