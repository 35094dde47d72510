import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { makeWorkFolder } from '../foreign/servers/work-folder.ts'

const root = join(import.meta.dirname, '../..')
const guides = join(root, 'docs/guides')
const guide = readFileSync(join(guides, 'coming-from-sap.md'), 'utf8')
const run = promisify(execFile)

test('the flow of the guide is right, and its trial gives what the text says', async () => {
  const folder = makeWorkFolder('sap')
  onTestFinished(() => folder.remove())
  const document = /```yaml\n([\s\S]*?)```/.exec(guide)?.[1] ?? ''
  const script = /```sh\n([\s\S]*?)```/.exec(guide)?.[1] ?? ''
  writeFileSync(join(folder.path, 'orders.flow.yaml'), document)
  const isthmus = `isthmus() { '${process.execPath}' '${join(root, 'src/cli/isthmus.js')}' "$@"; }`
  const { stdout } = await run('bash', ['-ec', `${isthmus}\n${script}`], { cwd: folder.path })
  expect(stdout).toContain('1 document, 0 errors, 0 warnings.')
  expect(stdout).toContain('{"number":4711,"customer":"C1","office":"Walldorf"}')
  expect(stdout).toContain('End: delivered')
}, 120_000)

test('every page that it names is there', () => {
  const pages = [...guide.matchAll(/\]\(([a-z-]+\.md)/g)].map(([, page = '']) => page)
  expect(pages.length).toBeGreaterThan(5)
  expect(pages.filter(page => !existsSync(join(guides, page)))).toEqual([])
})
