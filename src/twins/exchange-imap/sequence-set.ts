/** Ranges of a sequence set (`3:5,8,12:*`), each low to high; `*` is Infinity. */
export type SequenceSet = readonly (readonly [number, number])[]

/** Reads a sequence set (RFC 3501 section 9), or undefined where it is not one. */
export function readSequenceSet(text: string): SequenceSet | undefined {
  const ranges: [number, number][] = []
  for (const part of text.split(',')) {
    const match = /^(\d{1,10}|\*)(?::(\d{1,10}|\*))?$/.exec(part)
    if (!match) return undefined
    const from = readNumber(match[1])
    const to = match[2] === undefined ? from : readNumber(match[2])
    if (from === 0 || to === 0) return undefined
    ranges.push(from <= to ? [from, to] : [to, from])
  }
  return ranges
}

/** The UIDs of a set among those that exist (rising), each once, in rising order. `*` is the highest that exists. */
export function uidsInSet(set: SequenceSet, uids: readonly number[]): number[] {
  return selectIndexes(set, uids.at(-1) ?? 0, (low, high) => [lowerBound(uids, low), lowerBound(uids, high + 1)]).map(
    index => uids[index] ?? 0,
  )
}

/** The UIDs that a set of sequence numbers names in a view; undefined where one lies outside of it. */
export function uidsAtSequence(set: SequenceSet, uids: readonly number[]): number[] | undefined {
  const isOutside = set.some(([low, high]) =>
    high === Number.POSITIVE_INFINITY ? uids.length === 0 : high > uids.length || low > uids.length,
  )
  if (isOutside) return undefined
  return selectIndexes(set, uids.length, (low, high) => [low - 1, Math.min(high, uids.length)]).map(
    index => uids[index] ?? 0,
  )
}

/** Writes UIDs as a set, neighbours as ranges: 1,2,3,7 is `1:3,7`. */
export function formatSequenceSet(uids: readonly number[]): string {
  const parts: string[] = []
  for (let index = 0; index < uids.length; ) {
    let end = index
    while (uids[end + 1] === (uids[end] ?? 0) + 1) end += 1
    parts.push(end === index ? `${uids[index]}` : `${uids[index]}:${uids[end]}`)
    index = end + 1
  }
  return parts.join(',')
}

/** Position of the first entry that is not below `value`, in a rising list. */
export function lowerBound(rising: readonly number[], value: number): number {
  let low = 0
  let high = rising.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((rising[middle] ?? 0) < value) low = middle + 1
    else high = middle
  }
  return low
}

function selectIndexes(
  set: SequenceSet,
  star: number,
  bounds: (low: number, high: number) => readonly [number, number],
): number[] {
  const indexes = new Set<number>()
  for (const [low, high] of set) {
    // `*` alone and `7:*` both include the last one, even where 7 lies above it (RFC 3501 section 6.4.8).
    const [from, to] = high === Number.POSITIVE_INFINITY ? bounds(Math.min(low, star), star) : bounds(low, high)
    for (let index = from; index < to; index += 1) indexes.add(index)
  }
  return [...indexes].toSorted((a, b) => a - b)
}

function readNumber(text: string | undefined): number {
  return text === '*' ? Number.POSITIVE_INFINITY : Number(text)
}
