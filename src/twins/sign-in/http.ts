import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { KiB } from '../../kernel/size.ts'
import { strike } from '../twin.ts'
import type { Authorization, Visit } from './authorize.ts'
import { describeError, EntraError, refuse } from './entra-error.ts'
import type { SignInFaults } from './faults.ts'
import type { Claims } from './token.ts'
import { answerTokenRequest } from './token-endpoint.ts'
import type { World } from './world.ts'

/** A request that the twin answered. */
export interface SeenRequest {
  readonly at: number
  readonly method: string
  /** Without the query, which may hold secrets. */
  readonly path: string
  readonly status: number
  /** grant_type of a token request. */
  readonly grant: string | null
  /** SHA-256 of the refresh token that came, first 12 letters: enough to see that one came twice. */
  readonly refreshToken: string | null
}

interface Parts {
  readonly world: World
  readonly authorization: Authorization
  readonly jwk: Readonly<Record<string, unknown>>
  origin(): string
  verify(token: string): Claims | undefined
  faults(): SignInFaults
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const formBytesMax = 64 * KiB
const requestsKept = 1000

/** The twin's request listener: routes by path, plays the faults, and remembers what was asked. */
export function makeHandler(parts: Parts) {
  const requests: SeenRequest[] = []
  return {
    requests: requests as readonly SeenRequest[],
    handle(request: IncomingMessage, response: ServerResponse) {
      respond(parts, requests, request, response).catch(() => {
        // The client is gone or sent something unreadable: nobody is left to be told.
        response.destroy()
      })
    },
  }
}

async function respond(
  parts: Parts,
  requests: SeenRequest[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://twin')
  const form = request.method === 'POST' ? await readForm(request) : new URLSearchParams()
  const faults = parts.faults()
  if (faults.slowMs) await parts.world.clock.sleep(faults.slowMs)
  const isToken = url.pathname.endsWith('/oauth2/v2.0/token')
  if (isToken && strike(faults.drop)) {
    response.destroy()
    return
  }
  const answer = await answerOrExplain(parts, request, url, form, isToken)
  const refreshToken = form?.get('refresh_token') ?? null
  requests.push({
    at: parts.world.clock.now(),
    method: request.method ?? '',
    path: url.pathname,
    status: answer.status,
    grant: form?.get('grant_type') ?? null,
    refreshToken: refreshToken && createHash('sha256').update(refreshToken).digest('hex').slice(0, 12),
  })
  if (requests.length > requestsKept) requests.shift()
  response.writeHead(answer.status, { 'Cache-Control': 'no-store', ...answer.headers }).end(answer.body)
}

async function answerOrExplain(
  parts: Parts,
  request: IncomingMessage,
  url: URL,
  form: URLSearchParams | undefined,
  isToken: boolean,
): Promise<Answer> {
  try {
    if (isToken) playTokenFaults(parts.faults())
    if (!form) throw refuse('REQUEST_MALFORMED')
    return await answer(parts, request, url, form)
  } catch (error) {
    if (!(error instanceof EntraError)) throw error
    return json(error.status, describe(parts, error), error.headers)
  }
}

function playTokenFaults({ throttle, unavailable }: SignInFaults): void {
  if (throttle && strike(throttle)) {
    throw refuse('THROTTLED', {}, { headers: { 'Retry-After': String(throttle.retryAfterS) } })
  }
  if (unavailable && strike(unavailable)) throw refuse('UNAVAILABLE', {}, { status: unavailable.status })
}

async function answer(parts: Parts, request: IncomingMessage, url: URL, form: URLSearchParams): Promise<Answer> {
  const { world, authorization } = parts
  const [, tenant = '', ...rest] = url.pathname.split('/')
  switch (`${request.method} ${rest.join('/')}`) {
    case 'GET oauth2/v2.0/authorize':
      return show(authorization.authorize(tenant, url.searchParams))
    case 'GET adminconsent':
    case 'GET v2.0/adminconsent':
      return show(authorization.adminConsent(tenant, url.searchParams))
    case 'POST login':
      return show(authorization.chooseAccount(form))
    case 'POST consent':
      return show(authorization.answerConsent(form))
    case 'POST oauth2/v2.0/token':
      return json(
        200,
        await answerTokenRequest(world, { tenantName: tenant, form, basic: readBasic(request.headers.authorization) }),
      )
    case 'GET v2.0/.well-known/openid-configuration':
      return json(200, describeTenant(world, tenant))
    case 'GET discovery/v2.0/keys':
      return json(200, { keys: [parts.jwk] })
    case 'GET ':
      if (tenant === 'check') return json(200, check(parts, url.searchParams.get('token') ?? ''))
      break
    default:
  }
  return json(404, { error: 'not_found', error_description: `Nothing is served at ${url.pathname}.` })
}

/** Not Entra's: lets a foreign server (Dovecot) ask whether a token is good, in the shape of RFC 7662. */
function check({ verify }: Parts, token: string): object {
  const claims = verify(token)
  return claims ? { active: true, ...claims } : { active: false }
}

/** OpenID Connect discovery document, with the names that Entra lists. */
function describeTenant(world: World, name: string): Record<string, unknown> {
  const known = ['common', 'organizations'].includes(name) ? name : world.directory.tenant(name).id
  const endpoints = world.endpoints(known)
  return {
    issuer: endpoints.issuer,
    authorization_endpoint: endpoints.authorize,
    token_endpoint: endpoints.token,
    jwks_uri: endpoints.jwks,
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    code_challenge_methods_supported: ['S256'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
  }
}

function describe(parts: Parts, error: EntraError): Record<string, unknown> {
  return describeError(error, parts.origin(), parts.world.clock.now())
}

function json(status: number, document: object, headers: Readonly<Record<string, string>> = {}): Answer {
  return {
    status,
    headers: { 'Content-Type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(document),
  }
}

function show(visit: Visit): Answer {
  if ('location' in visit) return { status: 302, headers: { Location: visit.location }, body: '' }
  return {
    status: visit.status,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      'X-Frame-Options': 'DENY',
    },
    body: visit.html,
  }
}

/** The fields of a form; undefined where it is larger than any honest one. */
async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // Read to its end, unkept: leaving in the middle would close the connection before the caller hears why.
    if (bytes <= formBytesMax) chunks.push(chunk)
  }
  if (bytes > formBytesMax) return undefined
  return new URLSearchParams(Buffer.concat(chunks).toString())
}

/** RFC 6749 section 2.3.1: both parts are form-encoded; clients that send them raw are understood too. */
function readBasic(header: string | undefined): { user: string; password: string } | undefined {
  const match = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(header ?? '')
  if (!match?.[1]) return undefined
  const text = Buffer.from(match[1], 'base64').toString()
  const colon = text.indexOf(':')
  if (colon < 0) return undefined
  return { user: formDecode(text.slice(0, colon)), password: formDecode(text.slice(colon + 1)) }
}

function formDecode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    // A raw per cent sign: the client did not encode at all.
    return text
  }
}
