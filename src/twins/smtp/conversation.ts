import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { ByteReader } from './byte-reader.ts'
import { announce, isAddress, knowsParameter, readPath } from './command-syntax.ts'
import type { FaultPlace, SmtpFaults } from './faults.ts'
import { type Mailbag, MailSink } from './mailbag.ts'
import { type SmtpServerExtensions, type SmtpServerOptions, type SmtpServerWords, serverLimits } from './options.ts'
import { authenticate } from './sasl.ts'

export interface ConversationSetting {
  readonly options: SmtpServerOptions & { readonly extensions: SmtpServerExtensions; readonly words: SmtpServerWords }
  readonly faults: SmtpFaults
  readonly bag: Mailbag
  readonly secure?: (socket: Socket) => TLSSocket
}

interface Transaction {
  readonly from: string
  readonly parameters: readonly string[]
  readonly to: string[]
  readonly isBinary: boolean
  readonly needsUtf8: boolean
  /** Filled by BDAT chunks. */
  sink: MailSink | undefined
}

type Handler = (argument: string) => Promise<void> | void

/** One client's conversation with an SMTP twin, command by command. */
export class SmtpConversation {
  readonly #setting: ConversationSetting
  readonly #raw: Socket
  readonly #number: number
  #stream: Duplex
  #reader: ByteReader
  #isEncrypted: boolean
  #helo = ''
  #isExtended = false
  #user: string | undefined
  #transaction: Transaction | undefined
  #isOver = false
  #mistakes = 0
  #unsent: string[] = []

  constructor(setting: ConversationSetting, stream: Duplex, raw: Socket, number: number) {
    this.#setting = setting
    this.#stream = stream
    this.#raw = raw
    this.#number = number
    this.#isEncrypted = stream instanceof TLSSocket
    this.#reader = this.#readFrom(stream)
  }

  async run(): Promise<void> {
    if (await this.#isStruck('banner', '')) return this.#end()
    this.#say(this.#words.greeting)
    while (!this.#isOver) {
      // Answers to a group of commands leave together (RFC 2920 section 3.2).
      if (!this.#reader.hasMore) this.#flush()
      const line = await this.#reader.readLine(serverLimits.commandBytes)
      if (!line) break
      if (line.isTooLong) this.#complain('500 5.5.2 Line too long')
      else if (!line.hasCrlf) this.#complain('500 5.5.2 Bare LF: a command ends with CRLF')
      else await this.#obey(line.text)
    }
    this.#end()
  }

  get #words(): SmtpServerWords {
    return this.#setting.options.words
  }

  get #extensions(): SmtpServerExtensions {
    return this.#setting.options.extensions
  }

