import { compileTemplate } from '../flow/compile-template.ts'
import type { Template } from '../flow/expression.ts'

/** A part of a template: text of the flow's author, or one `${…}`. */
export type TemplatePiece = { readonly literal: string } | { readonly template: Template }

const pieces = /\$\$\{|\$\{(?:[^{}"']|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\{[^{}]*\})*\}/g

/** A template taken apart, so that each value can be written by the rules of the place where it stands. */
export function splitTemplate(text: string): readonly TemplatePiece[] {
  const found: TemplatePiece[] = []
  let at = 0
  let literal = ''
  for (const match of text.matchAll(pieces)) {
    literal += text.slice(at, match.index)
    at = match.index + match[0].length
    if (match[0] === '$${') {
      literal += '${'
      continue
    }
    if (literal) found.push({ literal })
    literal = ''
    found.push({ template: compileTemplate(match[0]) })
  }
  const rest = text.slice(at)
  // An expression with brackets in brackets: taken whole, it counts as chosen by the message, which is the safe side.
  if (rest.replaceAll('$${', '').includes('${')) return [{ template: compileTemplate(text) }]
  if (literal + rest) found.push({ literal: literal + rest })
  return found
}

export function isFixedPiece(piece: TemplatePiece): boolean {
  return 'literal' in piece || piece.template.isFixed
}
