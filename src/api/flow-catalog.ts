import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, sep } from 'node:path'
import type { LoadedFlow } from '../flow/document.ts'
import type { LateDeclarations } from '../flow/late-declarations.ts'
import { type LoadResult, loadFlow } from '../flow/load-flow.ts'
import type { Problem } from '../flow/problem.ts'
import { defineErrors, type HubError } from '../kernel/error.ts'
import { SECOND } from '../kernel/time.ts'
import type { Records } from '../store/port.ts'
import { apiErrors } from './api-errors.ts'
import type { CatalogEntry, FlowCatalog, LoadingEntry } from './parts.ts'

export const catalogErrors = defineErrors('CATALOG', {
  DOES_NOT_LINT: {
    side: 'flow',
    retry: 'never',
    means: 'The document of flow {flow} has {count} mistakes; the first: {place} {text}',
    next: 'Run isthmus lint {file}, correct the document and start the flow again.',
  },
  FOLDER_EMPTY: {
    side: 'flow',
    retry: 'after-change',
    means: 'No flow document is left in {folder}; there were {count}.',
    next: 'Look whether it is mounted and checked out, then reload again; isthmus flow reload --allow-empty stops its flows.',
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
  /** Looks for the flow documents; their absolute paths. */
  readonly files: () => readonly string[]
  /** Folders that lie above them: one that holds none any more is told, and not taken for a wish. */
  readonly folders?: readonly string[] | undefined
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
  const { declarations, stage, store } = options
  let known = options.files()

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
    { readonly print: string; readonly at: number; readonly result: Promise<LoadResult> }
  >()

  function lintedFile(file: string): Promise<LoadResult> {
    const print = fingerprintOf(file)
    const known = linted.get(file)
    const at = performance.now()
    if (known?.print === print && at - known.at < lintedForMs) return known.result
    const result = loadFile(file)
    linted.set(file, { print, at, result })
    // A failure is told to who asked, and not kept.
    result.catch(() => linted.delete(file))
    return result
  }

  async function entryOf(file: string): Promise<ListedFile> {
    const result = await lintedFile(file)
    const name = 'flow' in result ? result.flow.name : (nameIn(readText(file)) ?? file)
    const problems = 'flow' in result ? [] : result.problems.filter(isError)
    return { entry: { name, file, problems, shouldRun: await shouldRun(name) }, result }
  }

  async function listFiles(files = known): Promise<readonly ListedFile[]> {
    const listed = await Promise.all(files.map(entryOf))
    return listed.map(({ entry, result }) => {
      const first = listed.find(other => other.entry.name === entry.name)?.entry
      if (!first || first === entry) return { entry, result }
      const taken = catalogErrors.NAME_TAKEN({ flow: entry.name, first: first.file, second: entry.file })
      const problem = { file: entry.file, line: 1, column: 1, message: taken.message }
      const name = `${entry.name} (${entry.file})`
      return { entry: { ...entry, name, problems: [problem, ...entry.problems] }, result, taken }
    })
  }

  async function shouldRun(name: string): Promise<boolean> {
    const state = await store.read(area, name)
    return state ? (state.value as { shouldRun: boolean }).shouldRun : true
  }

  const list = async () => (await listFiles()).map(({ entry }) => entry)

  return {
    list,

    async load(name): Promise<LoadedFlow> {
      const listed = (await listFiles()).find(({ entry }) => entry.name === name)
      if (!listed) throw apiErrors.FLOW_UNKNOWN({ flow: name })
      return flowOf({ ...listed, result: await loadFile(listed.entry.file) })
    },

    async loadAll({ isDryRun = false, allowsEmpty = false } = {}): Promise<readonly LoadingEntry[]> {
      const files = options.files()
      const emptied = allowsEmpty ? undefined : findEmptied(options.folders ?? [], known, files)
      if (emptied) throw catalogErrors.FOLDER_EMPTY(emptied)
      linted.clear()
      const listed = await listFiles(files)
      if (!isDryRun) known = files
      return listed.map(each => ({ ...each.entry, flow: () => flowOf(each) }))
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

    shouldRun,

    async remember(name, shouldRun) {
      await store.write(area, name, { shouldRun })
    },
  }
}

/**
 * The first folder that held documents and holds none. A checkout that failed, a share that is not mounted: nobody takes
 * flows away like this. Of the folders below it (often one for each flow) only one that stands there bare is such.
 */
function findEmptied(
  folders: readonly string[],
  before: readonly string[],
  now: readonly string[],
): { readonly folder: string; readonly count: number } | undefined {
  const below = before.map(file => dirname(file)).filter(isBare)
  for (const folder of new Set([...folders, ...below])) {
    const isInside = (file: string) => file.startsWith(`${folder}${sep}`)
    const count = before.filter(isInside).length
    if (count > 0 && !now.some(isInside)) return { folder, count }
  }
  return undefined
}

function isBare(folder: string): boolean {
  try {
    return readdirSync(folder).length === 0
  } catch {
    // One that is gone was taken away with its flow.
    return false
  }
}

interface ListedFile {
  readonly entry: CatalogEntry
  readonly result: LoadResult
  /** Another document has its name. */
  readonly taken?: HubError
}

function flowOf({ entry: { name, file }, result, taken }: ListedFile): LoadedFlow {
  if (taken) throw taken
  if ('flow' in result) return result.flow
  const errors = result.problems.filter(isError)
  const [first] = errors
  const place = first ? `${first.file}:${first.line}:${first.column}` : file
  throw catalogErrors.DOES_NOT_LINT({ flow: name, count: errors.length, place, text: first?.message ?? '', file })
}

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
  return /(?:^|^[ \t]*\{\s*)["']?flow["']?:\s*["']?([A-Za-z0-9._-]+)/m.exec(text)?.[1]
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // That it is missing is a problem which the loader reports with its words.
    return ''
  }
}
