import { createOnlyKey, type Mapping, unlinkedKey } from './mapping.ts'
import { describe, type Rule, type TraceStep } from './rule.ts'
import { belowPath } from './rules.ts'
import { fieldPaths, type SourceNode } from './source.ts'
import type { TargetField, TargetTable } from './target.ts'

export interface FieldDescription {
  readonly field: string
  /** What the target takes: `text 100`, `decimal, 2 digits`. */
  readonly takes: string
  readonly sources: readonly string[]
  /** What happens to the value, in words. */
  readonly rule: string
}

/** The table of a mapping: for every target field where its value comes from and what happens to it; of lists too. */
export function describeMapping({ target, rules }: Mapping): readonly FieldDescription[] {
  return describeTable(target, rules, '', source => source)
}

const unmappedWords = 'not mapped'

function describeTable(
  target: TargetTable,
  rules: Mapping['rules'],
  above: string,
  fromTop: (source: string) => string,
): readonly FieldDescription[] {
  return Object.entries(target).flatMap(([name, field]) => {
    const rule = rules.get(name)
    const own: FieldDescription = {
      field: `${above}${name}`,
      takes: takesOf(field),
      sources: rule ? sourcesOf([rule], fromTop) : [],
      rule: rule ? describe(rule) : unmappedWords,
    }
    if (field.kind !== 'list' || !rule?.rows) return [own]
    const { path, rules: inside } = rule.rows
    return [own, ...describeTable(field.of, inside, `${own.field}[].`, source => fromTop(belowPath(path, source)))]
  })
}

/** Paths from the top of the document; a leading slash says only that a rule of a list reads it there. */
function sourcesOf(
  rules: readonly Rule<unknown>[],
  fromTop: (source: string) => string = source => source,
): readonly string[] {
  return [...new Set(rules.flatMap(rule => rule.sources).map(source => fromTop(source).replace(/^\//, '')))]
}

export interface Coverage {
  /** Fields of the documents that the mapping reads. */
  readonly used: readonly string[]
  /** Fields of the documents that no rule reads, with the number of documents that have them. */
  readonly unused: readonly { readonly path: string; readonly documents: number }[]
  /** Sources of rules that no document has: a wrong name, or data that was not there. */
  readonly absent: readonly string[]
  /** Target fields without a rule. */
  readonly unmapped: readonly string[]
}

/** What a mapping makes of real documents: which of their fields it reads, and which it never sees. */
export function coverageOf(mapping: Mapping, documents: readonly SourceNode[]): Coverage {
  const sources = new Set(sourcesOf([...mapping.rules.values()]))
  const counts = new Map<string, number>()
  for (const document of documents) {
    for (const path of fieldPaths(document)) counts.set(path, (counts.get(path) ?? 0) + 1)
  }
  return {
    used: [...counts.keys()].filter(path => sources.has(path)),
    unused: [...counts]
      .filter(([path]) => !sources.has(path))
      .map(([path, documentCount]) => ({ path, documents: documentCount })),
    absent: [...sources].filter(path => !counts.has(path)),
    unmapped: describeMapping(mapping)
      .filter(({ rule }) => rule === unmappedWords)
      .map(({ field }) => field),
  }
}

/** Why a target field got its value: every step, from the document to the target. Undefined: the mapping has no such field. */
export function whyOf(
  mapping: Mapping,
  document: SourceNode,
  field: string,
  settings: Readonly<Record<string, string>> = {},
): { readonly steps: readonly TraceStep[]; readonly fault: string | undefined } | undefined {
  if (!mapping.rules.has(field)) return undefined
  const steps: TraceStep[] = []
  const trace = (_: string, step: TraceStep) => void steps.push(step)
  try {
    mapping.run(document, { settings, trace, only: field })
    return { steps, fault: undefined }
  } catch (thrown) {
    if (!(thrown instanceof Error)) throw thrown
    return { steps, fault: thrown.message }
  }
}

/** The target as JSON Schema (2020-12): what the mapping gives. */
export function jsonSchemaOf(mapping: Mapping): object {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: mapping.name,
    ...recordSchema(mapping.target, mapping.rules),
  }
}

/** A record with the fields that have a rule; those for new records alone stand under a key of their own. */
function recordSchema(target: TargetTable, rules: Mapping['rules']): object {
  const groups: Record<'values' | typeof createOnlyKey | typeof unlinkedKey, Record<string, object>> = {
    values: {},
    [createOnlyKey]: {},
    [unlinkedKey]: {},
  }
  for (const [name, rule] of rules) {
    const field = target[name]
    if (!field) continue
    const group = groups[rule.isForUnlinked ? unlinkedKey : rule.isCreateOnly ? createOnlyKey : 'values']
    group[field.kind === 'lookup' ? `${name}@odata.bind` : name] = schemaOf(field, rule)
  }
  const { values, ...others } = groups
  const below = Object.entries(others)
    .filter(([, properties]) => Object.keys(properties).length > 0)
    .map(([key, properties]) => [key, { type: 'object', properties, additionalProperties: false }])
  return { type: 'object', properties: { ...values, ...Object.fromEntries(below) }, additionalProperties: false }
}

function schemaOf(target: TargetField<unknown>, { rows }: Rule<unknown>): object {
  switch (target.kind) {
    case 'text':
      return { type: ['string', 'null'], maxLength: target.lengthMax }
    case 'integer':
      return { type: ['integer', 'null'], minimum: target.min, maximum: target.max }
    case 'decimal':
      return { type: ['number', 'null'], minimum: target.min, maximum: target.max }
    case 'boolean':
      return { type: ['boolean', 'null'] }
    case 'date':
    case 'time':
    case 'date-time':
      return { type: ['string', 'null'], format: target.kind }
    case 'choice':
      return { enum: [...Object.values(target.options), null] }
    case 'lookup':
      return { type: ['string', 'null'] }
    case 'list':
      return { type: 'array', items: recordSchema(target.of, rows?.rules ?? new Map()) }
  }
}

function takesOf(target: TargetField<unknown>): string {
  switch (target.kind) {
    case 'text':
      return `text ${target.lengthMax}`
    case 'integer':
      return `integer ${target.min} to ${target.max}`
    case 'decimal':
      return `decimal, ${target.scale} digits, ${target.min} to ${target.max}`
    case 'choice':
      return `one of ${Object.entries(target.options)
        .map(([name, value]) => `${value} ${name}`)
        .join(', ')}`
    case 'lookup':
      return `row of ${target.set} by ${target.key}`
    case 'list':
      return 'list of records'
    case 'boolean':
    case 'date':
    case 'time':
    case 'date-time':
      return target.kind
  }
}
