import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml'
import { formatSize, KiB } from '../kernel/size.ts'
import type { Problem, ProblemCode } from './problem.ts'
import { lettersInSource } from './scalar-place.ts'

/** A flow document or parameter file larger than this is not one. */
const documentBytesMax = 512 * KiB
/** Values in one document, aliases resolved: a document that unfolds beyond it is an attack or a mistake. */
const documentValuesMax = 20_000
/** Mistakes that are told of one document; nobody reads more, and each costs time. */
export const problemsMax = 100

export type Path = readonly (string | number)[]

/** What to put in the place of a text: another value, and where letters of it stood in the text. */
export interface Replacement {
  readonly value: unknown
  readonly originOf: (letter: number) => number
}

interface Range {
  readonly start: number
  readonly end: number
}

interface Entry {
  readonly key: Range | undefined
  readonly value: Range
  readonly node: Node | null
  readonly originOf: ((letter: number) => number) | undefined
}

/** A YAML file as plain values, that knows where each of them stands. */
export class YamlSource {
  readonly file: string
  readonly text: string
  readonly problems: Problem[] = []
  readonly value: unknown
  readonly #lines = new LineCounter()
  readonly #entries = new Map<string, Entry>()
  readonly #document: Document
  #valueCount = 0

  /** `replace` is asked for every text outside of keys. Problems of YAML itself are in `problems`. */
  constructor(
    file: string,
    text: string,
    replace: (text: string, path: Path) => Replacement | undefined = () => undefined,
  ) {
    this.file = file
    this.text = text
    this.#document = parseDocument('', { lineCounter: new LineCounter() })
    if (Buffer.byteLength(text) > documentBytesMax) {
      this.problems.push({
        ...this.#at({ start: 0, end: 1 }, 'FLOW_YAML', `The file is larger than ${formatSize(documentBytesMax)}.`),
        next: 'Move tables and mapping into files beside it.',
      })
      return
    }
    try {
      this.#document = parseDocument(text, {
        lineCounter: this.#lines,
        prettyErrors: false,
        // The parser compares each key with each other one; `#readMap` looks for those that stand twice.
        uniqueKeys: false,
        merge: false,
        version: '1.2',
        schema: 'core',
        logLevel: 'error',
      })
      if (this.#document.errors.some(({ code }) => code === 'RESOURCE_EXHAUSTION'))
        throw new RangeError('nested too deeply')
    } catch {
      // The parser gives up on thousands of brackets inside each other; where, depends on the stack.
      this.problems.push(this.#at({ start: 0, end: 1 }, 'FLOW_YAML', 'The file is nested too deeply to be read.'))
      return
    }
    const faults = [...this.#document.errors, ...this.#document.warnings].slice(0, problemsMax)
    for (const { code, message, pos } of faults) {
      const beside = faults.filter(fault => fault.pos[0] === pos[0]).map(fault => fault.code)
      // A line that is indented too far goes on with the text above it, and its colon then makes that text a key.
      const isGrown = beside.includes('BLOCK_AS_IMPLICIT_KEY') && beside.includes('MULTILINE_IMPLICIT_KEY')
      if (!isGrown) this.problems.push(this.#syntax(code, message, { start: pos[0], end: pos[1] }))
      else if (code === 'MULTILINE_IMPLICIT_KEY') this.problems.push(this.#tooFar(message, pos[0], pos[1]))
      // The parser has lost its place: all that follows would be faults of this one.
      if (code === 'UNEXPECTED_TOKEN') break
    }
    if (this.problems.length === 0) this.value = this.#read(this.#document.contents, [], undefined, replace)
  }

  /** A problem at the key of a value (the whole value for an item of a list). */
  atKey(path: Path, code: ProblemCode, message: string, next?: string): Problem {
    const entry = this.#entry(path)
    return withNext(this.#at(entry.key ?? entry.value, code, message), next)
  }

  atValue(path: Path, code: ProblemCode, message: string, next?: string): Problem {
    return withNext(this.#at(this.#entry(path).value, code, message), next)
  }

  /** A problem inside a text: `offset` counts letters of the parsed value. */
  inText(
    path: Path,
    letters: { offset: number; length: number },
    code: ProblemCode,
    message: string,
    next?: string,
  ): Problem {
    const { node, value, originOf } = this.#entry(path)
    const from = originOf ? originOf(letters.offset) : letters.offset
    const last = originOf ? originOf(letters.offset + letters.length - 1) : letters.offset + letters.length - 1
    const range = isScalar(node) ? lettersInSource(this.text, node, from, last) : value
    return withNext(this.#at(range, code, message), next)
  }

  /** Whether the document itself has a value there. */
  has(path: Path): boolean {
    return this.#entries.has(JSON.stringify(path))
  }

  #entry(path: Path): Entry {
    for (let length = path.length; length >= 0; length--) {
      const entry = this.#entries.get(JSON.stringify(path.slice(0, length)))
      if (entry) return entry
    }
    return { key: undefined, value: { start: 0, end: 1 }, node: null, originOf: undefined }
  }

  #at(range: Range, code: ProblemCode, message: string): Problem {
    const { line, col } = this.#lines.linePos(range.start)
    const lineEnd = this.text.indexOf('\n', range.start)
    const end = Math.max(range.start + 1, Math.min(range.end, lineEnd < 0 ? this.text.length : lineEnd))
    return {
      file: this.file,
      line: Math.max(1, line),
      column: Math.max(1, col),
      endColumn: Math.max(1, col) + (end - range.start),
      code,
      message,
      severity: 'error',
    }
  }

  #read(
    node: Node | null,
    path: Path,
    key: Range | undefined,
    replace: (text: string, path: Path) => Replacement | undefined,
  ): unknown {
    const target = isAlias(node) ? (node.resolve(this.#document) ?? null) : node
    const value = rangeOf(node) ?? key ?? { start: 0, end: 1 }
    if (isAlias(node) && target === null) this.problems.push(this.#syntax('BAD_ALIAS', '', value))
    if (isAlias(node) && target && contains(target, node)) {
      const next = 'Write the value out.'
      this.problems.push(
        withNext(this.#at(value, 'FLOW_YAML', 'This alias (*) stands in the very value that it names.'), next),
      )
      return null
    }
    if (++this.#valueCount > documentValuesMax) {
      if (this.#valueCount === documentValuesMax + 1) {
        this.problems.push(
          this.#at(value, 'FLOW_YAML', `The document unfolds to more than ${documentValuesMax} values.`),
        )
      }
      return null
    }
    const remember = (originOf?: (letter: number) => number) =>
      this.#entries.set(JSON.stringify(path), { key, value, node: target, originOf })
    remember()
    if (isMap(target)) return this.#readMap(target, path, replace)
    if (isSeq(target)) {
      return target.items.map((item, index) => this.#read(item as Node | null, [...path, index], undefined, replace))
    }
    if (!isScalar(target)) return null
    if (typeof target.value !== 'string') return target.value
    const replacement = replace(target.value, path)
    if (!replacement) return target.value
    remember(replacement.originOf)
    return replacement.value
  }

  #readMap(
    map: { readonly items: readonly unknown[] },
    path: Path,
    replace: (text: string, path: Path) => Replacement | undefined,
  ): unknown {
    const entries: [string, unknown][] = []
    const written = new Set<unknown>()
    for (const item of map.items) {
      if (this.problems.length >= problemsMax) break
      const { key, value } = item as { readonly key: Node | null; readonly value: Node | null }
      const range = rangeOf(key) ?? { start: 0, end: 1 }
      const word: unknown = isScalar(key) ? key.value : undefined
      const name = typeof word === 'number' || typeof word === 'boolean' ? String(word) : word
      if (typeof name !== 'string' || name === '__proto__') {
        this.problems.push(
          withNext(
            this.#at(range, 'FLOW_YAML', 'A key must be a plain word.'),
            'Write the key as a word, followed by a colon.',
          ),
        )
        continue
      }
      if (name === '<<' && isScalar(key) && key.type === 'PLAIN') {
        const message = 'Merge keys (<<) are not used in flow documents.'
        this.problems.push(withNext(this.#at(range, 'FLOW_YAML', message), 'Write the keys out.'))
        continue
      }
      if (written.has(word)) {
        this.problems.push(this.#syntax('DUPLICATE_KEY', '', { start: range.start, end: range.start + 1 }))
        continue
      }
      written.add(word)
      entries.push([name, this.#read(value, [...path, name], range, replace)])
    }
    return Object.fromEntries(entries)
  }

  #tooFar(message: string, start: number, end: number): Problem {
    const lineAt = this.text.lastIndexOf('\n', end - 1) + 1
    const isQuoted = /["']/.test(this.text[start] ?? '')
    if (isQuoted || lineAt <= start) return this.#syntax('MULTILINE_IMPLICIT_KEY', message, { start, end })
    const indent = /^\s*/.exec(this.text.slice(lineAt, end))?.[0].length ?? 0
    return this.#syntax('BAD_INDENT', message, { start: lineAt + indent, end })
  }

  #syntax(code: string, message: string, range: Range): Problem {
    if (/closing .*quote/.test(message)) {
      return withNext(
        this.#at(this.#openQuote() ?? range, 'FLOW_YAML', 'A quote is not closed.'),
        'Close it with the same quote.',
      )
    }
    if (code === 'BAD_INDENT' && /^Flow (map|sequence)/.test(message)) {
      const next = 'Close it with } or ], or indent what belongs to it.'
      return withNext(this.#at(range, 'FLOW_YAML', 'A bracket above this line is not closed.'), next)
    }
    if (code === 'UNEXPECTED_TOKEN' && /^Unexpected flow-(seq|map)-start at node end/.test(message)) {
      const next = 'Put the whole text in double quotes, or on a line of its own, outside of { }.'
      return withNext(this.#at(range, 'FLOW_YAML', 'A bracket stands in a text without quotes.'), next)
    }
    const [sentence, next] = syntaxWords[code] ?? [`This is not valid YAML: ${message}`, undefined]
    return withNext(this.#at(range, 'FLOW_YAML', sentence), next)
  }

  /** Where the text begins that swallowed the rest of the file. */
  #openQuote(): Range | undefined {
    let found: Range | undefined
    visit(this.#document, {
      Scalar: (_key, { type, range }) => {
        const quote = type === 'QUOTE_SINGLE' ? "'" : type === 'QUOTE_DOUBLE' ? '"' : undefined
        if (!quote || !range) return
        const isClosed = range[1] - range[0] > 1 && this.text[range[1] - 1] === quote
        if (!isClosed) found = { start: range[0], end: range[0] + 1 }
      },
    })
    return found
  }
}

const syntaxWords: Readonly<Record<string, readonly [message: string, next: string]>> = {
  TAB_AS_INDENT: ['A tab stands in the indentation.', 'Indent with spaces; YAML does not take tabs.'],
  DUPLICATE_KEY: ['This key stands here twice.', 'Remove one of the two, or merge them.'],
  BAD_INDENT: [
    'The indentation does not fit the lines above.',
    'Align it with its neighbours, with two spaces for each level.',
  ],
  MULTILINE_IMPLICIT_KEY: [
    'A key and its value must stand on one line.',
    'Look whether a colon or a quote is missing here.',
  ],
  MISSING_CHAR: [
    'Something is missing here: a quote, a bracket or a comma.',
    'Close what was opened before this place.',
  ],
  TAG_RESOLVE_FAILED: ['Tags (words with !) are not used in flow documents.', 'Remove the tag.'],
  BAD_ALIAS: ['This alias (*) has no anchor (&) above it.', 'Define the anchor first, or write the value out.'],
  MULTIPLE_DOCS: ['A file holds one document.', 'Remove the line with ---, or make a second file.'],
  BLOCK_AS_IMPLICIT_KEY: ['A nested key cannot stand on the same line.', 'Begin a new line, and indent it.'],
  UNEXPECTED_TOKEN: ['This letter cannot stand here.', 'Put the text in quotes if it is meant as text.'],
  BAD_SCALAR_START: ['A text cannot begin with this letter.', 'Put the text in quotes.'],
}

function rangeOf(node: Node | null | undefined): Range | undefined {
  const range = node?.range
  return range ? { start: range[0], end: range[1] } : undefined
}

function contains(target: Node, node: Node): boolean {
  const [start, end] = target.range ?? [0, 0]
  const at = node.range?.[0] ?? -1
  return start <= at && at < end
}

function withNext(problem: Problem, next: string | undefined): Problem {
  return next === undefined ? problem : { ...problem, next }
}
