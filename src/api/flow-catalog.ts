import { readFileSync, statSync } from 'node:fs'
import type { LoadedFlow } from '../flow/document.ts'
import type { LateDeclarations } from '../flow/late-declarations.ts'
import { type LoadResult, loadFlow } from '../flow/load-flow.ts'
import type { Problem } from '../flow/problem.ts'
import { defineErrors } from '../kernel/error.ts'
import { SECOND } from '../kernel/time.ts'
import type { Records } from '../store/port.ts'
import { apiErrors } from './api-errors.ts'
import type { CatalogEntry, FlowCatalog } from './parts.ts'

export const catalogErrors = defineErrors('CATALOG', {
  DOES_NOT_LINT: {
    side: 'flow',
    retry: 'never',
    means: 'The document of flow {flow} has {count} mistakes; the first: {place} {text}',
    next: 'Run isthmus lint {file}, correct the document and start the flow again.',
  },
  NAME_TAKEN: {
    side: 'flow',
    retry: 'never',
    means: 'Two documents are called {flow}: {first} and {second}.',
    next: 'Give one of them another name; until then the first one counts.',
  },
})

export interface CatalogOptions {
  readonly declarations: LateDeclarations
  /** Absolute paths of the flow documents. */
  readonly files: readonly string[]
  readonly stage: string
  /** Values that win over the stage's, by flow. */
  readonly params?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly store: Pick<Records, 'read' | 'write'>
}

const area = 'flow-state'

/**
 * For so long a document that is the same on disk is not linted again for a list: pages ask for it every few seconds, and
 * linting thirty documents takes the time of hundreds of messages. What stands beside it (parameters, modules) may be
 * looked at this much later; a start reads everything anew.
 */
const lintedForMs = 15 * SECOND

/** The documents of the hub; a start always takes what stands on disk then. */
export function createFlowCatalog(options: CatalogOptions): FlowCatalog {
  const { declarations, files, stage, store } = options

  async function loadFile(file: string, text?: string): Promise<LoadResult> {
    const written = text ?? readText(file)
    const params = options.params?.[nameIn(written) ?? '']
    const request = { file, stage, ...(text !== undefined && { text }), ...(params && { params }) }
    const result = await loadFlow({ ...(await declarations.namedIn(written)), ...request })
    if ('flow' in result) return result
    // What is wrong is told with everything that could stand there; and what parameters hold may name more.
    return loadFlow({ ...(await declarations.all()), ...request })
  }

  const linted = new Map<
    string,
    { readonly print: string; readonly at: number; readonly entry: Promise<LintedEntry> }
  >()

  async function lintEntry(file: string): Promise<LintedEntry> {
    const result = await loadFile(file)
    const name = 'flow' in result ? result.flow.name : (nameIn(readText(file)) ?? file)
    return { name, file, problems: 'flow' in result ? [] : result.problems.filter(isError) }
  }

  function lintedEntry(file: string): Promise<LintedEntry> {
    const print = fingerprintOf(file)
    const known = linted.get(file)
    const at = performance.now()
    if (known?.print === print && at - known.at < lintedForMs) return known.entry
    const entry = lintEntry(file)
    linted.set(file, { print, at, entry })
    // A failure is told to who asked, and not kept.
    entry.catch(() => linted.delete(file))
    return entry
  }

  async function entryOf(file: string): Promise<CatalogEntry> {
    const entry = await lintedEntry(file)
    const state = await store.read(area, entry.name)
    return { ...entry, shouldRun: state ? (state.value as { shouldRun: boolean }).shouldRun : true }
  }

  async function list(): Promise<readonly CatalogEntry[]> {
    const entries = await Promise.all(files.map(entryOf))
    return entries.map(entry => {
      const first = entries.find(other => other.name === entry.name)
      if (!first || first === entry) return entry
      const taken = catalogErrors.NAME_TAKEN({ flow: entry.name, first: first.file, second: entry.file })
      const problem = { file: entry.file, line: 1, column: 1, message: taken.message }
      return {
        ...entry,
        name: `${entry.name} (${entry.file})`,
        shouldRun: false,
        problems: [problem, ...entry.problems],
      }
    })
  }

  return {
    list,

    async load(name): Promise<LoadedFlow> {
      const entry = (await list()).find(each => each.name === name)
      if (!entry) throw apiErrors.FLOW_UNKNOWN({ flow: name })
      const result = await loadFile(entry.file)
      if ('flow' in result) return result.flow
      const errors = result.problems.filter(isError)
      const [first] = errors
      const place = first ? `${first.file}:${first.line}:${first.column}` : entry.file
      const text = first?.message ?? ''
      throw catalogErrors.DOES_NOT_LINT({ flow: name, count: errors.length, place, text, file: entry.file })
    },

    async document(name) {
      const entry = (await list()).find(each => each.name === name)
      if (!entry) throw apiErrors.FLOW_UNKNOWN({ flow: name })
      return { file: entry.file, text: readText(entry.file) }
    },

    async lint(text) {
      // A posted document is judged as if it stood where the one of its name stands, beside its modules and parameters.
      const name = nameIn(text)
      const file = (await list()).find(entry => entry.name === name)?.file ?? 'posted.yaml'
      const result = await loadFile(file, text)
      return 'flow' in result ? [] : result.problems.filter(isError)
    },

    async remember(name, shouldRun) {
      await store.write(area, name, { shouldRun })
    },
  }
}

type LintedEntry = Omit<CatalogEntry, 'shouldRun'>

/** Tells one state of a file from another without reading it. */
function fingerprintOf(file: string): string {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false })
  return found ? `${found.ino} ${found.mtimeNs} ${found.size}` : 'missing'
}

function isError(problem: Problem): boolean {
  return problem.severity === 'error'
}

/** The name of a document that may be too broken to parse; in YAML, or in JSON, which is YAML too. */
function nameIn(text: string): string | undefined {
  return /(?:^|^\s*\{\s*)["']?flow["']?:\s*["']?([A-Za-z0-9._-]+)/m.exec(text)?.[1]
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // That it is missing is a problem which the loader reports with its words.
    return ''
  }
}
