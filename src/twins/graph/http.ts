import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Json, JsonObject } from '../../kernel/json.ts'
import { MiB } from '../../kernel/size.ts'
import { strike } from '../twin.ts'
import type { GraphFaults } from './faults.ts'
import { errorDocument, GraphRefusal, refusals } from './graph-error.ts'
import { type AppClaims, answerRequest, type GraphReply, type GraphRequest, type GraphWorld } from './service.ts'

export const rootPath = '/v1.0/'
const bodyBytesMax = 4 * MiB
const requestsKept = 1000
const batchMax = 20
const audiences = [
  'https://graph.microsoft.com',
  'https://graph.microsoft.com/',
  '00000003-0000-0000-c000-000000000000',
]

/** A request that the twin answered; those of a batch one by one, with the number of their batch. */
export interface SeenGraphRequest {
  readonly method: string
  /** Behind the root, with the query. */
  readonly target: string
  readonly status: number
  readonly batch: number | null
}

export interface GraphCounters {
  /** HTTP requests since the start; a batch counts once. */
  readonly requests: number
  readonly batches: number
  /** What was asked for alone, and inside of batches. */
  readonly byTarget: Readonly<Record<string, number>>
}

export interface HandlerParts {
  readonly world: GraphWorld
  /** The claims of a token of the sign-in twin that is valid now. */
  verify(token: string): AppClaims | undefined
  faults(): GraphFaults
}

/** The twin's request listener: token, faults, batches, and then the service. */
export function makeHandler(parts: HandlerParts) {
  const requests: SeenGraphRequest[] = []
  const counters = { requests: 0, batches: 0, byTarget: {} as Record<string, number> }
  const see = (seen: SeenGraphRequest) => {
    const name = nameOf(seen)
    counters.byTarget[name] = (counters.byTarget[name] ?? 0) + 1
    requests.push(seen)
    if (requests.length > requestsKept) requests.shift()
  }
  return {
    requests: requests as readonly SeenGraphRequest[],
    counters: counters as GraphCounters,
    handle(request: IncomingMessage, response: ServerResponse) {
      counters.requests += 1
      respond(parts, see, counters, request, response).catch(() => {
        // The caller is gone: nobody is left to be told.
        response.destroy()
      })
    },
  }
}

/** `GET messages/delta`, `batch POST events`: what was asked for, without whose and which. */
function nameOf({ method, target, batch }: SeenGraphRequest): string {
  const words = (target.split('?')[0] ?? '')
    .split('/')
    .filter(part => /^[a-zA-Z$]{4,20}$/.test(part) && part !== 'users')
  return `${batch === null ? '' : 'batch '}${method} ${words.slice(-2).join('/')}`
}

type See = (seen: SeenGraphRequest) => void

async function respond(
  parts: HandlerParts,
  see: See,
  counters: { batches: number },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = 'GET', url = '/' } = request
  const body = await readBody(request)
  const faults = parts.faults()
  if (faults.slowMs) await parts.world.clock.sleep(faults.slowMs)
  const isWrite = method !== 'GET'
  if (faults.dropBefore && (isWrite || !faults.dropBefore.writesOnly) && strike(faults.dropBefore)) {
    response.destroy()
    return
  }
  const reply = await replyTo(parts, see, counters, { method, url, headers: plain(request), body })
  if (faults.dropAfter && (isWrite || !faults.dropAfter.writesOnly) && strike(faults.dropAfter)) {
    response.destroy()
    return
  }
  if (strike(faults.html)) {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!DOCTYPE html><html><body>Sign in</body></html>')
    return
  }
  const bytes =
    reply.bytes ?? (reply.body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(bent(parts, reply.body))))
  response.writeHead(reply.status, {
    ...(reply.body !== undefined && { 'content-type': 'application/json; odata.metadata=minimal; charset=utf-8' }),
    ...(reply.status !== 204 && { 'content-length': bytes.length }),
    ...reply.headers,
  })
  if (strike(faults.truncate)) {
    response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy())
    return
  }
  response.end(bytes)
}

interface Raw {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

async function replyTo(parts: HandlerParts, see: See, counters: { batches: number }, raw: Raw): Promise<GraphReply> {
  const target = raw.url.startsWith(rootPath) ? raw.url.slice(rootPath.length) : undefined
  const { method } = raw
  try {
    const claims = claimsOf(parts, raw)
    if (target === undefined) throw refusals.noResource(raw.url.slice(0, 80))
    const body = bodyOf(raw)
    const request: GraphRequest = { method, target, headers: raw.headers, body, claims }
    if (target === '$batch') {
      counters.batches += 1
      return await answerBatch(parts, see, counters.batches, request)
    }
    return await answerOne(parts, see, null, request)
  } catch (thrown) {
    const refusal = refusalOf(thrown)
    see({ method, target: target ?? raw.url, status: refusal.status, batch: null })
    return failed(parts, refusal)
  }
}

/** The reply to one request, alone or in a batch, with the faults that are meant for it. */
async function answerOne(
  parts: HandlerParts,
  see: See,
  batch: number | null,
  request: GraphRequest,
): Promise<GraphReply> {
  let reply: GraphReply
  try {
    playFaults(parts.faults(), request.target)
    reply = await answerRequest(parts.world, request)
    const { late } = parts.faults()
    if (request.method !== 'GET' && strike(late)) throw refusals.gaveUp(late?.status ?? 504)
  } catch (thrown) {
    reply = failed(parts, refusalOf(thrown))
  }
  see({ method: request.method, target: request.target, status: reply.status, batch })
  return reply
}

function refusalOf(thrown: unknown): GraphRefusal {
  if (thrown instanceof GraphRefusal) return thrown
  return new GraphRefusal(
    500,
    'generalException',
    thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown),
  )
}

