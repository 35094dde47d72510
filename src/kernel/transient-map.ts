/** Deletions after which a map is made anew, unless it holds more than that. */
const renewAfter = 64

/**
 * A `Map` for entries that come and go quickly, for as long as the process runs. When a `Map` of V8 gets a new table, the
 * old one keeps a link to it; once a table has come into the old part of the heap, all that ever stood in its successors
 * stays alive until the next full collection, long after it was deleted. So this one begins a new `Map` now and then.
 *
 * Whoever deletes while walking through it may still meet entries that were deleted meanwhile.
 */
export class TransientMap<K, V> {
  #map = new Map<K, V>()
  #deleted = 0

  get size(): number {
    return this.#map.size
  }

  get(key: K): V | undefined {
    return this.#map.get(key)
  }

  has(key: K): boolean {
    return this.#map.has(key)
  }

  set(key: K, value: V): this {
    this.#map.set(key, value)
    return this
  }

  delete(key: K): boolean {
    if (!this.#map.delete(key)) return false
    this.#deleted += 1
    if (this.#deleted >= renewAfter && this.#deleted >= this.#map.size) {
      this.#map = new Map(this.#map)
      this.#deleted = 0
    }
    return true
  }

  clear(): void {
    this.#map = new Map()
    this.#deleted = 0
  }

  /** In the order in which they were first set. */
  keys(): MapIterator<K> {
    return this.#map.keys()
  }

  values(): MapIterator<V> {
    return this.#map.values()
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.#map[Symbol.iterator]()
  }
}
