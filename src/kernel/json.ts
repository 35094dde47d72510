export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [key: string]: Json
}

export const jsonLimits = {
  /** Lists and groups of one document that steps and expressions read. */
  groups: 500_000,
} as const

/**
 * True for more lists and groups than are read. `{}` takes a hundred times its two letters in memory, so a document within
 * the limit of bytes could still take all of it.
 */
export function hasTooManyGroups(text: string): boolean {
  // Each of them is a letter at least: most documents are done here.
  if (text.length <= jsonLimits.groups) return false
  let groups = 0
  let isInText = false
  for (let at = 0; at < text.length; at++) {
    const letter = text.charCodeAt(at)
    if (isInText) {
      if (letter === letters.backslash) at++
      else if (letter === letters.quote) isInText = false
    } else if (letter === letters.quote) isInText = true
    else if (letter === letters.brace || letter === letters.bracket) groups++
    if (groups > jsonLimits.groups) return true
  }
  return false
}

const letters = { quote: 0x22, backslash: 0x5c, brace: 0x7b, bracket: 0x5b }

// The source of a number reaches the reviver in V8 (TC39 "JSON.parse source text access"), not yet the type of it.
const parse = JSON.parse as (
  text: string,
  reviver?: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown

/** JSON in which no digit is lost: a number that a double cannot hold is given as its text. */
export function parseExact(text: string): Json {
  if (!/\d[\d.]{15}|\d[eE]\d/.test(text)) return parse(text) as Json
  return parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && !isHeld(value, source) ? source : value,
  ) as Json
}

function isHeld(value: number, source: string): boolean {
  if (String(value) === source) return true
  const digits = source.replace(/[eE].*$/, '').replace(/^-?0*\.?0*|\./g, '')
  return Number.isFinite(value) && digits.length <= 15
}
