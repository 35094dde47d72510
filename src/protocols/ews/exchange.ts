import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { asHubError, HubError, hubErrors } from '../../kernel/error.ts'
import type { Clock } from '../../kernel/time.ts'
import { asNetError, netErrors } from '../net/errors.ts'
import { retryAfterMs } from '../net/retry-after.ts'
import { backOffMsDefault, type FailureContext, type ResponseMessage, readAnswer } from './answer.ts'
import { ewsErrors } from './errors.ts'
import { ewsLimits } from './limits.ts'
import { schemesIn, type WireAnswer, type WireRequest } from './ntlm-lines.ts'
import { EwsWire, type WireOptions } from './wire.ts'
import { element, envelope, textElement } from './write-xml.ts'

export interface EwsOptions extends WireOptions {
  /** `https://mail.x.example/EWS/Exchange.asmx` */
  readonly url: URL
  /** `impersonation` names each mailbox in a header; `direct` is the mailbox of whoever logs in. */
  readonly access: 'impersonation' | 'direct'
  readonly answerBytesMax?: number
}

export interface EwsCall {
  /** The element of the body, as XML. */
  readonly body: string
  readonly mailbox: string
  readonly signal: AbortSignal
  /** Something changes: a lost answer leaves a doubt. */
  readonly isWrite: boolean
  /** The first mailbox of a group whose requests shall stay on one server. */
  readonly anchor?: string | undefined
}

/** An open answer: its status is 200, its body is read by the caller, who hears all of it or ends the generator. */
export interface EwsStream {
  readonly body: AsyncGenerator<Uint8Array>
}

const versions = ['Exchange2016', 'Exchange2013_SP1', 'Exchange2010_SP2'] as const
const unzip = promisify(gunzip)

/** Requests to one EWS address with one account: log-in, impersonation, version, limits, and errors in words. */
export class EwsExchange {
  readonly #options: EwsOptions
  readonly #answerBytesMax: number
  readonly #wire: EwsWire
  /** Streams hold their connections for half an hour: they have connections of their own. */
  readonly #streams: EwsWire
  /** The server of each group of mailboxes, as the cookie that leads to it. */
  readonly #servers = new Map<string, string>()
  #version = 0

  constructor(options: EwsOptions) {
    this.#options = options
    this.#answerBytesMax = options.answerBytesMax ?? ewsLimits.answerBytes
    this.#wire = new EwsWire({ connections: ewsLimits.connections, ...options })
    this.#streams = new EwsWire({ ...options, connections: ewsLimits.streamConnections })
  }

  get server(): string {
    return this.#options.url.host
  }

  get clock(): Clock {
    return this.#options.clock
  }

  /** Host and port, as errors of the network name them. */
  get target(): { readonly host: string; readonly port: number } {
    const { hostname, port, protocol } = this.#options.url
    return { host: hostname, port: Number(port || (protocol === 'https:' ? 443 : 80)) }
  }

