import type { Outcome } from '../flow/adapter.ts'
import { KiB } from '../kernel/size.ts'

const recentMax = 4096
const resultBytesMax = 64 * KiB

/** Lets senders wait for the end of a delivery, also when it ends before they ask. */
export class Outcomes {
  readonly #waiting = new Map<string, ((outcome: Outcome) => void)[]>()
  /** The newest ends, oldest first. */
  readonly #recent = new Map<string, Outcome>()

  settle(outcome: Outcome): void {
    const waiters = this.#waiting.get(outcome.id)
    this.#waiting.delete(outcome.id)
    for (const resolve of waiters ?? []) resolve(outcome)
    const isSmall = (outcome.result?.body.bytes ?? 0) <= resultBytesMax
    this.#recent.set(outcome.id, isSmall || !outcome.result ? outcome : withoutResult(outcome))
    if (this.#recent.size > recentMax) {
      const oldest = this.#recent.keys().next()
      if (!oldest.done) this.#recent.delete(oldest.value)
    }
  }

  /** The delivery travels again (replay, repair): an earlier end no longer counts. */
  forget(id: string): void {
    this.#recent.delete(id)
  }

  recent(id: string): Outcome | undefined {
    return this.#recent.get(id)
  }

  /** Resolves with the end, or undefined when the signal aborts first. */
  wait(id: string, signal?: AbortSignal): Promise<Outcome | undefined> {
    return new Promise(resolve => {
      if (signal?.aborted) return resolve(undefined)
      const waiters = this.#waiting.get(id) ?? []
      this.#waiting.set(id, waiters)
      const giveUp = () => {
        waiters.splice(waiters.indexOf(settle), 1)
        if (waiters.length === 0 && this.#waiting.get(id) === waiters) this.#waiting.delete(id)
        resolve(undefined)
      }
      const settle = (outcome: Outcome) => {
        signal?.removeEventListener('abort', giveUp)
        resolve(outcome)
      }
      waiters.push(settle)
      signal?.addEventListener('abort', giveUp, { once: true })
    })
  }
}

function withoutResult({ result: _, ...rest }: Outcome): Outcome {
  return rest
}
