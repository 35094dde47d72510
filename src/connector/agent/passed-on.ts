import { MiB } from '../../kernel/size.ts'
import { DAY } from '../../kernel/time.ts'
import type { MailAnswer } from './mail-watch.ts'

export const passedOnLimits = {
  /** Streams that ended and can be asked for, and for how long. */
  streams: 10_000,
  keptMs: DAY,
  /** All that is kept of what mail servers answered. */
  answerLetters: 16 * MiB,
} as const

/** What is known of a stream that ended. */
export interface EndedStream {
  /** Bytes that may have reached its target. */
  readonly bytes: number
  /** What its target answered, where it is a mail server. */
  readonly answers: readonly MailAnswer[]
}

/**
 * Streams that ended. A hub that lost one asks for it: a mail whose last byte never left the connector is not in doubt,
 * and neither is one whose answer came to the connector.
 */
export class PassedOn {
  readonly #now: () => number
  /** In the order of their ends. */
  readonly #ended = new Map<string, EndedStream & { readonly at: number }>()
  #letters = 0

  /** `now`: milliseconds of a clock that nobody sets. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  note(stream: string, ended: EndedStream): void {
    const at = this.#now()
    this.#forget(stream)
    this.#ended.set(stream, { ...ended, at })
    this.#letters += lettersOf(ended)
    for (const [name, each] of this.#ended) {
      const isOld = each.at + passedOnLimits.keptMs <= at
      const isTooMuch = this.#ended.size > passedOnLimits.streams || this.#letters > passedOnLimits.answerLetters
      if (!isOld && !isTooMuch) break
      this.#forget(name)
    }
  }

  #forget(stream: string): void {
    const known = this.#ended.get(stream)
    if (known) this.#letters -= lettersOf(known)
    this.#ended.delete(stream)
  }

  /** Undefined: it knows nothing of such a stream. */
  find(stream: string): EndedStream | undefined {
    return this.#ended.get(stream)
  }
}

function lettersOf({ answers }: EndedStream): number {
  return answers.reduce((sum, { answer }) => sum + answer.length, 0)
}
