import type { IncomingMessage, RequestListener, ServerOptions, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { HubError } from '../kernel/error.ts'
import { KiB } from '../kernel/size.ts'
import { MINUTE, SECOND } from '../kernel/time.ts'
import { apiErrors } from './api-errors.ts'
import { problemOf, problemType } from './problem.ts'

/** Limits of every HTTP server of the hub. */
export const httpLimits = {
  /** Request line and headers together. */
  headerBytes: 16 * KiB,
  /** Until the headers are complete. */
  headersMs: 10 * SECOND,
  /** Until the whole request is complete. */
  requestMs: 5 * MINUTE,
  /** Without a byte in either direction while a request comes in or an answer goes out. */
  idleMs: 30 * SECOND,
  /** Between two requests on one connection. */
  keepAliveMs: 10 * SECOND,
  connections: 1000,
}

/** Options for `http.createServer`: no slow headers, no endless bodies, nothing lenient. */
export function hardenedOptions(limits: Partial<typeof httpLimits> = {}): ServerOptions {
  const { headerBytes, headersMs, requestMs, keepAliveMs } = { ...httpLimits, ...limits }
  return {
    maxHeaderSize: headerBytes,
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: Math.min(SECOND, headersMs),
    insecureHTTPParser: false,
    requireHostHeader: true,
  }
}

/** Headers of which a second one is an attempt to be understood in two ways. */
const singleHeaders: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'content-length',
  'content-type',
  'transfer-encoding',
  'expect',
])

/** What node lets through although two servers may understand it differently; undefined: the request is fine. */
export function findMalformed(request: IncomingMessage): HubError | undefined {
  const target = request.url ?? ''
  // An absolute URI has a host of its own beside the Host header (RFC 9112 section 3.2.2).
  if (!target.startsWith('/') || target.startsWith('//')) {
    return apiErrors.REQUEST_MALFORMED({ text: 'the target is not a path' })
  }
  // What a router cannot decode two servers may decode differently.
  if (!isDecodable(target.split('?')[0] ?? '')) {
    return apiErrors.REQUEST_MALFORMED({ text: 'the path has a broken percent escape' })
  }
  const counts = countSingle(request.rawHeaders)
  for (const [name, count] of counts) {
    if (count > 1) return apiErrors.REQUEST_MALFORMED({ text: `it has ${count} ${name} headers` })
  }
  // Node undoes chunked alone and hands over what is packed below it (RFC 9112 section 7).
  if (counts.has('transfer-encoding') && request.headers['transfer-encoding']?.trim().toLowerCase() !== 'chunked') {
    return apiErrors.REQUEST_MALFORMED({ text: 'its transfer-encoding is another than chunked' })
  }
  // Whoever speaks HTTP/1.0 knows no chunks, so somebody on the way reads another end (RFC 9112 section 6.1).
  if (counts.has('transfer-encoding') && request.httpVersion === '1.0') {
    return apiErrors.REQUEST_MALFORMED({ text: 'it is HTTP/1.0 with a transfer-encoding' })
  }
  // There the body ends with the connection, which node does not wait for: the message would be empty (RFC 1945 section 8.3).
  // nginx leaves the length out where it has no body for the hub, and then there is no type either.
  const isLengthless = request.httpVersion === '1.0' && !counts.has('content-length')
  if (isLengthless && counts.has('content-type')) {
    return apiErrors.REQUEST_MALFORMED({ text: 'it is HTTP/1.0 and does not say how long its body is' })
  }
  if (counts.has('transfer-encoding') && counts.has('content-length')) {
    return apiErrors.REQUEST_MALFORMED({ text: 'it has both transfer-encoding and content-length' })
  }
  return undefined
}

/** How often each of these headers is there; raw headers are names and values in turns. */
function countSingle(rawHeaders: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase()
    if (singleHeaders.has(name)) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counts
}

function isDecodable(path: string): boolean {
  if (!path.includes('%')) return true
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

const closing = new WeakSet<Socket>()

/** Ends the connection with this answer; what comes behind the request on it is nobody's (RFC 9112 section 9.6). */
export function closeAfter(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('connection', 'close')
  closing.add(request.socket)
}

/** Whether the connection ends with the answer to an earlier request. */
export function isClosing({ socket }: IncomingMessage): boolean {
  return closing.has(socket)
}

/** Lets only well-formed requests through to the listener; others are answered and their connection closed. */
export function guarded(listener: RequestListener): RequestListener {
  return (request, response) => {
    if (isClosing(request)) return
    const error = findMalformed(request)
    if (error) refuse(request, response, error)
    else listener(request, response)
  }
}

/** Answers with a problem and closes the connection, so that no rest of the request is read as a new one. */
export function refuse(request: IncomingMessage, response: ServerResponse, error: HubError): void {
  const problem = problemOf(error, (request.url ?? '').slice(0, 200))
  closeAfter(request, response)
  response.writeHead(problem.status, { 'content-type': problemType, 'cache-control': 'no-store' })
  response.end(JSON.stringify(problem))
}

/** True for addresses of this machine itself (127.0.0.0/8, ::1, and the former written as IPv6). */
export function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false
  const plain = address.replace(/^::ffff:/i, '')
  return plain === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(plain)
}
