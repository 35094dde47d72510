import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { readAttributeNames } from './attribute-names.ts'
import { compileExpression } from './compile-expression.ts'
import { listNames, nearestName } from './did-you-mean.ts'
import type { DeliveryPolicy, Expectations, LoadedFlow, ReceiverNode } from './document.ts'
import { withDeclaredNames } from './expression-schema.ts'
import { doubts, lintSteps, unfilled } from './flow-lint.ts'
import { wordIssues } from './issue-words.ts'
import { placeNodes } from './node-places.ts'
import { parseOptions } from './one-key.ts'
import { findReferences, readDeclarations, resolveParams, substitute } from './params.ts'
import { isPlainObject } from './plain-object.ts'
import type { Problem } from './problem.ts'
import { revisionOf } from './revision.ts'
import { type Declarations, type FlowDocument, flowSchema } from './schema.ts'
import { type Path, YamlSource } from './yaml-source.ts'

export interface LoadRequest extends Declarations {
  readonly file: string
  /** The document itself, where it is not (yet) what stands in the file. */
  readonly text?: string
  /** Values come from `params/<stage>.yaml` beside the document, and from `globals/<stage>.yaml` for all documents there. */
  readonly stage: string
  /** Values that win over the stage's; for tests and trials. */
  readonly params?: Readonly<Record<string, unknown>>
}

export type LoadResult =
  | { readonly flow: LoadedFlow; readonly warnings: readonly Problem[] }
  | { readonly problems: readonly Problem[] }

/** The longest default time that a probe may take. */
const probeWithinMs = 10 * 60_000

/**
 * Reads, checks and fills in a flow document. Either the flow with warnings, or all problems found (warnings among
 * them), each with its place in the document or in the parameter file. Never throws for what stands in the files.
 */
export async function loadFlow(request: LoadRequest): Promise<LoadResult> {
  const file = path.resolve(request.file)
  const folder = path.dirname(file)
  const text = request.text ?? (await readText(file))
  if (text === undefined) {
    return { problems: [unreadable(file, 'The flow document is not there, or cannot be read.')] }
  }
  const stageFile = path.join(folder, 'params', `${request.stage}.yaml`)
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(request.stage)) {
    return { problems: [unreadable(stageFile, `"${request.stage}" cannot be the name of a stage.`)] }
  }
  const sharedFile = path.join(folder, 'globals', `${request.stage}.yaml`)
  const [stageText, sharedText] = await Promise.all([readText(stageFile), readText(sharedFile)])

  const references: Reference[] = []
  const plain = new YamlSource(file, text, (value, at) => {
    if (at[0] !== 'params') references.push(...findReferences(value).map(found => ({ ...found, at })))
    return undefined
  })
  const stageSource = stageText === undefined ? undefined : new YamlSource(stageFile, stageText)
  const sharedSource = sharedText === undefined ? undefined : new YamlSource(sharedFile, sharedText)
  const unparsed = [...plain.problems, ...(stageSource?.problems ?? []), ...(sharedSource?.problems ?? [])]
  if (unparsed.length > 0) return { problems: unparsed }
  if (!isPlainObject(plain.value)) {
    const next = 'A flow document has the keys flow, from, steps and to.'
    return { problems: [plain.atValue([], 'FLOW_YAML', 'The document is empty, or not a group of keys.', next)] }
  }

  const declared = readDeclarations(plain.value)
  const stage = {
    name: request.stage,
    own: { file: stageFile, source: stageSource },
    all: { file: sharedFile, source: sharedSource },
  }
  const resolved = resolveParams(declared, plain, stage, request.params)
  const used = new Set<string>()
  const source = new YamlSource(file, text, (value, at) =>
    at[0] === 'params' ? undefined : substitute(value, resolved.values, name => used.add(name)),
  )
  // A parameter whose declaration is wrong is a known name all the same; one mistake is told once.
  const written = plain.value['params']
  const names = isPlainObject(written) ? Object.keys(written) : []
  const unknown = unknownParams(references, plain, names)
  const schema = flowSchema(request)
  const attributes = readAttributeNames(plain.value, request)
  const parsed = withDeclaredNames({ params: names, attributes }, () => schema.safeParse(source.value, parseOptions))
  const problems = [...resolved.problems, ...unknown]
  if (!parsed.success) {
    // A parameter without a value leaves its reference standing; that the reference fits nowhere is no second mistake.
    const words = wordIssues(parsed.error.issues, source, schema)
    const standing = references
      .filter(({ name }) => !Object.hasOwn(resolved.values, name))
      .map(({ at }) => placeOf(plain.atValue(at, 'FLOW_VALUE', '')))
    const isSecond = (word: Problem) => word.code === 'FLOW_VALUE' && standing.includes(placeOf(word))
    return { problems: sortProblems([...problems, ...words.filter(word => !isSecond(word))]) }
  }
  const document = parsed.data
  placeNodes(document)
  const lint = await lintSteps(document, source, folder)
  for (const name of expressionParams(text)) used.add(name)
  const warnings = doubts(
    document,
    source,
    [...declared.keys()].filter(name => !used.has(name)),
  )
  const all = sortProblems([...problems, ...lint, ...warnings, ...unfilled(document, source)])
  if (all.some(problem => problem.severity === 'error')) return { problems: all }
  const revision = await revisionOf(document, folder, [text, JSON.stringify(resolved.values)])
  const origin = { stage: request.stage, params: resolved.values, file, folder, revision }
  return { flow: toFlow(document, origin), warnings: all }
}

