/** The UIDs of a set in its own order, ranges rising; undefined where it is none, or has more than `countMax`. */
export function readUidSet(text: string, countMax: number): number[] | undefined {
  const uids: number[] = []
  for (const part of text.split(',')) {
    const [, first = '', last = first] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(part) ?? []
    const [from, to] = [Number(first), Number(last)]
    if (first === '' || to < from || to - from >= countMax - uids.length) return undefined
    for (let uid = from; uid <= to; uid++) uids.push(uid)
  }
  return uids
}

/** UIDs as sets with ranges (`17:31,33`), each text at most `bytesMax` long. Order and repeats do not matter. */
export function formatUidSets(uids: Iterable<number>, bytesMax: number): string[] {
  const sorted = [...new Set(uids)].toSorted((a, b) => a - b)
  const sets: string[] = []
  let text = ''
  for (let at = 0; at < sorted.length; ) {
    const first = sorted[at] ?? 0
    let last = first
    while (sorted[++at] === last + 1) last++
    const range = last === first ? `${first}` : `${first}:${last}`
    if (text !== '' && text.length + 1 + range.length > bytesMax) {
      sets.push(text)
      text = ''
    }
    text = text === '' ? range : `${text},${range}`
  }
  if (text !== '') sets.push(text)
  return sets
}
