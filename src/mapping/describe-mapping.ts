import type { Mapping } from './mapping.ts'
import { describe, type Rule, type TraceStep } from './rule.ts'
import { fieldPaths, type SourceNode } from './source.ts'
import type { TargetField } from './target.ts'

export interface FieldDescription {
  readonly field: string
  /** What the target takes: `text 100`, `decimal, 2 digits`. */
  readonly takes: string
  readonly sources: readonly string[]
  /** What happens to the value, in words. */
  readonly rule: string
}

/** The table of a mapping: for every target field where its value comes from and what happens to it. */
export function describeMapping(mapping: Mapping): readonly FieldDescription[] {
  return Object.entries(mapping.target).map(([field, target]) => {
    const rule = mapping.rules.get(field)
    return {
      field,
      takes: takesOf(target),
      sources: rule ? sourcesOf([rule]) : [],
      rule: rule ? describe(rule) : 'not mapped',
    }
  })
}

/** Paths from the top of the document; a leading slash says only that a rule of a list reads it there. */
function sourcesOf(rules: readonly Rule<unknown>[]): readonly string[] {
  return [...new Set(rules.flatMap(rule => rule.sources).map(source => source.replace(/^\//, '')))]
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
    unmapped: Object.keys(mapping.target).filter(name => !mapping.rules.has(name)),
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
    ...objectSchema(mapping.target),
  }
}

function objectSchema(target: Mapping['target']): object {
  const properties = Object.entries(target).map(([name, field]) =>
    field.kind === 'lookup' ? [`${name}@odata.bind`, schemaOf(field)] : [name, schemaOf(field)],
  )
  return { type: 'object', properties: Object.fromEntries(properties), additionalProperties: false }
}

function schemaOf(target: TargetField<unknown>): object {
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
      return { type: 'array', items: objectSchema(target.of) }
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
