import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { asHubError, type HubError } from '../../kernel/error.ts'
import { type Trace, traceOf } from '../../kernel/socket.ts'
import type { Clock } from '../../kernel/time.ts'
import { AwaitedReply, ReplyWatch } from './awaited-reply.ts'
import { smtpErrors } from './errors.ts'
import { type Extensions, noExtensions } from './extensions.ts'
import { formatReply, type Reply, ReplyReader } from './reply.ts'

/**
 * One connection to a mail server: commands out, replies in, strictly in order. It knows nothing of mails.
 * Whatever ends it (the server, a timeout, an abort) rejects every awaited reply with the same HubError.
 */
export class SmtpConnection {
  /** `host:port`, for sentences. */
  readonly server: string
  /** The greeting in one line. */
  greeting = ''
  extensions: Extensions = noExtensions
  isEncrypted = false
  /** Who logged in, for sentences. */
  user: string | undefined
  /** The shortest answer to a command so far, in milliseconds. */
  rttMs = Number.POSITIVE_INFINITY
  /** Mails that were begun on this connection. */
  mailCount = 0
  /** Octets that were written so far. */
  writtenBytes = 0
  /** A transaction was left half-way; RSET has to come before the next one. */
  needsReset = false
  /** By which a connector can be asked for this connection; not through TLS, where it cannot tell mails apart. */
  readonly trace: Trace | undefined
  readonly #socket: Duplex
  readonly #clock: Clock
  readonly #reader: ReplyReader
  #awaited: AwaitedReply[] = []
  #failure: HubError | undefined
  #isClosing = false
  /** What everybody hears who comes after it was given up. */
  #retired: HubError | undefined
  #isGathering = false
  readonly #watch: ReplyWatch

  constructor(socket: Duplex, { server, clock }: { readonly server: string; readonly clock: Clock }) {
    this.server = server
    this.#socket = socket
    this.trace = traceOf(socket)
    this.#clock = clock
    this.#reader = new ReplyReader(server)
    this.#watch = new ReplyWatch(clock, ({ phase, timeoutMs = 0 }) =>
      this.fail(smtpErrors.TIMEOUT({ server, phase, timeoutMs })),
    )
    // Small commands and their replies alternate; Nagle's algorithm would hold each back for a delayed ACK (40 ms).
    if ('setNoDelay' in socket && typeof socket.setNoDelay === 'function') socket.setNoDelay(true)
    socket.on('data', this.#onData).on('error', this.#onError).on('end', this.#onEnd).on('close', this.#onEnd)
    if (socket.destroyed) this.#onEnd()
  }

  /** True when the next command may be written. */
  get isUsable(): boolean {
    return !this.#failure && !this.#isClosing && this.#awaited.length === 0
  }

  /** True when commands may follow the last octets of a mail in one group (RFC 2920). */
  get mayGroup(): boolean {
    return this.extensions.pipelining && !this.#failure && !this.#isClosing
  }

  get failure(): HubError | undefined {
    return this.#failure
  }

  /** Address of this end, where the socket knows it. */
  get localAddress(): string | undefined {
    return 'localAddress' in this.#socket && typeof this.#socket.localAddress === 'string'
      ? this.#socket.localAddress
      : undefined
  }

  /**
   * Announces that the next reply belongs to `phase`. Its time is named here or with `limit` later, and runs from when
   * it is the first that is due.
   */
  expect(phase: string, timeoutMs?: number): AwaitedReply {
    const awaited = new AwaitedReply(phase, timeoutMs)
    const end = this.#failure ?? this.#retired
    if (end) {
      awaited.reject(end)
      return awaited
    }
    this.#awaited.push(awaited)
    this.#watch.look(this.#awaited[0])
    return awaited
  }

  /** From now on the reply has to come within `timeoutMs`. */
  limit(awaited: AwaitedReply, timeoutMs: number): void {
    awaited.timeoutMs = timeoutMs
    this.#watch.look(this.#awaited[0])
  }

