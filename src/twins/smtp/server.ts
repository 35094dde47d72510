import { createServer, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import { listenOnLoopback } from '../listen.ts'
import { SmtpConversation } from './conversation.ts'
import { SmtpFaults } from './faults.ts'
import { Mailbag, type ReceivedMail } from './mailbag.ts'
import { allExtensions, type SmtpServerOptions, wordsOf } from './options.ts'

/** A running SMTP server that records what it gets. */
export interface SmtpTwinServer {
  readonly port: number
  readonly received: readonly ReceivedMail[]
  readonly bag: Mailbag
  readonly faults: SmtpFaults
  /** Connections that stand now, and all there ever were. */
  connections(): { readonly open: number; readonly total: number }
  stop(): Promise<void>
}

const mailsMaxByDefault = 10_000

/**
 * A strict SMTP server on loopback (RFC 5321 with PIPELINING, 8BITMIME, SMTPUTF8, SIZE, CHUNKING, BINARYMIME, STARTTLS,
 * AUTH), for tests and demonstrations. Only CRLF.CRLF ends a mail.
 */
export async function startSmtpServer(options: SmtpServerOptions): Promise<SmtpTwinServer> {
  const faults = options.faults ?? new SmtpFaults(options.name)
  const bag = new Mailbag(options.mailsMax ?? mailsMaxByDefault)
  const context = options.tls && createSecureContext({ cert: options.tls.cert, key: options.tls.key })
  const setting = {
    options: {
      ...options,
      extensions: { ...allExtensions, ...options.extensions, ...(!context && { startTls: false }) },
      words: { ...wordsOf(options.name), ...options.words },
    },
    faults,
    bag,
    ...(context && { secure: (socket: Socket) => secure(socket, context) }),
  }
  let total = 0
  const flapping = new Flapping(faults)
  const server = createServer({ noDelay: true }, socket => {
    const number = ++total
    // A client that resets its connection is an everyday event; the conversation sees its end.
    socket.on('error', () => {})
    if (flapping.isDown) {
      socket.resetAndDestroy()
      return
    }
    const stream = options.isTlsFromStart && context ? secure(socket, context) : socket
    // A conversation that breaks must never end the twin; its client sees the connection end.
    new SmtpConversation(setting, stream, socket, number).run().catch(() => socket.destroy())
  })
  const listener = await listenOnLoopback(server, options.port)
  flapping.onDown = () => {
    for (const socket of listener.sockets) socket.resetAndDestroy()
  }
  return {
    port: listener.port,
    received: bag.mails,
    bag,
    faults,
    connections: () => ({ open: listener.sockets.size, total }),
    async stop() {
      flapping.stop()
      await listener.stop()
    },
  }
}

function secure(socket: Socket, context: ReturnType<typeof createSecureContext>): TLSSocket {
  const stream = new TLSSocket(socket, { isServer: true, secureContext: context })
  stream.on('error', () => socket.destroy())
  return stream
}

/** Lets the server be up and down in turns while the fault `flap` is set. */
class Flapping {
  readonly #faults: SmtpFaults
  #timer: NodeJS.Timeout | undefined
  isDown = false
  onDown: () => void = () => {}

  constructor(faults: SmtpFaults) {
    this.#faults = faults
    faults.onChange(() => this.#begin())
    this.#begin()
  }

  #begin(): void {
    this.stop()
    if (this.#faults.flap) this.#timer = setTimeout(() => this.#turn(), this.#faults.flap.upMs).unref()
  }

  #turn(): void {
    const { flap } = this.#faults
    if (!flap) return
    this.isDown = !this.isDown
    if (this.isDown) this.onDown()
    this.#timer = setTimeout(() => this.#turn(), this.isDown ? flap.downMs : flap.upMs).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.isDown = false
  }
}
