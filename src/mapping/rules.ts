import { describe, EachRecord, isEmpty, type Outcome, Rule, type RuleScope, refuse } from './rule.ts'
import { fieldAt, nodesAt, type SourceNode, type SourcePath, splitPath } from './source.ts'
import type { TargetTable, ValueOf } from './target.ts'
import { TextRule } from './text-rule.ts'

/** The rules for the fields of a target table; each gives what its field takes. */
export type RulesFor<T extends TargetTable> = { readonly [Name in keyof T]?: Rule<ValueOf<T[Name]>> }

/** A field of the document: `field('E1MARAM/MATNR')`. The first one where nodes repeat. */
export function field(path: SourcePath): TextRule {
  const { names, field: name } = splitPath(path)
  return new TextRule({
    sources: [path],
    words: [path],
    read: scope => readField(scope, scope.node, names, name, path),
  })
}

/** A field of the whole document, for rules inside `each`, whose paths begin at their node. */
export function documentField(path: SourcePath): TextRule {
  const { names, field: name } = splitPath(path)
  return new TextRule({
    sources: [`/${path}`],
    words: [path],
    read: scope => readField(scope, scope.document ?? scope.node, names, name, path),
  })
}

/**
 * One node of several: the first for which the field has one of the values, or each of several fields has its value (an empty
 * one: it has none), else the first of all (or none, or the first only where a rule says so). A value may be a rule, for
 * example a setting of the flow. An IDoc out of change pointers has only the nodes that changed: the one that is wanted may be
 * missing because it stays as it is.
 */
export function pick(
  path: SourcePath,
  choice: {
    readonly where: readonly [field: string, ...values: Wanted[]] | Readonly<Record<string, Wanted>>
    readonly else?: 'first' | 'none' | Rule<boolean>
  },
): { field(name: string): TextRule } {
  const names = path.split('/')
  const alternatives = alternativesOf(choice.where)
  const wantedWords = alternatives
    .map(all => all.map(([name, wanted]) => `${name} is ${wordsOf(wanted)}`).join(' and '))
    .join(' or ')
  const { else: otherwise = 'first' } = choice
  const condition = typeof otherwise === 'string' ? undefined : otherwise
  const isFirstRight = (scope: RuleScope) => (condition ? condition.read(scope) === true : otherwise === 'first')
  const last = condition
    ? `, else the first when ${describe(condition)}`
    : otherwise === 'none'
      ? ''
      : ', else the first'
  const looked = new Set(alternatives.flat().map(([name]) => `${path}/${name}`))
  return {
    field(name) {
      return new TextRule({
        sources: [`${path}/${name}`, ...looked, ...(condition?.sources ?? [])],
        words: [`${path}/${name} where ${wantedWords}${last}`],
        read(scope) {
          const nodes = nodesAt(scope.node, names)
          const wanted = alternatives
            .map(all => all.map(([at, value]) => [at, typeof value === 'string' ? value : value.read(scope)] as const))
            .map(all => nodes.find(node => all.every(([at, value]) => (node.fields.get(at) ?? '') === value)))
            .find(node => node !== undefined)
          const node = wanted ?? (isFirstRight(scope) ? nodes[0] : undefined)
          return node && readField(scope, node, [], name, `${path}/${name}`)
        },
      })
    },
  }
}

type Wanted = string | Rule<string>

function alternativesOf(
  where: readonly [field: string, ...values: Wanted[]] | Readonly<Record<string, Wanted>>,
): readonly (readonly (readonly [field: string, wanted: Wanted])[])[] {
  if (!isTuple(where)) return [Object.entries(where)]
  const [name, ...values] = where
  return values.map(value => [[name, value]])
}

function isTuple(where: object): where is readonly [field: string, ...values: Wanted[]] {
  return Array.isArray(where)
}

function wordsOf(wanted: Wanted): string {
  if (typeof wanted !== 'string') return describe(wanted)
  return wanted === '' ? 'empty' : wanted
}

/**
 * A record for each node at the path, or for each for which a condition holds; paths inside begin at that node. The path `.`
 * is the node that the others begin at: a list of one record.
 */
export function each<T extends TargetTable>(
  path: SourcePath,
  of: T,
  rules: RulesFor<NoInfer<T>>,
  { only }: { readonly only?: Rule<boolean> } = {},
): Rule<readonly EachRecord<T>[]> {
  const names = path === '.' ? [] : path.split('/')
  const own = new Map(Object.entries(rules) as [string, Rule<unknown>][])
  const read = [...[...own.values()].flatMap(rule => rule.sources), ...(only?.sources ?? [])]
  const nodes = path === '.' ? 'one record' : `each ${path}`
  return new Rule({
    sources: read.map(source => belowPath(path, source)),
    words: [only ? `${nodes}, when ${describe(only)}` : nodes],
    rows: { path, rules: own },
    read: scope =>
      nodesAt(scope.node, names)
        .map(node => ({ ...scope, node, document: scope.document ?? scope.node }))
        .filter(inside => !only || only.read(inside) === true)
        .map(inside => new EachRecord(of, inside, own)),
  })
}

