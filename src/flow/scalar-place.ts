import type { Scalar } from 'yaml'

/**
 * Where letters `from` to `last` of a YAML text stand in the file. Quotes, escapes, indentation and folded lines are
 * followed letter by letter; where that cannot be done the whole text is the place.
 */
export function lettersInSource(
  source: string,
  node: Scalar,
  from: number,
  last: number,
): { start: number; end: number } {
  const start = node.range?.[0] ?? 0
  const end = node.range?.[1] ?? start + 1
  const value = typeof node.value === 'string' ? node.value : ''
  const places = alignLetters(
    source.slice(start, end),
    value,
    node.type === 'QUOTE_DOUBLE',
    node.type?.startsWith('BLOCK') ?? false,
  )
  const first = places[Math.max(0, Math.min(from, value.length))]
  const final = places[Math.max(0, Math.min(last, value.length - 1))]
  if (first === undefined) return { start, end }
  return { start: start + first, end: start + Math.max(first, final ?? first) + 1 }
}

/** For each letter of the value (and the place behind the last) its place in the source. */
function alignLetters(source: string, value: string, hasEscapes: boolean, isBlock: boolean): readonly number[] {
  const places: number[] = []
  // The first line of a block text (`|`, `>-`) only says how to read it.
  let at = isBlock ? source.indexOf('\n') + 1 : 0
  if (/^['"]/.test(source) && !isBlock) at = 1
  for (let index = 0; index < value.length; ) {
    const letter = value[index] ?? ''
    if (hasEscapes && source[at] === '\\') {
      const length = escapeLength(source, at)
      places.push(at)
      // An escape of a letter beyond the basic plane makes two letters of JavaScript.
      if (length === 10 && value.codePointAt(index) !== value.charCodeAt(index)) {
        places.push(at)
        index++
      }
      at += length
      index++
      continue
    }
    if (/\s/.test(letter)) {
      places.push(at)
      if (/\s/.test(source[at] ?? '')) at++
      // The rest of the indentation belongs to no letter, unless the value goes on with white space itself.
      if (!/\s/.test(value[index + 1] ?? 'x')) while (/\s/.test(source[at] ?? '')) at++
    } else {
      while (at < source.length && source[at] !== letter) at++
      places.push(at)
      // '' in single quotes is one letter.
      at += letter === "'" && source[0] === "'" && source[at + 1] === "'" ? 2 : 1
    }
    index++
  }
  places.push(at)
  return places
}

function escapeLength(source: string, at: number): number {
  const kind = source[at + 1]
  if (kind === 'x') return 4
  if (kind === 'u') return 6
  if (kind === 'U') return 10
  return 2
}
