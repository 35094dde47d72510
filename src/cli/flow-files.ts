import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { configErrors } from './hub-config.ts'

/** The documents below what isthmus.yaml names under `flows`. Throws CONFIG_FLOWS_MISSING. */
export function flowFiles(path: string, isUsual: boolean): readonly string[] {
  return filesIn(path, isUsual)
    .filter(({ counts }) => counts)
    .map(({ file }) => file)
}

/** The flow documents of a folder; whatever else the path leads to as it is. */
export function flowDocuments(path: string): readonly string[] {
  const found = flowFiles(path, true)
  return found.length > 0 ? found : [path]
}

/** Flow documents in a folder of flows that are called otherwise: they do not run. */
export function strayDocuments(path: string, isUsual: boolean): readonly string[] {
  return filesIn(path, isUsual)
    .filter(({ file, counts }) => !counts && isFlowDocument(file))
    .map(({ file }) => file)
}

/** The files of a folder, its own and those one level below; flow.yaml and NAME.flow.yaml count. A file that is named does so as it is. */
function filesIn(path: string, isUsual: boolean): readonly { readonly file: string; readonly counts: boolean }[] {
  if (!existsSync(path)) {
    // Nobody has to have flows from the start; a name that somebody wrote leads somewhere.
    if (isUsual) return []
    throw configErrors.FLOWS_MISSING({ path })
  }
  if (statSync(path).isFile()) return [{ file: path, counts: true }]
  const inside = readdirSync(path, { withFileTypes: true }).filter(entry => entry.isDirectory())
  const folders = [path, ...inside.map(entry => join(path, entry.name)).toSorted()]
  return folders.flatMap(folder =>
    readdirSync(folder)
      .toSorted()
      .map(name => ({ file: join(folder, name), counts: /^(.+\.)?flow\.yaml$/.test(name) })),
  )
}

function isFlowDocument(file: string): boolean {
  try {
    return /\.ya?ml$/.test(file) && /^flow:/m.test(readFileSync(file, 'utf8'))
  } catch {
    // A folder, or what nobody can read, is none that somebody misses.
    return false
  }
}
