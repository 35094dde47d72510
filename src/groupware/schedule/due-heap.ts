/** Entries by the time at which they are due; an entry is in it once. */
export class DueHeap<T extends object> {
  readonly #entries: { readonly item: T; at: number }[] = []
  readonly #places = new Map<T, number>()

  get size(): number {
    return this.#entries.length
  }

  /** Puts an entry in, or gives it another time. */
  set(item: T, at: number): void {
    const place = this.#places.get(item)
    if (place === undefined) {
      this.#entries.push({ item, at })
      this.#rise(this.#entries.length - 1)
      return
    }
    const entry = this.#entries[place]
    if (!entry) return
    const isEarlier = at < entry.at
    entry.at = at
    if (isEarlier) this.#rise(place)
    else this.#sink(place)
  }

  delete(item: T): void {
    const place = this.#places.get(item)
    if (place === undefined) return
    this.#swap(place, this.#entries.length - 1)
    this.#entries.pop()
    this.#places.delete(item)
    if (place < this.#entries.length) {
      this.#rise(place)
      this.#sink(place)
    }
  }

  dueAt(item: T): number | undefined {
    const place = this.#places.get(item)
    return place === undefined ? undefined : this.#entries[place]?.at
  }

  nextAt(): number | undefined {
    return this.#entries[0]?.at
  }

  /** Takes the earliest entry out if it is due. */
  takeDue(now: number): T | undefined {
    const first = this.#entries[0]
    if (!first || first.at > now) return undefined
    this.delete(first.item)
    return first.item
  }

  #rise(from: number): void {
    let place = from
    this.#note(place)
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (this.#at(parent) <= this.#at(place)) return
      this.#swap(parent, place)
      place = parent
    }
  }

  #sink(from: number): void {
    let place = from
    this.#note(place)
    for (;;) {
      const left = 2 * place + 1
      const smaller = this.#at(left + 1) < this.#at(left) ? left + 1 : left
      if (this.#at(smaller) >= this.#at(place)) return
      this.#swap(smaller, place)
      place = smaller
    }
  }

  #at(place: number): number {
    return this.#entries[place]?.at ?? Number.POSITIVE_INFINITY
  }

  #swap(left: number, right: number): void {
    const one = this.#entries[left]
    const other = this.#entries[right]
    if (!one || !other) return
    this.#entries[left] = other
    this.#entries[right] = one
    this.#note(left)
    this.#note(right)
  }

  #note(place: number): void {
    const entry = this.#entries[place]
    if (entry) this.#places.set(entry.item, place)
  }
}
