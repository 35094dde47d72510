import { registerHooks } from 'node:module'

/** Modules of the hub that a module beside a flow document may import, wherever that document lies. */
const ownModules: Readonly<Record<string, string>> = {
  'isthmus/documents': new URL('../mapping/documents.ts', import.meta.url).href,
  'isthmus/mapping': new URL('../mapping/define.ts', import.meta.url).href,
}

let isRegistered = false

/** Lets every module that is loaded from now on import them. */
export function offerOwnModules(): void {
  if (isRegistered) return
  isRegistered = true
  registerHooks({
    resolve(specifier, context, next) {
      const url = ownModules[specifier]
      return url === undefined ? next(specifier, context) : { url, shortCircuit: true }
    },
  })
}
