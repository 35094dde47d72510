import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { HubError } from '../../kernel/error.ts'
import { asHubError } from '../../kernel/error.ts'
import { type Clock, formatDuration } from '../../kernel/time.ts'
import { imapErrors } from './errors.ts'
import { imapLimits, patienceLimits } from './limits.ts'
import { explainRefusal, type ImapNames } from './refusal.ts'
import { parseResponse, type Response, type ResponsePart, type StatusLine, textOf } from './response.ts'
import { holdingSink, type LiteralSink, notImap, ResponseReader } from './response-reader.ts'

export type DataResponse = Extract<Response, { kind: 'data' }>

export interface ImapOptions {
  readonly clock: Clock
  /** How long one command may take, and how long the server may be silent while a body is on its way. */
  readonly timeoutMs: number
  readonly names: ImapNames
}

export interface Command {
  /** The command without its tag; octets are Latin-1 letters. */
  readonly text: string
  /** What errors call it, without secrets. Default: the first word. */
  readonly title?: string
  /** The folder it names, for FOLDER_MISSING. */
  readonly folder?: string
  /** Sent alone: it waits for a continuation, or changes what the connection is. */
  readonly isExclusive?: boolean
  /** True: rows of it move the deadline on (FETCH), as far as patienceLimits go; else it must end within timeoutMs. */
  readonly isLong?: boolean
  /** True when it waits for the server without a limit (IDLE); the caller sees to the deadline. */
  readonly isPatient?: boolean
  /** Nothing more may come before the byte stream is exchanged (STARTTLS): somebody may have put it there. */
  readonly isLastInClear?: boolean
  /** True when the response was for this command; the next command in flight is not asked then. */
  onData?(response: DataResponse): boolean | undefined
  /** Chooses where the octets of a literal go; undefined: not for this command. */
  onLiteral?(head: readonly ResponsePart[], bytes: number): LiteralSink | undefined
  /** Answers a continuation request; what it returns is written as it is. */
  onContinue?(text: string): string | Buffer | undefined
}

interface Pending {
  readonly command: Command
  readonly title: string
  tag: string
  /** When its time began: it was sent, or the one before it ended. */
  startedAt: number
  untaggedCount: number
  resolve(line: StatusLine): void
  reject(error: unknown): void
}

/** Sends commands and hands responses to them, over a byte stream that somebody else opened (RFC 3501). */
export class ImapConnection {
  readonly options: ImapOptions
  /** Upper case, as last announced. */
  capabilities: ReadonlySet<string> = new Set()
  /** Of the folder that is open. When the server names another one, its UIDs mean other mails and the connection ends. */
  uidValidity: number | undefined
  /** Flags in lower case that last in that folder; undefined when the server did not say. */
  keptFlags: ReadonlySet<string> | undefined
  /** Told of untagged data and status lines (EXISTS, EXPUNGE, OK [ALERT]) that no command asked for. */
  onNews: ((name: string, number: number) => void) | undefined
  /** Resolves once the connection is over; it never rejects. */
  readonly ended: Promise<HubError>
  #socket: Duplex
  #reader: ResponseReader
  #tagCount = 0
  #waiting: Pending[] = []
  #flying: Pending[] = []
  #holds = 0
  #heldSince = 0
  /** A stretch of time in which the server has to bring something worth the wait. */
  #term = { startedAt: 0, bytes: 0 }
  #lastByteAt = 0
  #cancelWatch: (() => void) | undefined
  #failure: HubError | undefined
  #greeting: ((line: StatusLine) => void) | undefined
  #resolveEnded: (error: HubError) => void = () => {}
  #isLeaving = false
  #isSealed = false

  constructor(socket: Duplex, options: ImapOptions) {
    this.options = options
    this.#socket = socket
    this.#reader = this.#newReader()
    this.ended = new Promise(resolve => {
      this.#resolveEnded = resolve
    })
  }

