import { asHubError } from '../../kernel/error.ts'
import { type Json, parseExact } from '../../kernel/json.ts'
import { HOUR } from '../../kernel/time.ts'
import type { BatchForm, BatchPart, BatchResult } from './batch.ts'
import { jsonBatch } from './batch-json.ts'
import { multipartBatch } from './batch-multipart.ts'
import type { ODataVersion } from './edm.ts'
import { odataErrors } from './errors.ts'
import { type ExchangeOptions, ODataExchange, type ODataRequest } from './exchange.ts'
import { isGroup, isList } from './json.ts'
import { odataLimits } from './limits.ts'
import { readMetadata } from './metadata.ts'
import type { Model } from './model.ts'
import type { ODataAnswer } from './service-error.ts'
import type { Naming } from './url.ts'

export interface ODataClientOptions extends ExchangeOptions {
  readonly version: ODataVersion
  /** Fields of the query that go with every request (`sap-client=100`). */
  readonly fields?: Readonly<Record<string, string>> | undefined
  /** Headers that go with every request, names in any case. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly limits?: Partial<{ readonly [K in keyof typeof odataLimits]: number }> | undefined
  /**
   * The service is reached under a name of ours (a virtual host), and may know itself by another name and scheme: of its
   * links to next pages path and query count. They lead to the same server all the same.
   */
  readonly isRenamed?: boolean | undefined
  /** Requests in a batch name their path from the root of the server, as Microsoft documents it, not from the service. */
  readonly hasRootedBatches?: boolean | undefined
}

/** A path behind the root of the service, percent-encoded, with its query. */
export interface Ask {
  readonly path: string
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly signal: AbortSignal
}

export interface Change extends Ask {
  readonly method: ODataRequest['method']
  /** JSON text. */
  readonly body?: string | undefined
  readonly isRepeatable: boolean
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** The entity, list or value, out of its wrap; undefined when the answer had no content. */
  readonly value: Json | undefined
  readonly etag: string | undefined
}

export interface Page {
  readonly entities: readonly Json[]
  /** How many match in all, where that was asked for. */
  readonly count: number | undefined
}

/** How long a read $metadata is taken to hold. */
const modelLifeMs = HOUR

/** A client of one OData service, V2 or V4. It knows no more of a service than the service says of itself. */
export class ODataClient {
  readonly #options: ODataClientOptions
  readonly #exchange: ODataExchange
  readonly #limits: { readonly [K in keyof typeof odataLimits]: number }
  #model: { readonly model: Promise<Model>; readonly readAt: number } | undefined

  constructor(options: ODataClientOptions) {
    this.#options = options
    this.#exchange = new ODataExchange(options)
    this.#limits = { ...odataLimits, ...options.limits }
  }

