import { createRequire, registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'
import { readModuleFiles } from '../flow/module-files.ts'

/** Modules of the hub that a module beside a flow document may import, wherever that document lies. */
const ownModules: Readonly<Record<string, string>> = {
  'isthmus/documents': new URL('../mapping/documents.ts', import.meta.url).href,
  'isthmus/mapping': new URL('../mapping/define.ts', import.meta.url).href,
}

const ownFolder = new URL('../', import.meta.url).href
const { cache } = createRequire(import.meta.url)

/** Modules that failed while they were loaded: Node.js would give the same failure for ever. */
const failures = new Map<string, number>()

let isHooked = false

/**
 * Loads a module beside a flow document as it stands on disk now, with what it imports from beside it. Content that was
 * loaded before is not loaded anew. Throws whatever the module throws.
 */
export async function loadModule(file: string): Promise<object> {
  hookOnce()
  const { files, revision } = await readModuleFiles(file)
  const href = `${pathToFileURL(file).href}?revision=${revision}`
  const failed = failures.get(href) ?? 0
  try {
    // CommonJS is kept by the name of the file, whatever the address says.
    for (const each of files) delete cache[each]
    return (await import(failed > 0 ? `${href}-${failed}` : href)) as object
  } catch (cause) {
    failures.set(href, failed + 1)
    throw cause
  }
}

/** Offers the modules of the hub, and hands the revision on to what a module imports from beside it. */
function hookOnce(): void {
  if (isHooked) return
  isHooked = true
  registerHooks({
    resolve(specifier, context, next) {
      const own = ownModules[specifier]
      if (own !== undefined) return { url: own, shortCircuit: true }
      const resolved = next(specifier, context)
      const revision = /^file:.*\?(revision=[\w-]+)$/.exec(context.parentURL ?? '')?.[1]
      const isNear = specifier.startsWith('.') && resolved.url.startsWith('file:')
      if (revision === undefined || !isNear || resolved.url.startsWith(ownFolder)) return resolved
      return { ...resolved, url: `${resolved.url}?${revision}` }
    },
  })
}
