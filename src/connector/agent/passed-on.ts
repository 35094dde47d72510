import { type Clock, MINUTE } from '../../kernel/time.ts'

export const passedOnLimits = {
  /** Streams that ended and can be asked for, and for how long. */
  streams: 10_000,
  keptMs: 10 * MINUTE,
} as const

/**
 * How many bytes of streams that ended may have reached their target. A hub that lost a stream asks for it: a mail whose
 * last byte never left the connector is not in doubt.
 */
export class PassedOn {
  readonly #clock: Pick<Clock, 'now'>
  /** In the order of their ends. */
  readonly #ended = new Map<string, { readonly bytes: number; readonly at: number }>()

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  note(stream: string, bytes: number): void {
    this.#ended.set(stream, { bytes, at: this.#clock.now() })
    for (const [each, { at }] of this.#ended) {
      const isOld = at + passedOnLimits.keptMs <= this.#clock.now()
      if (!isOld && this.#ended.size <= passedOnLimits.streams) break
      this.#ended.delete(each)
    }
  }

  /** Undefined: it knows nothing of such a stream. */
  find(stream: string): number | undefined {
    return this.#ended.get(stream)?.bytes
  }
}