  /** Writes pieces, in one segment with all that is written before the event loop goes on. */
  write(...pieces: readonly (string | Uint8Array)[]): void {
    if (this.#failure || this.#retired) return
    if (!this.#isGathering) {
      this.#isGathering = true
      this.#socket.cork()
      process.nextTick(this.#writeOut)
    }
    for (const piece of pieces) {
      this.writtenBytes += Buffer.byteLength(piece)
      this.#socket.write(piece)
    }
  }

  readonly #writeOut = (): void => {
    this.#isGathering = false
    this.#socket.uncork()
  }

  /** One command and its reply. */
  async command(line: string, phase: string, timeoutMs: number): Promise<Reply> {
    const since = performance.now()
    const awaited = this.expect(phase, timeoutMs)
    this.write(`${line}\r\n`)
    const reply = await awaited.promise
    this.rttMs = Math.min(this.rttMs, performance.now() - since)
    return reply
  }

  /** Waits until the socket takes more bytes, or until `early` is settled: the server gave up reading. */
  async drained(early: AwaitedReply, timeoutMs: number): Promise<void> {
    if (this.#failure || early.isSettled || !this.#socket.writableNeedDrain) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#socket.once('drain', resolve)
    await this.#patient(promise, early, timeoutMs)
    this.#socket.off('drain', resolve)
  }

  /**
   * Writes pieces whose memory the caller will use again: resolves when it may, or when `early` is settled; then the
   * memory is lost to the caller.
   */
  async lend(pieces: readonly Uint8Array[], early: AwaitedReply, timeoutMs: number): Promise<void> {
    // Only a socket of the system says when it has let go of the bytes; another stream (a tunnel) may queue them.
    if (!(this.#socket instanceof Socket)) {
      this.write(...pieces.map(piece => Uint8Array.from(piece)))
      return this.drained(early, timeoutMs)
    }
    if (this.#failure || early.isSettled) return
    let left = pieces.length
    if (left === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#socket.cork()
    for (const piece of pieces) {
      this.writtenBytes += piece.length
      // Called as well when the socket breaks.
      this.#socket.write(piece, () => --left === 0 && resolve())
    }
    this.#socket.uncork()
    await this.#patient(promise, early, timeoutMs)
  }

  /** Waits for the socket, until `early` is settled or the time is over, which ends the connection. */
  async #patient(taken: Promise<unknown>, early: AwaitedReply, timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const phase = 'body'
    const cancel = this.#clock.after(timeoutMs, () =>
      this.fail(smtpErrors.TIMEOUT({ server: this.server, phase, timeoutMs })),
    )
    const forget = early.whenSettled(resolve)
    await Promise.race([taken, promise])
    forget()
    cancel()
  }

  /** Gives the socket away for TLS. Throws SMTP_PROTOCOL when the server said more than it was asked. */
  detach(): Duplex {
    if (this.#reader.isInside || this.#awaited.length > 0 || !this.isUsable) {
      const text = 'words before TLS began that were not asked for'
      this.fail(smtpErrors.PROTOCOL({ server: this.server, text }))
      throw this.#failure
    }
    this.#isClosing = true
    this.#watch.end()
    this.#unlisten()
    this.#socket.pause()
    return this.#socket
  }

  /** Waits for no reply but the first that is due; with that one the connection ends. */
  retire(error: HubError): void {
    this.#isClosing = true
    this.#retired = error
    for (const reply of this.#awaited.splice(1)) reply.reject(error)
  }

  /** Ends the connection at once. */
  fail(error: HubError): void {
    if (this.#failure) return
    this.#failure = error
    this.#watch.end()
    const awaited = this.#awaited
    this.#awaited = []
    this.#unlisten()
    // A socket that is being destroyed may still report an error; there is nobody left whom it could concern.
    this.#socket.on('error', () => {})
    this.#socket.destroy()
    for (const reply of awaited) reply.reject(error)
  }

  /** Says goodbye, and closes after the answer or `waitMs`. Never rejects. */
  async quit(waitMs = 2000): Promise<void> {
    if (this.#retired) return
    if (this.isUsable) {
      // Whatever comes back, the connection ends here; there is nothing to learn from it.
      await this.command('QUIT', 'QUIT', waitMs).catch(() => undefined)
    }
    this.fail(smtpErrors.CONNECTION_LOST({ server: this.server, phase: 'QUIT', text: 'closed by the hub' }))
  }

  #unlisten(): void {
    const socket = this.#socket
    socket.off('data', this.#onData).off('error', this.#onError).off('end', this.#onEnd).off('close', this.#onEnd)
  }

  #lost(text: string, cause?: unknown): void {
    const phase = this.#awaited[0]?.phase ?? 'rest'
    this.fail(smtpErrors.CONNECTION_LOST({ server: this.server, phase, text }, { cause }))
  }

  readonly #onData = (chunk: Uint8Array): void => {
    try {
      for (const reply of this.#reader.push(chunk)) this.#take(reply)
    } catch (error) {
      this.fail(asHubError(error))
    }
  }

  #take(reply: Reply): void {
    if (reply.code === 421) this.#isClosing = true
    const awaited = this.#awaited.shift()
    this.#watch.look(this.#awaited[0])
    if (awaited) awaited.resolve(reply)
    else if (reply.code === 421) this.#lost(formatReply(reply))
    else this.fail(smtpErrors.PROTOCOL({ server: this.server, text: `"${formatReply(reply)}", unasked` }))
    if (this.#retired) this.fail(this.#retired)
  }

  readonly #onError = (error: Error): void => this.#lost(error.message, error)
  readonly #onEnd = (): void => this.#lost('the other side closed it')
}