/** A source of a rule in a list as the document has it; one with a leading slash is told from the top already. */
export function belowPath(path: string, source: string): string {
  return path === '.' || source.startsWith('/') ? source : `${path}/${source}`
}

export function constant<const V extends string | boolean>(value: V): Rule<V> {
  return new Rule({ sources: [], words: [`always ${JSON.stringify(value)}`], read: () => value })
}

/** A fixed number; for a choice field too. */
export function number<const V extends number>(value: V): Rule<V> {
  return new Rule({ sources: [], words: [`always ${value}`], read: () => value })
}

/** The first of several fields that has a value (`MATNR_LONG`, else `MATNR`). */
export function firstOf(...rules: readonly [Rule<string>, ...Rule<string>[]]): TextRule {
  return new TextRule({
    sources: rules.flatMap(rule => rule.sources),
    words: [rules.map(describe).join(', else ')],
    read(scope) {
      let last: Outcome<string>
      for (const rule of rules) {
        const value = rule.read(scope)
        if (!isEmpty(value)) return value
        last ??= value
      }
      return last
    },
  })
}

/** A value that the flow document gives under `with:`. */
export function setting(name: string): TextRule {
  return new TextRule({ sources: [], words: [`the setting ${name}`], read: scope => scope.settings[name] })
}

/**
 * Texts that are there, with something between: `join(' ', field('…/NAME1'), field('…/NAME2'))`. Where one of them is `/`
 * (no data) the whole is not known, and the target is left as it is. A part that is required is refused without a value.
 */
export function join(between: string, ...rules: readonly Rule<string>[]): TextRule {
  return new TextRule({
    sources: rules.flatMap(rule => rule.sources),
    words: [`${rules.map(describe).join(' + ')}, joined by ${JSON.stringify(between)}`],
    read(scope) {
      let isKnown = true
      const onNoData = () => {
        isKnown = false
        scope.onNoData?.()
      }
      const values = rules.map(rule => {
        const value = rule.read({ ...scope, onNoData })
        return rule.isRequired && isEmpty(value) ? refuse(`${describe(rule)} has no value`) : value
      })
      // Nothing said at all: leave the target as it is.
      if (!isKnown || values.every(value => value === undefined)) return undefined
      return values.filter(value => !isEmpty(value)).join(between)
    },
  })
}

/**
 * True where any of the fields has a value (several block flags that mean one thing). One that is `/` (no data) does not
 * count: a reduced message type never tells it, and a flag that waited for it would never go.
 */
export function anyOf(...rules: readonly Rule<string>[]): Rule<boolean> {
  return new Rule({
    sources: rules.flatMap(rule => rule.sources),
    words: [`any of ${rules.map(describe).join(', ')}`],
    read(scope) {
      const values = rules.map(rule => rule.read(scope))
      return values.every(value => value === undefined) ? undefined : values.some(value => !isEmpty(value))
    },
  })
}

/** A value made of several rules. Absent ones come as undefined. */
export function compute<const R extends readonly Rule<unknown>[], T>(
  rules: R,
  words: string,
  make: (...values: { [K in keyof R]: R[K] extends Rule<infer V> ? Outcome<V> : never }) => Outcome<T>,
): Rule<T> {
  return new Rule({
    sources: rules.flatMap(rule => rule.sources),
    words: [`${words} (${rules.map(describe).join('; ')})`],
    read: scope =>
      make(
        ...(rules.map(rule => rule.read(scope)) as { [K in keyof R]: R[K] extends Rule<infer V> ? Outcome<V> : never }),
      ),
  })
}

/** A segment of what is deleted (MSGFN 003) has its keys alone, and one that is sent along (018) has nothing new to tell. */
function tellsAll({ fields }: SourceNode): boolean {
  const does = fields.get('MSGFN')
  return does !== '003' && does !== '018'
}

function readField(
  scope: RuleScope,
  node: SourceNode,
  names: readonly string[],
  field: string,
  path: string,
): Outcome<string> {
  const value = fieldAt(node, names, field)
  if (value === undefined) {
    const isEmptied = scope.isAbsentEmpty && nodesAt(node, names).some(tellsAll)
    scope.trace?.({ what: path, value: isEmptied ? '(absent: empty)' : '(absent)' })
    return isEmptied ? '' : undefined
  }
  if (scope.hasNoDataMark && value === '/') {
    scope.onNoData?.()
    scope.trace?.({ what: path, value: '"/" (no data)' })
    return undefined
  }
  scope.trace?.({ what: path, value: JSON.stringify(value) })
  return value
}
