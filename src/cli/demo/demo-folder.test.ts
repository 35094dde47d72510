import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { emptyDemoFolder } from './demo-folder.ts'

test('a folder is emptied only when the demo has made it', () => {
  const cwd = mkdtempSync(join(tmpdir(), 'isthmus-demo-'))
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }))
  const key = (folder: string) => join(folder, 'master.key')
  // The data of a hub, which somebody names by mistake.
  const data = join(cwd, 'data')
  mkdirSync(data)
  writeFileSync(key(data), 'the only one')
  expect(() => emptyDemoFolder(data)).toThrow(expect.objectContaining({ code: 'CLI_DEMO_FOLDER_TAKEN' }))
  expect(existsSync(key(data))).toBe(true)

  const own = join(cwd, 'own')
  emptyDemoFolder(own)
  writeFileSync(key(own), 'of the demo')
  emptyDemoFolder(own)
  expect(existsSync(key(own))).toBe(false)

  // Those that were made before a demo marked its folder.
  const usual = join(cwd, '.isthmus/demo')
  mkdirSync(usual, { recursive: true })
  writeFileSync(key(usual), 'of the demo')
  emptyDemoFolder(usual)
  expect(existsSync(key(usual))).toBe(false)
})
