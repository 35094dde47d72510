import type { Dispatcher } from 'undici'
import { HubError } from '../../kernel/error.ts'
import type { Json, JsonObject } from '../../kernel/json.ts'
import type { Clock } from '../../kernel/time.ts'
import { asNetError, netErrors } from '../net/errors.ts'
import { Gather } from '../net/gather.ts'
import { batchBody, readBatch } from './batch.ts'
import { graphErrors } from './errors.ts'
import { type GraphLimits, graphLimits } from './limits.ts'
import { type GraphAnswer, isObject, refusalOf } from './refusal.ts'

/** Who the hub is at Graph, at this moment. */
export interface GraphLogIn {
  readonly dispatcher: () => Dispatcher
  readonly token: string
}

export interface GraphClientOptions {
  /** Root with its version and a slash at the end: `https://graph.microsoft.com/v1.0/`. */
  readonly root: URL
  /** Asked before each request. `refused`: a token that Graph has just not taken. */
  readonly logIn: (refused?: string) => Promise<GraphLogIn>
  /** Name of the credential for people. */
  readonly credential: string
  readonly timeoutMs: number
  readonly clock: Clock
  readonly limits?: Partial<GraphLimits> | undefined
}

/** One request: alone, or in a batch with others. */
export interface GraphCall {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Behind the root, percent-encoded, with its query. */
  readonly path: string
  /** Preferences (`outlook.timezone="UTC"`) beside the ones that go with every request. */
  readonly prefer?: readonly string[]
  readonly ifMatch?: string | undefined
  readonly body?: JsonObject | undefined
}

export interface GraphPage {
  readonly items: readonly JsonObject[]
  /** Path of the next page, of the next delta round; at most one of them. */
  readonly next: string | undefined
  readonly delta: string | undefined
}

interface GatheredCall extends GraphCall {
  /** A page that is read alone needs no batch. */
  readonly isPage?: true
}

// Ids that stay when an item moves to another folder, in answers and in what is sent.
const immutableIds = 'IdType="ImmutableId"'

/** A client of Microsoft Graph with a token of the application. Throws GRAPH_… and NET_… errors. */
export class GraphClient {
  readonly #options: GraphClientOptions
  readonly #limits: GraphLimits
  readonly #gather: Gather<GatheredCall, GraphAnswer | HubError>

  constructor(options: GraphClientOptions) {
    this.#options = options
    this.#limits = { ...graphLimits, ...options.limits }
    this.#gather = new Gather(this.#limits.batchRequests, (calls, signal) => this.#sendSome(calls, signal))
  }

  /** Sends one request; anything but 2xx is thrown. */
  async send(call: GraphCall, signal: AbortSignal): Promise<GraphAnswer> {
    const answer = await this.#answer(call, signal)
    if (answer.status < 300) return answer
    throw this.#refusal(answer, call.path)
  }

  /** The entity that a request answers with. */
  async object(call: GraphCall, signal: AbortSignal): Promise<JsonObject> {
    const { body } = await this.send(call, signal)
    if (isObject(body)) return body
    throw graphErrors.ANSWER_ODD({ path: bare(call.path), reason: 'an entity was asked for, and it is none' })
  }

  /** One page of a list or of a delta round. `path` as in the request, or as `next` or `delta` of a page gave it. */
  async page(path: string, prefer: readonly string[], signal: AbortSignal): Promise<GraphPage> {
    const size = `odata.maxpagesize=${this.#limits.pageItems}`
    const call: GatheredCall = { method: 'GET', path, prefer: [...prefer, size], isPage: true }
    const [answer] = await this.#gather.ask([call], signal)
    if (answer instanceof HubError) throw answer
    const body = isObject(answer?.body) ? answer.body : {}
    const { value } = body
    if (!Array.isArray(value) || !value.every(isObject)) {
      throw graphErrors.ANSWER_ODD({ path: bare(path), reason: 'a list was asked for, and it is none' })
    }
    return {
      items: value,
      next: this.#pathOf(body['@odata.nextLink'], path),
      delta: this.#pathOf(body['@odata.deltaLink'], path),
    }
  }

  /** All items of a list, page by page. */
  async *list(path: string, prefer: readonly string[], signal: AbortSignal): AsyncGenerator<JsonObject> {
    const { pages } = this.#limits
    let at: string | undefined = path
    for (let count = 1; at !== undefined; count += 1) {
      if (count > pages) throw graphErrors.TOO_MANY_PAGES({ path: bare(path), pagesMax: pages })
      const page: GraphPage = await this.page(at, prefer, signal)
      yield* page.items
      at = page.next
    }
  }

