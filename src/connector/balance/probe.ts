import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { asHubError } from '../../kernel/error.ts'
import { asNetError, netErrors } from '../../protocols/net/errors.ts'
import { SmtpConnection } from '../../protocols/smtp/connection.ts'
import { smtpErrors } from '../../protocols/smtp/errors.ts'
import { formatReply } from '../../protocols/smtp/reply.ts'
import type { VirtualHost } from '../agent/connector-config.ts'
import { refusalOf } from './greeting.ts'
import { balanceLimits } from './limits.ts'
import { type OpeningOptions, requestFor } from './opening.ts'

export interface ProbeResult {
  readonly isGood: boolean
  /** One line: what the server said, or the error. */
  readonly text: string
  /** One line for each step of the way. */
  readonly steps: readonly string[]
  /** Milliseconds until the connection could be used, or until it failed. */
  readonly openMs: number
}

/**
 * Goes the way to a target as far as can be gone without doing anything: TCP, TLS where the virtual host asks for it;
 * smtp: greeting, EHLO, NOOP, QUIT; http with `health.path`: GET, and a status below 400. Never throws.
 */
export async function probeTarget(host: VirtualHost, address: string, options: OpeningOptions): Promise<ProbeResult> {
  const probe = new Probe(host, address, options)
  try {
    const text = await probe.run()
    return { isGood: true, text, steps: probe.steps, openMs: probe.openMs }
  } catch (thrown) {
    const { message } = asHubError(thrown)
    const openMs = probe.openMs || probe.passedMs
    return { isGood: false, text: message, steps: [...probe.steps, message], openMs }
  }
}

class Probe {
  readonly steps: string[] = []
  openMs = 0
  readonly #host: VirtualHost
  readonly #address: string
  readonly #options: OpeningOptions
  readonly #since = performance.now()

  constructor(host: VirtualHost, address: string, options: OpeningOptions) {
    this.#host = host
    this.#address = address
    this.#options = options
  }

  get passedMs(): number {
    return performance.now() - this.#since
  }

  /** What is left for the next step. */
  get #restMs(): number {
    return Math.max(1, Math.ceil(this.#options.timeoutMs - this.passedMs))
  }

  async run(): Promise<string> {
    const socket = await this.#options.connect(requestFor(this.#host, this.#address, this.#options))
    this.openMs = this.passedMs
    const connected = `connected to ${this.#address} in ${this.openMs.toFixed(1)} ms${tlsWords(socket)}`
    this.steps.push(connected)
    try {
      if (this.#host.protocol === 'smtp') return await this.#smtp(socket)
      if (this.#host.protocol === 'http' && this.#host.health.path !== undefined)
        return await this.#http(socket, this.#host.health.path)
      return connected
    } finally {
      socket.on('error', () => {}).destroy()
    }
  }

  async #smtp(socket: Duplex): Promise<string> {
    const server = this.#address
    const connection = new SmtpConnection(socket, { server, clock: this.#options.clock })
    const abort = () => connection.fail(smtpErrors.INTERRUPTED({ server }))
    this.#options.signal.addEventListener('abort', abort)
    if (this.#options.signal.aborted) abort()
    try {
      const greeting = await connection.expect('greeting', this.#restMs).promise
      this.openMs = this.passedMs
      const refusal = refusalOf(greeting, server)
      if (refusal) throw refusal
      this.steps.push(formatReply(greeting))
      await this.#greet(connection)
      await this.#command(connection, 'NOOP')
      await connection.quit(this.#restMs)
      return formatReply(greeting)
    } finally {
      this.#options.signal.removeEventListener('abort', abort)
    }
  }

  /** EHLO, or HELO where the server does not know the first; as the hub will do it. */
  async #greet(connection: SmtpConnection): Promise<void> {
    const name = this.#host.health.ehlo
    const reply = await connection.command(`EHLO ${name}`, 'EHLO', this.#restMs)
    if (![500, 501, 502, 504].includes(reply.code)) this.#accept('EHLO', reply)
    else await this.#command(connection, `HELO ${name}`)
  }

  async #command(connection: SmtpConnection, line: string): Promise<void> {
    const phase = line.slice(0, 4)
    this.#accept(phase, await connection.command(line, phase, this.#restMs))
  }

  #accept(phase: string, reply: Awaited<ReturnType<SmtpConnection['command']>>): void {
    const text = formatReply(reply)
    if (reply.code !== 250) throw smtpErrors.REFUSED_FOR_NOW({ server: this.#address, phase, reply: text })
    this.steps.push(`${phase}: ${text}`)
  }

  async #http(socket: Duplex, path: string): Promise<string> {
    const { host, port } = requestFor(this.#host, this.#address, this.#options)
    const name = host.includes(':') ? `[${host}]` : host
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: ${name}:${port}\r\nUser-Agent: isthmus-connector\r\nAccept: */*\r\nConnection: close\r\n\r\n`,
    )
    const line = await this.#statusLine(socket, { host, port })
    const text = `GET ${path}: ${line.replace(/^HTTP\/1\.[01] /, '')}`
    const [, status] = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(line) ?? []
    if (status === undefined || Number(status) >= 400)
      throw netErrors.CONNECTION_LOST({ host, port, reason: `${text}, a status below 400 was expected` })
    this.steps.push(text)
    return text
  }

  #statusLine(socket: Duplex, target: { readonly host: string; readonly port: number }): Promise<string> {
    const { signal, clock } = this.#options
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    let text = ''
    const cancel = clock.after(this.#restMs, () => {
      reject(netErrors.CONNECT_TIMEOUT({ ...target, timeoutMs: this.#options.timeoutMs }))
    })
    const lost = (reason: string) => reject(netErrors.CONNECTION_LOST({ ...target, reason }))
    const onAbort = () => lost('the connector stops')
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      const end = text.indexOf('\n')
      if (end >= 0) resolve(text.slice(0, end).replace(/\p{Cc}/gu, ''))
      else if (text.length > balanceLimits.probeBytes) lost('what it says is not HTTP')
    })
    socket.on('error', (error: Error) => reject(asNetError(error, target)))
    socket.on('close', () => lost('closed without an answer'))
    return promise.finally(() => {
      cancel()
      signal.removeEventListener('abort', onAbort)
    })
  }
}

function tlsWords(socket: Duplex): string {
  if (!(socket instanceof TLSSocket)) return ''
  return `, ${socket.getProtocol() ?? 'TLS'}, certificate valid to ${socket.getPeerCertificate().valid_to}`
}
