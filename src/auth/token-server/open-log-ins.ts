import { tokenLimits } from './token-limits.ts'

/**
 * Log-ins that are begun and not ended, by the address they were begun from: anybody may begin one, and whoever begins
 * many must neither fill the store nor keep others out.
 */
export class OpenLogIns {
  readonly #byAddress = new Map<string, Set<string>>()
  readonly #addresses = new Map<string, string>()

  /** What is in the store; of those that were not begun here the address is not known. */
  settle(ids: readonly string[]): void {
    const known = new Set(ids)
    for (const id of this.#addresses.keys()) if (!known.has(id)) this.end(id)
    for (const id of ids) if (!this.#addresses.has(id)) this.#add(id, '')
  }

  /** Returns the one that gives way to it: the oldest of the address that has most of them. */
  begin(id: string, address: string): string | undefined {
    const oldest = this.#addresses.size < tokenLimits.openInteractions ? undefined : this.#oldestOfMost()
    if (oldest !== undefined) this.end(oldest)
    this.#add(id, address)
    return oldest
  }

  end(id: string): void {
    const address = this.#addresses.get(id)
    if (address === undefined) return
    this.#addresses.delete(id)
    const ids = this.#byAddress.get(address)
    ids?.delete(id)
    if (ids?.size === 0) this.#byAddress.delete(address)
  }

  #add(id: string, address: string): void {
    this.#addresses.set(id, address)
    const ids = this.#byAddress.get(address)
    if (ids) ids.add(id)
    else this.#byAddress.set(address, new Set([id]))
  }

  #oldestOfMost(): string | undefined {
    let most: ReadonlySet<string> = new Set()
    for (const ids of this.#byAddress.values()) if (ids.size > most.size) most = ids
    return most.values().next().value
  }
}