  /**
   * Many requests, 20 at a time in one; answers in their order, a HubError where Graph refused one. Those told to come
   * back later are sent again after the wait that was asked for, as long as that is short and does nothing twice.
   */
  async batch(calls: readonly GraphCall[], signal: AbortSignal): Promise<readonly (GraphAnswer | HubError)[]> {
    const results: (GraphAnswer | HubError)[] = []
    for (let start = 0; start < calls.length; start += this.#limits.batchRequests) {
      const some = calls.slice(start, start + this.#limits.batchRequests)
      results.push(...(await this.#gather.ask(some, signal)))
    }
    return results
  }

  /** The bytes of an attachment or of a mail (`…/$value`). */
  async *bytes(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const call: GraphCall = { method: 'GET', path }
    const { status, headers, chunks } = await this.#open(call, signal, this.#limits.attachmentBytes)
    if (status < 300) {
      yield* chunks
      return
    }
    throw this.#refusal({ status, headers, body: parse(await this.#collect(chunks, this.#limits.errorBytes)) }, path)
  }

  async #sendSome(calls: readonly GatheredCall[], signal: AbortSignal): Promise<readonly (GraphAnswer | HubError)[]> {
    const [first] = calls
    if (!first?.isPage || calls.length > 1) return this.#batchOnce(calls, signal)
    return [await this.send(first, signal)]
  }

  async #batchOnce(calls: readonly GraphCall[], signal: AbortSignal): Promise<readonly (GraphAnswer | HubError)[]> {
    const { clock } = this.#options
    const results: (GraphAnswer | HubError | undefined)[] = calls.map(() => undefined)
    let open = calls.map((call, index) => ({ call, index }))
    let waitedMs = 0
    for (let round = 1; open.length > 0; round += 1) {
      const isRead = open.every(({ call }) => call.method === 'GET')
      const path = '$batch'
      const body = batchBody(open.map(({ call }) => ({ ...call, prefer: [immutableIds, ...(call.prefer ?? [])] })))
      const answer = await this.#answer({ method: 'POST', path, body }, signal, isRead)
      if (answer.status >= 300) throw this.#refusal(answer, path)
      const answers = readBatch(answer.body, open.length)
      const again: typeof open = []
      let waitMs = 0
      for (const [at, { call, index }] of open.entries()) {
        const each = answers[at]
        if (!each) throw graphErrors.OUTCOME_UNKNOWN({ path: bare(call.path), reason: 'the batch answers without it' })
        const error = each.status < 300 ? undefined : this.#refusal(each, call.path)
        results[index] = error ?? each
        if (error?.code !== graphErrors.BUSY.code || round >= this.#limits.batchRounds) continue
        if (call.method !== 'GET' && !isTurnedAway(each)) continue
        waitMs = Math.max(waitMs, error.retryAfterMs ?? 0)
        again.push({ call, index })
      }
      waitedMs += waitMs
      if (waitedMs > this.#limits.batchWaitMs) break
      if (again.length > 0) await clock.sleep(waitMs, signal)
      if (signal.aborted) break
      open = again
    }
    return results.map(
      (each, index) =>
        each ?? graphErrors.OUTCOME_UNKNOWN({ path: bare(calls[index]?.path ?? ''), reason: 'not sent' }),
    )
  }

  async #answer(call: GraphCall, signal: AbortSignal, isRead = call.method === 'GET'): Promise<GraphAnswer> {
    const { answerBytes } = this.#limits
    const { status, headers, chunks } = await this.#open(call, signal, answerBytes, isRead)
    const path = bare(call.path)
    try {
      const bytes = await this.#collect(chunks, status < 300 ? answerBytes : this.#limits.errorBytes)
      if (status >= 300) return { status, headers, body: parse(bytes) }
      if (bytes.length === 0) return { status, headers, body: undefined }
      const body = parse(bytes)
      if (body === undefined || !/json/i.test(headers['content-type'] ?? '')) {
        const reason = `it is ${headers['content-type']?.slice(0, 80) ?? 'of no type'} and ${bytes.length} bytes long`
        throw isRead ? graphErrors.ANSWER_ODD({ path, reason }) : graphErrors.OUTCOME_UNKNOWN({ path, reason })
      }
      return { status, headers, body }
    } catch (thrown) {
      if (isRead || !(thrown instanceof HubError) || thrown.isOutcomeUnknown) throw thrown
      throw graphErrors.OUTCOME_UNKNOWN({ path, reason: thrown.message }, { cause: thrown })
    }
  }

  /** Sends with the token of now, and once more with a new one where it was refused. */
  async #open(call: GraphCall, signal: AbortSignal, bytesMax: number, isRead = true) {
    const { logIn } = this.#options
    const logged = await logIn()
    const answer = await this.#once(call, logged, signal, bytesMax, isRead)
    if (answer.status !== 401) return answer
    const renewed = await logIn(logged.token)
    if (renewed.token === logged.token) return answer
    await this.#collect(answer.chunks, this.#limits.errorBytes)
    return this.#once(call, renewed, signal, bytesMax, isRead)
  }

  async #once(call: GraphCall, logIn: GraphLogIn, signal: AbortSignal, bytesMax: number, isRead: boolean) {
    const { root, timeoutMs } = this.#options
    const url = new URL(`${root.href}${call.path}`)
    const path = bare(call.path)
    const timeout = AbortSignal.timeout(timeoutMs)
    const lost = (thrown: unknown): HubError => {
      if (thrown instanceof HubError && thrown.code !== netErrors.CONNECTION_LOST.code) return thrown
      const host = url.hostname
      const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
      const reason = timeout.aborted
        ? `no answer within ${timeoutMs} ms`
        : signal.aborted
          ? 'the attempt was ended'
          : undefined
      const error = reason
        ? netErrors.CONNECTION_LOST({ host, port, reason }, { cause: thrown })
        : asNetError(thrown, { host, port })
      const isSent = error.code === netErrors.CONNECTION_LOST.code
      return isRead || !isSent ? error : graphErrors.OUTCOME_UNKNOWN({ path, reason: error.message }, { cause: thrown })
    }
    try {
      const response = await logIn.dispatcher().request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: call.method,
        headers: headersOf(call, logIn.token),
        signal: AbortSignal.any([signal, timeout]),
        ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
      })
      const headers: Record<string, string> = {}
      for (const [name, value] of Object.entries(response.headers)) {
        if (value !== undefined) headers[name.toLowerCase()] = typeof value === 'string' ? value : value.join(', ')
      }
      return { status: response.statusCode, headers, chunks: limited(response.body, bytesMax, path, lost) }
    } catch (thrown) {
      throw lost(thrown)
    }
  }

  async #collect(chunks: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Buffer> {
    const parts: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of chunks) {
      parts.push(chunk)
      bytes += chunk.length
      // Only errors are cut off: their beginning says what there is to say.
      if (bytes > bytesMax) break
    }
    return Buffer.concat(parts)
  }

  #refusal(answer: GraphAnswer, path: string): HubError {
    const { credential, clock } = this.#options
    return refusalOf(answer, { credential, path: bare(path), now: clock.now() })
  }

  /** A link of an answer as a path behind the root. */
  #pathOf(link: Json | undefined, from: string): string | undefined {
    if (link === undefined || link === null) return undefined
    const { root } = this.#options
    const path = bare(from)
    if (typeof link !== 'string' || !URL.canParse(link, root.href)) {
      throw graphErrors.ANSWER_ODD({ path, reason: 'the link to its next page is no address' })
    }
    const url = new URL(link, root)
    if (url.origin !== root.origin || !url.pathname.startsWith(root.pathname) || url.username !== '') {
      throw graphErrors.LINK_FOREIGN({
        path,
        origin: url.origin === root.origin ? url.pathname.slice(0, 60) : url.origin,
      })
    }
    return url.href.slice(root.href.length)
  }
}

