import { refusals } from './sap-error.ts'
import { type EntityKind, kindNamed, navigationOf, typeName, type Version } from './schema.ts'
import type { Row } from './store.ts'
import { type Literal, literalAt, type Value, valueFor } from './values.ts'

export type Predicate = (row: Row) => boolean

/** Follows a navigation to one entity. */
export type Follow = (row: Row, navigation: string) => Row | undefined

/** Compiles $filter for one kind of entity: the grammar of its version, types checked as the gateway does. */
export function compileFilter(text: string, kind: EntityKind, version: Version, follow: Follow): Predicate {
  const parser = new FilterParser(text, kind, version, follow)
  return parser.whole()
}

interface Operand {
  readonly property:
    | {
        readonly name: string
        readonly kind: Literal['kinds'][number]
        readonly label: string
        readonly length?: number
        readonly scale?: number
      }
    | undefined
  readonly literal: Literal | undefined
  readonly isText: boolean
  get(row: Row): Value
}

const comparisons: Readonly<Record<string, (order: number) => boolean>> = {
  eq: order => order === 0,
  ne: order => order !== 0,
  gt: order => order > 0,
  ge: order => order >= 0,
  lt: order => order < 0,
  le: order => order <= 0,
}

const depthMax = 50

class FilterParser {
  #rest: string
  readonly #kind: EntityKind
  readonly #version: Version
  readonly #follow: Follow
  #depth = 0

  constructor(text: string, kind: EntityKind, version: Version, follow: Follow) {
    this.#rest = text
    this.#kind = kind
    this.#version = version
    this.#follow = follow
  }

