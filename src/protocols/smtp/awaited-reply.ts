import type { Clock } from '../../kernel/time.ts'
import type { Reply } from './reply.ts'

/** A reply that is due. */
export class AwaitedReply {
  readonly phase: string
  readonly promise: Promise<Reply>
  /** How long the server may take once it is the first that is due; undefined: as long as it likes. */
  timeoutMs: number | undefined
  /** The reply once it came; stays undefined when the connection failed. */
  reply: Reply | undefined
  isSettled = false
  #listeners: Set<() => void> | undefined
  readonly #settle: { resolve(reply: Reply): void; reject(error: Error): void }

  constructor(phase: string, timeoutMs: number | undefined) {
    this.phase = phase
    this.timeoutMs = timeoutMs
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    this.promise = promise
    this.#settle = { resolve, reject }
    // In a pipelined group the first failure is reported; the others, which fail with it, may stay unawaited.
    promise.catch(ignore)
  }

  /** Calls back when the reply came or cannot come any more; the returned function forgets that. */
  whenSettled(callback: () => void): () => void {
    this.#listeners ??= new Set()
    this.#listeners.add(callback)
    return () => this.#listeners?.delete(callback)
  }

  resolve(reply: Reply): void {
    this.reply = reply
    this.#end()
    this.#settle.resolve(reply)
  }

  reject(error: Error): void {
    this.#end()
    this.#settle.reject(error)
  }

  #end(): void {
    this.isSettled = true
    if (this.#listeners) for (const listener of this.#listeners) listener()
  }
}

function ignore(): void {}

/**
 * Sees to it that the first reply that is due comes in time. One timer serves them all: it is only set anew where it
 * would come too late, and looks again when it comes too soon, so that a mail costs no timer of its own. The clock is read
 * when a reply becomes the first one and never later, so that a clock that is set does not end connections.
 */
export class ReplyWatch {
  readonly #clock: Clock
  readonly #onLate: (awaited: AwaitedReply) => void
  #first: AwaitedReply | undefined
  #timeoutMs: number | undefined
  #deadline = Number.POSITIVE_INFINITY
  #timerAt = Number.POSITIVE_INFINITY
  #cancel: () => void = ignore

  constructor(clock: Clock, onLate: (awaited: AwaitedReply) => void) {
    this.#clock = clock
    this.#onLate = onLate
  }

  /** `first` is the one that is due now. */
  look(first: AwaitedReply | undefined): void {
    if (first === this.#first && first?.timeoutMs === this.#timeoutMs) return
    this.#first = first
    this.#timeoutMs = first?.timeoutMs
    if (this.#timeoutMs === undefined) {
      this.#deadline = Number.POSITIVE_INFINITY
      return
    }
    this.#deadline = this.#clock.now() + this.#timeoutMs
    if (this.#deadline < this.#timerAt) this.#set(this.#timeoutMs)
  }

  end(): void {
    this.#first = undefined
    this.#cancel()
  }

  /** `waitMs` from now it is the time of the deadline. */
  #set(waitMs: number): void {
    this.#cancel()
    this.#timerAt = this.#deadline
    this.#cancel = this.#clock.after(waitMs, () => {
      const plannedAt = this.#timerAt
      this.#timerAt = Number.POSITIVE_INFINITY
      if (!this.#first || this.#timeoutMs === undefined) return
      const leftMs = Math.min(this.#deadline - plannedAt, this.#timeoutMs)
      if (leftMs > 0) this.#set(leftMs)
      else this.#onLate(this.#first)
    })
  }
}
