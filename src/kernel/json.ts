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

const letters = { quote: 0x22, backslash: 0x5c, brace: 0x7b, bracket: 0x5b, minus: 0x2d }

/** JSON in which no digit is lost: a number that a double cannot hold is given as its text. */
export function parseExact(text: string): Json {
  if (!/\d[\d.]{15}|\d[eE][-+]?\d/.test(text)) return JSON.parse(text) as Json
  try {
    return JSON.parse(quoteLongNumbers(text)) as Json
  } catch {
    // The place of a mistake is that in the text as it came.
    return JSON.parse(text) as Json
  }
}

/** Numbers that a double cannot hold become texts. The reviver of JSON.parse could do so, too, and takes seconds for a few megabytes. */
function quoteLongNumbers(text: string): string {
  const pieces: string[] = []
  let taken = 0
  let isInText = false
  for (let at = 0; at < text.length; at++) {
    const letter = text.charCodeAt(at)
    if (isInText) {
      if (letter === letters.backslash) at++
      else if (letter === letters.quote) isInText = false
    } else if (letter === letters.quote) isInText = true
    else if (letter === letters.minus || isDigit(letter)) {
      const begin = at
      while (isOfNumber(text.charCodeAt(at + 1))) at++
      const source = text.slice(begin, at + 1)
      if (isHeld(source) || !isNumber.test(source) || isKey(text, at + 1)) continue
      pieces.push(text.slice(taken, begin), '"', source, '"')
      taken = at + 1
    }
  }
  return pieces.join('') + text.slice(taken)
}

const isNumber = /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/

function isDigit(letter: number): boolean {
  return letter >= 0x30 && letter <= 0x39
}

function isOfNumber(letter: number): boolean {
  // . e E + -
  return isDigit(letter) || letter === 0x2e || (letter | 0x20) === 0x65 || letter === 0x2b || letter === letters.minus
}

/** A number is none, and stays the mistake that it is. */
function isKey(text: string, from: number): boolean {
  let at = from
  while (/^[ \t\r\n]$/.test(text.charAt(at))) at++
  return text[at] === ':'
}

function isHeld(source: string): boolean {
  const value = Number(source)
  // Also what is too near to nothing.
  if (value === 0) return !/^[^eE]*[1-9]/.test(source)
  if (!Number.isFinite(value)) return false
  if (source.length <= 15 || String(value) === source) return true
  return source.replace(/[eE].*$/, '').replace(/^-?0*\.?0*|\./g, '').length <= 15
}