function failed({ world }: HandlerParts, refusal: GraphRefusal): GraphReply {
  return { status: refusal.status, headers: refusal.headers, body: errorDocument(refusal, world.clock.now()) }
}

function playFaults(faults: GraphFaults, target: string): void {
  const { throttle, unavailable, moving, refuse } = faults
  const isMeant = (mailbox: string | undefined) =>
    mailbox === undefined ||
    decodeURIComponent(target.split('?')[0] ?? '')
      .toLowerCase()
      .includes(`users/${mailbox.toLowerCase()}`)
  if (throttle && isMeant(throttle.mailbox) && strike(throttle)) {
    throw new GraphRefusal(429, 'ApplicationThrottled', 'Application is over its MailboxConcurrency limit.', {
      'retry-after': String(throttle.retryAfterS),
    })
  }
  if (unavailable && isMeant(unavailable.mailbox) && strike(unavailable)) {
    throw new GraphRefusal(unavailable.status, 'serviceNotAvailable', 'The service is unavailable.')
  }
  if (moving && isMeant(moving.mailbox) && strike(moving)) {
    throw new GraphRefusal(503, 'ErrorMailboxMoveInProgress', 'Mailbox move in progress. Try again later.')
  }
  if (refuse && strike(refuse)) throw new GraphRefusal(refuse.status, refuse.code, refuse.message)
}

/** Up to 20 requests; the answers come in no order that means anything. */
async function answerBatch(parts: HandlerParts, see: See, batch: number, outer: GraphRequest): Promise<GraphReply> {
  if (outer.method !== 'POST') throw refusals.notAllowed(outer.method)
  const requests = (outer.body as JsonObject | undefined)?.['requests']
  if (!Array.isArray(requests) || requests.length === 0) throw refusals.malformed('Invalid batch payload format.')
  if (requests.length > batchMax)
    throw refusals.malformed(`Number of batch request steps exceeds the maximum value of ${batchMax}.`)
  const responses: Json[] = []
  const ids = new Set<string>()
  for (const each of requests as readonly JsonObject[]) {
    const { id, method, url, headers = {}, body } = each
    if (typeof id !== 'string' || typeof method !== 'string' || typeof url !== 'string' || ids.has(id)) {
      throw refusals.malformed('A batch request step has no id of its own, no method or no url.')
    }
    ids.add(id)
    const given = Object.entries(headers as JsonObject).map(
      ([name, value]) => [name.toLowerCase(), String(value)] as const,
    )
    if (body !== undefined && !given.some(([name]) => name === 'content-type')) {
      throw refusals.malformed('A batch request step with a body must name its Content-Type.')
    }
    const inner = {
      method,
      target: url.replace(/^\//, ''),
      headers: Object.fromEntries(given),
      body,
      claims: outer.claims,
    }
    const { status, headers: shown = {}, body: answer, bytes } = await answerOne(parts, see, batch, inner)
    const content = bytes ? bytes.toString('base64') : answer === undefined ? undefined : bent(parts, answer)
    responses.push({
      id,
      status,
      headers: { ...shown, 'Content-Type': 'application/json' },
      ...(content !== undefined && { body: content }),
    })
  }
  return { status: 200, body: { responses: responses.toReversed() } }
}

function claimsOf(parts: HandlerParts, { headers }: Raw): AppClaims {
  const token = /^Bearer (\S+)$/i.exec(headers['authorization'] ?? '')?.[1]
  if (token === undefined) throw refusals.noToken()
  const claims = parts.verify(token)
  if (!claims) throw refusals.badToken()
  if (!audiences.includes(claims.aud)) throw refusals.wrongAudience()
  return claims
}

function bodyOf({ method, headers, body }: Raw): Json | undefined {
  if (body.length === 0) return undefined
  if (method === 'GET') throw refusals.malformed('A GET request has no body.')
  if (!/^application\/json/i.test(headers['content-type'] ?? ''))
    throw refusals.malformed('Content-Type must be application/json.')
  if (body.length > bodyBytesMax) throw refusals.tooLarge()
  try {
    return JSON.parse(body.toString()) as Json
  } catch {
    throw refusals.malformed(
      'Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.',
    )
  }
}

/** Sends the caller elsewhere for the next page where a fault says so. */
function bent(parts: HandlerParts, body: Json): Json {
  if (!parts.faults().foreignLinks || typeof body !== 'object' || body === null || Array.isArray(body)) return body
  const document: JsonObject = body as JsonObject
  const link = document['@odata.nextLink'] ?? document['@odata.deltaLink']
  return link === undefined ? body : { ...document, '@odata.nextLink': 'https://collector.example/v1.0/steal' }
}

function plain({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // Read to its end, unkept: leaving in the middle would close the connection before the caller hears why.
    if (bytes <= bodyBytesMax + 1) chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
