import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { Guard } from '../auth/service/model.ts'
import { believeProxies, callerAddress } from '../kernel/caller-address.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import type { HttpCaller, HttpRequest, HttpResponse, HttpRoute, ServeRoute } from '../kernel/http-exchange.ts'
import type { Log } from '../kernel/log.ts'
import { admitCaller, findOutsider, refusePlainHttp } from './caller-check.ts'
import { answerOrigin, isPreflight } from './cross-origin.ts'
import { isTokenFetch, tokenAnswer } from './csrf-token.ts'
import type { EndpointTls } from './endpoint-tls.ts'
import { flowEndpointErrors } from './flow-endpoint-errors.ts'
import { createHttpServer, createHttpsServer } from './http-server.ts'
import { readIncoming, tooLarge } from './incoming-body.ts'
import { problemOf, problemType, retryAfterOf } from './problem.ts'
import { closeAfter, findMalformed, hardenedOptions, httpLimits, isClosing } from './request-guard.ts'
import { RouteTable } from './route-table.ts'
import { answerUnparsed } from './unparsed-request.ts'
import { endAnswer, hasUnread } from './unread-body.ts'

/** The server of the endpoints that flows ask for; everything lies below `/flows`. */
export interface FlowEndpoints {
  readonly serve: ServeRoute
  /** Asks this before the flows; it answers what is its own (the token server) and returns false for the rest. */
  mount(handle: (incoming: IncomingMessage, response: ServerResponse) => boolean): void
  /** Resolves with the base address (`http://127.0.0.1:8081/flows`) once it listens. */
  listen(address: { readonly host: string; readonly port: number }): Promise<string>
  /** Takes no more requests; running ones may end within the grace time. */
  close(graceMs?: number): Promise<void>
}

export interface FlowEndpointOptions {
  readonly log: Log
  readonly limits?: Partial<typeof httpLimits>
  /** Without it, routes with a role let nobody in. */
  readonly guard?: Guard
  /** Roles that there are; a route that asks for another one is refused. */
  readonly hasRole?: (role: string) => boolean
  /** Listens with HTTPS, and takes client certificates. */
  readonly tls?: EndpointTls | undefined
  /** A proxy on another machine ends TLS: what comes over plain HTTP may carry credentials. */
  readonly isBehindTls?: boolean
  /** Addresses and networks of proxies that are believed who their caller is. */
  readonly proxies?: readonly string[] | undefined
}

const prefix = '/flows'
const closeGraceMs = 5000
/** Share of the grace time after which nobody waits for the end of a message any more. */
const tellShare = 0.8

