import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { MiB } from '../../kernel/size.ts'
import type { Clock } from '../../kernel/time.ts'
import { strike } from '../twin.ts'
import { answerBatch } from './batch.ts'
import { C4CRefusal, refusals } from './c4c-error.ts'
import type { C4CFaults } from './faults.ts'
import { rootPath } from './schema.ts'
import { answerRequest, type C4CReply, type C4CRequest, type C4CWorld, replyError } from './service.ts'

/** A request that the twin answered. */
export interface SeenC4CRequest {
  readonly method: string
  /** Behind the root, with the query. */
  readonly target: string
  readonly status: number
}

export interface C4CCounters {
  /** HTTP requests since the start; a batch counts once. */
  readonly requests: number
  /** The same by method and set (`POST $batch`). */
  readonly byTarget: Readonly<Record<string, number>>
}

export interface HandlerParts {
  readonly world: Omit<C4CWorld, 'withdrawn'>
  readonly clock: Clock
  readonly users: Readonly<Record<string, string>>
  /** The user of a token that is valid now. */
  readonly verify: ((token: string) => string | undefined) | undefined
  faults(): C4CFaults
}

const bodyBytesMax = 40 * MiB
const requestsKept = 1000
const sessionsMax = 1000
const cookieName = 'SAP_SESSIONID_C4C'

/** The twin's request listener: log-in, CSRF for those with a password, faults, and then the service. */
export function makeHandler(parts: HandlerParts) {
  const requests: SeenC4CRequest[] = []
  const counters = { requests: 0, byTarget: {} as Record<string, number> }
  const sessions = new Map<string, { readonly user: string; readonly token: string }>()
  return {
    requests: requests as readonly SeenC4CRequest[],
    counters: counters as C4CCounters,
    forgetSessions: () => sessions.clear(),
    handle(request: IncomingMessage, response: ServerResponse) {
      counters.requests += 1
      respond(parts, sessions, request, response)
        .then(seen => {
          if (!seen) return
          const name = `${seen.method} ${/^[$\w]*/.exec(seen.target)?.[0] ?? ''}`
          counters.byTarget[name] = (counters.byTarget[name] ?? 0) + 1
          requests.push(seen)
          if (requests.length > requestsKept) requests.shift()
        })
        .catch(() => {
          // The caller is gone: nobody is left to be told.
          response.destroy()
        })
    },
  }
}

type Sessions = Map<string, { readonly user: string; readonly token: string }>

async function respond(
  parts: HandlerParts,
  sessions: Sessions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<SeenC4CRequest | undefined> {
  const { method = 'GET', url = '/' } = request
  const body = await readBody(request)
  const faults = parts.faults()
  if (faults.slowMs) await parts.clock.sleep(faults.slowMs)
  const isWrite = method !== 'GET'
  if (faults.dropBefore && (isWrite || !faults.dropBefore.writesOnly) && strike(faults.dropBefore)) {
    response.destroy()
    return undefined
  }
  const reply = replyTo(parts, sessions, request, body)
  const seen = { method, target: url.startsWith(rootPath) ? url.slice(rootPath.length) : url, status: reply.status }
  if (faults.dropAfter && (isWrite || !faults.dropAfter.writesOnly) && strike(faults.dropAfter)) {
    response.destroy()
    return seen
  }
  const bytes = Buffer.from(reply.body)
  response.writeHead(reply.status, {
    ...reply.headers,
    date: new Date(parts.clock.now()).toUTCString(),
    ...(reply.status !== 204 && { 'content-length': bytes.length }),
  })
  if (strike(faults.truncate)) response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy())
  else response.end(bytes)
  return seen
}

