import type { Json, JsonObject } from '../kernel/json.ts'
import { mappingErrors, RuleFault } from './errors.ts'
import { fitValue } from './fit.ts'
import { describe, EachRecord, type Rule, type RuleScope, requiredWords, show, type TraceStep } from './rule.ts'
import type { RulesFor } from './rules.ts'
import { nodesAt, type SourceKind, type SourceNode, type SourcePath } from './source.ts'
import type { TargetField, TargetTable } from './target.ts'

/** A mapping as its author writes it. */
export interface MappingSpec<T extends TargetTable> {
  /** Name in messages and documentation. */
  readonly name: string
  /**
   * How the body is read. In an `idoc`, a field that is `/` alone is left as it is in the target. A `document` is XML or
   * JSON, as callers choose.
   */
  readonly source: SourceKind
  /**
   * What a field says that is not there, though its record (segment) is. `nothing`: the target is left as it is. `empty`: it
   * is empty, and so is the target: SAP leaves fields with their initial value out of IDocs in XML, and optional ones out of
   * messages of proxies, so a block that was taken away is told by nothing else. Segments of what is deleted or unchanged
   * (MSGFN 003, 018) empty nothing. Default: nothing.
   */
  readonly absent?: 'nothing' | 'empty'
  /**
   * Path of the record (segment) that the document is about: one with several of them is refused. Rules read the first, and
   * without this the others are passed over.
   */
  readonly one?: SourcePath
  readonly target: T
  readonly fields: RulesFor<NoInfer<T>>
}

export interface Mapping {
  readonly name: string
  readonly source: SourceKind
  readonly target: TargetTable
  readonly rules: ReadonlyMap<string, Rule<unknown>>
  /** Throws MAPPING_FAILED that names every field that got no right value, and MAPPING_SEVERAL. */
  run(node: SourceNode, options?: MappingOptions): Mapped
}

export interface MappingOptions {
  readonly settings?: Readonly<Record<string, string>>
  /** Reads this one field. */
  readonly only?: string
  /** Hears every step of every field. */
  readonly trace?: (field: string, step: TraceStep) => void
}

export interface Mapped {
  /** The fields to send, in the order of the spec; a field that is left as it is does not occur. */
  readonly values: JsonObject
  /** Fields that only a new record takes. */
  readonly createOnly: JsonObject
  /** Fields that only a new record takes which is made without the references of `createOnly`. */
  readonly unlinked: JsonObject
  /** What was cut or otherwise changed with a warning. */
  readonly warnings: readonly string[]
}

/** Key under which a record below a record has the fields that only a new one takes. */
export const createOnlyKey = '@create'
/** The same for fields of a new record that is made without its references. */
export const unlinkedKey = '@unlinked'

/** Faults that one error names; a document that is wrong throughout would fill the log. */
const faultsMax = 5
const faultTextMax = 400
/** Of a long rule the beginning is named, so that the value and what is wrong with it are told in any case. */
const ruleTextMax = 160

/** Makes a mapping. The compiler refuses a name that the target does not have and a value that its field does not take. */
export function defineMapping<const T extends TargetTable>(spec: MappingSpec<T>): Mapping {
  const rules = new Map(
    Object.entries(spec.fields).filter((entry): entry is [string, Rule<unknown>] => entry[1] !== undefined),
  )
  return {
    name: spec.name,
    source: spec.source,
    target: spec.target,
    rules,
    run(node, options = {}) {
      const count = spec.one === undefined ? 0 : nodesAt(node, spec.one.split('/')).length
      if (count > 1) throw mappingErrors.SEVERAL({ mapping: spec.name, count, path: spec.one })
      const faults: string[] = []
      const warnings: string[] = []
      const values: Record<string, Json> = {}
      const createOnly: Record<string, Json> = {}
      const unlinked: Record<string, Json> = {}
      for (const [name, rule] of rules) {
        if (options.only !== undefined && options.only !== name) continue
        const scope: RuleScope = {
          node,
          settings: options.settings ?? {},
          hasNoDataMark: spec.source === 'idoc',
          isAbsentEmpty: spec.absent === 'empty',
          trace: options.trace && (step => options.trace?.(name, step)),
          warn: text => warnings.push(`${name}: ${text}`),
        }
        const target = spec.target[name]
        const into = rule.isForUnlinked ? unlinked : rule.isCreateOnly ? createOnly : values
        if (target) readInto(into, { name, place: name, rule, target, scope, faults })
      }
      if (faults.length > 0) {
        const more = faults.length > faultsMax ? `; and ${faults.length - faultsMax} more` : ''
        const text = `${faults.slice(0, faultsMax).join('; ')}${more}`
        throw mappingErrors.FAILED({ mapping: spec.name, count: faults.length, text })
      }
      return { values, createOnly, unlinked, warnings }
    },
  }
}

interface Read {
  readonly name: string
  /** Where the field stands in the result, `lines[2].quantity`. */
  readonly place: string
  readonly rule: Rule<unknown>
  readonly target: TargetField<unknown>
  readonly scope: RuleScope
  readonly faults: string[]
}

function readInto(into: Record<string, Json>, { name, place, rule, target, scope, faults }: Read): void {
  let value: unknown
  try {
    value = rule.read(scope)
    if (rule.isRequired && (value === undefined || value === null || value === '')) {
      throw new RuleFault(requiredWords)
    }
    if (value === undefined) return
    if (target.kind === 'list') {
      into[name] = readList(value, { place, target, faults })
      return
    }
    const fitted = fitValue(name, target, value)
    into[fitted.name] = fitted.value
  } catch (thrown) {
    if (!(thrown instanceof RuleFault)) throw thrown
    const words = describe(rule)
    const named = words.length > ruleTextMax ? `${words.slice(0, ruleTextMax)} …` : words
    // A value that is shown in part may end with half an emoji, and callers do not read JSON with half a character.
    faults.push(`${place} (${named}): ${thrown.message}`.slice(0, faultTextMax).toWellFormed())
    return
  }
  scope.trace?.({ what: `→ ${place}`, value: show(value) })
}

function readList(
  value: unknown,
  { place, target, faults }: { place: string; target: TargetField<unknown> & { kind: 'list' }; faults: string[] },
): JsonObject[] {
  if (!Array.isArray(value)) throw new RuleFault('the rule gives no list')
  return value.map((item, index) => {
    if (!(item instanceof EachRecord)) throw new RuleFault('the rule gives a list that is not made with each')
    const record: Record<string, Json> = {}
    const createOnly: Record<string, Json> = {}
    const unlinked: Record<string, Json> = {}
    for (const [name, rule] of item.rules) {
      const field = target.of[name]
      const into = rule.isForUnlinked ? unlinked : rule.isCreateOnly ? createOnly : record
      if (field)
        readInto(into, { name, place: `${place}[${index}].${name}`, rule, target: field, scope: item.scope, faults })
    }
    if (Object.keys(createOnly).length > 0) record[createOnlyKey] = createOnly
    if (Object.keys(unlinked).length > 0) record[unlinkedKey] = unlinked
    return record
  })
}
