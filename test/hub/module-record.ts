import { writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

/** What a process loaded, and who asked for it first; both as file URLs (or `node:` names). */
export interface ModuleRecord {
  readonly loaded: readonly string[]
  readonly importedBy: Readonly<Record<string, string>>
}

// Given to a program with --import: it writes down every module, and leaves the record in a file when it ends.
const file = process.env['MODULE_RECORD']
if (file !== undefined) {
  const loaded = new Set<string>()
  const importedBy: Record<string, string> = {}
  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context)
      importedBy[resolved.url] ??= context.parentURL ?? ''
      return resolved
    },
    load(url, context, next) {
      loaded.add(url)
      return next(url, context)
    },
  })
  process.on('exit', () =>
    writeFileSync(file, JSON.stringify({ loaded: [...loaded], importedBy } satisfies ModuleRecord)),
  )
}
