import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'

/**
 * Builds the console into console/dist, unless what lies there was made from the same sources and versions.
 *
 *     node console/build.ts                 builds, or says why not and ends with 1
 *     node console/build.ts --if-possible   the same, but never ends with an error: the hub runs without its console
 */

const kib = 1024

/** What a browser loads, compressed as it goes over the wire. */
export const bundleLimits = {
  /** Before the sign-in shows: everything that index.html names. */
  firstLoadBytes: 220 * kib,
  /** Any one script that is loaded later. */
  laterScriptBytes: 100 * kib,
}

const folder = import.meta.dirname
const target = join(folder, 'dist')
const stampFile = join(target, 'stamp')

if (import.meta.main) {
  const isLenient = process.argv.includes('--if-possible')
  try {
    await buildConsole()
  } catch (thrown) {
    const text = thrown instanceof Error ? thrown.message : String(thrown)
    process.stderr.write(`The web console could not be built; the hub runs without it. ${text}\n`)
    if (!isLenient) process.exitCode = 1
  }
}

async function buildConsole(): Promise<void> {
  const stamp = stampOf()
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return
  process.stderr.write('Building the web console (a few seconds, once for each version) …\n')
  // Whoever builds, a test included, gets what people get; React is another half as large otherwise.
  process.env['NODE_ENV'] = 'production'
  const { build } = await import('vite').catch((cause: unknown) => {
    throw new Error('Its tools are not installed (npm ci installs them; --omit=dev leaves them out).', { cause })
  })
  // Two that build at the same time do not write into one folder; the last one wins.
  const outDir = join(folder, `dist-${process.pid}`)
  try {
    await build({ configFile: join(folder, 'vite.config.ts'), build: { outDir } })
    for (const line of tooLarge(outDir)) throw new Error(line)
    writeFileSync(join(outDir, 'stamp'), stamp)
    rmSync(target, { recursive: true, force: true })
    renameSync(outDir, target)
  } finally {
    rmSync(outDir, { recursive: true, force: true })
  }
}

/** A digest of everything that the built files come from. */
function stampOf(): string {
  const digest = createHash('sha256')
  const made = /^(dist|node_modules)/
  const sources = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => relative(folder, join(entry.parentPath, entry.name)))
    .filter(path => !made.test(path) && !path.endsWith('.test.ts'))
  for (const path of sources.toSorted()) digest.update(`${path}\n`).update(readFileSync(join(folder, path)))
  // The lock file of the installation: other versions of the libraries, other files.
  const lock = resolve(folder, '../package-lock.json')
  if (existsSync(lock)) digest.update(readFileSync(lock))
  return digest.digest('hex')
}

/** What is larger than it may be, in words. */
function tooLarge(outDir: string): string[] {
  const html = readFileSync(join(outDir, 'index.html'), 'utf8')
  const first = [...html.matchAll(/(?:src|href)="\/console\/(assets\/[^"]+\.(?:js|css))"/g)].map(
    ([, path = '']) => path,
  )
  const bytesOf = (path: string) => gzipSync(readFileSync(join(outDir, path))).length
  const firstBytes = first.reduce((sum, path) => sum + bytesOf(path), 0)
  const later = readdirSync(join(outDir, 'assets'))
    .map(name => `assets/${name}`)
    .filter(path => path.endsWith('.js') && !first.includes(path))
  const tooLong = later.filter(path => bytesOf(path) > bundleLimits.laterScriptBytes)
  return [
    ...(firstBytes > bundleLimits.firstLoadBytes
      ? [`The first load is ${firstBytes} bytes, more than ${bundleLimits.firstLoadBytes}.`]
      : []),
    ...tooLong.map(path => `${path} is ${bytesOf(path)} bytes, more than ${bundleLimits.laterScriptBytes}.`),
  ]
}
