import { RE2JS } from 're2js'

/** Letters that a regular expression may have; longer ones are data, not a pattern. */
const patternLettersMax = 1_000
/** Letters of a text that a regular expression looks at. RE2 is linear, but it does run on the hub's own thread. */
const matchedLettersMax = 64 * 1024

const rememberedPatterns = 256
const compiled = new Map<string, RE2JS>()

/**
 * Whether the pattern occurs in the text (RE2 syntax, not anchored), in time linear in the text: a pattern such as
 * `^(a+)+$` cannot hold the hub up. Throws an Error that says what is wrong with the pattern or the text.
 */
export function isMatch(text: string, pattern: string): boolean {
  if (text.length > matchedLettersMax) {
    throw new Error(`matches() looks at ${matchedLettersMax} letters at most, and this text has ${text.length}`)
  }
  return compilePattern(pattern).matcher(text).find()
}

/** Compiles (once) a pattern in RE2 syntax; throws an Error that says what is wrong with it. */
export function compilePattern(pattern: string): RE2JS {
  const known = compiled.get(pattern)
  if (known) return known
  if (pattern.length > patternLettersMax) {
    throw new Error(`a regular expression has ${patternLettersMax} letters at most, and this one ${pattern.length}`)
  }
  const fresh = RE2JS.compile(pattern)
  // Patterns may come out of messages, so what is remembered is bounded; the oldest goes first.
  if (compiled.size >= rememberedPatterns) {
    for (const oldest of compiled.keys()) {
      compiled.delete(oldest)
      break
    }
  }
  compiled.set(pattern, fresh)
  return fresh
}