/**
 * True where nothing was done yet: Graph says when to come back where it throttles. A 503 or 504 without that comes from a
 * gateway that waited in vain, and what it waited for may be done (seen at Graph: twenty 503, twenty mails to attendees).
 */
function isTurnedAway({ status, headers }: GraphAnswer): boolean {
  return status === 429 || (status === 503 && headers['retry-after'] !== undefined)
}

function headersOf(call: GraphCall, token: string): Record<string, string> {
  return {
    authorization: `Bearer ${token}`,
    accept: 'application/json',
    prefer: [immutableIds, ...(call.prefer ?? [])].join(', '),
    ...(call.body !== undefined && { 'content-type': 'application/json' }),
    ...(call.ifMatch !== undefined && { 'if-match': call.ifMatch }),
  }
}

async function* limited(
  body: Dispatcher.ResponseData['body'],
  bytesMax: number,
  path: string,
  lost: (thrown: unknown) => HubError,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  body.on('error', () => {})
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      bytes += chunk.length
      if (bytes > bytesMax) throw graphErrors.ANSWER_TOO_LARGE({ path, bytesMax })
      yield chunk
    }
  } catch (thrown) {
    throw lost(thrown)
  } finally {
    body.destroy()
  }
}

function parse(bytes: Buffer): Json | undefined {
  try {
    return JSON.parse(bytes.toString()) as Json
  } catch {
    // A log-in page, an empty answer or a broken one: whoever asked says what that means.
    return undefined
  }
}

/** A path as people know it: without the query, which may hold filters with names of people. */
function bare(path: string): string {
  return decodeURIComponent(path.split('?')[0]?.replace(/%(?![0-9a-f]{2})/gi, '%25') ?? '')
}