function replyTo(parts: HandlerParts, sessions: Sessions, request: IncomingMessage, body: Buffer): C4CReply {
  const { url = '/', method = 'GET' } = request
  const faults = parts.faults()
  const logIn = faults.lockUser ? undefined : userOf(parts, request)
  if (!logIn) {
    const headers = {
      'content-type': 'text/html; charset=utf-8',
      'www-authenticate': 'Basic realm="SAP NetWeaver Application Server"',
    }
    return { status: 401, headers, body: '<html><body><h1>Logon failed</h1></body></html>' }
  }
  const path = url.split('?')[0] ?? ''
  if (!path.startsWith(rootPath) && `${path}/` !== rootPath)
    return replyError(new C4CRefusal(404, 'OData.NotFound', 'Service not found'))
  const faulty = faultReply(faults)
  if (faulty) return faulty
  const { withdrawRights: withdrawn = [] } = faults
  if (withdrawn === true) return replyError(refusals.forbidden())
  if (body.length > bodyBytesMax) return replyError(new C4CRefusal(413, 'OData.TooLarge', 'The payload is too large'))
  const known = sessionOf(sessions, request, logIn.user)
  const hasToken = known !== undefined && request.headers['x-csrf-token'] === known.token
  if (method !== 'GET' && logIn.needsToken && !hasToken) {
    const headers = { 'content-type': 'text/plain; charset=utf-8', 'x-csrf-token': 'Required' }
    return { status: 403, headers, body: 'CSRF token validation failed' }
  }
  const reply = serve({ ...parts.world, withdrawn }, request, body.toString())
  if (String(request.headers['x-csrf-token'] ?? '').toLowerCase() !== 'fetch') return reply
  if (known) return { ...reply, headers: { ...reply.headers, 'x-csrf-token': known.token } }
  const [id, token] = [randomBytes(16).toString('base64url'), randomBytes(18).toString('base64')]
  if (sessions.size >= sessionsMax) sessions.clear()
  sessions.set(id, { user: logIn.user, token })
  return {
    ...reply,
    headers: { ...reply.headers, 'x-csrf-token': token, 'set-cookie': `${cookieName}=${id}; path=/; secure; HttpOnly` },
  }
}

function serve(world: C4CWorld, request: IncomingMessage, body: string): C4CReply {
  const { url = '/', method = 'GET' } = request
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
  const target = url.slice(rootPath.length)
  const [path = '', query = ''] = target.split('?')
  const instead = method === 'POST' ? headers['x-http-method'] : undefined
  const inner: C4CRequest = { method: instead ?? method, target, headers, body }
  if (path === '$batch') {
    try {
      if (method !== 'POST') throw new C4CRefusal(405, 'OData.MethodNotAllowed', 'Method is not allowed for $batch')
      const { type, body: answer } = answerBatch(world, headers['content-type'] ?? '', body)
      return { status: 202, headers: { 'content-type': type, dataserviceversion: '2.0' }, body: answer }
    } catch (thrown) {
      return replyError(thrown)
    }
  }
  // Atom is what the service speaks unless it is asked for JSON; the twin speaks JSON only.
  const wantsJson = /format=json/.test(query) || /json/.test(headers['accept'] ?? '')
  if (path !== '$metadata' && method === 'GET' && !wantsJson)
    return replyError(new C4CRefusal(406, 'OData.NotAcceptable', 'Ask with $format=json'))
  return answerRequest(world, inner)
}

function faultReply({ busy, fail, html }: C4CFaults): C4CReply | undefined {
  if (busy && strike(busy)) {
    const reply = replyError(new C4CRefusal(busy.status, 'OData.TooManyRequests', 'Too many requests, try again later'))
    return { ...reply, headers: { ...reply.headers, 'retry-after': String(busy.retryAfterS) } }
  }
  if (fail && strike(fail)) return replyError(new C4CRefusal(fail.status, 'OData.InternalError', fail.message))
  if (!strike(html)) return undefined
  return {
    status: 200,
    headers: { 'content-type': 'text/html' },
    body: '<!DOCTYPE html><html><body>Log On</body></html>',
  }
}

/** A user with a password needs CSRF tokens; one with a bearer token does not. */
function userOf(
  { users, verify }: HandlerParts,
  request: IncomingMessage,
): { readonly user: string; readonly needsToken: boolean } | undefined {
  const [, scheme = '', value = ''] = /^(Basic|Bearer) (\S+)$/i.exec(request.headers.authorization ?? '') ?? []
  if (scheme.toLowerCase() === 'bearer') {
    const user = verify?.(value)
    return user === undefined ? undefined : { user, needsToken: false }
  }
  const text = Buffer.from(value, 'base64').toString()
  const colon = text.indexOf(':')
  const user = text.slice(0, Math.max(0, colon))
  return user !== '' && users[user] === text.slice(colon + 1) ? { user, needsToken: true } : undefined
}

function sessionOf(sessions: Sessions, request: IncomingMessage, user: string) {
  const id = new RegExp(`(?:^|;\\s*)${cookieName}=([^;]+)`).exec(request.headers.cookie ?? '')?.[1]
  const session = id === undefined ? undefined : sessions.get(id)
  return session?.user === user ? session : undefined
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes <= bodyBytesMax + 1) chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
