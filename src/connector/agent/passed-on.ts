import { type Clock, DAY } from '../../kernel/time.ts'
import type { MailWatch } from './mail-watch.ts'

export const passedOnLimits = {
  /** Streams that ended and can be asked for, and for how long. */
  streams: 10_000,
  keptMs: DAY,
} as const

/** What is known of a stream that ended. */
export interface EndedStream {
  /** Bytes that may have reached its target. */
  readonly bytes: number
  /** What its target said, where it is a mail server. */
  readonly watch: MailWatch | undefined
}

/**
 * Streams that ended. A hub that lost one asks for it: a mail whose last byte never left the connector is not in doubt,
 * and neither is one whose answer came to the connector.
 */
export class PassedOn {
  readonly #clock: Pick<Clock, 'now'>
  /** In the order of their ends. */
  readonly #ended = new Map<string, EndedStream & { readonly at: number }>()

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  note(stream: string, ended: EndedStream): void {
    this.#ended.set(stream, { ...ended, at: this.#clock.now() })
    for (const [each, { at }] of this.#ended) {
      const isOld = at + passedOnLimits.keptMs <= this.#clock.now()
      if (!isOld && this.#ended.size <= passedOnLimits.streams) break
      this.#ended.delete(each)
    }
  }

  /** Undefined: it knows nothing of such a stream. */
  find(stream: string): EndedStream | undefined {
    return this.#ended.get(stream)
  }
}
