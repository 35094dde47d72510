import type { Dispatcher } from 'undici'
import { HubError } from '../../kernel/error.ts'
import { asNetError, netErrors } from '../net/errors.ts'
import { gatewayDoubt, mayOtherServer, serversPerRequest } from '../net/other-server.ts'
import { odataErrors } from './errors.ts'
import { odataLimits } from './limits.ts'
import { type FailureContext, failureOf, type ODataAnswer, serviceErrorOf } from './service-error.ts'
import { ODataSession } from './session.ts'

/** Who the hub is at the service, at this moment. */
export interface ODataLogIn {
  /** The connections to use now; others where the client certificate is another. */
  readonly dispatcher: () => Dispatcher
  /** Another one for another user: cookies and CSRF tokens are never carried over. */
  readonly identity: string
  /** Header that proves it, name in lower case; undefined without one. */
  readonly header: readonly [name: string, value: string] | undefined
  /** The token that was used, so that a refused one can be replaced. */
  readonly token: string | undefined
}

export interface ExchangeOptions {
  /** Root of the service with a slash at its end. */
  readonly root: URL
  /** Asked before each request. `refused`: a token that the service has just not taken. */
  readonly logIn: (refused?: string) => Promise<ODataLogIn>
  /** Name of the credential for people. */
  readonly credential: string
  readonly timeoutMs: number
  readonly now: () => number
  /** Told the time of the service (milliseconds) with each answer that names it. */
  readonly onTime?: ((at: number) => void) | undefined
  /** How an answer that is no success is told; a service with codes of its own has words of its own. */
  readonly failureOf?: ((answer: ODataAnswer, context: FailureContext) => HubError) | undefined
  /** Why nobody knows what became of a change that was answered so; a service may know of more cases than any gateway. */
  readonly doubtOf?: ((answer: ODataAnswer) => string | undefined) | undefined
  /** False: cookies are thrown away. A cookie that binds to one server of many keeps its limits for the caller alone. */
  readonly keepsCookies?: boolean | undefined
}

export interface ODataRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'MERGE' | 'DELETE'
  readonly url: URL
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string | undefined
  /** Asking changes nothing: no CSRF token is needed, and a lost connection leaves no doubt. */
  readonly isRead: boolean
  /** Doing it twice does no harm. */
  readonly isRepeatable: boolean
  readonly signal: AbortSignal
  readonly bytesMax: number
  /** The limit behind bytesMax, as errors name it. */
  readonly limit: string
}

type Streamed = { readonly answer: Omit<ODataAnswer, 'body'>; readonly body: AsyncIterable<Uint8Array> }

/** Requests to one service: log-in, cookies, CSRF token, limits, and errors in the words of the service. */
export class ODataExchange {
  readonly #options: ExchangeOptions
  #session: { readonly of: string; readonly session: ODataSession } | undefined

  constructor(options: ExchangeOptions) {
    this.#options = options
  }

  get server(): string {
    return this.#options.root.host
  }

  /** Sends a request and reads its answer, renewing what has expired. Throws ODATA_… and NET_… errors. */
  async send(request: ODataRequest): Promise<ODataAnswer> {
    const { answer, body } = await this.stream(request)
    return { ...answer, body: await collect(body) }
  }

