/** A binary heap: `pop` gives the item that comes before all others. */
export class Heap<T> {
  readonly #items: T[] = []
  readonly #isBefore: (one: T, other: T) => boolean

  constructor(isBefore: (one: T, other: T) => boolean) {
    this.#isBefore = isBefore
  }

  peek(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    const items = this.#items
    let index = items.length
    items.push(item)
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = items[parentIndex] as T
      if (!this.#isBefore(item, parent)) break
      items[index] = parent
      index = parentIndex
    }
    items[index] = item
  }

  pop(): T | undefined {
    const items = this.#items
    const first = items[0]
    const last = items.pop()
    if (first === undefined || last === undefined || items.length === 0) return first
    this.#sink(last)
    return first
  }

  #sink(item: T): void {
    const items = this.#items
    const half = items.length >> 1
    let index = 0
    while (index < half) {
      let childIndex = 2 * index + 1
      let child = items[childIndex] as T
      const right = items[childIndex + 1]
      if (right !== undefined && this.#isBefore(right, child)) {
        childIndex += 1
        child = right
      }
      if (!this.#isBefore(child, item)) break
      items[index] = child
      index = childIndex
    }
    items[index] = item
  }
}
