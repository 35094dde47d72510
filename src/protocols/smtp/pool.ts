import { HubError } from '../../kernel/error.ts'
import { type Clock, HOUR, MINUTE, SECOND } from '../../kernel/time.ts'
import type { AwaitedReply } from './awaited-reply.ts'
import type { SmtpConnection } from './connection.ts'
import { ConnectionRoof } from './connection-roof.ts'
import { smtpErrors } from './errors.ts'
import { saysTooMany } from './refusal.ts'
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

/** The right to use a connection. */
interface Turn {
  readonly connection: SmtpConnection
  /** The answer to the mail before, when this one is told while that is still due (RFC 2920 section 3.1). */
  readonly before: AwaitedReply | undefined
}

interface Waiter {
  /** When it may be told behind another mail; never where it needs a connection on which nothing is due. */
  readonly followsFrom: number
  /** A connection is being opened for it. */
  isOpening: boolean
  /** A connection to use, or undefined: there is room to open one. */
  take(turn: Turn | undefined): void
  refuse(error: unknown): void
}

const poolLimits = {
  /** How long a server has to answer when the receiver ends: a hub that stops has little time. */
  leaveMs: SECOND,
  /** After a failed opening the connections that stand are used for a while, before another one is tried. */
  openAgainMs: 5 * SECOND,
  /** How long a mail for which a connection is being opened is not put behind another one. */
  openingMs: SECOND,
  /** How long a mail stays behind another one whose answer is due, before it looks for another connection. */
  followMs: 2 * SECOND,
  /** How long no mail is put behind another one after that. */
  apartMs: MINUTE,
  /** The same after a server that never answered what stood behind a mail: some throw it away. */
  mistrustMs: HOUR,
}

/**
 * Sends mails over a few connections that are kept open, and over fewer while the server says that there are too many.
 * While all are busy and the server takes commands in groups, a mail that waits is announced together with the last octets
 * of the one before it: one segment, one round trip and one commit less for each mail.
 */
export class SmtpPool {
  readonly #options: SmtpPoolOptions
  readonly #idle: { readonly connection: SmtpConnection; cancel(): void }[] = []
  readonly #waiting: Waiter[] = []
  #open = 0
  #openNotBefore = 0
  readonly #roof: ConnectionRoof
  /** Connections that the server says are too many; they end with what was told on them before. */
  readonly #surplus = new Set<SmtpConnection>()
  #apartUntil = 0
  readonly #closing = new AbortController()
  readonly #busy = new Set<SmtpConnection>()

  constructor(options: SmtpPoolOptions) {
    this.#options = options
    this.#roof = new ConnectionRoof(options.connectionsMax, options.clock)
  }

