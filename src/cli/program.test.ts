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
