import type { IncomingMessage, ServerResponse } from 'node:http'
import { KiB, MiB } from '../../kernel/size.ts'
import type { Clock } from '../../kernel/time.ts'
import { strike } from '../twin.ts'
import { answerBatch } from './batch.ts'
import type { ODataFaults } from './faults.ts'
import type { Guard } from './guard.ts'
import { SapError } from './sap-error.ts'
import { roots, type Version } from './schema.ts'
import { answerError, answerResource, type ServiceAnswer, type ServiceRequest, type ServiceWorld } from './service.ts'
import { answerToken, type TokenOptions, tokenPath } from './token-endpoint.ts'

/** A request that the twin answered. */
export interface SeenODataRequest {
  readonly method: string
  /** With the query. */
  readonly url: string
  readonly status: number
  readonly user: string | null
  /** True when the request carried a CSRF token that was worth something. */
  readonly hadToken: boolean
}

export interface HandlerParts {
  readonly world: ServiceWorld
  readonly guard: Guard
  readonly token: TokenOptions
  readonly clock: Clock
  faults(): ODataFaults
}

const bodyBytesMax = 16 * MiB
const urlLettersMax = 32 * KiB
const requestsKept = 1000

/** The twin's request listener: log-in, CSRF, faults, and then the service. */
export function makeHandler(parts: HandlerParts) {
  const requests: SeenODataRequest[] = []
  return {
    requests: requests as readonly SeenODataRequest[],
    handle(request: IncomingMessage, response: ServerResponse) {
      respond(parts, requests, request, response).catch(() => {
        // The client is gone: nobody is left to be told.
        response.destroy()
      })
    },
  }
}

async function respond(
  parts: HandlerParts,
  requests: SeenODataRequest[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(request)
  const faults = parts.faults()
  if (faults.slowMs) await parts.clock.sleep(faults.slowMs)
  if (strike(faults.dropBefore)) {
    response.destroy()
    return
  }
  const user = parts.guard.userOf(request)
  const hadToken = user !== undefined && parts.guard.hasToken(request, user)
  const answer = await answerTo(parts, request, user, body)
  const { method = '', url = '' } = request
  requests.push({ method, url, status: answer.status, user: user ?? null, hadToken })
  if (requests.length > requestsKept) requests.shift()
  if (strike(faults.dropAfter)) {
    response.destroy()
    return
  }
  const bytes = Buffer.from(answer.body)
  response.writeHead(answer.status, { ...answer.headers, 'content-length': bytes.length })
  if (strike(faults.truncate)) {
    response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy())
    return
  }
  response.end(request.method === 'HEAD' ? undefined : bytes)
}

type Answer = Omit<ServiceAnswer, 'headers'> & {
  readonly headers: Readonly<Record<string, string | readonly string[]>>
}

async function answerTo(
  parts: HandlerParts,
  request: IncomingMessage,
  user: string | undefined,
  body: string,
): Promise<Answer> {
  const { guard } = parts
  const { url = '/', method = 'GET' } = request
  if (url.split('?')[0] === tokenPath) return answerToken(parts.token, request, body)
  const version = (['v2', 'v4'] as const).find(
    each => url.startsWith(roots[each]) || `${url.split('?')[0]}/` === roots[each],
  )
  if (!version)
    return answerError('v2', new SapError(403, '/IWFND/MED/170', `No service found for '${url.slice(0, 80)}'`))
  if (user === undefined) {
    const headers = {
      'content-type': 'text/html; charset=utf-8',
      'www-authenticate': 'Basic realm="SAP NetWeaver Application Server [S4H/100]"',
    }
    return { status: 401, headers, body: '<html><body><h1>Anmeldung fehlgeschlagen</h1></body></html>' }
  }
  const faulty = faultOf(parts.faults(), version)
  if (faulty) return faulty
  const wanted = String(request.headers['x-csrf-token'] ?? '').toLowerCase()
  const isRead = method === 'GET' || method === 'HEAD'
  if (!isRead && !guard.hasToken(request, user)) {
    const headers = { 'content-type': 'text/plain; charset=utf-8', 'x-csrf-token': 'Required' }
    return { status: 403, headers, body: 'CSRF token validation failed' }
  }
  const session = guard.openSession(request, user)
  const answer = await serve(parts, request, version, body)
  return {
    ...answer,
    headers: {
      ...answer.headers,
      ...(wanted === 'fetch' && { 'x-csrf-token': session.token }),
      ...(session.cookies.length > 0 && { 'set-cookie': session.cookies }),
    },
  }
}