  get naming(): Naming {
    return { version: this.#options.version, server: this.#exchange.server }
  }

  /** What the service says of itself; read once an hour, and once for callers at the same time. */
  model(signal: AbortSignal): Promise<Model> {
    const now = this.#options.now()
    const known = this.#model
    if (known && now - known.readAt < modelLifeMs) return known.model
    const reading = { model: this.#readModel(signal), readAt: now }
    this.#model = reading
    // What failed is asked for again by the next one, not remembered.
    reading.model.catch(() => {
      if (this.#model === reading) this.#model = undefined
    })
    return reading.model
  }

  /**
   * The pages of a query as the service cuts them, one in memory at a time. Throws ODATA_TOO_MANY_PAGES,
   * ODATA_PAGES_IN_CIRCLE, ODATA_NEXT_LINK_FOREIGN.
   */
  async *pages(ask: Ask): AsyncGenerator<Page> {
    const server = this.#exchange.server
    const seen = new Set<string>()
    let url: URL | undefined = this.#url(ask.path)
    for (let page = 1; url; page += 1) {
      if (page > this.#limits.pages) {
        throw odataErrors.TOO_MANY_PAGES({ server, pagesMax: this.#limits.pages, limit: 'the limit of pages' })
      }
      if (seen.has(url.href)) throw odataErrors.PAGES_IN_CIRCLE({ server, page })
      seen.add(url.href)
      const answer = await this.#read(url, ask)
      const { list, count, next } = this.#unwrapList(answer)
      yield { entities: list, count }
      url = next === undefined ? undefined : this.#nextUrl(next, url)
    }
  }

  /** One entity, or the result of a function. */
  async read(ask: Ask): Promise<Reply> {
    return this.#reply(await this.#read(this.#url(ask.path), ask))
  }

  async change(change: Change): Promise<Reply> {
    const { method, path, body, headers, signal, isRepeatable } = change
    const answer = await this.#exchange.send({
      method,
      url: this.#url(path),
      headers: { ...this.#headers(), ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      body,
      isRead: false,
      isRepeatable,
      signal,
      bytesMax: this.#limits.answerBytes,
      limit: 'max-answer',
    })
    try {
      return this.#reply(answer)
    } catch (thrown) {
      // It said yes in words that nobody understands: repeating it could do it twice.
      const { message } = asHubError(thrown)
      const options = { cause: thrown, retry: isRepeatable ? ('soon' as const) : ('never' as const) }
      throw odataErrors.OUTCOME_UNKNOWN({ server: this.#exchange.server, reason: message }, options)
    }
  }

  /**
   * Several requests in one. Results come in the order of the parts; a service that stops at the first failure gives
   * fewer. Throws ODATA_BATCH_BROKEN when the answer does not fit.
   */
  async batch(
    parts: readonly BatchPart[],
    how: {
      readonly signal: AbortSignal
      readonly form?: 'multipart' | 'json'
      readonly isRepeatable?: boolean
      /** Names in lower case. */
      readonly headers?: Readonly<Record<string, string>>
    },
  ): Promise<readonly BatchResult[]> {
    const { server } = this.naming
    const count = parts.reduce((sum, part) => sum + ('request' in part ? 1 : part.changeset.length), 0)
    if (count > this.#limits.batchParts) {
      const reason = `${count} requests are more than ${this.#limits.batchParts}`
      throw odataErrors.VALUE_UNFIT({ name: '$batch', type: 'a batch', reason })
    }
    const root = this.#options.hasRootedBatches ? this.#options.root : undefined
    const form: BatchForm = how.form === 'json' ? jsonBatch(parts) : multipartBatch(parts, root)
    const answer = await this.#exchange.send({
      method: 'POST',
      url: this.#url('$batch'),
      headers: {
        ...this.#headers(),
        ...how.headers,
        accept: how.form === 'json' ? 'application/json' : 'multipart/mixed',
        'content-type': form.type,
      },
      body: form.body,
      isRead: false,
      isRepeatable: how.isRepeatable ?? false,
      signal: how.signal,
      bytesMax: this.#limits.answerBytes,
      limit: 'max-answer',
    })
    try {
      return form.read(answer.headers['content-type'] ?? '', answer.body)
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : String(thrown)
      throw odataErrors.BATCH_BROKEN({ server, reason }, { cause: thrown, retry: how.isRepeatable ? 'soon' : 'never' })
    }
  }

  /** The root of the service: it stands, and knows the credential. Returns the name of the server. */
  async check(signal: AbortSignal): Promise<string> {
    await this.#read(this.#url(''), { path: '', signal })
    return this.#exchange.server
  }

  #read(url: URL, { headers, signal }: Ask): Promise<ODataAnswer> {
    return this.#exchange.send({
      method: 'GET',
      url,
      headers: { ...this.#headers(), ...headers },
      isRead: true,
      isRepeatable: true,
      signal,
      bytesMax: this.#limits.answerBytes,
      limit: 'max-answer',
    })
  }

  async #readModel(signal: AbortSignal): Promise<Model> {
    const { body } = await this.#exchange.stream({
      method: 'GET',
      url: this.#url('$metadata'),
      headers: { accept: 'application/xml' },
      isRead: true,
      isRepeatable: true,
      signal,
      bytesMax: this.#limits.metadataBytes,
      limit: 'metadataBytes',
    })
    return readMetadata(body, this.#exchange.server)
  }

  #headers(): Record<string, string> {
    const own = Object.entries(this.#options.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value])
    const version: Record<string, string> =
      this.#options.version === 'v2'
        ? { accept: 'application/json', dataserviceversion: '2.0', maxdataserviceversion: '2.0' }
        : { accept: 'application/json', 'odata-version': '4.0', 'odata-maxversion': '4.01' }
    return { ...version, ...Object.fromEntries(own) }
  }

