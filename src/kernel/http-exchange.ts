/** An HTTP request to the hub as an adapter sees it. */
export interface HttpRequest {
  readonly method: string
  /** Path with the query, as received. */
  readonly url: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: AsyncIterable<Uint8Array>
  readonly remoteAddress: string
  /** Who calls; only where the route asks for a role. */
  readonly caller: HttpCaller | undefined
  /** Aborts when the caller is gone, or must not wait any longer since the hub stops. */
  readonly signal: AbortSignal
}

/** A caller that proved who it is. */
export interface HttpCaller {
  readonly clientId: string
  /** Name of the service instance. */
  readonly instance: string
  /** The client id, or the user for whom the client acts. */
  readonly subject: string
  /** Name of the identity provider that vouches for the user; undefined: it is one of the hub's own. */
  readonly idp?: string | undefined
}

export interface HttpResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | string | AsyncIterable<Uint8Array>
}

/** Which pages of other origins may call, and with what. They send a token: browsers add nothing by themselves. */
export interface CrossOrigin {
  /** Scheme, host and port, as browsers write them: `https://portal.contoso.com`. */
  readonly origins: readonly string[]
  /** Names of request headers, in lower case. */
  readonly headers: readonly string[]
  /** How long a browser need not ask again. */
  readonly maxAgeSeconds: number
}

/** An HTTP endpoint that a flow asks the hub to serve. */
export interface HttpRoute {
  readonly flow: string
  /** Begins with a slash; the hub puts `/flows` before it. A trailing `/*` takes everything below. */
  readonly path: string
  readonly methods: readonly string[]
  /** Role that a caller needs; undefined: no check of who calls, so only loopback callers are let in. */
  readonly role: string | undefined
  readonly bodyBytesMax: number
  /** Takes bodies in a content coding (gzip) as they come, since its message keeps the header that names it. */
  readonly takesCoded?: boolean
  /** Pages of other origins whose scripts may call it; undefined: none. */
  readonly cors?: CrossOrigin | undefined
  /**
   * Lets routes of several flows stand at one path, of one `kind` and with the same role and size: one of them is called,
   * and hands a request on that is another's. `parts`: what each has of the path; no two have the same part.
   */
  readonly shared?: { readonly kind: string; readonly parts: readonly string[] }
  /** `others`: the routes that share the path with this one. */
  handle(request: HttpRequest, others: readonly HttpRoute[]): Promise<HttpResponse>
}

/** Adds a route; the returned function takes it away. Throws ENDPOINT_PATH_TAKEN when another flow has the path. */
export type ServeRoute = (route: HttpRoute) => () => void
