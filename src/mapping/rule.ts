import { RuleFault } from './errors.ts'
import { type Decimal, formatDecimal } from './exact-decimal.ts'
import type { SourceNode } from './source.ts'

/** What a rule reads from. */
export interface RuleScope {
  /** The node that paths begin at: the document, or one node of a list. */
  readonly node: SourceNode
  /** The whole document, where `node` is one node of a list in it. */
  readonly document?: SourceNode
  /** Values of the flow document (`with:`), by name. */
  readonly settings: Readonly<Record<string, string>>
  /** In an IDoc a field that is `/` alone says "no data, leave as it is" (ALE). */
  readonly hasNoDataMark: boolean
  /** A field that is not there is empty where its node is. */
  readonly isAbsentEmpty: boolean
  /** Hears that a field had this mark. */
  readonly onNoData?: () => void
  /** Hears what each rule read and made, when somebody asks why a field got its value. */
  readonly trace: ((step: TraceStep) => void) | undefined
  readonly warn: (text: string) => void
}

export interface TraceStep {
  /** What was done: `E1MARAM/NTGEW`, `decimal`, `to KGM`. */
  readonly what: string
  readonly value: string
}

/**
 * What a rule gives: a value, null (the target field is emptied), or undefined (it is left as it is and not sent).
 */
export type Outcome<T> = T | null | undefined

/** How a target field gets its value. Made by `field`, `constant`, `pick` and the like, never by hand. */
export class Rule<T> {
  /** Paths that are read, for documentation, coverage and lineage. */
  readonly sources: readonly string[]
  /** What happens to the value, in words, one for each step. */
  readonly words: readonly string[]
  readonly read: (scope: RuleScope) => Outcome<T>
  /** Only sent when a record is created. */
  readonly isCreateOnly: boolean
  /** Only sent when a record is created without the references of its `onCreate` fields. */
  readonly isForUnlinked: boolean
  readonly isRequired: boolean
  /** Of a rule that makes a list of records: the rules of each of them, whose paths begin at the nodes of `path`. */
  readonly rows: RuleRows | undefined

  constructor(parts: RuleParts<T>) {
    this.sources = parts.sources
    this.words = parts.words
    this.read = parts.read
    this.isCreateOnly = parts.isCreateOnly ?? false
    this.isForUnlinked = parts.isForUnlinked ?? false
    this.isRequired = parts.isRequired ?? false
    this.rows = parts.rows
  }

  /** A step of your own, with the words that documentation and trace show. A RuleFault says that a value is wrong. */
  to<U>(words: string, change: (value: T, scope: RuleScope) => Outcome<U>): Rule<U> {
    return new Rule(extend(this, words, change))
  }

  /** Sent when a record is created, never when it is updated. */
  onCreate(): Rule<T> {
    return new Rule({ ...partsOf(this, 'only on create'), isCreateOnly: true })
  }

  /**
   * Sent when a record is created and one that its `onCreate` fields refer to is not there: it is made without these
   * references, and with this (an invoice line whose product has not come yet is written in by its text).
   */
  unlinked(): Rule<T> {
    return new Rule({ ...partsOf(this, 'only on create without references'), isForUnlinked: true })
  }

  /** Without a value the message is refused. */
  required(): Rule<T> {
    return new Rule({ ...partsOf(this, 'required'), isRequired: true })
  }

  /** The value of another rule where this one gives none or an empty one. */
  or<U>(other: Rule<U>): Rule<T | U> {
    const { read, isCreateOnly, isForUnlinked, isRequired } = this
    return new Rule<T | U>({
      sources: [...this.sources, ...other.sources],
      words: [...this.words, `else ${describe(other)}`],
      isCreateOnly,
      isForUnlinked,
      isRequired,
      read(scope): Outcome<T | U> {
        const own = read(scope)
        if (!isEmpty(own)) return own
        const theirs = other.read(scope)
        return theirs === undefined ? own : theirs
      },
    })
  }

  /** Nothing is sent unless the condition holds, and only then is a required value missed. */
  when(condition: Rule<boolean>): Rule<T> {
    return new Rule({
      ...partsOf(this, `when ${describe(condition)}`),
      sources: [...this.sources, ...condition.sources],
      isRequired: false,
      read: scope => {
        if (condition.read(scope) !== true) return undefined
        const value = this.read(scope)
        return this.isRequired && isEmpty(value) ? refuse(requiredWords) : value
      },
    })
  }
}

function partsOf<T>(rule: Rule<T>, words: string): RuleParts<T> {
  const { sources, read, isCreateOnly, isForUnlinked, isRequired, rows } = rule
  const flags = { isCreateOnly, isForUnlinked, isRequired, ...(rows && { rows }) }
  return { sources, words: [...rule.words, words], read, ...flags }
}

/** A record of a list before its fields are read: the mapping reads them, so that a fault names the very field. */
export class EachRecord<T> {
  /** Table of the record. */
  readonly of: T
  readonly scope: RuleScope
  readonly rules: ReadonlyMap<string, Rule<unknown>>

  constructor(of: T, scope: RuleScope, rules: ReadonlyMap<string, Rule<unknown>>) {
    this.of = of
    this.scope = scope
    this.rules = rules
  }
}

export interface RuleParts<T> {
  readonly sources: readonly string[]
  readonly words: readonly string[]
  readonly read: (scope: RuleScope) => Outcome<T>
  readonly isCreateOnly?: boolean
  readonly isForUnlinked?: boolean
  readonly isRequired?: boolean
  readonly rows?: RuleRows
}

export interface RuleRows {
  readonly path: string
  readonly rules: ReadonlyMap<string, Rule<unknown>>
}

/** The parts of a rule with one step more. An absent or emptied value stays what it is. */
export function extend<T, U>(
  rule: Rule<T>,
  words: string,
  change: (value: T, scope: RuleScope) => Outcome<U>,
): RuleParts<U> {
  return {
    sources: rule.sources,
    words: [...rule.words, words],
    isCreateOnly: rule.isCreateOnly,
    isForUnlinked: rule.isForUnlinked,
    isRequired: rule.isRequired,
    read(scope): Outcome<U> {
      const value = rule.read(scope)
      if (value === null) return null
      if (value === undefined) return undefined
      const changed = change(value, scope)
      scope.trace?.({ what: words, value: show(changed) })
      return changed
    },
  }
}

export function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}

export function describe(rule: Rule<unknown>): string {
  return rule.words.join(', ')
}

export function show(value: unknown): string {
  if (value === undefined) return '(left out)'
  if (isDecimal(value)) return formatDecimal(value)
  return JSON.stringify(value)
}

export function isDecimal(value: unknown): value is Decimal {
  return typeof value === 'object' && value !== null && 'digits' in value && typeof value.digits === 'bigint'
}

/** What is said of a required value that is not there. */
export const requiredWords = 'there is no value, and the target needs one'

/** Refuses a value: throws. */
export function refuse(text: string): never {
  throw new RuleFault(text)
}
