import type { z } from 'zod'
import { listNames, nearestName } from './did-you-mean.ts'
import { unwritten } from './one-key.ts'
import type { Problem, ProblemCode } from './problem.ts'
import { keysAt, wordsAt } from './schema-walk.ts'
import { type Path, problemsMax, type YamlSource } from './yaml-source.ts'

type Issue = z.core.$ZodIssue

/** Issues of the schema as problems with a place and a sentence. `called`: what the document as a whole is. */
export function wordIssues(
  issues: readonly Issue[],
  source: YamlSource,
  schema: z.ZodType,
  called = 'flow',
): readonly Problem[] {
  return issues.slice(0, problemsMax).flatMap(issue => wordIssue(issue, { source, schema, called }, []))
}

interface Read {
  readonly source: YamlSource
  readonly schema: z.ZodType
  readonly called: string
}

function wordIssue(issue: Issue, read: Read, base: Path): readonly Problem[] {
  const { source, schema } = read
  const path = [...base, ...issue.path].map(segment => (typeof segment === 'symbol' ? String(segment) : segment))
  const value = valueAt(source.value, path)
  if (issue.code === 'invalid_union') return wordUnion(issue, read, path, value)
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, problemsMax).map(key => unknownKey(key, path, read))
  }
  if (issue.code === 'invalid_key') {
    const message = issue.issues[0]?.message ?? 'it is not a name'
    return [source.atKey(path, 'FLOW_KEY', `"${String(path.at(-1))}" cannot be a name here: ${message}.`)]
  }
  if (issue.code === 'custom') return [custom(issue, path, source, value)]
  if (value === undefined) return [missing(path, read)]
  if (value === null) {
    return [
      source.atKey(
        path,
        'FLOW_MISSING',
        `${nameOf(path)} has no value.`,
        hintOf(path, schema, 'Write the value behind the colon.'),
      ),
    ]
  }
  const [message, next] = wrongValue(issue, path, value, schema)
  return [source.atValue(path, 'FLOW_VALUE', message, next)]
}

function custom(issue: Issue & { readonly code: 'custom' }, path: Path, source: YamlSource, value: unknown): Problem {
  const params = issue.params ?? {}
  const hint = typeof params['hint'] === 'string' ? params['hint'] : undefined
  const written = issue.message === unwritten ? 'This is not right here.' : issue.message
  if (typeof params['offset'] === 'number' && typeof value === 'string') {
    const letters = { offset: params['offset'], length: Number(params['length'] ?? 1) }
    return source.inText(path, letters, 'FLOW_EXPRESSION', written, hint)
  }
  const code = (params['code'] ?? 'FLOW_VALUE') as ProblemCode
  const atKey = params['at'] === 'key' || value === undefined
  return atKey ? source.atKey(path, code, written, hint) : source.atValue(path, code, written, hint)
}

// Of the branches of a union the one that got furthest is the one that was meant.
function wordUnion(
  issue: Issue & { readonly code: 'invalid_union' },
  read: Read,
  path: Path,
  value: unknown,
): readonly Problem[] {
  if (value === undefined) return [missing(path, read)]
  const branches = issue.errors
  const entered = branches.filter(branch => branch.some(inner => !isOfOtherKind(inner, value)))
  if (entered.length === 0) {
    const shapes = branches.flatMap(branch =>
      branch.flatMap(inner => (inner.code === 'invalid_type' ? [typeWord(inner.expected)] : [])),
    )
    const message = `${nameOf(path)} must be ${[...new Set(shapes)].join(' or ')}, and ${shown(value)}.`
    return [read.source.atValue(path, 'FLOW_VALUE', message, hintOf(path, read.schema))]
  }
  const depth = (branch: readonly Issue[]) => Math.max(...branch.map(inner => inner.path.length))
  const best = entered.toSorted((a, b) => depth(b) - depth(a))[0] ?? []
  return best.flatMap(inner => wordIssue(inner, read, path))
}

/** The value is of another kind than the branch is for: text, where it wants a number or one certain number. */
function isOfOtherKind(issue: Issue, value: unknown): boolean {
  if (issue.path.length > 0) return false
  if (issue.code === 'invalid_value') return issue.values.every(known => typeof known !== typeof value)
  return issue.code === 'invalid_type'
}

function unknownKey(key: string, path: Path, { source, schema, called }: Read): Problem {
  const known = keysAt(schema, path)
  const near = nearestName(key, known)
  const owner = path.length === 0 ? `A ${called}` : nameOf(path)
  // In { a: b, c } the comma ends the text, and what stands behind it becomes a key.
  const isText = /\s/.test(key)
  const all = known.length > 0 ? `It has ${listNames(known)}.` : undefined
  const next = isText
    ? 'Inside { } a comma begins a new key; put the text in quotes.'
    : near
      ? `Did you mean ${near}?`
      : all
  return source.atKey([...path, key], 'FLOW_KEY', `${owner} has no key "${key}".`, next)
}