function toFlow(
  document: FlowDocument,
  origin: Pick<LoadedFlow, 'stage' | 'params' | 'file' | 'folder' | 'revision'>,
): LoadedFlow {
  return {
    ...origin,
    name: document.flow,
    about: document.about,
    owner: document.owner,
    from: document.from as LoadedFlow['from'],
    steps: document.steps,
    to: receiversOf(document),
    delivery: deliveryOf(document),
    answer: document.answer && { to: document.answer.to, on: document.answer.on, afterMs: document.answer.after },
    keep: { deliveredMs: document.keep.delivered, setAsideMs: document.keep['set-aside'] },
    expect: expectationsOf(document),
    alert: typeof document.alert === 'string' ? [document.alert] : document.alert,
  }
}

function receiversOf(document: FlowDocument): readonly ReceiverNode[] {
  if (document.to === undefined) return []
  return Array.isArray(document.to) ? document.to : [document.to]
}

function deliveryOf({ delivery, from }: FlowDocument): DeliveryPolicy {
  const { retry } = delivery
  const unsaid = (from as LoadedFlow['from']).declaration.delivery
  const orderBy = delivery['order-by'] ?? unsaid?.['order-by']
  const onlyNewer = delivery['only-newer'] ?? unsaid?.['only-newer']
  return {
    onceBy: delivery['once-by'],
    orderBy: typeof orderBy === 'string' ? compileExpression(orderBy) : orderBy,
    onlyNewer: typeof onlyNewer === 'string' ? compileExpression(onlyNewer) : onlyNewer,
    whenSetAside: delivery['when-set-aside'],
    retry: { everyMs: retry.every, upToMs: retry['up-to'], forMs: retry.for },
    parallel: delivery.parallel,
  }
}

function expectationsOf({ expect }: FlowDocument): Expectations {
  const { quiet, probe } = expect
  if (probe === undefined) return { quietMs: quiet, probe: undefined }
  const everyMs = typeof probe === 'number' ? probe : probe.every
  const within = typeof probe === 'number' ? undefined : probe.within
  return { quietMs: quiet, probe: { everyMs, withinMs: within ?? Math.min(everyMs, probeWithinMs) } }
}

interface Reference {
  readonly at: Path
  readonly name: string
  readonly offset: number
  readonly length: number
}

function unknownParams(
  references: readonly Reference[],
  source: YamlSource,
  declared: readonly string[],
): readonly Problem[] {
  return references
    .filter(({ name }) => !declared.includes(name))
    .map(({ at, name, offset, length }) => {
      const near = nearestName(name, declared)
      const next = near ? `Did you mean ${near}?` : `Declare it under params; declared are ${listNames(declared)}.`
      return source.inText(at, { offset, length }, 'FLOW_PARAM', `The flow declares no parameter "${name}".`, next)
    })
}

function placeOf({ line, column }: Problem): string {
  return `${line}:${column}`
}

/** Parameters that expressions name without the ${…}. */
function expressionParams(text: string): readonly string[] {
  return [...text.matchAll(/\bparams\.([A-Za-z0-9_]+)/g)].map(match => match[1] ?? '')
}

function sortProblems(problems: readonly Problem[]): readonly Problem[] {
  return problems.toSorted((a, b) => a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column)
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch {
    // Whether it is missing or may not be read is one and the same to the person who must put it there.
    return undefined
  }
}

function unreadable(file: string, message: string): Problem {
  const next = 'Look at the path and the rights of the file.'
  return { file, line: 1, column: 1, code: 'FLOW_FILE', message, next, severity: 'error' }
}