  /** Sends one mail; waits for a free connection. Throws SMTP_… errors. */
  async send(mail: Mail, signal?: AbortSignal): Promise<SentMail> {
    let mayRepeat = true
    for (;;) {
      const { connection, before } = await this.#acquire(signal, mayRepeat)
      const isReused = connection.mailCount > 0
      let isCommitted = false
      let isHandedOn = false
      const beforeCommit: Mail['beforeCommit'] = handover => {
        isCommitted = true
        return mail.beforeCommit(handover)
      }
      const abort = () => leave(connection, before, smtpErrors.INTERRUPTED({ server: connection.server }))
      const endPatience = before && this.#follow(connection, before)
      signal?.addEventListener('abort', abort)
      try {
        if (signal?.aborted) abort()
        return await sendMail(connection, { ...mail, beforeCommit }, this.#options.timeouts, final => {
          // Heard at once, so that whoever follows is the last one.
          final.whenSettled(() => {
            if (final.reply && saysTooMany(final.reply)) this.#giveUp(connection)
          })
          isHandedOn = this.#handOn(connection, final)
          return isHandedOn
        })
      } catch (error) {
        // A server that takes no mails now: whoever tries again is to meet another one behind the same name, if any.
        if (isBusy(error)) void connection.quit()
        if (isThrottled(error)) this.#giveUp(connection)
        if (!mayRepeat || isCommitted || signal?.aborted || !isOfOthers(error, isReused, before)) throw error
        mayRepeat = false
        if (before?.reply && isOfKind(error, smtpErrors.TIMEOUT.code)) this.#keepApart(poolLimits.mistrustMs)
        this.#dropIdle()
      } finally {
        signal?.removeEventListener('abort', abort)
        endPatience?.()
        if (!isHandedOn) this.#release(connection, before)
      }
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    for (const waiter of this.#waiting.splice(0))
      waiter.refuse(smtpErrors.INTERRUPTED({ server: this.#options.server }))
    for (const connection of this.#busy) connection.fail(smtpErrors.INTERRUPTED({ server: this.#options.server }))
    await Promise.all(this.#takeIdle().map(connection => connection.quit(poolLimits.leaveMs)))
  }

  async #acquire(signal: AbortSignal | undefined, mayFollow: boolean): Promise<Turn> {
    for (;;) {
      this.#roof.raiseIfDue(this.#open)
      if (this.#isClosed || signal?.aborted) {
        this.#wakeOne()
        throw smtpErrors.INTERRUPTED({ server: this.#options.server })
      }
      const rested = this.#idle.pop()
      rested?.cancel()
      if (rested?.connection.isUsable) return this.#use(rested.connection)
      if (rested) this.#forget()
      else {
        const handed = await this.#wait(signal, mayFollow)
        if (handed) return handed
      }
    }
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  #mayOpen(): boolean {
    if (this.#open === 0) return true
    return this.#open < this.#roof.count && this.#options.clock.now() >= this.#openNotBefore
  }

  #giveUp(connection: SmtpConnection): void {
    if (!this.#busy.has(connection) || this.#surplus.has(connection)) return
    this.#surplus.add(connection)
    this.#roof.lower(this.#open - this.#surplus.size)
  }

  /**
   * Opens a connection for a mail, which meanwhile takes one that becomes free: a server may let a connection wait for
   * its greeting until others have ended.
   */
  async #openFor(waiter: Waiter, signal: AbortSignal | undefined): Promise<void> {
    this.#open++
    waiter.isOpening = true
    const given = AbortSignal.any([this.#closing.signal, ...(signal ? [signal] : [])])
    try {
      const connection = await this.#options.open(given)
      this.#openNotBefore = 0
      this.#release(connection)
    } catch (error) {
      this.#open--
      if (error instanceof HubError && !given.aborted) {
        if (isThrottled(error)) this.#roof.lower(this.#open)
        this.#openNotBefore = this.#options.clock.now() + poolLimits.openAgainMs
        // Nobody holds a connection that could serve those who wait: they would fail one by one, each after the
        // whole connect timeout.
        if (this.#open === 0) for (const waiter of this.#waiting.splice(0)) waiter.refuse(error)
        else this.#options.clock.after(poolLimits.openAgainMs, () => this.#wakeOne())
      }
      // The server takes no further one, but others stand, and one of them will be free.
      if (!isThrottled(error) || this.#open === 0) this.#leave(waiter, error)
    }
    waiter.isOpening = false
    this.#wakeOne()
  }

  /** Ends the waiting of a mail, unless it has a connection by now. */
  #leave(waiter: Waiter, error: unknown): void {
    const at = this.#waiting.indexOf(waiter)
    if (at < 0) return
    this.#waiting.splice(at, 1)
    waiter.refuse(error)
  }

  async #wait(signal: AbortSignal | undefined, mayFollow: boolean): Promise<Turn | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Turn | undefined>()
    const mayOpen = this.#mayOpen()
    const patienceMs = mayOpen ? poolLimits.openingMs : 0
    const followsFrom = mayFollow ? this.#options.clock.now() + patienceMs : Number.POSITIVE_INFINITY
    const waiter: Waiter = { followsFrom, isOpening: false, take: resolve, refuse: reject }
    const abort = () => this.#leave(waiter, smtpErrors.INTERRUPTED({ server: this.#options.server }))
    this.#waiting.push(waiter)
    if (mayOpen) void this.#openFor(waiter, signal)
    signal?.addEventListener('abort', abort)
    try {
      return await promise
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  #use(connection: SmtpConnection): Turn {
    this.#busy.add(connection)
    return { connection, before: undefined }
  }

  /** Gives the connection to who waits longest, although the answer to the last mail on it is due. */
  #handOn(connection: SmtpConnection, final: AwaitedReply): boolean {
    if (this.#isClosed || !connection.mayGroup || this.#isSpent(connection)) return false
    const now = this.#options.clock.now()
    if (now < this.#apartUntil) return false
    const at = this.#waiting.findIndex(({ followsFrom }) => followsFrom <= now)
    const [next] = at < 0 ? [] : this.#waiting.splice(at, 1)
    next?.take({ connection, before: final })
    return next !== undefined
  }

  /** A mail does not wait for ever behind a slow one; the returned function ends its patience. */
  #follow(connection: SmtpConnection, before: AwaitedReply): () => void {
    const { clock, server } = this.#options
    return clock.after(poolLimits.followMs, () => {
      if (before.isSettled) return
      this.#keepApart(poolLimits.apartMs)
      leave(
        connection,
        before,
        smtpErrors.CONNECTION_LOST({ server, phase: 'rest', text: 'the mail before takes long' }),
      )
    })
  }

  #keepApart(ms: number): void {
    this.#apartUntil = Math.max(this.#apartUntil, this.#options.clock.now() + ms)
  }

  #isSpent(connection: SmtpConnection): boolean {
    return connection.mailCount >= this.#options.mailsPerConnectionMax || this.#surplus.has(connection)
  }

  #release(connection: SmtpConnection, before?: AwaitedReply): void {
    if (before && !before.isSettled) {
      before.whenSettled(() => {
        // The one that followed never began, so nobody else remembers how the one before ended.
        if (before.reply?.code !== 250) connection.needsReset = true
        this.#release(connection)
      })
      return
    }
    this.#busy.delete(connection)
    if (!connection.isUsable || this.#isSpent(connection) || this.#isClosed) {
      this.#end(connection)
      return
    }
    const waiter = this.#waiting.shift()
    if (waiter) {
      waiter.take(this.#use(connection))
      return
    }
    const cancel = this.#options.clock.after(this.#options.idleMs, () => {
      const at = this.#idle.findIndex(rested => rested.connection === connection)
      if (at < 0) return
      this.#idle.splice(at, 1)
      this.#end(connection)
    })
    this.#idle.push({ connection, cancel })
  }

  /** It counts until the server has let go of it: a new one in its place would be one too many there. */
  #end(connection: SmtpConnection): void {
    void connection.quit().then(() => {
      this.#surplus.delete(connection)
      this.#forget()
    })
  }

  #forget(): void {
    this.#open--
    this.#wakeOne()
  }

  #wakeOne(): void {
    if (!this.#mayOpen()) return
    const at = this.#waiting.findIndex(({ isOpening }) => !isOpening)
    if (at >= 0) this.#waiting.splice(at, 1)[0]?.take(undefined)
  }

  #takeIdle(): SmtpConnection[] {
    return this.#idle.splice(0).map(({ connection, cancel }) => {
      cancel()
      return connection
    })
  }

  #dropIdle(): void {
    for (const connection of this.#takeIdle()) this.#end(connection)
  }
}

/** Ends a connection, but lets the mail before have its answer. */
function leave(connection: SmtpConnection, before: AwaitedReply | undefined, error: HubError): void {
  if (before && !before.isSettled) connection.retire(error)
  else connection.fail(error)
}

/**
 * True for what may be no failure of this mail: a server may have hung up while the connection rested (the others that
 * rested are as old), or together with the mail before; it may want RSET behind one that it refused, or not want to be told
 * a mail behind another one at all.
 */
function isOfOthers(error: unknown, isReused: boolean, before: AwaitedReply | undefined): boolean {
  if (!(error instanceof HubError)) return false
  if (before && !before.reply) return true
  if (isReused && isStale(error)) return true
  if (!before || error.fields['phase'] !== 'MAIL FROM') return false
  return error.code === smtpErrors.TIMEOUT.code || Number(error.fields['code']) >= 500
}

function isBusy(error: unknown): boolean {
  return isOfKind(error, smtpErrors.REFUSED_FOR_NOW.code) && error.fields['phase'] === 'MAIL FROM'
}

/** The server, or a connector on the way to it, carries as many connections as it will. */
function isThrottled(error: unknown): boolean {
  return error instanceof HubError && error.isThrottling
}

function isOfKind(error: unknown, code: string): error is HubError {
  return error instanceof HubError && error.code === code
}

function isStale(error: HubError): boolean {
  return error.code === smtpErrors.CONNECTION_LOST.code || error.fields['code'] === 421
}