function missing(path: Path, { source, schema, called }: Read): Problem {
  const parent = path.slice(0, -1)
  const owner = parent.length === 0 ? `The ${called}` : nameOf(parent)
  return source.atKey(parent, 'FLOW_MISSING', `${owner} needs ${String(path.at(-1))}.`, hintOf(path, schema))
}

function wrongValue(
  issue: Issue,
  path: Path,
  value: unknown,
  schema: z.ZodType,
): readonly [message: string, next: string | undefined] {
  const name = nameOf(path)
  const isWritten = issue.message !== unwritten
  switch (issue.code) {
    case 'invalid_type': {
      if (isWritten) return [issue.message, undefined]
      const quote = issue.expected === 'string' && (typeof value === 'number' || typeof value === 'boolean')
      const hint = quote ? `Put it in quotes: '${String(value)}'.` : hintOf(path, schema)
      return [`${name} must be ${typeWord(issue.expected)}, and ${shown(value)}.`, hint]
    }
    case 'invalid_value': {
      const names = issue.values.map(String)
      const near = nearestName(String(value), names)
      return [
        `${name} cannot be ${JSON.stringify(value)}.`,
        near ? `Did you mean ${near}?` : `It is one of ${listNames(names)}.`,
      ]
    }
    case 'invalid_format':
      return [
        `${JSON.stringify(value)} does not fit ${name}.`,
        isWritten ? `${capital(issue.message)}.` : hintOf(path, schema),
      ]
    case 'too_small':
      if (issue.origin === 'array')
        return [`${name} needs ${amount(issue.minimum)}, and has fewer.`, hintOf(path, schema)]
      if (issue.origin === 'string') return [`${name} is too short.`, hintOf(path, schema)]
      return [`${name} must be ${String(issue.minimum)} or more, and it is ${String(value)}.`, hintOf(path, schema)]
    case 'too_big':
      if (issue.origin === 'array') return [`${name} has more than ${String(issue.maximum)} entries.`, undefined]
      if (issue.origin === 'string') return [`${name} is longer than ${String(issue.maximum)} letters.`, undefined]
      return [`${name} must be ${String(issue.maximum)} or less, and it is ${String(value)}.`, hintOf(path, schema)]
    case 'not_multiple_of':
      return [`${name} must be a multiple of ${String(issue.divisor)}.`, undefined]
    case 'invalid_element':
    case 'invalid_key':
    case 'invalid_union':
    case 'unrecognized_keys':
    case 'custom':
      break
  }
  return [isWritten ? issue.message : `${name} is not right.`, hintOf(path, schema)]
}

/** What stands in the schema about a place: description and example. */
function hintOf(path: Path, schema: z.ZodType, otherwise?: string): string | undefined {
  const { description, example } = wordsAt(schema, path)
  if (description === undefined && example === undefined) return otherwise
  const key = typeof path.at(-1) === 'number' ? '-' : `${String(path.at(-1))}:`
  const shownExample =
    example === undefined ? '' : `For example ${key} ${typeof example === 'string' ? example : JSON.stringify(example)}`
  return [description, shownExample].filter(Boolean).join(' ')
}

function nameOf(path: Path): string {
  const last = path.at(-1)
  if (last === undefined) return 'The document'
  if (typeof last === 'string') return last
  const list = path.at(-2)
  return list === undefined ? `Entry ${last + 1}` : `Entry ${last + 1} of ${String(list)}`
}

function typeWord(expected: string): string {
  const words: Readonly<Record<string, string>> = {
    string: 'text',
    number: 'a number',
    int: 'a whole number',
    boolean: 'true or false',
    object: 'a group of keys',
    record: 'a group of keys',
    array: 'a list',
  }
  return words[expected] ?? expected
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list stands there'
  if (typeof value === 'object') return 'a group of keys stands there'
  if (typeof value === 'string') return `"${value.length > 40 ? `${value.slice(0, 39)}…` : value}" is text`
  return `it is ${JSON.stringify(value)}`
}

function amount(minimum: number | bigint): string {
  return Number(minimum) === 1 ? 'at least one entry' : `at least ${String(minimum)} entries`
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

function valueAt(value: unknown, path: Path): unknown {
  let here = value
  for (const segment of path) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, segment)) return undefined
    here = (here as Readonly<Record<string | number, unknown>>)[segment]
  }
  return here
}
