import type { Outcome } from '../flow/adapter.ts'
import { KiB, MiB } from '../kernel/size.ts'
import { TransientMap } from '../kernel/transient-map.ts'

const recentMax = 4096
const resultBytesMax = 64 * KiB
/** Results of recent ends together; the oldest ends go first, and are asked of the store instead. */
const recentBytesMax = 16 * MiB

/** Lets senders wait for the end of a delivery, also when it ends before they ask. */
export class Outcomes {
  readonly #waiting = new TransientMap<string, ((outcome: Outcome) => void)[]>()
  /** The newest ends, oldest first. */
  readonly #recent = new TransientMap<string, Outcome>()
  #recentBytes = 0

  settle(outcome: Outcome): void {
    const waiters = this.#waiting.get(outcome.id)
    this.#waiting.delete(outcome.id)
    for (const resolve of waiters ?? []) resolve(outcome)
    this.forget(outcome.id)
    const kept = costOf(outcome) <= resultBytesMax ? outcome : withoutResult(outcome)
    this.#recent.set(kept.id, kept)
    this.#recentBytes += costOf(kept)
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= recentMax && this.#recentBytes <= recentBytesMax) return
      this.forget(oldest)
    }
  }

  /** The delivery travels again (replay, repair): an earlier end no longer counts. */
  forget(id: string): void {
    const known = this.#recent.get(id)
    if (!known) return
    this.#recent.delete(id)
    this.#recentBytes -= costOf(known)
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

function costOf({ result }: Outcome): number {
  // A held body may be a small view on a large buffer, which it keeps alive as a whole.
  return result?.body.held?.buffer.byteLength ?? 0
}

function withoutResult({ result: _, ...rest }: Outcome): Outcome {
  return rest
}
