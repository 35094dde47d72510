/** The answer to a question that several wait for. */
export class SharedAnswer<T> {
  readonly answer: Promise<T>
  /** Of the one who asked; forgotten with the answer, which may be kept for long. */
  #askers: AbortSignal | undefined

  constructor(answer: Promise<T>, askers: AbortSignal) {
    this.answer = answer
    this.#askers = askers
    answer.then(
      () => {
        this.#askers = undefined
      },
      () => {},
    )
  }

  /** Waits for it. That the one who asked gave up before it came says nothing to others: they ask again. */
  async waitFor(signal: AbortSignal, askAgain: () => Promise<T>): Promise<T> {
    try {
      return await this.answer
    } catch (thrown) {
      if (!this.#askers?.aborted || signal.aborted) throw thrown
      return askAgain()
    }
  }
}