export function createFlowEndpoints(options: FlowEndpointOptions): FlowEndpoints {
  const routes = new RouteTable()
  const believe = believeProxies(options.proxies ?? [])
  const limits = { ...httpLimits, ...options.limits }
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    if (isClosing(request)) return
    answer(request, response).catch((thrown: unknown) => {
      // The connection broke while the answer was written: there is nobody left to tell.
      options.log.debug('endpoint.broken', { error: asHubError(thrown).message })
      response.destroy()
    })
  }
  const server: Server = options.tls
    ? createHttpsServer(
        // Node waits two minutes for a handshake, and the connection counts among the others meanwhile.
        { ...hardenedOptions(limits), handshakeTimeout: limits.headersMs, ...options.tls.serverOptions() },
        listener,
      )
    : createHttpServer(hardenedOptions(limits), listener)
  options.tls?.follow(server)
  server.timeout = limits.idleMs
  server.maxConnections = limits.connections
  // A caller that asks first (Expect: 100-continue) is told to go on only once its body is wanted.
  server.on('checkContinue', listener)
  answerUnparsed(server, options.log, limits.headerBytes)

  /** Requests that the flows have and that are not answered to their end. */
  const waiting = new Map<ServerResponse, AbortController>()
  const closing = new AbortController()
  const mounted: ((incoming: IncomingMessage, response: ServerResponse) => boolean)[] = []

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    believe(incoming)
    const url = incoming.url ?? ''
    try {
      const malformed = findMalformed(incoming)
      if (malformed) throw malformed
      // Secrets and tokens go to and fro there, so nobody on the way may read along.
      if (!url.startsWith(`${prefix}/`) && !options.isBehindTls) refusePlainHttp(incoming)
      if (mounted.some(handle => handle(incoming, response))) return
      const route = findRoute(incoming, response)
      if (answerOrigin(incoming, response, route)) return
      const admitted = admit(incoming, response, route)
      const caller = admitted instanceof Promise ? await admitted : admitted
      if (isTokenFetch(incoming, route)) {
        await write(incoming, response, tokenAnswer, closing.signal, closing.signal)
        return
      }
      checkDeclaredSize(incoming, route)
      checkCoding(incoming, response, route)
      const gone = new AbortController()
      waiting.set(response, gone)
      response.on('close', () => {
        waiting.delete(response)
        if (!response.writableFinished) gone.abort()
      })
      const request = asRequest(incoming, response, route, caller, gone.signal)
      await write(incoming, response, await route.handle(request, routes.othersOf(route)), gone.signal, closing.signal)
    } catch (thrown) {
      const error = asHubError(thrown)
      if (error.code === 'HUB_UNEXPECTED') options.log.error('endpoint.failed', { path: pathOf(url), error })
      else options.log.debug('endpoint.refused', { path: pathOf(url), code: error.code })
      writeProblem(incoming, response, error, closing.signal)
    }
  }

  function findRoute(incoming: IncomingMessage, response: ServerResponse): HttpRoute {
    const path = pathOf(incoming.url ?? '')
    const route = path.startsWith(`${prefix}/`) ? routes.find(path.slice(prefix.length)) : undefined
    if (!route) throw flowEndpointErrors.PATH_UNKNOWN({ path })
    const method = incoming.method ?? ''
    if (route.methods.includes(method) || (route.cors && isPreflight(incoming))) return route
    if (isTokenFetch(incoming, route)) return route
    const methods = route.methods.join(', ')
    // RFC 9110 section 15.5.6; of an answer to HEAD there is nothing else to read.
    response.setHeader('allow', methods)
    throw flowEndpointErrors.METHOD_REFUSED({ path, method, methods })
  }

  /** Throws the refusal; what the answer says of it beside its body stands in the headers of the response by then. */
  function admit(
    incoming: IncomingMessage,
    response: ServerResponse,
    { role }: HttpRoute,
  ): HttpCaller | undefined | Promise<HttpCaller | undefined> {
    if (role !== undefined) return admitCaller(incoming, response, role, options)
    const refused = findOutsider(incoming)
    if (refused) throw refused
    return undefined
  }

  return {
    serve(route) {
      const { flow, role } = route
      // Such a flow would run and refuse everybody: better it says so at its start.
      if (role !== undefined && options.hasRole?.(role) === false) throw flowEndpointErrors.ROLE_UNKNOWN({ flow, role })
      return routes.add(route)
    },
    mount(handle) {
      mounted.push(handle)
    },
    listen: address => listen(server, address, options.tls ? 'https' : 'http'),
    async close(graceMs = closeGraceMs) {
      options.tls?.close()
      closing.abort()
      server.closeIdleConnections()
      // Who waits for the end of a message is told in time where to ask for it: cut off, a caller would send it again.
      const tell = setTimeout(() => {
        for (const [response, gone] of waiting) if (!response.headersSent) gone.abort()
      }, graceMs * tellShare)
      const cut = setTimeout(() => server.closeAllConnections(), graceMs)
      await new Promise<void>(resolve => server.close(() => resolve()))
      clearTimeout(tell)
      clearTimeout(cut)
    },
  }
}

async function listen(
  server: Server,
  address: { readonly host: string; readonly port: number },
  scheme: 'http' | 'https',
): Promise<string> {
  server.listen(address.port, address.host)
  await once(server, 'listening')
  const { address: host, port, family } = server.address() as AddressInfo
  return `${scheme}://${family === 'IPv6' ? `[${host}]` : host}:${port}${prefix}`
}

