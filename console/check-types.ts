import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'

// Types of the hub come with its sources, which are held against the types of Node by the project above. Here those of
// browsers are in reach too, where the two differ in words: only what is said of the console itself counts.
const root = resolve(import.meta.dirname, '..')
const compiler = resolve(root, 'node_modules/typescript/bin/tsc')
const args = [compiler, '--noEmit', '--pretty', 'false', '-p', import.meta.dirname]
const { stdout, error } = spawnSync(process.execPath, args, {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
})
if (error) throw error

let isOurs = false
const told = stdout.split('\n').filter(line => {
  // The lines that explain a mistake are indented below it.
  if (!line.startsWith(' ')) isOurs = line.startsWith('console/') || line.startsWith('error TS')
  return isOurs && line !== ''
})
if (told.length > 0) {
  process.stdout.write(`${told.join('\n')}\n`)
  process.exitCode = 1
}
