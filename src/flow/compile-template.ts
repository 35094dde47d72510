import { HubError } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import { type CompiledExpression, compileExpression, type ExpressionNames, shorten } from './compile-expression.ts'
import type { Scope, Template } from './expression.ts'
import { expressionErrors } from './expression-errors.ts'

type Piece = string | CompiledExpression

/**
 * Compiles text with `${…}` parts; `$${` stands for the letters `${`. Throws EXPRESSION_NOT_VALID, whose fields
 * `offset` and `length` point into the whole text.
 */
export function compileTemplate(text: string, names: ExpressionNames = {}): Template {
  const pieces = splitPieces(text, names)
  const only = pieces.length === 1 ? pieces[0] : undefined
  return {
    text,
    isFixed: pieces.every(piece => typeof piece === 'string' || !piece.dependsOnMessage),
    render(scope) {
      if (only !== undefined) return typeof only === 'string' ? only : only.evaluate(scope)
      return renderAll(pieces, scope)
    },
  }
}

function renderAll(pieces: readonly Piece[], scope: Scope): string | Promise<string> {
  const values = pieces.map(piece => (typeof piece === 'string' ? piece : piece.evaluate(scope)))
  const join = (known: readonly Json[]) => known.map(asText).join('')
  return values.some(value => value instanceof Promise)
    ? Promise.all(values.map(value => Promise.resolve(value))).then(join)
    : join(values as readonly Json[])
}

function asText(value: Json): string {
  if (value === null) return ''
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.map(asText).join(', ')
  return JSON.stringify(value)
}

function splitPieces(text: string, names: ExpressionNames): readonly Piece[] {
  const pieces: Piece[] = []
  let plain = ''
  let at = 0
  while (at < text.length) {
    if (text.startsWith('$${', at)) {
      plain += '${'
      at += 3
    } else if (text.startsWith('${', at)) {
      if (plain) pieces.push(plain)
      plain = ''
      const end = expressionEnd(text, at + 2)
      pieces.push(compilePiece(text, at + 2, end, names))
      at = end + 1
    } else plain += text[at++]
  }
  if (plain || pieces.length === 0) pieces.push(plain)
  return pieces
}

function compilePiece(text: string, start: number, end: number, names: ExpressionNames): CompiledExpression {
  try {
    return compileExpression(text.slice(start, end), names)
  } catch (thrown) {
    if (!(thrown instanceof HubError)) throw thrown
    const { why, hint, offset, length } = thrown.fields
    const fields = { text: shorten(text), why, hint, offset: start + Number(offset), length }
    throw expressionErrors.NOT_VALID(fields, { cause: thrown })
  }
}

/** Where the bracket of `${` closes; brackets and quotes inside the expression belong to it. */
function expressionEnd(text: string, start: number): number {
  let depth = 0
  let quote: string | undefined
  for (let at = start; at < text.length; at++) {
    const letter = text[at]
    if (quote) {
      if (letter === '\\') at++
      else if (letter === quote) quote = undefined
    } else if (letter === '"' || letter === "'") quote = letter
    else if (letter === '{') depth++
    else if (letter === '}' && depth-- === 0) return at
  }
  const why = 'a ${ is not closed'
  const hint = 'Close it with }, or write $${ for the letters themselves.'
  throw expressionErrors.NOT_VALID({ text: shorten(text), why, hint, offset: start - 2, length: 2 })
}