  whole(): Predicate {
    const predicate = this.#or()
    this.#space()
    if (this.#rest !== '') throw refusals.malformed(`$filter goes on with "${this.#rest.slice(0, 40)}"`)
    return predicate
  }

  #or(): Predicate {
    let left = this.#and()
    while (this.#word('or')) {
      const [one, other] = [left, this.#and()]
      left = row => one(row) || other(row)
    }
    return left
  }

  #and(): Predicate {
    let left = this.#not()
    while (this.#word('and')) {
      const [one, other] = [left, this.#not()]
      left = row => one(row) && other(row)
    }
    return left
  }

  #not(): Predicate {
    this.#depth += 1
    if (this.#depth > depthMax) throw refusals.malformed('$filter is nested too deeply')
    try {
      if (this.#word('not')) {
        const inner = this.#not()
        return row => !inner(row)
      }
      if (this.#sign('(')) {
        const inner = this.#or()
        this.#expect(')')
        return inner
      }
      return this.#comparison()
    } finally {
      this.#depth -= 1
    }
  }

  #comparison(): Predicate {
    const boolean = this.#booleanFunction()
    if (boolean) {
      // `substringof('x',Name) eq true` is how many clients of V2 write it.
      const operator = ['eq', 'ne'].find(word => this.#word(word))
      if (!operator) return boolean
      const { literal } = this.#operand()
      if (!literal?.kinds.includes('flag')) throw refusals.malformed('a function is compared with true or false')
      const wanted = (literal.value === true) === (operator === 'eq')
      return row => boolean(row) === wanted
    }
    const left = this.#operand()
    if (this.#version === 'v4' && this.#word('in')) return this.#in(left)
    const operator = Object.keys(comparisons).find(word => this.#word(word))
    const holds = operator === undefined ? undefined : comparisons[operator]
    if (!holds) throw refusals.malformed(`an operator is missing before "${this.#rest.slice(0, 40)}"`)
    const right = this.#operand()
    const [one, other] = [reader(left, right), reader(right, left)]
    const kind = (left.property ?? right.property)?.kind
    return row => {
      const [a, b] = [one(row), other(row)]
      // A null is neither less nor greater than anything.
      if (a === null || b === null) return operator === 'eq' ? a === b : operator === 'ne' && a !== b
      return holds(order(kind, a, b))
    }
  }

  #in(left: Operand): Predicate {
    this.#expect('(')
    const values: Value[] = []
    do {
      const { literal } = this.#operand()
      if (!literal || !left.property) throw refusals.malformed('in takes a property and literals')
      values.push(valueFor(left.property, literal))
    } while (this.#sign(','))
    this.#expect(')')
    return row => values.includes(left.get(row))
  }

  #booleanFunction(): Predicate | undefined {
    const names =
      this.#version === 'v2' ? ['substringof', 'startswith', 'endswith'] : ['contains', 'startswith', 'endswith']
    const name = names.find(each => this.#rest.trimStart().startsWith(`${each}(`))
    if (name === undefined) return undefined
    this.#space()
    this.#rest = this.#rest.slice(name.length)
    this.#expect('(')
    const first = this.#operand()
    this.#expect(',')
    const second = this.#operand()
    this.#expect(')')
    for (const operand of [first, second]) {
      if (!operand.isText) throw refusals.wrongLiteral(operand.property?.name ?? name, operand.literal?.text ?? '')
    }
    const [whole, part] = name === 'substringof' ? [second, first] : [first, second]
    return row => {
      const [a, b] = [String(whole.get(row) ?? ''), String(part.get(row) ?? '')]
      return name === 'startswith' ? a.startsWith(b) : name === 'endswith' ? a.endsWith(b) : a.includes(b)
    }
  }

  #operand(): Operand {
    this.#space()
    const found = literalAt(this.#version, this.#rest)
    if (found) {
      this.#rest = this.#rest.slice(found.letters)
      const { literal } = found
      return { property: undefined, literal, isText: literal.kinds.includes('text'), get: () => literal.value }
    }
    const [name] = /^[A-Za-z_][\w/]*/.exec(this.#rest) ?? []
    if (name === undefined) throw refusals.malformed(`nothing is known at "${this.#rest.slice(0, 40)}"`)
    this.#rest = this.#rest.slice(name.length)
    if (this.#sign('(')) return this.#textFunction(name)
    const path = name.split('/')
    const last = path.pop() ?? ''
    let kind = this.#kind
    for (const step of path) {
      const navigation = navigationOf(kind, this.#version, step)
      if (!navigation || navigation.isMany) throw refusals.noSuchProperty(step, typeName(kind, this.#version))
      kind = kindNamed(navigation.to)
    }
    const property = kind.properties.find(each => each.name === last)
    if (!property) throw refusals.noSuchProperty(last, typeName(kind, this.#version))
    return {
      property,
      literal: undefined,
      isText: property.kind === 'text',
      get: row => {
        let at: Row | undefined = row
        for (const step of path) at = at && this.#follow(at, step)
        return at?.values[last] ?? null
      },
    }
  }

  #textFunction(name: string): Operand {
    const change = { tolower: (text: string) => text.toLowerCase(), toupper: (text: string) => text.toUpperCase() }[
      name
    ]
    if (!change) throw refusals.malformed(`the function ${name} is not known`)
    const inner = this.#operand()
    this.#expect(')')
    if (!inner.isText) throw refusals.wrongLiteral(inner.property?.name ?? name, inner.literal?.text ?? '')
    return { property: undefined, literal: undefined, isText: true, get: row => change(String(inner.get(row) ?? '')) }
  }

  #word(word: string): boolean {
    const rest = this.#rest.trimStart()
    if (!rest.startsWith(word) || !/^[\s(]/.test(rest.slice(word.length))) return false
    this.#rest = rest.slice(word.length)
    return true
  }

  #sign(sign: string): boolean {
    const rest = this.#rest.trimStart()
    if (!rest.startsWith(sign)) return false
    this.#rest = rest.slice(1)
    return true
  }

  #expect(sign: string): void {
    if (!this.#sign(sign)) throw refusals.malformed(`"${sign}" is missing before "${this.#rest.slice(0, 40)}"`)
  }

  #space(): void {
    this.#rest = this.#rest.trimStart()
  }
}

/** A literal takes the kind of the property it is compared with, or is refused. */
function reader(operand: Operand, other: Operand): (row: Row) => Value {
  const { literal } = operand
  if (!literal) return row => operand.get(row)
  if (!other.property) {
    if (other.isText && !operand.isText) throw refusals.wrongLiteral('a text', literal.text)
    return () => literal.value
  }
  const value = valueFor(other.property, literal)
  return () => value
}

export function order(kind: string | undefined, a: Value, b: Value): number {
  if (a === b) return 0
  if (kind === 'decimal' || kind === 'long' || kind === 'short') {
    const difference = Number(a) - Number(b)
    return difference === 0 ? (String(a) < String(b) ? -1 : 1) : difference
  }
  return String(a) < String(b) ? -1 : 1
}
