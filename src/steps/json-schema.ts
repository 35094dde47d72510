import { readFile } from 'node:fs/promises'
import { RE2JS } from 're2js'
import { z } from 'zod'

type JsonSchema = Parameters<typeof z.fromJSONSchema>[0]

/** What a file with a JSON Schema asks of a body. Throws what is wrong with the file. */
export async function readJsonSchema(file: string): Promise<z.ZodType> {
  const schema = JSON.parse(await readFile(file, 'utf8')) as JsonSchema
  const linear = new Map<string, RE2JS>()
  for (const pattern of patternsIn(schema)) {
    const compiled = compile(pattern)
    if (compiled) linear.set(pattern, compiled)
    else refuseBacktracking(pattern)
  }
  return withLinear(linear, () => z.fromJSONSchema(schema))
}

function patternsIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    if (key === 'pattern' && typeof inner === 'string') return [inner]
    return [...(key === 'patternProperties' ? Object.keys(Object(inner)) : []), ...patternsIn(inner)]
  })
}

/** Undefined for what cannot be done in linear time (`(?=`, `\1`), or not in reasonable memory (`{1,2000}`). */
function compile(pattern: string): RE2JS | undefined {
  try {
    return RE2JS.compile(RE2JS.translateRegExp(pattern))
  } catch {
    // JavaScript's own engine says what is wrong with it, if anything is.
    return undefined
  }
}

// These run on JavaScript's RegExp over texts of strangers; a repeated group that repeats itself can take years.
function refuseBacktracking(pattern: string): void {
  if (/\([^)]*([+*]|\{\d+,\d*\})[^)]*\)([+*]|\{\d+,\d*\})/.test(pattern)) {
    throw new Error(`the pattern ${pattern} repeats a group that repeats itself, which can take for ever`)
  }
}

/** zod makes its regular expressions with `new RegExp`, and lets nobody say with what else: here, one that is linear. */
function withLinear(linear: ReadonlyMap<string, RE2JS>, make: () => z.ZodType): z.ZodType {
  const native = globalThis.RegExp
  class LinearRegExp extends native {
    readonly #linear: RE2JS | undefined
    constructor(pattern: string | RegExp, flags?: string) {
      super(pattern, flags)
      this.#linear = typeof pattern === 'string' ? linear.get(pattern) : undefined
    }
    override test(text: string): boolean {
      return this.#linear ? this.#linear.test(text) : super.test(text)
    }
  }
  Object.assign(globalThis, { RegExp: LinearRegExp })
  try {
    return make()
  } finally {
    Object.assign(globalThis, { RegExp: native })
  }
}
