import { refusals } from './c4c-error.ts'
import type { EntityKind, Property } from './schema.ts'
import type { Row } from './store.ts'
import { literalAt, type Value } from './values.ts'

export interface Filter {
  matches(row: Row): boolean
  /** What every match has: values of properties, and the time since which it was changed. */
  readonly equal: readonly { readonly name: string; readonly value: Value }[]
  readonly since: number | undefined
  /** True where the query asks by EntityLastChangedOn: what is not yet visible there is not told. */
  readonly asksForChanges: boolean
}

type Test = (row: Row) => boolean

interface Comparison {
  readonly name: string
  readonly operator: string
  readonly wanted: Value
  readonly test: Test
}

/**
 * $filter as the service knows it: comparisons with `eq ge le gt lt`, `startswith`, `endswith`, `*` in the text of an
 * `eq`, joined by `and`; `or` only between comparisons of one property. Anything else is refused.
 */
export function readFilter(text: string, kind: EntityKind): Filter {
  const reader = new FilterReader(text, kind)
  const matches = reader.whole()
  const { equal, since, names } = reader
  return { matches, equal, since, asksForChanges: names.has('EntityLastChangedOn') }
}

class FilterReader {
  readonly names = new Set<string>()
  readonly equal: { readonly name: string; readonly value: Value }[] = []
  since: number | undefined
  #rest: string
  readonly #kind: EntityKind

  constructor(text: string, kind: EntityKind) {
    this.#rest = text.trim()
    this.#kind = kind
  }

  whole(): Test {
    const tests = [this.#group()]
    while (this.#take(/^\s+and\s+/)) tests.push(this.#group())
    if (this.#rest.trim() !== '') throw refusals.malformed(`$filter goes on with "${this.#rest.slice(0, 40)}"`)
    return row => tests.every(test => test(row))
  }

  /** Comparisons of one property joined by `or`, with or without brackets. */
  #group(): Test {
    const hasBracket = this.#take(/^\(\s*/)
    const first = this.#comparison()
    const tests = [first.test]
    let isAlone = true
    while (this.#take(/^\s+or\s+/)) {
      const next = this.#comparison()
      if (next.name !== first.name) throw refusals.malformed('OR is supported on the same property only')
      tests.push(next.test)
      isAlone = false
    }
    if (isAlone) this.#noteNeeded(first)
    if (hasBracket && !this.#take(/^\s*\)/)) throw refusals.malformed('a bracket of $filter is not closed')
    return row => tests.some(test => test(row))
  }

  #noteNeeded({ name, operator, wanted }: Comparison): void {
    if (operator === 'eq') this.equal.push({ name, value: wanted })
    else if (name === 'EntityLastChangedOn' && (operator === 'ge' || operator === 'gt')) {
      this.since = Math.max(this.since ?? Number.NEGATIVE_INFINITY, Date.parse(String(wanted)))
    }
  }

  #comparison(): Comparison {
    const ends = this.#take(/^(startswith|endswith)\(\s*(\w+)\s*,\s*/)
    if (ends) {
      const property = this.#property(ends[2] ?? '')
      const wanted = String(this.#literal(property))
      if (!this.#take(/^\s*\)/)) throw refusals.malformed('a bracket of $filter is not closed')
      this.#take(/^\s+eq\s+true/)
      const isStart = ends[1] === 'startswith'
      const { name } = property
      return { name, operator: 'like', wanted, test: row => has(String(row.values[name] ?? ''), wanted, isStart) }
    }
    const [, name = '', operator = ''] = this.#take(/^(\w+)\s+(eq|ge|le|gt|lt)\s+/) ?? []
    if (name === '') throw refusals.malformed(`$filter is not understood at "${this.#rest.slice(0, 40)}"`)
    const property = this.#property(name)
    const wanted = this.#literal(property)
    if (operator === 'eq' && property.kind === 'text' && String(wanted).includes('*')) {
      const pattern = new RegExp(`^${String(wanted).split('*').map(asPattern).join('.*')}$`, 's')
      return { name, operator: 'like', wanted, test: row => pattern.test(String(row.values[name] ?? '')) }
    }
    return {
      name,
      operator,
      wanted,
      test: row => compares(order(property, row.values[name] ?? null, wanted), operator),
    }
  }

  #property(name: string): Property {
    const property = this.#kind.properties.find(each => each.name === name)
    if (!property) throw refusals.noProperty(name, this.#kind.name)
    if (!property.isFilterable) throw refusals.notFilterable(name)
    this.names.add(name)
    return property
  }

  #literal(property: Property): Value {
    const { value, letters } = literalAt(property, this.#rest)
    this.#rest = this.#rest.slice(letters)
    return value
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    const match = pattern.exec(this.#rest)
    if (!match) return undefined
    this.#rest = this.#rest.slice(match[0].length)
    return match
  }
}

function order({ kind }: Property, one: Value, other: Value): number {
  if (one === null || other === null) return one === other ? 0 : Number.NaN
  if (kind === 'moment') return Date.parse(String(one)) - Date.parse(String(other))
  if (kind === 'decimal') return Number(one) - Number(other)
  return one === other ? 0 : String(one) < String(other) ? -1 : 1
}

function compares(difference: number, operator: string): boolean {
  if (Number.isNaN(difference)) return false
  if (operator === 'eq') return difference === 0
  if (operator === 'ge') return difference >= 0
  if (operator === 'le') return difference <= 0
  return operator === 'gt' ? difference > 0 : difference < 0
}

function has(value: string, wanted: string, isStart: boolean): boolean {
  return isStart ? value.startsWith(wanted) : value.endsWith(wanted)
}

function asPattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
