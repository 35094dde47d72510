/** What must not meet: work of the same name is done one after the other, in the order in which it was asked for. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Begins when all earlier work of this name has ended, well or not. */
  async alone<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name)
    const running = before ? before.then(work, work) : work()
    this.#last.set(name, running)
    try {
      return await running
    } finally {
      if (this.#last.get(name) === running) this.#last.delete(name)
    }
  }
}
