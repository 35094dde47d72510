import { balanceLimits } from './limits.ts'
import { latin, PassingReplies } from './passing-replies.ts'
import type { ServiceReport } from './service.ts'

/**
 * Listens to a dialogue that passes by: how quickly the server answers, whether it takes mails, whether it ends in good
 * order. Only replies are read (never the mails), and nothing after STARTTLS: then a reset is all that can be seen.
 */
export class SmtpWatch {
  readonly #report: ServiceReport
  readonly #now: () => number
  /** When the client last said something that the server has not answered. */
  #askedAt: number | undefined
  readonly #replies = new PassingReplies()
  #slowestMs = 0
  #isInMail = false
  #isEncrypted = false
  #isOver = false

  /** `now`: milliseconds of any clock that does not jump. */
  constructor(report: ServiceReport, now: () => number) {
    this.#report = report
    this.#now = now
  }

  /** The client's octets. */
  asked(chunk: Uint8Array): void {
    this.#askedAt = this.#now()
    if (!this.#isInMail && !this.#isEncrypted && isQuit(chunk)) this.#end()
  }

  /** The server's octets. */
  answered(chunk: Uint8Array): void {
    if (this.#isOver) return
    if (this.#isEncrypted) {
      this.#askedAt = undefined
      return
    }
    for (const { code } of this.#replies.read(chunk)) {
      this.#replied(Number(code))
      if (this.#isEncrypted) return
    }
  }

  /** The server closed its side. */
  closed(): void {
    if (this.#isOver) return
    if (this.#askedAt !== undefined && !this.#isEncrypted) this.#fail('it closed the connection instead of an answer')
    else this.#end()
  }

  /** The connection broke at the server's side. */
  broke(reason: string): void {
    if (!this.#isOver) this.#fail(`it broke the connection: ${reason}`)
  }

  /** The hub hung up. */
  left(): void {
    this.hubLeft()
    this.#isOver = true
  }

  /** The hub hung up, and the connection stays for the answer: what becomes of it still counts. */
  hubLeft(): void {
    const waitedMs = this.#askedAt === undefined ? 0 : this.#now() - this.#askedAt
    if (!this.#isOver && waitedMs >= balanceLimits.inVainMs)
      this.#fail(`it was silent for ${Math.round(waitedMs / 1000)} s`)
  }

  #replied(code: number): void {
    const isAsked = this.#askedAt !== undefined
    if (this.#askedAt !== undefined) this.#slowestMs = Math.max(this.#slowestMs, this.#now() - this.#askedAt)
    this.#askedAt = undefined
    // 421 unasked is the usual goodbye to a client that rested for too long.
    if (code === 421 && isAsked) this.#fail('421 instead of an answer')
    else if (code === 421 || code === 221) this.#end()
    else if (code === 220) this.#isEncrypted = true
    else if (code === 354) this.#isInMail = true
    else if (this.#isInMail) {
      this.#isInMail = false
      if (code < 400) this.#report.served()
      this.#tellSlowest()
    }
  }

  #end(): void {
    this.#isOver = true
    this.#report.served()
    this.#tellSlowest()
  }

  #fail(reason: string): void {
    this.#isOver = true
    this.#report.failed(reason)
    this.#tellSlowest()
  }

  #tellSlowest(): void {
    if (this.#slowestMs > 0) this.#report.answered(this.#slowestMs)
    this.#slowestMs = 0
  }
}

function isQuit(chunk: Uint8Array): boolean {
  if (chunk.length < 6 || chunk.length > 8) return false
  return /^quit\s*$/i.test(latin(chunk))
}
