import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { defineReceiver, type Effect, type Receipt, type Receiver, type ReceiverContext } from '../flow/adapter.ts'
import type { Message } from '../kernel/message.ts'
import type { CheckResult, TlsWish } from '../kernel/socket.ts'
import { guardConnect } from '../protocols/net/address-guard.ts'
import { CertifiedAgents } from '../protocols/net/certified-agents.ts'
import type { CredentialProof } from '../protocols/net/credential-proof.ts'
import { mayOtherServer, serversPerRequest } from '../protocols/net/other-server.ts'
import { readAuthority } from './authority-file.ts'
import { ask, failureOf, type HttpAnswer, isSuccess } from './http-answer.ts'
import { type HttpConfig, httpConfig } from './http-config.ts'
import { httpErrors } from './http-errors.ts'
import { checkConnection, connectTimeoutMs, logIn } from './http-log-in.ts'
import { UrlTemplate } from './http-url.ts'

export const http = defineReceiver({
  id: 'http',
  title: 'HTTP',
  summary: 'Sends the message in an HTTP request, and takes the answer as receipt.',
  answers: true,
  config: httpConfig,
  examples: [
    { title: 'A web hook with an API key', config: { url: 'https://hooks.example.com/orders', auth: 'hook-key' } },
    {
      title: 'A service on premise, through a connector',
      config: { via: 'dc-frankfurt', url: 'http://s4.virtual:8000/sap/opu/odata/orders', auth: 's4-technical-user' },
    },
    {
      title: 'One order, created once',
      config: {
        method: 'PUT',
        url: 'https://api.example.com/orders/${message.headers.orderid}',
        auth: 'partner-oauth',
        'idempotency-key': 'Idempotency-Key',
      },
    },
  ],
  errors: httpErrors,
  open: context => HttpReceiver.open(context),
})

/** The engine's own limit of running deliveries is lower, so no request waits in the pool unseen. */
const connectionsPerOrigin = 256

const repeatable: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'DELETE'])

interface Exchange {
  readonly url: URL
  readonly method: HttpConfig['method']
  readonly headers: Record<string, string>
  readonly body: Message['body'] | undefined
}

class HttpReceiver implements Receiver {
  readonly #context: ReceiverContext<HttpConfig>
  readonly #url: UrlTemplate
  /** Connections to the origin that the flow names; only these show a client certificate. */
  readonly #agents: CertifiedAgents
  readonly #strangers: CertifiedAgents
  readonly #tls: TlsWish
  /** What happens after an attempt whose end is not known. */
  readonly #onUnknown: 'set-aside' | 'send-again'
  /** Origins that the document names itself; to all others the address guard opens the way. */
  readonly #ownOrigins = new Set<string>()

