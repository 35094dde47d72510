import type { ASTNode } from '@marcbachmann/cel-js'
import { TypeError as CheckError, EvaluationError, ParseError } from '@marcbachmann/cel-js'
import { matchFunction, presentRoot } from './cel-environment.ts'
import { listNames, nearestName } from './did-you-mean.ts'
import type { Scope } from './expression.ts'

/** What is wrong with an expression, in words, and where (letters from 0). */
export class ExpressionFault extends Error {
  readonly why: string
  readonly hint: string
  readonly offset: number
  readonly length: number

  constructor(why: string, hint: string, offset: number, length: number) {
    super(why)
    this.name = 'ExpressionFault'
    this.why = why
    this.hint = hint
    this.offset = offset
    this.length = Math.max(1, length)
  }
}

/** What the CEL library refused to compile, in the words of this project. */
export function explainParse(thrown: unknown, text: string): ExpressionFault {
  if (!(thrown instanceof ParseError || thrown instanceof CheckError || thrown instanceof EvaluationError)) {
    const why = thrown instanceof Error ? thrown.message : String(thrown)
    return new ExpressionFault(why, 'Write it in CEL (see the guide to flow documents).', 0, text.length)
  }
  const offset = Math.min(thrown.range?.start ?? 0, Math.max(0, text.length - 1))
  const length = (thrown.range?.end ?? offset + 1) - offset
  const [why, hint] = inWords(thrown.summary, text, offset)
  return new ExpressionFault(why, hint, offset, length)
}

/** Why an expression failed on a message. */
export function explainFailure(thrown: unknown, scope: Scope): { readonly why: string; readonly hint: string } {
  if (!(thrown instanceof EvaluationError)) {
    const why = thrown instanceof Error ? thrown.message : String(thrown)
    return { why, hint: 'Look at the message and correct the expression, then replay it.' }
  }
  if (thrown.code === 'no_such_key') {
    const missing = missingMember(thrown.node, scope)
    if (missing) return missing
  }
  const [why, hint] = inWords(thrown.summary, '', 0)
  return { why, hint }
}

function missingMember(node: ASTNode | undefined, scope: Scope): { why: string; hint: string } | undefined {
  if (!node || (node.op !== '.' && node.op !== '[]')) return undefined
  const [container, key] = node.args
  const name = typeof key === 'string' ? key : key.op === 'value' ? String(key.args) : 'that key'
  if (container.op === 'id' && (container.args === 'message' || container.args === presentRoot)) {
    const known = Object.keys(scope.message.attributes)
    const near = nearestName(name, known)
    return {
      why: `this message has no "${name}"`,
      hint: `${near ? `Did you mean message.${near}? ` : ''}It has ${listNames(known)}; ask has(message.${name}) first where it may be missing.`,
    }
  }
  const path = node.input.slice(node.start, node.end)
  return {
    why: `${path} is not there in this message`,
    hint: `Ask has(${path}) first, or write .? and orValue(…) where it may be missing.`,
  }
}

const wordings: readonly (readonly [RegExp, string, string])[] = [
  [/^Unexpected token: EOF/, 'it ends too early', 'Something is missing at the end.'],
  [/^Expected RPAREN, got EOF/, 'a bracket is open at its end', 'Close the bracket with ).'],
  [/^Expected RBRACKET/, 'a square bracket is not closed', 'Close the bracket with ].'],
  [/^Unterminated string/, 'a text is not closed', 'Close it with the same quote.'],
  [/^Unexpected character: =/, 'a single = stands here', 'Compare with ==.'],
  [/^Unexpected character: &/, 'a single & stands here', 'Write && for and.'],
  [/^Unexpected character: \|/, 'a single | stands here', 'Write || for or.'],
  [
    /^Unexpected character: \$/,
    '"$" stands here',
    'In an expression write the name alone: params.region, message.size.',
  ],
  [
    /no such overload: string == (int|double)|no such overload: (int|double) == string/,
    'it compares text with a number',
    "Put the number in quotes ('5'), or convert: int(…), string(…).",
  ],
  [
    /no such overload: (string|dyn<string>) \+|\+ (string|dyn<string>)$/,
    'it adds text and something else',
    'Convert it first: string(…).',
  ],
  [
    /^Logical operator requires bool operands, got '(.+)'/,
    'it uses && or || on something that is not true or false',
    'Compare it with something.',
  ],
]

function inWords(summary: string, text: string, offset: number): readonly [why: string, hint: string] {
  for (const [pattern, why, hint] of wordings) if (pattern.test(summary)) return [why, hint]
  const word = /^[A-Za-z]+/.exec(text.slice(offset))?.[0]
  const logic =
    word === undefined
      ? undefined
      : new Map([
          ['and', '&&'],
          ['or', '||'],
          ['not', '!'],
        ]).get(word)
  if (logic) return [`"${word}" stands here`, `Write ${logic} instead.`]
  if (word !== undefined && /\d$/.test(text.slice(0, offset))) {
    return [`a number with "${word}" stands here`, "Write sizes in bytes (20 * 1024 * 1024), times as duration('30s')."]
  }
  const plain = summary.replaceAll(matchFunction, 'matches').replaceAll('dyn<', '<')
  const overload = /found no matching overload for '(.+)'/.exec(plain)?.[1]
  if (overload) {
    const isNull = overload.startsWith('null') || overload.includes('<null>')
    const hint = isNull
      ? 'The value is null in this message; ask for that first.'
      : 'Check the kind of value it is used on.'
    return [`${overload} is not possible`, hint]
  }
  return [
    plain.charAt(0).toLowerCase() + plain.slice(1),
    'Correct the expression (CEL; see the guide to flow documents).',
  ]
}