  /** Waits for the greeting. Returns it; a server that says BYE is explained. */
  async greet(): Promise<StatusLine> {
    const greeting = this.#track({ text: '', title: 'the greeting' }, pending => {
      this.#greeting = pending.resolve
      this.#flying.push(pending)
    })
    this.#attach()
    return greeting
  }

  /** Sends a command; resolves with its OK. Throws what NO and BAD mean, and what ended the connection. */
  run(command: Command): Promise<StatusLine> {
    return this.#track(command, pending => {
      this.#waiting.push(pending)
      this.#sendWaiting()
    })
  }

  /** Writes to the server in the midst of an exclusive command (DONE, an answer to a continuation). */
  write(octets: string | Buffer): void {
    this.#lastByteAt = this.options.clock.now()
    this.#socket.write(octets, 'latin1')
  }

  /** Stops reading from the socket until every hold is released. */
  hold(): void {
    if (++this.#holds > 1) return
    this.#heldSince = this.options.clock.now()
    this.#socket.pause()
  }

  release(): void {
    if (this.#holds === 0 || --this.#holds > 0) return
    const now = this.options.clock.now()
    this.#lastByteAt = now
    // The time that the hub took is not the server's.
    for (const wait of [this.#term, ...this.#flying]) wait.startedAt += now - Math.max(this.#heldSince, wait.startedAt)
    if (!this.#failure) this.#socket.resume()
  }

  /** Replaces the byte stream by an encrypted one (after STARTTLS was answered OK). Throws IMAP_PROTOCOL. */
  async exchangeSocket(upgrade: (socket: Duplex) => Promise<Duplex>): Promise<void> {
    if (this.#failure) throw this.#failure
    if (!this.#reader.isEmpty || this.#socket.readableLength > 0) throw notImap('octets before the TLS handshake', [])
    this.#detach()
    this.#isSealed = false
    this.#socket = await upgrade(this.#socket)
    this.#reader = this.#newReader()
    this.capabilities = new Set()
    this.#attach()
  }

  /** Says LOGOUT and closes. A server that does not answer is left after the time limit. */
  async logout(): Promise<void> {
    if (this.#failure) return
    this.#isLeaving = true
    try {
      await this.run({ text: 'LOGOUT' })
    } catch {
      // We are leaving anyway: what the server thinks of it changes nothing.
    }
    this.close()
  }

  /** Ends the connection at once; commands in flight are rejected with `reason`. */
  close(reason?: HubError): void {
    this.#fail(reason ?? imapErrors.CONNECTION_LOST({ user: this.options.names.user, text: 'closed by the hub' }))
  }

  /** True when the chunks that come in belong to nobody else: a socket of the system keeps none, a tunnel may. */
  get ownsChunks(): boolean {
    return this.#socket instanceof Socket
  }

  get isOver(): boolean {
    return this.#failure !== undefined
  }

  #newReader(): ResponseReader {
    return new ResponseReader(
      parts => this.#takeResponse(parts),
      (head, bytes) => this.#chooseSink(head, bytes),
    )
  }

  #track(command: Command, enqueue: (pending: Pending) => void): Promise<StatusLine> {
    if (this.#failure) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      const title = command.title ?? command.text.split(' ', 1)[0] ?? ''
      enqueue({ command, title, tag: '', startedAt: this.options.clock.now(), untaggedCount: 0, resolve, reject })
      this.#watch()
    })
  }

  #sendWaiting(): void {
    let octets = ''
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const isBlocked = this.#flying.some(pending => pending.command.isExclusive)
      if (isBlocked || (next.command.isExclusive && this.#flying.length > 0)) break
      this.#waiting.shift()
      next.tag = `A${++this.#tagCount}`
      if (this.#flying.length === 0) this.#beginTerm()
      next.startedAt = this.options.clock.now()
      this.#flying.push(next)
      octets += `${next.tag} ${next.command.text}\r\n`
    }
    if (octets !== '') this.write(octets)
    this.#watch()
  }

  // ---- what comes from the server ----

  readonly #onChunk = (chunk: Buffer): void => {
    this.#lastByteAt = this.options.clock.now()
    this.#term.bytes += chunk.length
    if (this.#term.bytes >= patienceLimits.termBytes) this.#beginTerm()
    try {
      this.#reader.push(chunk)
    } catch (error) {
      this.#fail(asHubError(error))
    }
  }

  readonly #onError = (error: Error): void => this.#lose(error.message, error)
  readonly #onClose = (): void => this.#lose('the server closed it')

  #attach(): void {
    const socket = this.#socket
    this.#lastByteAt = this.options.clock.now()
    this.#beginTerm()
    socket.on('data', this.#onChunk)
    socket.on('error', this.#onError)
    socket.on('end', this.#onClose)
    socket.on('close', this.#onClose)
    if (socket.destroyed || socket.readableEnded) this.#onClose()
  }

  #detach(): void {
    this.#socket.off('data', this.#onChunk)
    this.#socket.off('error', this.#onError)
    this.#socket.off('end', this.#onClose)
    this.#socket.off('close', this.#onClose)
    this.#socket.pause()
  }

  #takeResponse(parts: readonly ResponsePart[]): void {
    if (this.#failure) return
    if (this.#isSealed) throw notImap('octets before the TLS handshake', parts)
    const response = parseResponse(parts)
    if (!response) throw notImap('a line that is no response', parts)
    if (this.#greeting) this.#takeGreeting(response, parts)
    else if (response.kind === 'tagged') this.#endCommand(response, parts)
    else if (response.kind === 'continue') this.#continue(response.text, parts)
    else this.#takeUntagged(response)
  }

  #takeUntagged(response: Extract<Response, { kind: 'data' | 'status' }>): void {
    for (const pending of this.#flying) {
      if (++pending.untaggedCount > imapLimits.untaggedPerCommand) {
        throw imapErrors.LIMIT({ limit: 'untaggedPerCommand', allowed: imapLimits.untaggedPerCommand })
      }
    }
    if (response.kind === 'status') {
      this.#takeStatus(response.line)
      return
    }
    if (response.name === 'CAPABILITY') this.#learn(textOf(response.rest))
    for (const { command } of this.#flying) if (command.onData?.(response)) return
    this.onNews?.(response.name, response.number)
  }

  #takeGreeting(response: Response, parts: readonly ResponsePart[]): void {
    if (response.kind !== 'status') throw notImap('no greeting', parts)
    if (response.line.status === 'BYE') throw explainRefusal(response.line, 'the connection', this.options.names)
    if (response.line.status !== 'OK' && response.line.status !== 'PREAUTH') throw notImap('no greeting', parts)
    const greeted = this.#greeting
    this.#greeting = undefined
    this.#flying.shift()
    greeted?.(response.line)
  }

  #takeStatus(line: StatusLine): void {
    if (line.status === 'BYE' && !this.#isLeaving) {
      this.#fail(explainRefusal(line, 'the connection', this.options.names))
      return
    }
    const told = /^UIDVALIDITY (\d+)$/i.exec(line.code)?.[1]
    if (told !== undefined && this.uidValidity !== undefined && Number(told) !== this.uidValidity) {
      this.#lose(`the server numbered the mails anew (UIDVALIDITY ${this.uidValidity}, now ${told})`)
      return
    }
    const data: DataResponse = { kind: 'data', name: line.status, number: 0, rest: [`[${line.code}] ${line.text}`] }
    for (const { command } of this.#flying) if (command.onData?.(data)) return
  }

  #endCommand(response: Extract<Response, { kind: 'tagged' }>, parts: readonly ResponsePart[]): void {
    const at = this.#flying.findIndex(pending => pending.tag === response.tag)
    const pending = this.#flying[at]
    if (!pending) throw notImap('an answer to no command', parts)
    this.#flying.splice(at, 1)
    this.#beginTerm()
    for (const other of this.#flying) other.startedAt = this.#term.startedAt
    const { line } = response
    this.#isSealed = pending.command.isLastInClear === true && line.status === 'OK'
    if (line.status === 'OK') pending.resolve(line)
    else pending.reject(explainRefusal(line, pending.title, this.options.names, pending.command.folder))
    this.#sendWaiting()
  }

  #continue(text: string, parts: readonly ResponsePart[]): void {
    const pending = this.#flying.find(({ command }) => command.onContinue)
    if (!pending) throw notImap('a continuation nobody asked for', parts)
    const answer = pending.command.onContinue?.(text)
    if (answer !== undefined) this.write(answer)
  }

  #chooseSink(head: readonly ResponsePart[], bytes: number): LiteralSink {
    for (const { command } of this.#flying) {
      const sink = command.onLiteral?.(head, bytes)
      if (sink) return sink
    }
    return holdingSink(bytes, imapLimits.smallLiteralBytes)
  }

  #learn(text: string): void {
    this.capabilities = new Set(text.toUpperCase().split(' ').filter(Boolean))
  }

  // ---- time and end ----

  #beginTerm(): void {
    this.#term = { startedAt: this.options.clock.now(), bytes: 0 }
  }

  #watch(): void {
    if (this.#cancelWatch || this.#failure || this.#flying.length === 0) return
    this.#cancelWatch = this.options.clock.after(this.#nextDeadline() - this.options.clock.now() + 1, () => {
      this.#cancelWatch = undefined
      const now = this.options.clock.now()
      const late = this.#flying.find(pending => this.#deadline(pending) < now)
      if (late) {
        const { timeoutMs } = this.options
        this.#fail(imapErrors.TIMEOUT({ command: late.title, timeoutMs, user: this.options.names.user }))
      } else if (this.#isTooSlow(now)) this.#fail(this.#tooSlow(now))
      else this.#watch()
    })
  }

  #nextDeadline(): number {
    const soonest = Math.min(...this.#flying.map(pending => this.#deadline(pending)))
    return Math.min(soonest, this.options.clock.now() + this.options.timeoutMs)
  }

  /** When a silent server is given up. */
  #deadline({ command, startedAt }: Pending): number {
    // While we hold the socket ourselves the server cannot be blamed for its silence.
    if (command.isPatient || this.#holds > 0) return Number.POSITIVE_INFINITY
    // Commands are answered one after the other: those behind a long one wait with it.
    const isBehindLong = command.isLong || this.#flying.some(other => other.command.isLong)
    const since = isBehindLong ? Math.max(startedAt, this.#lastByteAt) : startedAt
    return since + this.options.timeoutMs
  }

  /** True when a server that goes on sending brings too little, or does so for too long. */
  #isTooSlow(now: number): boolean {
    const [first] = this.#flying
    if (!first || first.command.isPatient || this.#holds > 0) return false
    const { termMs, commandMs } = patienceLimits
    return Math.min(this.#term.startedAt + termMs, first.startedAt + commandMs) + this.options.timeoutMs < now
  }

  #tooSlow(now: number): HubError {
    const [first] = this.#flying
    const { bytes, startedAt } = this.#term
    const time = formatDuration(now - (first?.startedAt ?? now))
    const fields = { command: first?.title, user: this.options.names.user, time }
    return imapErrors.TOO_SLOW({ ...fields, termTime: formatDuration(now - startedAt), bytes })
  }

  #lose(text: string, cause?: unknown): void {
    this.#fail(
      imapErrors.CONNECTION_LOST({ user: this.options.names.user, text }, cause === undefined ? {} : { cause }),
    )
  }

  #fail(error: HubError): void {
    if (this.#failure) return
    this.#failure = error
    this.#cancelWatch?.()
    this.#detach()
    // A socket that nobody listens to any more may still report an error while it closes.
    this.#socket.on('error', () => {})
    this.#socket.destroy()
    const open = [...this.#flying, ...this.#waiting]
    this.#flying = []
    this.#waiting = []
    for (const pending of open) pending.reject(error)
    this.#resolveEnded(error)
  }
}
