/** The known name that a mistyped one most likely stands for, or undefined when none is near. */
export function nearestName(written: string, known: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Number.POSITIVE_INFINITY
  const wanted = written.toLowerCase()
  for (const name of known) {
    const distance = editDistance(wanted, name.toLowerCase())
    // Short names are near to everything, so they must be nearer.
    const allowed = Math.max(1, Math.floor(Math.max(written.length, name.length) / 3))
    if (distance <= allowed && distance < bestDistance) [best, bestDistance] = [name, distance]
  }
  return best
}

/** Letters to insert, remove, replace or swap with their neighbour to make `b` of `a`. */
export function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let cost = Math.min(at(rows, i - 1, j) + 1, (row[j - 1] ?? 0) + 1, at(rows, i - 1, j - 1) + same)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isSwap) cost = Math.min(cost, at(rows, i - 2, j - 2) + 1)
      row.push(cost)
    }
    rows.push(row)
  }
  return at(rows, a.length, b.length)
}

function at(rows: readonly (readonly number[])[], row: number, column: number): number {
  return rows[row]?.[column] ?? 0
}

/** `a, b and c`. */
export function listNames(names: Iterable<string>): string {
  const all = [...names]
  const last = all.pop()
  if (last === undefined) return 'none'
  return all.length === 0 ? last : `${all.join(', ')} and ${last}`
}
