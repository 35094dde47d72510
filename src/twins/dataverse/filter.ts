import type { Json } from '../../kernel/json.ts'
import { readLiteral } from './address.ts'
import { refusals } from './dataverse-error.ts'

/** True for a record that matches. `column` gives a value by the name that a query uses. */
export type Matches = (column: (name: string) => Json) => boolean

const tokenPattern = /\s*(\(|\)|,|'(?:[^']|'')*'|[^\s(),']+)/y
const depthMax = 50

/** `$filter` as Dataverse takes it: comparisons, and, or, not, contains, startswith, endswith. Text compares without case. */
export function readFilter(text: string, requireColumn: (name: string) => void): Matches {
  const tokens = tokensOf(text)
  let at = 0
  let depth = 0
  const matches = readOr()
  if (at < tokens.length) throw unreadable(text)
  return matches

  function readOr(): Matches {
    depth += 1
    if (depth > depthMax) throw unreadable(text)
    let left = readAnd()
    while (take('or')) {
      const [first, second] = [left, readAnd()]
      left = row => first(row) || second(row)
    }
    depth -= 1
    return left
  }

  function readAnd(): Matches {
    let left = readOne()
    while (take('and')) {
      const [first, second] = [left, readOne()]
      left = row => first(row) && second(row)
    }
    return left
  }

  function readOne(): Matches {
    if (take('not')) {
      const inner = readOne()
      return row => !inner(row)
    }
    if (take('(')) {
      const inner = readOr()
      need(')')
      return inner
    }
    const name = next()
    if (/^(contains|startswith|endswith)$/.test(name)) return readFunction(name)
    const operator = next()
    const wanted = readLiteral(next())
    const compare = comparisons[operator]
    if (!compare || !/^\w+$/.test(name)) throw unreadable(text)
    requireColumn(name)
    return row => compare(folded(row(name)), folded(wanted))
  }

  function readFunction(name: string): Matches {
    need('(')
    const column = next()
    requireColumn(column)
    need(',')
    const wanted = String(folded(readLiteral(next())))
    need(')')
    return row => {
      const value = String(folded(row(column) ?? ''))
      if (name === 'contains') return value.includes(wanted)
      return name === 'startswith' ? value.startsWith(wanted) : value.endsWith(wanted)
    }
  }

  function take(token: string): boolean {
    if (tokens[at] !== token) return false
    at += 1
    return true
  }
  function next(): string {
    const token = tokens[at]
    if (token === undefined) throw unreadable(text)
    at += 1
    return token
  }
  function need(token: string): void {
    if (!take(token)) throw unreadable(text)
  }
}

const comparisons: Readonly<Record<string, (one: Json, other: Json) => boolean>> = {
  eq: (one, other) => one === other,
  ne: (one, other) => one !== other,
  gt: (one, other) => orderOf(one, other, order => order > 0),
  ge: (one, other) => orderOf(one, other, order => order >= 0),
  lt: (one, other) => orderOf(one, other, order => order < 0),
  le: (one, other) => orderOf(one, other, order => order <= 0),
}

/** Nothing is more or less than null, nor than a value of another kind. */
function orderOf(one: Json, other: Json, holds: (order: number) => boolean): boolean {
  if (typeof one === 'number' && typeof other === 'number') return holds(one - other)
  if (typeof one !== 'string' || typeof other !== 'string') return false
  return holds(one < other ? -1 : one > other ? 1 : 0)
}

function folded(value: Json): Json {
  return typeof value === 'string' ? value.toLowerCase() : value
}

function tokensOf(text: string): readonly string[] {
  const tokens: string[] = []
  tokenPattern.lastIndex = 0
  while (tokenPattern.lastIndex < text.trimEnd().length) {
    const match = tokenPattern.exec(text)
    if (!match?.[1]) throw unreadable(text)
    tokens.push(match[1])
  }
  return tokens
}

function unreadable(text: string) {
  return refusals.query(`Syntax error in the filter '${text.slice(0, 200)}'.`)
}
