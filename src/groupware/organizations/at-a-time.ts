/** Lets only so many pieces of work run at the same time; the others wait, in the order in which they came. */
export class AtATime {
  readonly #max: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(max: number) {
    this.#max = max
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    // Who is let in by one that leaves takes its place: nobody else gets between.
    if (this.#running < this.#max) this.#running++
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}
