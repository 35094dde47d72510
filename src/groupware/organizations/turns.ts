/** Rounds of a mailbox may run beside each other; what must not meet one waits for them, and they for it. */
export class Turns {
  readonly #shared = new Map<string, Set<Promise<unknown>>>()
  readonly #exclusive = new Map<string, Promise<unknown>>()

  /** Beside other shared work of this name. */
  async beside<T>(name: string, work: () => Promise<T>): Promise<T> {
    while (this.#exclusive.has(name)) await this.#exclusive.get(name)?.catch(() => {})
    const all = this.#shared.get(name) ?? new Set()
    this.#shared.set(name, all)
    const running = work()
    all.add(running)
    try {
      return await running
    } finally {
      all.delete(running)
      if (all.size === 0 && this.#shared.get(name) === all) this.#shared.delete(name)
    }
  }

  /** Alone: begins when all other work of this name has ended, and no other begins meanwhile. */
  async alone<T>(name: string, work: () => Promise<T>): Promise<T> {
    while (this.#exclusive.has(name)) await this.#exclusive.get(name)?.catch(() => {})
    const running = this.#whenFree(name, work)
    this.#exclusive.set(name, running)
    try {
      return await running
    } finally {
      if (this.#exclusive.get(name) === running) this.#exclusive.delete(name)
    }
  }

  async #whenFree<T>(name: string, work: () => Promise<T>): Promise<T> {
    const others = this.#shared.get(name)
    if (others) await Promise.allSettled(others)
    return work()
  }
}