  context(mailbox: string): FailureContext {
    return { server: this.server, mailbox, credential: this.#options.credential }
  }

  /** Sends a request and reads the rows of its answer. Throws EWS_… and NET_… errors for the request as a whole. */
  async call(call: EwsCall): Promise<readonly ResponseMessage[]> {
    const context = this.context(call.mailbox)
    for (;;) {
      const version = this.#version
      try {
        return readAnswer(await this.#text(call), context)
      } catch (thrown) {
        if (!(thrown instanceof HubError)) throw thrown
        // It answered in words that nobody understands: what was asked may be done.
        if (call.isWrite && doubtful.has(thrown.code)) {
          throw ewsErrors.OUTCOME_UNKNOWN({ server: this.server, reason: thrown.message }, { cause: thrown })
        }
        if (thrown.code !== ewsErrors.VERSION_REFUSED.code) throw thrown
        // An older server: step down once for all, and ask again.
        if (version === this.#version) this.#version += 1
        if (this.#version >= versions.length) {
          this.#version = versions.length - 1
          throw thrown
        }
      }
    }
  }

  /** Opens an answer that comes over time; without a time limit of its own. */
  async open(call: EwsCall): Promise<EwsStream> {
    const { signal } = call
    const answer = await this.#send(this.#streams, call, signal, false)
    const { headers } = answer
    if (answer.status !== 200) {
      const text = await this.#whole(answer, signal, ewsLimits.errorBytes).catch(() => '')
      throw this.#failure(answer.status, headers, text, call.mailbox)
    }
    return { body: this.#bytes(answer, call, signal) }
  }

  async close(): Promise<void> {
    await Promise.all([this.#wire.close(), this.#streams.close()])
  }

  async #text(call: EwsCall): Promise<string> {
    const timeout = AbortSignal.timeout(this.#options.timeoutMs)
    const signal = AbortSignal.any([call.signal, timeout])
    try {
      const answer = await this.#send(this.#wire, call, signal, true)
      const { status, headers } = answer
      const bytesMax = status === 200 ? this.#answerBytesMax : ewsLimits.errorBytes
      const text = await this.#whole(answer, signal, bytesMax)
      if (status === 200 && isXml(headers)) return text
      throw this.#failure(status, headers, text, call.mailbox)
    } catch (thrown) {
      throw this.#explain(thrown, call, timeout)
    }
  }

  async #send(wire: EwsWire, call: EwsCall, signal: AbortSignal, mayZip: boolean): Promise<WireAnswer> {
    const { url, access } = this.#options
    const request: WireRequest = {
      origin: url.origin,
      path: url.pathname + url.search,
      method: 'POST',
      headers: {
        'content-type': 'text/xml; charset=utf-8',
        accept: 'text/xml',
        'user-agent': 'Isthmus',
        ...(mayZip && { 'accept-encoding': 'gzip' }),
        ...(access === 'impersonation' && { 'x-anchormailbox': call.mailbox }),
        'client-request-id': crypto.randomUUID(),
        'return-client-request-id': 'true',
        ...this.#affinity(call.anchor),
      },
      body: envelope(this.#header(call.mailbox), call.body),
      signal,
    }
    const answer = await wire.send(request)
    this.#keepAffinity(call.anchor, answer)
    return answer
  }

  /** What keeps a group of mailboxes on the server that answered its first request (X-PreferServerAffinity). */
  #affinity(anchor: string | undefined): Readonly<Record<string, string>> {
    if (anchor === undefined) return {}
    const cookie = this.#servers.get(anchor)
    return { 'x-anchormailbox': anchor, 'x-preferserveraffinity': 'true', ...(cookie !== undefined && { cookie }) }
  }

  #keepAffinity(anchor: string | undefined, { headers }: WireAnswer): void {
    if (anchor === undefined) return
    for (const cookie of [headers['set-cookie'] ?? []].flat()) {
      const [pair = ''] = cookie.split(';', 1)
      // No other cookie has a meaning here.
      if (pair.startsWith('X-BackEndOverrideCookie=') && pair.length < cookieLettersMax) this.#servers.set(anchor, pair)
    }
    if (this.#servers.size > anchorsKept) this.#servers.clear()
  }

  #header(mailbox: string): string {
    const version = element('t:RequestServerVersion', { Version: versions[this.#version] ?? 'Exchange2010_SP2' })
    const sid = element('t:ConnectingSID', {}, textElement('t:PrimarySmtpAddress', mailbox))
    const whose = this.#options.access === 'impersonation' ? element('t:ExchangeImpersonation', {}, sid) : ''
    // Without it times come in the zone of the server.
    return `${version}${whose}${element('t:TimeZoneContext', {}, element('t:TimeZoneDefinition', { Id: 'UTC' }))}`
  }

  async *#bytes(answer: WireAnswer, call: EwsCall, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { body, release } = answer
    body.on('error', () => {})
    try {
      for await (const chunk of body as AsyncIterable<Uint8Array>) yield chunk
    } catch (thrown) {
      throw this.#explain(thrown, call, signal)
    } finally {
      body.destroy()
      release()
    }
  }

  async #whole(answer: WireAnswer, signal: AbortSignal, bytesMax: number): Promise<string> {
    const chunks: Uint8Array[] = []
    let bytes = 0
    const { body, release } = answer
    body.on('error', () => {})
    try {
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        signal.throwIfAborted()
        bytes += chunk.length
        if (bytes > bytesMax) throw this.#tooLarge(bytesMax)
        chunks.push(chunk)
      }
    } finally {
      body.destroy()
      release()
    }
    const raw = Buffer.concat(chunks)
    if (!/\bgzip\b/i.test(String(answer.headers['content-encoding'] ?? ''))) return raw.toString()
    try {
      return (await unzip(raw, { maxOutputLength: bytesMax })).toString()
    } catch (thrown) {
      if (thrown instanceof RangeError) throw this.#tooLarge(bytesMax)
      throw ewsErrors.ANSWER_ODD({ server: this.server, reason: 'its gzip is broken' }, { cause: thrown })
    }
  }

  #tooLarge(bytesMax: number) {
    return ewsErrors.ANSWER_TOO_LARGE({ server: this.server, bytesMax, limit: 'answerBytes' })
  }

  #failure(status: number, headers: WireAnswer['headers'], text: string, mailbox: string): HubError {
    const { server } = this
    const { credential, url, auth } = this.#options
    if (status === 500 && isXml(headers)) {
      try {
        readAnswer(text, this.context(mailbox))
      } catch (thrown) {
        const error = asHubError(thrown)
        if (error.code !== ewsErrors.ANSWER_ODD.code) return error
      }
    }
    const said = `${status} ${text
      .replace(/<[^<>]*>/g, ' ')
      .replace(/\s+/g, ' ')
      .trim()
      .slice(0, 200)}`.trim()
    if (status === 200) {
      const type = String(headers['content-type'] ?? 'unknown type')
      return ewsErrors.ANSWER_ODD({ server, reason: `it is of type ${type.slice(0, 100)}` })
    }
    if (status >= 300 && status < 400) {
      return ewsErrors.REDIRECTED({ server, location: String(headers['location'] ?? 'nowhere').slice(0, 300) })
    }
    if (status === 401) {
      const offered = schemesIn([headers['www-authenticate'] ?? []].flat().join(', '))
      const wanted = { basic: 'basic', ntlm: 'ntlm', oauth: 'bearer' }[auth]
      return offered === 'none' || offered.toLowerCase().split(', ').includes(wanted)
        ? ewsErrors.LOGIN_REFUSED({ server, credential })
        : ewsErrors.LOGIN_NOT_OFFERED({ server, kind: auth, offered })
    }
    if (status === 403) {
      return isExchangeOnline(url.hostname) ? ewsErrors.SWITCHED_OFF({ server }) : ewsErrors.FORBIDDEN({ server })
    }
    if (status === 404 || status === 405) return ewsErrors.WRONG_ADDRESS({ url: url.href, status })
    if (status === 503 || status === 429) {
      const header = headers['retry-after']
      const wish = retryAfterMs(typeof header === 'string' ? header : undefined, this.#options.clock.now())
      return ewsErrors.BUSY({ server, code: String(status) }, { retryAfterMs: wish ?? backOffMsDefault })
    }
    return ewsErrors.SERVER_FAILED({ server, code: String(status), text: said })
  }

  /** What a thrown value means; our own errors know themselves what became of the request. */
  #explain(thrown: unknown, call: EwsCall, timeout: AbortSignal): HubError {
    if (thrown instanceof HubError) return thrown
    const { timeoutMs } = this.#options
    const { target } = this
    const options = { cause: thrown }
    if (call.signal.aborted && !call.isWrite) return hubErrors.STOPPING({}, options)
    const reason = timeout.aborted ? `no answer within ${timeoutMs} ms` : undefined
    if (call.isWrite) {
      const text = reason ?? (call.signal.aborted ? 'the attempt was ended' : asNetError(thrown, target).message)
      return ewsErrors.OUTCOME_UNKNOWN({ server: this.server, reason: text }, options)
    }
    return reason === undefined ? asNetError(thrown, target) : netErrors.CONNECTION_LOST({ ...target, reason }, options)
  }
}

const cookieLettersMax = 4096
const anchorsKept = 10_000

const doubtful: ReadonlySet<string> = new Set([ewsErrors.ANSWER_ODD.code, ewsErrors.ANSWER_TOO_LARGE.code])

export function isExchangeOnline(host: string): boolean {
  return /(^|\.)(outlook\.office365\.(com|us)|outlook\.office\.com|outlook\.cloud\.microsoft|partner\.outlook\.cn)$/i.test(
    host,
  )
}

function isXml(headers: WireAnswer['headers']): boolean {
  return /\b(text|application)\/(soap\+)?xml\b/i.test(String(headers['content-type'] ?? ''))
}