  async #obey(line: string): Promise<void> {
    const [, verb = '', argument = ''] = /^([A-Za-z]+)(?: (.*))?$/s.exec(line) ?? []
    const handler = this.#handlers[verb.toUpperCase()]
    if (!handler) this.#complain('500 5.5.2 Command not recognized')
    else await handler(argument)
  }

  readonly #handlers: Readonly<Record<string, Handler>> = {
    EHLO: argument => this.#hello(argument, true),
    HELO: argument => this.#hello(argument, false),
    STARTTLS: () => this.#startTls(),
    AUTH: argument => this.#auth(argument),
    MAIL: argument => this.#mail(argument),
    RCPT: argument => this.#rcpt(argument),
    DATA: argument => this.#data(argument),
    BDAT: argument => this.#bdat(argument),
    RSET: () => {
      this.#transaction = undefined
      this.#say('250 2.0.0 Ok')
    },
    NOOP: () => this.#say('250 2.0.0 Ok'),
    VRFY: () => this.#say('252 2.1.5 Cannot VRFY user'),
    HELP: () => this.#say('214 2.0.0 See RFC 5321'),
    QUIT: () => {
      this.#say(this.#words.goodbye)
      this.#isOver = true
    },
  }

  async #hello(name: string, isExtended: boolean): Promise<void> {
    if (name === '') return this.#complain('501 5.5.4 Syntax: EHLO hostname')
    if (await this.#isStruck('ehlo', name)) return
    this.#helo = name
    this.#isExtended = isExtended
    this.#transaction = undefined
    const { extensions, auth } = this.#setting.options
    const keywords = announce(extensions, auth, this.#isEncrypted)
    const lines = isExtended ? [this.#words.hello, ...keywords] : [this.#words.hello]
    this.#say(lines.map((line, index) => `250${index < lines.length - 1 ? '-' : ' '}${line}`).join('\r\n'))
  }

  async #startTls(): Promise<void> {
    const { secure } = this.#setting
    if (!secure || !this.#extensions.startTls || this.#isEncrypted) return this.#complain('502 5.5.1 Not offered')
    if (await this.#isStruck('starttls', '')) return
    // What came with the command in the clear would be taken for encrypted words later (RFC 3207 section 6).
    if (this.#reader.hasMore) {
      this.#say('554 5.5.0 Words behind STARTTLS')
      this.#isOver = true
      return
    }
    this.#reader.detach()
    this.#say('220 2.0.0 Ready to start TLS')
    this.#flush()
    this.#stream = secure(this.#raw)
    this.#reader = this.#readFrom(this.#stream)
    this.#isEncrypted = true
    this.#helo = ''
    this.#user = undefined
    this.#transaction = undefined
  }

  async #auth(argument: string): Promise<void> {
    const { auth } = this.#setting.options
    if (!auth || !this.#isExtended) return this.#complain('503 5.5.1 AUTH not available')
    if (this.#user !== undefined) return this.#complain('503 5.5.1 Already authenticated')
    if (auth.needsTls && !this.#isEncrypted) return this.#say('538 5.7.11 Encryption required')
    if (await this.#isStruck('auth', argument)) return
    const ask = async (challenge: string) => {
      this.#say(`334 ${challenge}`)
      this.#flush()
      return (await this.#reader.readLine(serverLimits.commandBytes))?.text
    }
    const outcome = await authenticate(auth, argument, ask)
    this.#user = outcome.user
    this.#say(outcome.user === undefined ? outcome.refusal : this.#words.authOk)
  }

  async #mail(argument: string): Promise<void> {
    const { auth, policy } = this.#setting.options
    if (this.#helo === '') return this.#complain('503 5.5.1 EHLO first')
    if (this.#transaction) return this.#complain('503 5.5.1 Nested MAIL command')
    if (auth?.isRequired && this.#user === undefined) return this.#say(this.#words.authNeeded)
    if (await this.#isStruck('mail', argument)) return
    const path = readPath(argument, 'FROM')
    if (!path) return this.#complain('501 5.1.7 Syntax: MAIL FROM:<address>')
    const parameters = path.parameters.map(parameter => parameter.toUpperCase())
    const unknown = parameters.find(parameter => !knowsParameter(this.#extensions, auth !== undefined, parameter))
    if (unknown !== undefined) return this.#complain(`555 5.5.4 Unsupported parameter ${unknown.slice(0, 40)}`)
    const needsUtf8 = parameters.includes('SMTPUTF8')
    if (path.address !== '' && !isAddress(path.address, needsUtf8))
      return this.#complain('501 5.1.7 Bad sender address')
    const size = Number(parameters.find(parameter => parameter.startsWith('SIZE='))?.slice(5) ?? 0)
    if (this.#extensions.sizeMax && size > this.#extensions.sizeMax) return this.#say(this.#words.tooLarge)
    const refusal = policy?.onMail?.(path.address, this.#session(path.address))
    if (refusal !== undefined && !refusal.startsWith('2')) return this.#say(refusal)
    const isBinary = parameters.includes('BODY=BINARYMIME')
    this.#transaction = { from: path.address, parameters, to: [], isBinary, needsUtf8, sink: undefined }
    this.#say(refusal ?? this.#words.senderOk)
  }

  async #rcpt(argument: string): Promise<void> {
    const transaction = this.#transaction
    if (!transaction) return this.#complain('503 5.5.1 MAIL first')
    if (await this.#isStruck('rcpt', argument)) return
    const path = readPath(argument, 'TO')
    if (!path || path.address === '') return this.#complain('501 5.1.3 Syntax: RCPT TO:<address>')
    if (path.parameters.length > 0) return this.#complain('555 5.5.4 Unsupported parameter')
    if (!isAddress(path.address, transaction.needsUtf8)) return this.#complain('501 5.1.3 Bad recipient address')
    if (transaction.to.length >= serverLimits.recipients) return this.#say('452 4.5.3 Too many recipients')
    const refusal = this.#setting.options.policy?.onRecipient?.(path.address, this.#session(transaction.from))
    if (refusal === undefined || refusal.startsWith('2')) transaction.to.push(path.address)
    this.#say(refusal ?? this.#words.recipientOk)
  }

  async #data(argument: string): Promise<void> {
    const transaction = this.#transaction
    if (argument !== '') return this.#complain('501 5.5.4 DATA takes no argument')
    if (!transaction || transaction.to.length === 0) return this.#complain('503 5.5.1 No valid recipients')
    if (transaction.isBinary || transaction.sink) return this.#complain('503 5.5.1 BDAT is needed here')
    if (await this.#isStruck('data', '')) return
    this.#say('354 End data with <CR><LF>.<CR><LF>')
    this.#flush()
    const sink = new MailSink(this.#setting.options.keep !== 'digest')
    await this.#whileSending(transaction, async () => {
      if (!(await this.#reader.readMail(chunk => this.#receive(sink, chunk)))) return this.#end()
      await this.#close(transaction, sink, 'DATA')
    })
  }

  async #bdat(argument: string): Promise<void> {
    const [, digits = '', last] = /^(\d{1,15})( LAST)?$/i.exec(argument) ?? []
    if (!this.#extensions.chunking) return this.#complain('502 5.5.1 BDAT not available')
    const bytes = Number(digits)
    if (digits === '' || bytes > serverLimits.chunkBytes) {
      // Without a length nobody knows where the next command begins.
      this.#say('501 5.5.4 Syntax: BDAT count [LAST]')
      this.#isOver = true
      return
    }
    const transaction = this.#transaction
    const isReady = transaction !== undefined && transaction.to.length > 0
    const sink = (isReady && transaction.sink) || new MailSink(this.#setting.options.keep !== 'digest')
    await this.#whileSending(transaction, async () => {
      // The octets are on their way whatever the answer will be (RFC 3030 section 2).
      if (!(await this.#reader.readExactly(bytes, chunk => isReady && this.#receive(sink, chunk)))) return this.#end()
      if (!isReady) return this.#complain('503 5.5.1 No valid recipients')
      if (last) return this.#close(transaction, sink, 'BDAT')
      transaction.sink = sink
      this.#say(`250 2.0.0 ${bytes} octets received`)
    })
  }

  async #whileSending(transaction: Transaction | undefined, work: () => Promise<void>): Promise<void> {
    const over = this.#setting.options.policy?.onSending?.(this.#session(transaction?.from ?? ''))
    try {
      await work()
    } finally {
      over?.()
    }
  }

  #receive(sink: MailSink, chunk: Uint8Array): void {
    const isFirst = sink.bytes === 0
    const { sizeMax } = this.#extensions
    // Beyond the limit the octets are only counted; the answer comes at the end.
    if (sizeMax && sink.bytes > sizeMax) sink.bytes += chunk.length
    else sink.take(chunk)
    if (isFirst) this.#interrupt()
  }

  /** Gives up in the middle of a mail. */
  #interrupt(): void {
    const { isDropped, refusal } = this.#setting.faults.strikeAt('body', '')
    if (isDropped) this.#cut()
    else if (refusal !== undefined) {
      this.#say(refusal)
      this.#end()
    }
  }

  async #close(transaction: Transaction, sink: MailSink, command: 'DATA' | 'BDAT'): Promise<void> {
    this.#transaction = undefined
    if (this.#isOver) return
    const { options, bag } = this.#setting
    if (await this.#isStruck('end', transaction.to.join(' '))) return
    if (this.#extensions.sizeMax && sink.bytes > this.#extensions.sizeMax) return this.#say(this.#words.tooLarge)
    const { from, to, parameters } = transaction
    const session = this.#session(from)
    const mail = { ...session, at: Date.now(), to, parameters, command, ...sink.finish() }
    if (mail.hasBareLineEnd && options.bareLineEnds === 'refuse')
      return this.#say('550 5.5.2 A line end is CRLF, and nothing else')
    const answer = options.policy?.onEnd?.(mail)
    if (answer !== undefined && !answer.startsWith('2')) return this.#say(answer)
    const received = bag.add(mail)
    const ownAnswer = options.policy?.onReceived?.(received)
    if (await this.#isStruck('answer', to.join(' '))) return
    this.#say(ownAnswer ?? answer ?? this.#words.accepted(received))
  }

  #session(from: string) {
    return { connection: this.#number, helo: this.#helo, user: this.#user, isEncrypted: this.#isEncrypted, from }
  }

  /** Plays the faults of this place; true when the command is answered or the connection is gone. */
  async #isStruck(place: FaultPlace, text: string): Promise<boolean> {
    const { delayMs, isDropped, refusal } = this.#setting.faults.strikeAt(place, text)
    if (delayMs > 0) {
      this.#flush()
      await pause(delayMs)
    }
    if (isDropped) this.#cut()
    else if (refusal !== undefined) {
      this.#say(refusal)
      // After a refused EHLO or log-in the client goes on; 421 and a refused greeting end the conversation.
      if (refusal.startsWith('421') || place === 'banner') this.#isOver = true
    }
    return isDropped || refusal !== undefined
  }

  #complain(reply: string): void {
    this.#say(reply)
    if (++this.#mistakes < serverLimits.mistakes) return
    this.#say('421 4.7.0 Too many errors')
    this.#isOver = true
  }

  #say(reply: string): void {
    this.#unsent.push(`${reply}\r\n`)
  }

  #flush(): void {
    if (this.#unsent.length > 0 && this.#stream.writable) this.#stream.write(this.#unsent.join(''))
    this.#unsent = []
  }

  #end(): void {
    this.#isOver = true
    this.#flush()
    this.#stream.end()
    // A client that never closes its side would hold the socket for ever.
    this.#raw.setTimeout(1000, () => this.#raw.destroy())
  }

  #cut(): void {
    this.#isOver = true
    this.#unsent = []
    this.#raw.resetAndDestroy()
  }

  #readFrom(stream: Duplex): ByteReader {
    return new ByteReader(stream, async bytes => {
      const perSecond = this.#setting.faults.readBytesPerSecond
      if (perSecond !== undefined) await pause((bytes / perSecond) * 1000)
    })
  }
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => {
    setTimeout(resolve, ms).unref()
  })
}
