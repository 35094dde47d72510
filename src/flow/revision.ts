import { createHash } from 'node:crypto'
import path from 'node:path'
import { readModuleFiles } from './module-files.ts'
import type { FlowDocument } from './schema.ts'

/** Under these keys steps and adapters name files beside the document: modules, JSON Schemas, layouts, certificates, descriptions of services. */
const fileKeys = new Set(['ca', 'layouts', 'module', 'schema', 'spec', 'wsdl'])

/** sha256 (hex, 12 letters) of these texts and of the files beside the document that it names, with what those import. */
export async function revisionOf(document: FlowDocument, folder: string, texts: readonly string[]): Promise<string> {
  const files = new Set<string>()
  collect([document.from, document.steps, document.to], files, new Set())
  const hash = createHash('sha256')
  for (const text of texts) hash.update(text)
  for (const file of files) hash.update((await readModuleFiles(path.resolve(folder, file))).revision)
  return hash.digest('hex').slice(0, 12)
}

function collect(value: unknown, found: Set<string>, seen: Set<object>): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return
  seen.add(value)
  for (const [key, inner] of Object.entries(value)) {
    if (typeof inner === 'string' && fileKeys.has(key)) found.add(inner)
    // Declarations say nothing of this document.
    else if (key !== 'declaration') collect(inner, found, seen)
  }
}