function checkDeclaredSize(incoming: IncomingMessage, { bodyBytesMax }: HttpRoute): void {
  const declared = incoming.headers['content-length']
  if (declared !== undefined && Number(declared) > bodyBytesMax) throw tooLarge(Number(declared), bodyBytesMax)
}

// Others (Content-Encoding: utf-8) are a mistake of the caller that packs nothing.
const packing = /^(?:x-)?(?:gzip|compress)$|^(?:deflate|br|zstd|dcb|dcz)$/

/** A body that is kept without the word that it is packed would be handed on as what it is not. */
function checkCoding(incoming: IncomingMessage, response: ServerResponse, route: HttpRoute): void {
  const codings = incoming.headers['content-encoding']?.toLowerCase().split(',') ?? []
  const coding = codings.map(each => each.trim()).find(each => packing.test(each))
  if (coding === undefined || route.takesCoded) return
  // RFC 9110 section 12.5.3: what would be taken instead.
  response.setHeader('accept-encoding', 'identity')
  throw flowEndpointErrors.CODED({ coding })
}

function asRequest(
  incoming: IncomingMessage,
  response: ServerResponse,
  route: HttpRoute,
  caller: HttpCaller | undefined,
  signal: AbortSignal,
): HttpRequest {
  const url = incoming.url ?? ''
  const queryAt = url.indexOf('?')
  const query = queryAt < 0 ? [] : [...new URLSearchParams(url.slice(queryAt + 1))]
  const headers: Record<string, string> = {}
  for (const name in incoming.headers) headers[name] = String(incoming.headers[name])
  return {
    method: incoming.method ?? '',
    url,
    path: pathOf(url),
    query: Object.fromEntries(query.toReversed()),
    headers,
    body: readIncoming(incoming, response, route.bodyBytesMax),
    remoteAddress: callerAddress(incoming),
    caller,
    signal,
  }
}

async function write(
  incoming: IncomingMessage,
  response: ServerResponse,
  { status, headers, body }: HttpResponse,
  signal: AbortSignal,
  closing: AbortSignal,
): Promise<void> {
  closeUnlessRead(incoming, response)
  incoming.socket.setTimeout(httpLimits.idleMs)
  const isHeld = typeof body === 'string' || body instanceof Uint8Array
  if (isHeld) response.setHeader('content-length', Buffer.byteLength(body))
  response.writeHead(status, { 'x-content-type-options': 'nosniff', ...headers })
  if (isHeld) endAnswer(incoming, response, body, closing)
  else await pipeline(body, response, { signal })
}

function writeProblem(
  incoming: IncomingMessage,
  response: ServerResponse,
  error: HubError,
  closing: AbortSignal,
): void {
  if (response.headersSent) {
    // Cut in the middle, the caller sees that the answer is not whole.
    response.destroy()
    return
  }
  if (error.code === 'API_REQUEST_MALFORMED') closeAfter(incoming, response)
  else closeUnlessRead(incoming, response)
  const retryAfter = retryAfterOf(error)
  const problem = problemOf(error, pathOf(incoming.url ?? ''))
  // What went wrong inside the hub is for its log, not for callers.
  const shown = error.code === 'HUB_UNEXPECTED' ? { ...problem, title: 'The hub could not take the request.' } : problem
  if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter)
  const text = JSON.stringify(shown)
  response.setHeader('content-length', Buffer.byteLength(text))
  response.writeHead(problem.status, { 'content-type': problemType, 'x-content-type-options': 'nosniff' })
  endAnswer(incoming, response, text, closing)
}

/** A body that was not read to its end must not be taken for the next request. */
function closeUnlessRead(incoming: IncomingMessage, response: ServerResponse): void {
  if (hasUnread(incoming)) closeAfter(incoming, response)
}

function pathOf(url: string): string {
  return url.split('?')[0] ?? ''
}
