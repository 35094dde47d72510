/** Who waits for a turn. */
export interface InRow {
  /** Whose it is: the name of a flow. */
  readonly of: string
}

/** A row in which those of one owner keep their order, and the owners take turns: a long row is no wait for others. */
export class TurnRow<T extends InRow> {
  /** The owner whose turn is next comes first; none is empty. */
  readonly #rows = new Map<string, Set<T>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  add(one: T): void {
    const row = this.#rows.get(one.of) ?? new Set()
    this.#rows.set(one.of, row.add(one))
    this.#size += 1
  }

  has(one: T): boolean {
    return this.#rows.get(one.of)?.has(one) ?? false
  }

  /** False when it was not there any more. */
  delete(one: T): boolean {
    const row = this.#rows.get(one.of)
    if (!row?.delete(one)) return false
    if (row.size === 0) this.#rows.delete(one.of)
    this.#size -= 1
    return true
  }

  /** The next one, which leaves the row. */
  take(): T | undefined {
    for (const [owner, row] of this.#rows) {
      const [first] = row
      if (!first) continue
      this.delete(first)
      // Behind all others, where more of them wait.
      if (this.#rows.delete(owner)) this.#rows.set(owner, row)
      return first
    }
    return undefined
  }

  all(): readonly T[] {
    return [...this.#rows.values()].flatMap(row => [...row])
  }
}
