import { HubError } from '../../kernel/error.ts'
import type { Clock } from '../../kernel/time.ts'
import type { SmtpConnection } from './connection.ts'
import { smtpErrors } from './errors.ts'
import type { SmtpTimeouts } from './session.ts'
import { type Mail, type SentMail, sendMail } from './transaction.ts'

export interface SmtpPoolOptions {
  /** For sentences: `host:port`. */
  readonly server: string
  readonly connectionsMax: number
  /** A connection that rested for so long is closed; servers hang up after 5 minutes or less. */
  readonly idleMs: number
  /** Many servers limit the mails per connection; a new one also meets a new server behind a balancer. */
  readonly mailsPerConnectionMax: number
  readonly timeouts: SmtpTimeouts
  readonly clock: Clock
  open(signal: AbortSignal | undefined): Promise<SmtpConnection>
}

interface Waiter {
  /** A connection to use, or undefined: there is room to open one. */
  take(connection: SmtpConnection | undefined): void
  refuse(error: HubError): void
}

// After a failed opening the connections that stand are used for a while, before another one is tried.
const openAgainMs = 5000

/** Sends mails over a few connections that are kept open. */
export class SmtpPool {
  readonly #options: SmtpPoolOptions
  readonly #idle: { readonly connection: SmtpConnection; cancel(): void }[] = []
  readonly #waiting: Waiter[] = []
  #open = 0
  #openNotBefore = 0
  #isClosed = false
  readonly #busy = new Set<SmtpConnection>()

  constructor(options: SmtpPoolOptions) {
    this.#options = options
  }

  /** Sends one mail; waits for a free connection. Throws SMTP_… errors. */
  async send(mail: Mail, signal?: AbortSignal): Promise<SentMail> {
    let mayRepeat = true
    for (;;) {
      const connection = await this.#acquire(signal)
      const isReused = connection.mailCount > 0
      let isCommitted = false
      const beforeCommit = () => {
        isCommitted = true
        return mail.beforeCommit()
      }
      const abort = () => connection.fail(smtpErrors.INTERRUPTED({ server: connection.server }))
      signal?.addEventListener('abort', abort)
      try {
        if (signal?.aborted) abort()
        return await sendMail(connection, { ...mail, beforeCommit }, this.#options.timeouts)
      } catch (error) {
        // A server that takes no mails now: whoever tries again is to meet another one behind the same name, if any.
        if (isBusy(error)) void connection.quit()
        // A server may have hung up while the connection rested; that is no failure of this mail. The others that
        // rested are as old, so they go too.
        if (!mayRepeat || !isReused || isCommitted || !isStale(error)) throw error
        mayRepeat = false
        this.#dropIdle()
      } finally {
        signal?.removeEventListener('abort', abort)
        this.#release(connection)
      }
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const waiter of this.#waiting.splice(0))
      waiter.refuse(smtpErrors.INTERRUPTED({ server: this.#options.server }))
    for (const connection of this.#busy) connection.fail(smtpErrors.INTERRUPTED({ server: this.#options.server }))
    await Promise.all(this.#takeIdle().map(connection => connection.quit()))
  }

  async #acquire(signal: AbortSignal | undefined): Promise<SmtpConnection> {
    for (;;) {
      if (this.#isClosed || signal?.aborted) {
        this.#wakeOne()
        throw smtpErrors.INTERRUPTED({ server: this.#options.server })
      }
      const rested = this.#idle.pop()
      rested?.cancel()
      if (rested?.connection.isUsable) return this.#use(rested.connection)
      if (rested) this.#forget()
      else if (this.#mayOpen()) return this.#use(await this.#openOne(signal))
      else {
        const handed = await this.#wait(signal)
        if (handed) return this.#use(handed)
      }
    }
  }

  #mayOpen(): boolean {
    if (this.#open === 0) return true
    return this.#open < this.#options.connectionsMax && this.#options.clock.now() >= this.#openNotBefore
  }

  async #openOne(signal: AbortSignal | undefined): Promise<SmtpConnection> {
    this.#open++
    try {
      const connection = await this.#options.open(signal)
      this.#openNotBefore = 0
      return connection
    } catch (error) {
      this.#open--
      if (error instanceof HubError && !signal?.aborted) {
        this.#openNotBefore = this.#options.clock.now() + openAgainMs
        // Nobody holds a connection that could serve those who wait: they would fail one by one, each after the
        // whole connect timeout.
        if (this.#open === 0) for (const waiter of this.#waiting.splice(0)) waiter.refuse(error)
        else this.#options.clock.after(openAgainMs, () => this.#wakeOne())
      }
      this.#wakeOne()
      throw error
    }
  }

  async #wait(signal: AbortSignal | undefined): Promise<SmtpConnection | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<SmtpConnection | undefined>()
    const waiter: Waiter = { take: resolve, refuse: reject }
    const abort = () => {
      const at = this.#waiting.indexOf(waiter)
      if (at < 0) return
      this.#waiting.splice(at, 1)
      reject(smtpErrors.INTERRUPTED({ server: this.#options.server }))
    }
    this.#waiting.push(waiter)
    signal?.addEventListener('abort', abort)
    try {
      return await promise
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  #use(connection: SmtpConnection): SmtpConnection {
    this.#busy.add(connection)
    return connection
  }

  #release(connection: SmtpConnection): void {
    this.#busy.delete(connection)
    const isSpent = connection.mailCount >= this.#options.mailsPerConnectionMax
    if (!connection.isUsable || isSpent || this.#isClosed) {
      void connection.quit()
      this.#forget()
      return
    }
    const waiter = this.#waiting.shift()
    if (waiter) {
      waiter.take(connection)
      return
    }
    const cancel = this.#options.clock.after(this.#options.idleMs, () => {
      const at = this.#idle.findIndex(rested => rested.connection === connection)
      if (at < 0) return
      this.#idle.splice(at, 1)
      void connection.quit()
      this.#forget()
    })
    this.#idle.push({ connection, cancel })
  }

  #forget(): void {
    this.#open--
    this.#wakeOne()
  }

  #wakeOne(): void {
    if (this.#waiting.length > 0 && this.#mayOpen()) this.#waiting.shift()?.take(undefined)
  }

  #takeIdle(): SmtpConnection[] {
    return this.#idle.splice(0).map(({ connection, cancel }) => {
      cancel()
      this.#open--
      return connection
    })
  }

  #dropIdle(): void {
    for (const connection of this.#takeIdle()) void connection.quit()
  }
}

function isBusy(error: unknown): boolean {
  if (!(error instanceof HubError)) return false
  return error.code === smtpErrors.REFUSED_FOR_NOW.code && error.fields['phase'] === 'MAIL FROM'
}

function isStale(error: unknown): boolean {
  if (!(error instanceof HubError)) return false
  return error.code === smtpErrors.CONNECTION_LOST.code || error.fields['code'] === 421
}
