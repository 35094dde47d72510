/**
 * Where the fields of a plain document stand (see read-plain.ts): for each the place of its name and the length of that, in
 * one small number, since a document has hundreds of fields and a flow asks for twenty of them.
 */
export class FieldPlaces {
  readonly text: string
  /** By `&`; they are known to be good. */
  readonly hasReferences: boolean
  readonly #places: number[] = []

  constructor(text: string) {
    this.text = text
    this.hasReferences = text.includes('&')
  }

  get count(): number {
    return this.#places.length
  }

  /** `nameEnd` is the place of the `>` behind the name. */
  add(nameAt: number, nameEnd: number): void {
    this.#places.push((nameAt << lengthBits) | (nameEnd - nameAt))
  }

  /** The number of the first field of that name among those from one number to before another; -1: there is none. */
  find(name: string, from: number, to: number): number {
    const { length } = name
    for (let number = from; number < to; number++) {
      const place = this.#places[number] ?? 0
      if ((place & lengthMask) === length && this.text.startsWith(name, place >> lengthBits)) return number
    }
    return -1
  }

  nameOf(number: number): string {
    const place = this.#places[number] ?? 0
    const nameAt = place >> lengthBits
    return this.text.slice(nameAt, nameAt + (place & lengthMask))
  }

  valueOf(number: number): string {
    const place = this.#places[number] ?? 0
    const valueAt = (place >> lengthBits) + (place & lengthMask) + 1
    const value = this.text.slice(valueAt, this.text.indexOf('<', valueAt))
    return this.hasReferences ? (resolveReferences(value) ?? '') : value
  }
}

// Names of 100 letters and documents of 2^20 letters (read-plain.ts) fit into the 31 bits of a small integer of V8.
const lengthBits = 7
const lengthMask = (1 << lengthBits) - 1

const searchedFieldsMax = 512

/** The fields of one segment as a map: the first of each name counts. A value is cut out of the document when it is asked for. */
export class PlainFields implements ReadonlyMap<string, string> {
  readonly #places: FieldPlaces
  readonly #from: number
  #to: number
  #map: Map<string, string> | undefined

  constructor(places: FieldPlaces) {
    this.#places = places
    this.#from = places.count
    this.#to = places.count
  }

  /** What was added to the places since it was made are its fields. */
  end(): void {
    this.#to = this.#places.count
  }

  get(name: string): string | undefined {
    if (this.#isLong) return this.#whole().get(name)
    const number = this.#places.find(name, this.#from, this.#to)
    return number < 0 ? undefined : this.#places.valueOf(number)
  }

  has(name: string): boolean {
    if (this.#isLong) return this.#whole().has(name)
    return this.#places.find(name, this.#from, this.#to) >= 0
  }

  get size(): number {
    return this.#whole().size
  }

  forEach(act: (value: string, name: string, map: ReadonlyMap<string, string>) => void): void {
    for (const [name, value] of this.#whole()) act(value, name, this)
  }

  entries(): MapIterator<[string, string]> {
    return this.#whole().entries()
  }

  keys(): MapIterator<string> {
    return this.#whole().keys()
  }

  values(): MapIterator<string> {
    return this.#whole().values()
  }

  [Symbol.iterator](): MapIterator<[string, string]> {
    return this.entries()
  }

  /** SAP's largest segments have some 300 fields; in one of 100,000 a search from the first on would take too long. */
  get #isLong(): boolean {
    return this.#to - this.#from > searchedFieldsMax
  }

  #whole(): Map<string, string> {
    if (this.#map) return this.#map
    const map = new Map<string, string>()
    for (let number = this.#from; number < this.#to; number++) {
      const name = this.#places.nameOf(number)
      if (!map.has(name)) map.set(name, this.#places.valueOf(number))
    }
    this.#map = map
    return map
  }
}

const reference = /&(?:(amp|lt|gt|quot|apos);)?/g
const letters: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** The text with its references resolved; undefined where one is none of the five names. */
export function resolveReferences(text: string): string | undefined {
  if (!text.includes('&')) return text
  let isPlain = true
  const value = text.replace(reference, (_, name: string | undefined) => {
    isPlain &&= name !== undefined
    return letters[name ?? ''] ?? ''
  })
  return isPlain ? value : undefined
}