  /** As `send`, with a body that is read by the caller, up to the limit of the request. */
  async stream(request: ODataRequest): Promise<Streamed> {
    const { logIn } = this.#options
    let login = await logIn()
    let session = this.#sessionOf(login)
    // Kept from before: by the time of the answer another request may have renewed it.
    let used = session.token
    let streamed = await this.#onServers(request, login, session, used)
    if (streamed.answer.status === 401 && login.token !== undefined) {
      const renewed = await logIn(login.token)
      if (renewed.token !== login.token) {
        await drain(streamed)
        login = renewed
        session = this.#sessionOf(login)
        used = session.token
        streamed = await this.#onServers(request, login, session, used)
      }
    }
    if (!request.isRead && asksForToken(streamed)) {
      await drain(streamed)
      const token = await session.renewToken(used, request.signal, () => this.#fetchToken(request, login, session))
      streamed = await this.#onServers(request, login, session, token)
      if (asksForToken(streamed)) {
        const { text } = serviceErrorOf(await this.#whole(streamed))
        throw odataErrors.CSRF_REFUSED({ server: this.server, text })
      }
    }
    if (streamed.answer.status < 300) return streamed
    const answer = await this.#whole(streamed)
    const failure = this.failure(answer, request.url)
    const doubt = this.#options.doubtOf ? this.#options.doubtOf(answer) : gatewayDoubt(answer.status)
    if (doubt === undefined || request.isRead) throw failure
    const reason = `${doubt}: ${serviceErrorOf(answer).text}`
    const { retryAfterMs } = failure
    throw odataErrors.OUTCOME_UNKNOWN(
      { server: this.server, reason },
      { retry: request.isRepeatable ? 'soon' : 'never', ...(retryAfterMs !== undefined && { retryAfterMs }) },
    )
  }

  failure(answer: ODataAnswer, url: URL): HubError {
    const { root, credential, now } = this.#options
    const path = decodeSoftly(
      url.pathname.startsWith(root.pathname) ? url.pathname.slice(root.pathname.length) : url.pathname,
    )
    const context = { server: this.server, credential, path: path === '' ? url.pathname : path, now: now() }
    return (this.#options.failureOf ?? failureOf)(answer, context)
  }

  #sessionOf(login: ODataLogIn): ODataSession {
    const { identity } = login
    if (this.#session?.of === identity) return this.#session.session
    const session = new ODataSession()
    this.#session = { of: identity, session }
    return session
  }

  async #fetchToken(request: ODataRequest, login: ODataLogIn, session: ODataSession): Promise<string | undefined> {
    const { root } = this.#options
    const url = new URL(root)
    // The fields that choose the client of the system choose the session too.
    for (const [name, value] of request.url.searchParams) if (!name.startsWith('$')) url.searchParams.set(name, value)
    const fetching: ODataRequest = {
      method: 'GET',
      url,
      headers: { accept: 'application/json', 'x-csrf-token': fetchWord },
      isRead: true,
      isRepeatable: true,
      signal: request.signal,
      bytesMax: odataLimits.answerBytes,
      limit: 'answerBytes',
    }
    const streamed = await this.#onServers(fetching, login, session, undefined)
    const whole = await this.#whole(streamed)
    if (whole.status >= 400) throw this.failure(whole, url)
    const token = whole.headers['x-csrf-token']
    return token === undefined || /^(fetch|required)$/i.test(token) ? undefined : token
  }

  /**
   * Where a connector has another server for what this one cannot do, that one is asked, if twice does no harm. What makes
   * something new may be repeated only by an attempt that looks first whether it is there.
   */
  async #onServers(
    request: ODataRequest,
    login: ODataLogIn,
    session: ODataSession,
    token: string | undefined,
  ): Promise<Streamed> {
    const isHarmless = request.isRead || (request.isRepeatable && !mayMakeNew(request))
    for (let left = isHarmless ? serversPerRequest : 1; ; left -= 1) {
      const streamed = await this.#once(request, login, session, token)
      if (left <= 1 || !mayOtherServer(streamed.answer)) return streamed
      await drain(streamed)
    }
  }

  async #once(
    request: ODataRequest,
    login: ODataLogIn,
    session: ODataSession,
    token: string | undefined,
  ): Promise<Streamed> {
    const { url, method, body, isRead, signal } = request
    const timeout = AbortSignal.timeout(this.#options.timeoutMs)
    const ends = AbortSignal.any([signal, timeout])
    const headers: Record<string, string> = { ...request.headers }
    if (login.header) headers[login.header[0]] = login.header[1]
    if (session.cookie !== undefined) headers['cookie'] = session.cookie
    if (!isRead && token !== undefined) headers['x-csrf-token'] = token
    try {
      const response = await login.dispatcher().request({
        origin: url.origin,
        path: url.pathname + url.search,
        // MERGE is a method of V2 only, which the types of undici do not name.
        method,
        headers,
        signal: ends,
        ...(body !== undefined && { body }),
      })
      // Where a session is over, each of several requests under way opens one of its own. The token goes with one of them:
      // the cookies that come with it are kept, and others only while nobody has changed them since they were sent.
      const isOwn = headers['x-csrf-token'] === fetchWord || headers['cookie'] === session.cookie
      if (this.#options.keepsCookies !== false && isOwn) session.keep(response.headers['set-cookie'])
      const answer = { status: response.statusCode, headers: plainHeaders(response.headers) }
      const at = Date.parse(answer.headers['date'] ?? '')
      if (!Number.isNaN(at)) this.#options.onTime?.(at)
      return { answer, body: this.#limited(response.body, request, timeout) }
    } catch (thrown) {
      throw this.#lost(thrown, request, timeout)
    }
  }

  async *#limited(
    body: AsyncIterable<Uint8Array> & { destroy(): unknown; on(event: 'error', listener: () => void): unknown },
    request: ODataRequest,
    timeout: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { bytesMax, limit } = request
    let bytes = 0
    body.on('error', () => {})
    try {
      for await (const chunk of body) {
        bytes += chunk.length
        if (bytes > bytesMax) {
          const what = request.isRead ? 'it was only asked for' : 'what was asked for is done'
          throw odataErrors.ANSWER_TOO_LARGE({ server: this.server, bytesMax, limit, what })
        }
        yield chunk
      }
    } catch (thrown) {
      throw this.#lost(thrown, request, timeout)
    } finally {
      body.destroy()
    }
  }

  /** Errors of our own came before the request was sent, or say themselves what became of it. */
  #lost(thrown: unknown, request: ODataRequest, timeout: AbortSignal): HubError {
    if (thrown instanceof HubError) return thrown
    const { url, isRead, isRepeatable, signal } = request
    const target = { host: url.hostname, port: Number(url.port || (url.protocol === 'https:' ? 443 : 80)) }
    const reason = timeout.aborted
      ? `no answer within ${this.#options.timeoutMs} ms`
      : signal.aborted
        ? 'the attempt was ended'
        : undefined
    const options = { cause: thrown }
    if (!isRead) {
      const text = reason ?? asNetError(thrown, target).message
      const retry = isRepeatable ? 'soon' : 'never'
      return odataErrors.OUTCOME_UNKNOWN({ server: this.server, reason: text }, { ...options, retry })
    }
    return reason === undefined ? asNetError(thrown, target) : netErrors.CONNECTION_LOST({ ...target, reason }, options)
  }

  /** An error body, as far as it is worth reading. */
  async #whole({ answer, body }: Streamed): Promise<ODataAnswer> {
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of body) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes >= odataLimits.errorBytes) break
    }
    return { ...answer, body: Buffer.concat(chunks) }
  }
}

/** The value of X-CSRF-Token that asks for one. */
const fetchWord = 'Fetch'

function mayMakeNew({ method, headers }: ODataRequest): boolean {
  return method === 'POST' || headers['if-none-match'] === '*'
}

function asksForToken({ answer }: Streamed): boolean {
  return answer.status === 403 && answer.headers['x-csrf-token']?.toLowerCase() === 'required'
}

async function collect(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Reads an answer that nobody needs to its end, so that its connection can be used again. */
async function drain({ body }: Streamed): Promise<void> {
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > odataLimits.errorBytes) return
  }
}

function plainHeaders(given: Dispatcher.ResponseData['headers']): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) headers[name.toLowerCase()] = typeof value === 'string' ? value : value.join(', ')
  }
  return headers
}

function decodeSoftly(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    // A broken escape is shown as it stands.
    return path
  }
}