  #url(path: string): URL {
    return this.#withFields(new URL(`${this.#options.root.href}${path}`))
  }

  #withFields(url: URL): URL {
    // searchParams would write all other fields anew, and with plus signs for spaces.
    for (const [name, value] of Object.entries(this.#options.fields ?? {})) {
      if (url.searchParams.has(name)) continue
      url.search += `${url.search === '' ? '?' : '&'}${encodeURIComponent(name)}=${encodeURIComponent(value)}`
    }
    return url
  }

  #nextUrl(link: string, from: URL): URL {
    const { root } = this.#options
    const { server } = this.naming
    if (!URL.canParse(link, from.href)) throw this.#odd('the link to its next page is no address')
    const next = new URL(link, from)
    const isHere = next.origin === root.origin
    const isRenamed = this.#options.isRenamed === true && /^https?:$/.test(next.protocol)
    if (next.username !== '' || !(isHere || (isRenamed && next.pathname.startsWith(root.pathname)))) {
      throw odataErrors.NEXT_LINK_FOREIGN({ server, origin: next.origin === 'null' ? next.protocol : next.origin })
    }
    return this.#withFields(new URL(`${root.origin}${next.pathname}${next.search}`))
  }

  #unwrapList(answer: ODataAnswer): { list: readonly Json[]; count: number | undefined; next: string | undefined } {
    const document = this.#json(answer)
    const wrap = this.#options.version === 'v2' && isGroup(document) ? document['d'] : document
    const list = isList(wrap)
      ? wrap
      : isGroup(wrap)
        ? wrap[this.#options.version === 'v2' ? 'results' : 'value']
        : undefined
    if (!isList(list)) throw this.#odd('a list was asked for, and it is none')
    const group = isGroup(wrap) ? wrap : {}
    const next = group['__next'] ?? group['@odata.nextLink'] ?? group['@nextLink']
    const count = Number(group['__count'] ?? group['@odata.count'] ?? group['@count'] ?? Number.NaN)
    if (next !== undefined && typeof next !== 'string') throw this.#odd('the link to its next page is no text')
    return { list, count: Number.isSafeInteger(count) ? count : undefined, next }
  }

  #reply(answer: ODataAnswer): Reply {
    const { status, headers } = answer
    const document = answer.body.length === 0 || status === 204 ? undefined : this.#json(answer)
    const wrap = this.#options.version === 'v2' && isGroup(document) && 'd' in document ? document['d'] : document
    const value = isGroup(wrap) && isList(wrap['results']) ? wrap['results'] : this.#bare(wrap)
    const inBody = isGroup(wrap)
      ? (wrap['@odata.etag'] ?? (isGroup(wrap['__metadata']) ? wrap['__metadata']['etag'] : undefined))
      : undefined
    return { status, headers, value, etag: headers['etag'] ?? (typeof inBody === 'string' ? inBody : undefined) }
  }

  /** V4 wraps what is no entity in `value`. */
  #bare(wrap: Json | undefined): Json | undefined {
    if (this.#options.version === 'v2' || !isGroup(wrap)) return wrap
    const { '@odata.context': context, ...rest } = wrap
    const names = Object.keys(rest).filter(name => !name.startsWith('@'))
    return context !== undefined && names.length === 1 && names[0] === 'value' ? rest['value'] : rest
  }

  #json({ headers, body }: ODataAnswer): Json {
    const type = headers['content-type'] ?? ''
    if (!/^application\/([^;]+\+)?json/i.test(type)) throw this.#odd(`it is of type ${type.slice(0, 100) || 'nothing'}`)
    try {
      return parseExact(new TextDecoder('utf-8', { fatal: true }).decode(body))
    } catch (thrown) {
      throw this.#odd(thrown instanceof Error ? thrown.message.slice(0, 200) : String(thrown), thrown)
    }
  }

  #odd(reason: string, cause?: unknown) {
    return odataErrors.ANSWER_ODD({ server: this.#exchange.server, reason }, { cause })
  }
}
