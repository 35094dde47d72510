export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [key: string]: Json
}

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
