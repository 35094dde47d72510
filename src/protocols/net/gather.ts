import { HubError } from '../../kernel/error.ts'

interface Ask<Part, Answer> {
  readonly parts: readonly Part[]
  readonly resolve: (answers: readonly Answer[]) => void
  readonly reject: (thrown: unknown) => void
}

/**
 * What is asked in the same moment with the same signal, and so by work that ends together, goes in as few requests as it
 * fits into, one after the other. Parts that are asked together stay together.
 */
export class Gather<Part, Answer> {
  readonly #partsMax: number
  readonly #send: (parts: readonly Part[], signal: AbortSignal) => Promise<readonly Answer[]>
  readonly #isAboutOne: (error: HubError) => boolean
  readonly #asks = new Map<AbortSignal, Ask<Part, Answer>[]>()

  /**
   * `send` makes one request; its answers come in the order of the parts. An error that may be about one of several asks,
   * when nothing was done of any (`isAboutOne`), has each of them sent for itself.
   */
  constructor(
    partsMax: number,
    send: (parts: readonly Part[], signal: AbortSignal) => Promise<readonly Answer[]>,
    isAboutOne = (error: HubError) => error.isAboutMessage && !error.isOutcomeUnknown,
  ) {
    this.#partsMax = partsMax
    this.#send = send
    this.#isAboutOne = isAboutOne
  }

  ask(parts: readonly Part[], signal: AbortSignal): Promise<readonly Answer[]> {
    if (parts.length === 0) return Promise.resolve([])
    const { promise, resolve, reject } = Promise.withResolvers<readonly Answer[]>()
    const ask = { parts, resolve, reject }
    const others = this.#asks.get(signal)
    if (others) others.push(ask)
    else {
      this.#asks.set(signal, [ask])
      setImmediate(() => {
        const asks = this.#asks.get(signal) ?? []
        this.#asks.delete(signal)
        void this.#sendAll(asks, signal)
      })
    }
    return promise
  }

  async #sendAll(asks: readonly Ask<Part, Answer>[], signal: AbortSignal): Promise<void> {
    for (let from = 0; from < asks.length; ) {
      let [to, count] = [from, 0]
      do {
        count += asks[to]?.parts.length ?? 0
        to += 1
      } while (to < asks.length && count + (asks[to]?.parts.length ?? 0) <= this.#partsMax)
      const some = asks.slice(from, to)
      try {
        await this.#sendSome(some, signal)
      } catch (thrown) {
        const error = thrown instanceof HubError ? thrown : undefined
        if (error?.isThrottling) {
          // A server that wants to be left alone is asked nothing more.
          for (const one of asks.slice(from)) one.reject(thrown)
          return
        }
        if (some.length > 1 && error && this.#isAboutOne(error)) {
          for (const one of some) await this.#sendAll([one], signal)
        } else for (const one of some) one.reject(thrown)
      }
      from = to
    }
  }

  async #sendSome(asks: readonly Ask<Part, Answer>[], signal: AbortSignal): Promise<void> {
    const answers = await this.#send(
      asks.flatMap(({ parts }) => parts),
      signal,
    )
    let at = 0
    for (const { parts, resolve } of asks) {
      resolve(answers.slice(at, at + parts.length))
      at += parts.length
    }
  }
}
