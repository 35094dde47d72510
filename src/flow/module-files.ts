import { createHash } from 'node:crypto'
import { readFile, realpath } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'

/** So many files are followed from one module; what lies behind them is not looked at for changes. */
const filesMax = 1000

/** What a module takes from beside it: `from './x.ts'`, `import('./x.ts')`, `require('./x.js')`. */
const nearImport = /(?:from|import|require)[\s(]{0,20}(['"])(\.{1,2}\/[^'"\n]{1,500})\1/g

/** A module with everything that it imports from beside it, as it stands on disk now. */
export interface ModuleFiles {
  /** Absolute paths behind all links, by which Node.js keeps CommonJS; the module first. */
  readonly files: readonly string[]
  /** sha256 (hex, 12 letters) of all of them: the same for the same content, wherever it lies. */
  readonly revision: string
}

/** Follows the imports of a module that lie in files; packages are not followed. A file that is missing counts as empty. */
export async function readModuleFiles(file: string): Promise<ModuleFiles> {
  const first = await realpath(file).catch(() => file)
  const folder = path.dirname(first)
  const files = new Set([first])
  const hash = createHash('sha256')
  // A set gives what is added to it while it is walked, too.
  for (const each of files) {
    const text = await readFile(each, 'utf8').catch(() => '')
    hash.update(`${path.relative(folder, each)}\0${text.length}\0`).update(text)
    for (const [, , name] of text.matchAll(nearImport)) {
      if (name !== undefined && files.size < filesMax) files.add(fileOf(name, each))
    }
  }
  return { files: [...files], revision: hash.digest('hex').slice(0, 12) }
}

/** CommonJS names a file without its ending (`require('./rates')`), or the folder of an index.js. */
function fileOf(name: string, importer: string): string {
  try {
    return createRequire(importer).resolve(name)
  } catch {
    // It is missing now, and may have come by the next time.
    return path.resolve(path.dirname(importer), name)
  }
}
