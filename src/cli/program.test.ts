import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
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

test('a hub that is told to stop twice at the same moment, as npm and timeout do it, stops in good order', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-stop-'))
  writeFileSync(join(folder, 'isthmus.yaml'), 'flows: []\nadmin: { port: 0 }\nendpoints: { port: 0 }\n')
  const child = spawn(process.execPath, [join(import.meta.dirname, 'isthmus.js'), 'serve'], { cwd: folder })
  try {
    let output = ''
    child.stdout.on('data', chunk => {
      output += chunk
    })
    const ended = once(child, 'exit')
    await expect.poll(() => output, { timeout: 60_000 }).toContain('hub.listening')
    // Two of one kind at the same moment may arrive as one.
    child.kill('SIGTERM')
    child.kill('SIGINT')
    expect(await ended).toEqual([exitCodes.done, null])
    expect(output).toContain('hub.stopped')
  } finally {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
}, 90_000)
