import { MINUTE, SECOND } from '../../kernel/time.ts'
import { DataverseError } from './dataverse-error.ts'

/** Service protection limits per user and web server (Microsoft, "Service protection API limits"). */
export interface ProtectionLimits {
  readonly requests: number
  readonly windowMs: number
  /** Execution time of all requests in the window together. */
  readonly executionMs: number
  readonly concurrent: number
}

export const protectionLimits: ProtectionLimits = {
  requests: 6000,
  windowMs: 5 * MINUTE,
  executionMs: 20 * MINUTE,
  concurrent: 52,
}

interface User {
  running: number
  readonly done: { readonly at: number; readonly tookMs: number }[]
  /** Until then everything is turned away; whoever goes on sending makes it longer. */
  penaltyUntil: number
  penalty: DataverseError | undefined
}

/** Counts what each user asks, and turns away what is too much. */
export class Protection {
  readonly #limits: ProtectionLimits
  readonly #now: () => number
  readonly #users = new Map<string, User>()
  #refusedCount = 0
  #mostAtOnce = 0

  constructor(limits: ProtectionLimits, now: () => number) {
    this.#limits = limits
    this.#now = now
  }

  get refusedCount(): number {
    return this.#refusedCount
  }

  /** The most requests of one user that were under way at the same time. */
  get mostAtOnce(): number {
    return this.#mostAtOnce
  }

  /** Lets a request in, or throws 429. The returned function says that it ended. */
  enter(name: string): () => void {
    const user = this.#users.get(name) ?? { running: 0, done: [], penaltyUntil: 0, penalty: undefined }
    this.#users.set(name, user)
    const now = this.#now()
    const { requests, windowMs, executionMs, concurrent } = this.#limits
    while (user.done[0] && user.done[0].at <= now - windowMs) user.done.shift()
    if (user.penalty && now < user.penaltyUntil) {
      user.penaltyUntil = Math.min(user.penaltyUntil + SECOND, now + windowMs)
      throw this.#refuse(user.penalty.code, user.penalty.message, user.penaltyUntil - now)
    }
    user.penalty = undefined
    if (user.running >= concurrent) {
      throw this.#refuse('0x80072326', `Number of concurrent requests exceeded the limit of ${concurrent}.`, SECOND)
    }
    if (user.done.length + user.running >= requests) {
      throw this.#punish(
        user,
        '0x80072322',
        `Number of requests exceeded the limit of ${requests} over time window of ${windowMs / SECOND} seconds.`,
      )
    }
    if (user.done.reduce((sum, { tookMs }) => sum + tookMs, 0) >= executionMs) {
      throw this.#punish(
        user,
        '0x80072321',
        `Combined execution time of incoming requests exceeded limit of ${executionMs} milliseconds over time window of ${windowMs / SECOND} seconds. Decrease number of concurrent requests or reduce the duration of requests and try again later.`,
      )
    }
    user.running += 1
    this.#mostAtOnce = Math.max(this.#mostAtOnce, user.running)
    return () => {
      user.running -= 1
      user.done.push({ at: this.#now(), tookMs: this.#now() - now })
    }
  }

  #punish(user: User, code: string, message: string): DataverseError {
    const now = this.#now()
    const oldest = user.done[0]?.at ?? now
    user.penaltyUntil = Math.max(now + SECOND, oldest + this.#limits.windowMs)
    user.penalty = this.#refuse(code, message, user.penaltyUntil - now)
    return user.penalty
  }

  #refuse(code: string, message: string, waitMs: number): DataverseError {
    this.#refusedCount += 1
    return new DataverseError(429, code, message, { 'retry-after': String(Math.ceil(waitMs / SECOND)) })
  }
}
