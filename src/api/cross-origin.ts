import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HttpRoute } from '../kernel/http-exchange.ts'

/** What a page may read of an answer beside its body. */
const exposedHeaders = 'location, retry-after, www-authenticate, x-correlation-id, x-csrf-token, x-isthmus-message'

/** A browser asks before it lets a page of another origin send a request (Fetch standard, CORS-preflight request). */
export function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && 'access-control-request-method' in headers
}

/**
 * Says to a browser which pages of other origins may call a route; a page that is not listed is told nothing, so its
 * browser lets it neither send nor read. Answers preflights itself: true, and the request is done with.
 */
export function answerOrigin(incoming: IncomingMessage, response: ServerResponse, route: HttpRoute): boolean {
  const { cors, methods } = route
  if (!cors) return false
  // A cache must not give the answer for one page to another.
  response.setHeader('vary', 'origin')
  const { origin } = incoming.headers
  const isListed = origin !== undefined && cors.origins.includes(origin)
  if (isListed) {
    response.setHeader('access-control-allow-origin', origin)
    response.setHeader('access-control-expose-headers', exposedHeaders)
  }
  if (!isPreflight(incoming)) return false
  if (isListed) {
    response.setHeader('access-control-allow-methods', methods.join(', '))
    response.setHeader('access-control-allow-headers', cors.headers.join(', '))
    response.setHeader('access-control-max-age', String(cors.maxAgeSeconds))
  }
  response.writeHead(204).end()
  return true
}
