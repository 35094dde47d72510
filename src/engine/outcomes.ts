import type { Outcome } from '../flow/adapter.ts'
import { KiB, MiB } from '../kernel/size.ts'
import { TransientMap } from '../kernel/transient-map.ts'

const recentMax = 4096
const resultBytesMax = 64 * KiB
/** Results of recent ends together; the oldest ends go first, and are asked of the store instead. */
const recentBytesMax = 16 * MiB

interface Waiter {
  /** Until then somebody waits for the answer; undefined: for as long as it takes. */
  readonly until: number | undefined
  settle(outcome: Outcome | undefined): void
}

/** Lets senders wait for the end of a delivery, also when it ends before they ask. */
export class Outcomes {
  readonly #waiting = new TransientMap<string, Waiter[]>()
  /** When those are due next that somebody waited for, and that were put off. */
  readonly #postponed = new TransientMap<string, number>()
  /** The newest ends, oldest first. */
  readonly #recent = new TransientMap<string, Outcome>()
  #recentBytes = 0

  settle(outcome: Outcome): void {
    const waiters = this.#waiting.get(outcome.id)
    this.#waiting.delete(outcome.id)
    this.#postponed.delete(outcome.id)
    for (const waiter of Array.from(waiters ?? [])) waiter.settle(outcome)
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

  /** Until when somebody waits for the answer to this one; undefined where nobody does, or without an end. */
  awaitedUntil(id: string): number | undefined {
    const times = (this.#waiting.get(id) ?? []).flatMap(({ until }) => until ?? [])
    return times.length === 0 ? undefined : Math.max(...times)
  }

  /** It is not tried again before `dueAt`: who does not wait as long need not wait at all. */
  postpone(id: string, dueAt: number): void {
    const waiters = this.#waiting.get(id)
    if (!waiters) return
    this.#postponed.set(id, dueAt)
    for (const waiter of waiters.filter(({ until }) => until !== undefined && until < dueAt)) waiter.settle(undefined)
  }

  /** Resolves with the end, or undefined when the signal aborts first, or when it cannot come until then. */
  wait(id: string, signal?: AbortSignal, until?: number): Promise<Outcome | undefined> {
    return new Promise(resolve => {
      const dueAt = this.#postponed.get(id)
      if (signal?.aborted || (until !== undefined && dueAt !== undefined && until < dueAt)) return resolve(undefined)
      const waiters = this.#waiting.get(id) ?? []
      this.#waiting.set(id, waiters)
      const waiter: Waiter = {
        until,
        settle(outcome) {
          signal?.removeEventListener('abort', giveUp)
          leave()
          resolve(outcome)
        },
      }
      const giveUp = () => waiter.settle(undefined)
      const leave = () => {
        waiters.splice(waiters.indexOf(waiter), 1)
        if (waiters.length === 0 && this.#waiting.get(id) === waiters) this.#waiting.delete(id)
      }
      waiters.push(waiter)
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
