import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { configErrors } from './hub-config.ts'

/** The documents of a folder: flow.yaml and NAME.flow.yaml, its own and those one level below. A file is taken as it is. Throws CONFIG_FLOWS_MISSING. */
export function flowFiles(path: string, isUsual: boolean): readonly string[] {
  if (!existsSync(path)) {
    // Nobody has to have flows from the start; a name that somebody wrote leads somewhere.
    if (isUsual) return []
    throw configErrors.FLOWS_MISSING({ path })
  }
  if (statSync(path).isFile()) return [path]
  const inside = readdirSync(path, { withFileTypes: true }).filter(entry => entry.isDirectory())
  const candidates = [path, ...inside.map(entry => join(path, entry.name)).toSorted()]
  return candidates.flatMap(folder =>
    readdirSync(folder)
      .filter(name => /^(.+\.)?flow\.yaml$/.test(name))
      .toSorted()
      .map(name => join(folder, name)),
  )
}