async function serve(
  parts: HandlerParts,
  request: IncomingMessage,
  version: Version,
  body: string,
): Promise<ServiceAnswer> {
  const { world } = parts
  const { url = '/' } = request
  const method = request.method === 'HEAD' ? 'GET' : methodOf(request)
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(request.headers)) headers[name] = String(value)
  const target = url.slice(roots[version].length)
  if (url.length > urlLettersMax) return answerError(version, new SapError(414, '/IWFND/CM_BEC/414', 'URI too long'))
  const path = target.split('?')[0]
  const accepts = headers['accept'] ?? '*/*'
  if (path !== '$metadata' && path !== '$batch' && !/json|\*\/\*/.test(accepts) && !/\$format=json/.test(url)) {
    return answerError(
      version,
      new SapError(406, '/IWFND/CM_COS/013', `The format ${accepts} is not offered by the twin`),
    )
  }
  if (path !== '$batch')
    return bent(parts.faults(), world, answerResource(world, { version, method, target, headers, body }))
  try {
    if (method !== 'POST') throw new SapError(405, '/IWFND/CM_MGW/099', 'Method is not allowed for $batch')
    const run = (each: ServiceRequest) => answerResource(world, each)
    const answer = await answerBatch(
      { run, together: work => world.store.together(work) },
      version,
      headers['content-type'] ?? '',
      body,
      world.hasPlainBoundaries,
    )
    return { status: version === 'v2' ? 202 : 200, headers: { 'content-type': answer.type }, body: answer.body }
  } catch (thrown) {
    return answerError(
      version,
      thrown instanceof SapError ? thrown : new SapError(500, '/IWFND/CM_BEC/001', String(thrown)),
    )
  }
}

/** POST with X-HTTP-Method stands for a method that a proxy between does not let through. */
function methodOf({ method = 'GET', headers }: IncomingMessage): string {
  const instead = headers['x-http-method']
  return method === 'POST' && typeof instead === 'string' && /^(MERGE|PATCH|PUT|DELETE)$/.test(instead)
    ? instead
    : method
}

function faultOf(faults: ODataFaults, version: Version): ServiceAnswer | undefined {
  const { busy, fail, html } = faults
  if (busy && strike(busy)) {
    const answer = answerError(
      version,
      new SapError(busy.status, '/IWFND/CM_BEC/503', 'Service is busy, try again later'),
    )
    return { ...answer, headers: { ...answer.headers, 'retry-after': String(busy.retryAfterS) } }
  }
  if (fail && strike(fail)) return answerError(version, new SapError(fail.status, 'SY/530', fail.message))
  if (!strike(html)) return undefined
  return {
    status: 200,
    headers: { 'content-type': 'text/html; charset=utf-8' },
    body: '<!DOCTYPE html><html><body>Log On</body></html>',
  }
}

/** Bends the link to the next page where a fault says so. */
function bent({ nextLink }: ODataFaults, world: ServiceWorld, answer: ServiceAnswer): ServiceAnswer {
  if (nextLink === undefined || !/__next|nextLink/.test(answer.body)) return answer
  const body = answer.body.replace(/("__next":|"@odata\.nextLink":)"([^"]*)"/, (_whole, name: string, link: string) => {
    if (nextLink === 'elsewhere') return `${name}"http://collector.example/steal?x=1"`
    if (nextLink === 'circle') return `${name}"${link.replace(/skiptoken=\d+/, `skiptoken=${world.pageSize}`)}"`
    endless += 1
    return `${name}"${link.replace(/skiptoken=\d+/, 'skiptoken=0')}&turn=${endless}"`
  })
  return { ...answer, body }
}
let endless = 0

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes <= bodyBytesMax) chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