  constructor(context: ReceiverContext<HttpConfig>, ca: string | undefined) {
    const { config, connect } = context
    this.#context = context
    this.#url = new UrlTemplate(config.url.text)
    this.#tls = ca === undefined ? {} : { ca }
    const isRepeatable = repeatable.has(config.method) || config['idempotency-key'] !== undefined
    this.#onUnknown = config['on-unknown'] ?? (isRepeatable ? 'send-again' : 'set-aside')
    const guarded = guardConnect(connect, { allow: config.allow })
    const connections = {
      connect: (url: URL) => (this.#ownOrigins.has(url.origin) ? connect : guarded),
      via: config.via,
      tls: this.#tls,
      connectTimeoutMs: Math.min(connectTimeoutMs, config.timeout / 2),
      connections: connectionsPerOrigin,
      answerBytesMax: config['max-answer'],
    }
    this.#agents = new CertifiedAgents(connections)
    this.#strangers = new CertifiedAgents(connections)
  }

  static async open(context: ReceiverContext<HttpConfig>): Promise<HttpReceiver> {
    const { ca } = context.config
    return new HttpReceiver(
      context,
      ca === undefined ? undefined : await readAuthority(resolve(context.folder, ca), httpErrors.CA_UNREADABLE),
    )
  }

  async deliver(message: Message, effect: Effect): Promise<Receipt> {
    const { config } = this.#context
    const exchange = await this.#prepare(message, effect)
    const server = exchange.url.host
    if (effect.isUnknown && this.#onUnknown === 'set-aside') {
      throw httpErrors.OUTCOME_UNKNOWN({ server, reason: 'an earlier attempt ended without an answer' })
    }
    const answer = await this.#exchangeWithLogIn(exchange, effect)
    if (isSuccess(answer.status, config.success)) {
      const receipt = receiptOf(answer, server)
      return isReading(exchange.method) ? { ...receipt, isQuestion: true } : receipt
    }
    throw failureOf(answer, {
      server,
      credential: config.auth ?? 'the receiver (it has none)',
      now: this.#context.clock.now(),
      isOnce: this.#onUnknown === 'set-aside' && !isReading(exchange.method),
    })
  }

  check(): Promise<CheckResult> {
    const { start, mayChooseHost } = this.#url
    return checkConnection(this.#context, (!mayChooseHost && URL.parse(start)) || undefined, this.#tls)
  }

  async close(): Promise<void> {
    await Promise.all([this.#agents.close(), this.#strangers.close()])
  }

  async #prepare(message: Message, effect: Effect): Promise<Exchange> {
    const { config } = this.#context
    const { scope } = effect
    const { url, isHostChosen } = await this.#url.render(scope)
    if (isHostChosen && config.auth !== undefined && config.allow.length === 0) {
      throw httpErrors.URL_REFUSED({ reason: 'the message chose who would get the credential' })
    }
    if (!isHostChosen) this.#ownOrigins.add(url.origin)
    for (const [name, template] of Object.entries(config.query)) {
      url.searchParams.set(name, fieldText(await template.render(scope)))
    }
    const withBody = (config.body ?? (/^(GET|HEAD)$/.test(config.method) ? 'none' : 'as-received')) === 'as-received'
    const headers: Record<string, string> = withBody ? { 'content-type': headerText(message.body.type, 'type') } : {}
    for (const [name, template] of Object.entries(config.headers)) {
      headers[name.toLowerCase()] = headerText(await template.render(scope), name)
    }
    const keyHeader = config['idempotency-key']
    if (keyHeader !== undefined) headers[keyHeader.toLowerCase()] = effect.key
    return { url, method: config.method, headers, body: withBody ? message.body : undefined }
  }

  /** One exchange; a token that the other side does not take (any more) is renewed once. */
  async #exchangeWithLogIn(exchange: Exchange, effect: Effect) {
    const first = await logIn(this.#context)
    // What may be sent again needs no note that it may have arrived; the note would cost a write to the disk.
    if (this.#onUnknown === 'set-aside' && !isReading(exchange.method)) await effect.intend()
    const answer = await this.#follow(exchange, first, effect.signal)
    if (answer.status !== 401 || first.token === undefined) return answer
    const second = await logIn(this.#context, first.token)
    return second.token === first.token ? answer : this.#follow(exchange, second, effect.signal)
  }

  async #follow(
    exchange: Exchange,
    { header, certificate }: CredentialProof,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const { origin } = exchange.url
    let { url } = exchange
    for (let left = this.#context.config.redirects; ; left -= 1) {
      const isHome = url.origin === origin
      // Whoever sends the hub elsewhere must not be handed what was meant for this origin alone.
      const own = isHome ? exchange.headers : withoutSecrets(exchange.headers)
      const headers = isHome && header ? { ...own, [header[0]]: header[1] } : own
      const agent = isHome ? this.#agents.agentFor(certificate) : this.#strangers.agentFor(undefined)
      const answer = await this.#send(agent, { ...exchange, url, headers }, signal)
      const location = answer.headers['location']
      if (left <= 0 || location === undefined || !mayFollow(answer.status, exchange.method)) return answer
      if (!URL.canParse(location, url.href)) return answer
      const next = new URL(location, url)
      const isDowngrade = url.protocol === 'https:' && next.protocol !== 'https:'
      if (isDowngrade || !/^https?:$/.test(next.protocol) || next.username !== '') return answer
      url = next
    }
  }

  /** Where a connector has another server for what this one cannot do, that one is asked, if twice does no harm. */
  async #send(agent: Dispatcher, { url, method, headers, body }: Exchange, signal: AbortSignal): Promise<HttpAnswer> {
    const { config } = this.#context
    const isRepeatable = this.#onUnknown === 'send-again'
    for (let left = isRepeatable ? serversPerRequest : 1; ; left -= 1) {
      const answer = await ask(agent, {
        url,
        method,
        headers: body ? { ...headers, 'content-length': String(body.bytes) } : headers,
        body: body && bodyOf(body),
        signal,
        timeoutMs: config.timeout,
        answerBytesMax: config['max-answer'],
        onUnknown: isRepeatable ? 'soon' : 'never',
      })
      if (left <= 1 || !mayOtherServer(answer)) return answer
    }
  }
}

function receiptOf({ status, headers, body }: HttpAnswer, server: string): Receipt {
  const { location, etag } = headers
  return {
    summary: `${status} from ${server}${location === undefined ? '' : `, ${location}`} (${body.length} bytes)`,
    fields: { status, ...(location !== undefined && { location }), ...(etag !== undefined && { etag }) },
    ...(location !== undefined && { terms: [location] }),
    answer: { headers, type: headers['content-type'] ?? 'application/octet-stream', body },
  }
}

function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

function bodyOf(body: Message['body']): Uint8Array | Readable {
  return body.held ?? Readable.from(body.stream(), { objectMode: false })
}

// 301 to 303 turn a POST into a GET in many clients: the body would be lost without a word.
function mayFollow(status: number, method: string): boolean {
  if (status === 307 || status === 308) return true
  return status >= 301 && status <= 303 && (method === 'GET' || method === 'HEAD')
}

const secretHeaders: ReadonlySet<string> = new Set(['authorization', 'cookie', 'apikey', 'x-api-key'])

function withoutSecrets(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !secretHeaders.has(name)))
}

/** RFC 9110 section 5.5: no control letters; other letters than ASCII are not sent, since nobody agrees how. */
function headerText(value: unknown, header: string): string {
  const text = fieldText(value)
  if (/^[\t -~]*$/.test(text)) return text
  throw httpErrors.HEADER_REFUSED({ header, reason: 'it has control letters, or letters outside ASCII' })
}

function fieldText(value: unknown): string {
  if (typeof value === 'string') return value
  return value === undefined || value === null
    ? ''
    : JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? Number(part) : part))
}
