import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

/** A built file of the console, as it goes over the wire. */
export interface ConsoleFile {
  readonly type: string
  readonly bytes: Uint8Array
  /** The same, smaller; undefined where it would not be. */
  readonly gzipped: Uint8Array | undefined
  readonly etag: string
  /** Its name holds a hash of its content, so it never changes. */
  readonly isImmutable: boolean
}

/** Paths below /console/ (`index.html`, `assets/index-B3x.js`) and their files. */
export type ConsoleFiles = ReadonlyMap<string, ConsoleFile>

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}

const compress = promisify(gzip)

/** Reads the built console into memory (some 3 MB), so that no path of a request ever becomes a path of the disk. */
export async function readConsole(folder: string): Promise<ConsoleFiles | undefined> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const paths = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  const known = paths.filter(path => extname(path) in types)
  const files = await Promise.all(
    known.map(async path => {
      const name = relative(folder, path).split(sep).join('/')
      const bytes = await readFile(path)
      const gzipped = extname(path) === '.woff2' ? undefined : await compress(bytes)
      const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
      const isImmutable = name.startsWith('assets/')
      return [name, { type: types[extname(path)] ?? '', bytes, gzipped, etag, isImmutable }] as const
    }),
  )
  const found: ConsoleFiles = new Map(files)
  return found.has('index.html') ? found : undefined
}
