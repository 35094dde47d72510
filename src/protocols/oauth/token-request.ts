import {
  type AuthorizationServer,
  allowInsecureRequests,
  authorizationCodeGrantRequest,
  type Client,
  clientCredentialsGrantRequest,
  clockSkew,
  customFetch,
  genericTokenEndpointRequest,
  processGenericTokenEndpointResponse,
  refreshTokenGrantRequest,
  validateAuthResponse,
} from 'oauth4webapi'
import { asHubError, HubError } from '../../kernel/error.ts'
import { netErrors } from '../net/errors.ts'
import type { SmallFetch } from '../net/http-client.ts'
import { retryAfterMs } from '../net/retry-after.ts'
import { certificateRefusal } from '../net/tls-failure.ts'
import { type ClientAuthentication, clientAuth } from './client-authentication.ts'
import { oauthErrors } from './errors.ts'
import { explainCertificateRefusal, explainRefusal, type RefusalContext } from './refusal.ts'

export interface TokenClient extends RefusalContext {
  readonly tokenUrl: string
  readonly clientId: string
  readonly authentication: ClientAuthentication
  /** Further form fields (audience, resource). */
  readonly parameters: Readonly<Record<string, string>>
}

export type Grant =
  | { readonly type: 'client_credentials'; readonly scopes: readonly string[] }
  | { readonly type: 'refresh_token'; readonly refreshToken: string; readonly scopes: readonly string[] }
  | {
      readonly type: 'authorization_code'
      readonly code: string
      readonly redirectUri: string
      readonly codeVerifier: string
    }
  /** RFC 7522 section 2.1; `assertion` is XML. */
  | { readonly type: 'saml2-bearer'; readonly assertion: string; readonly scopes: readonly string[] }

export interface TokenAnswer {
  readonly accessToken: string
  /** Life of the token from `sentAt` on; undefined when the server did not say. */
  readonly expiresInMs: number | undefined
  /** When the request was sent: counting from there can only make a token look older than it is. */
  readonly sentAt: number
  readonly refreshToken: string | undefined
  /** Who signed in, from the id token or the access token, when one of them says so. */
  readonly user: string | undefined
}

export interface TokenTransport {
  readonly fetch: SmallFetch
  readonly now: () => number
  readonly signal: AbortSignal
}

/**
 * One request at a token endpoint (RFC 6749 sections 4.1.3, 4.4, 6; RFC 7522). Throws OAUTH_… errors, and NET_… when there is
 * no connection.
 */
export async function requestToken(client: TokenClient, grant: Grant, transport: TokenTransport): Promise<TokenAnswer> {
  const sentAt = transport.now()
  try {
    const response = await send(client, grant, transport)
    if (response.status !== 200) throw await refusedBy(response, client, transport.now())
    return { ...(await readAnswer(client, response)), sentAt }
  } catch (thrown) {
    throw asOauthError(thrown, client)
  }
}

const saml2Bearer = 'urn:ietf:params:oauth:grant-type:saml2-bearer'

async function send(client: TokenClient, grant: Grant, transport: TokenTransport): Promise<Response> {
  const server = serverOf(client)
  const application: Client = {
    client_id: client.clientId,
    // Simulated clocks and the machine's clock differ; assertions are dated by the hub's.
    [clockSkew]: Math.round((transport.now() - Date.now()) / 1000),
  }
  const auth = await clientAuth(client.authentication, client.tokenUrl)
  const scope = 'scopes' in grant && grant.scopes.length > 0 ? { scope: grant.scopes.join(' ') } : {}
  const options = {
    // Whether plain HTTP is allowed was decided when the credential was made (loopback only).
    [allowInsecureRequests]: true,
    [customFetch]: transport.fetch,
    signal: transport.signal,
    headers: { accept: 'application/json' },
  }
  const { parameters } = client
  if (grant.type === 'client_credentials') {
    return clientCredentialsGrantRequest(server, application, auth, { ...parameters, ...scope }, options)
  }
  if (grant.type === 'refresh_token') {
    const additionalParameters = { ...parameters, ...scope }
    return refreshTokenGrantRequest(server, application, auth, grant.refreshToken, { ...options, additionalParameters })
  }
  if (grant.type === 'saml2-bearer') {
    const assertion = Buffer.from(grant.assertion).toString('base64url')
    return genericTokenEndpointRequest(
      server,
      application,
      auth,
      saml2Bearer,
      { ...parameters, ...scope, assertion },
      options,
    )
  }
  const code = new URLSearchParams({ code: grant.code })
  const answer = validateAuthResponse(server, application, code)
  return authorizationCodeGrantRequest(server, application, auth, answer, grant.redirectUri, grant.codeVerifier, {
    ...options,
    additionalParameters: parameters,
  })
}

async function readAnswer(client: TokenClient, response: Response): Promise<Omit<TokenAnswer, 'sentAt'>> {
  const given = Object.entries(asRecord(await response.json())).filter(([, value]) => value !== null)
  const { id_token: idToken, ...rest } = Object.fromEntries(given)
  // The id token came straight from the token endpoint, so TLS vouches for it (OpenID Connect Core 3.1.3.7, point 6)
  // and it is used for nothing but the name of who signed in.
  const bare = new Response(JSON.stringify(rest), { headers: { 'content-type': 'application/json' } })
  const application = { client_id: client.clientId }
  const token = await processGenericTokenEndpointResponse(serverOf(client), application, bare, { recognizedTokenTypes })
  if (!/^bearer(token)?$/.test(token.token_type)) {
    throw new Error(`a token of type ${token.token_type}, and not a bearer token`)
  }
  const claims = { ...claimsOf(token.access_token), ...claimsOf(idToken) }
  const user = claims['preferred_username'] ?? claims['upn'] ?? claims['unique_name'] ?? claims['email']
  return {
    accessToken: token.access_token,
    expiresInMs: token.expires_in === undefined ? undefined : token.expires_in * 1000,
    refreshToken: token.refresh_token,
    user: typeof user === 'string' ? user : undefined,
  }
}

/** What SAP API Management calls a bearer token (its Apigee does, unless a policy asks for the word of RFC 6750). */
const recognizedTokenTypes = { bearertoken: () => {} }

async function refusedBy(response: Response, client: TokenClient, now: number): Promise<HubError> {
  const text = await response.text()
  const waitMs = retryAfterMs(response.headers.get('retry-after') ?? undefined, now)
  const options = waitMs === undefined ? {} : { retryAfterMs: waitMs }
  const { credential } = client
  const reason = `HTTP ${response.status}`
  if (response.status === 429) return oauthErrors.SERVER_BUSY({ credential, reason }, options)
  const answer = refusalIn(text)
  if (answer && response.status < 500) return explainRefusal(answer, client, options)
  if (response.status >= 500) return oauthErrors.SERVER_FAILED({ credential, reason }, options)
  return oauthErrors.ANSWER_ODD({ credential, reason: `${reason} without an OAuth error` }, options)
}

function refusalIn(text: string): { error: string; description: string | undefined } | undefined {
  try {
    const { error, error_description: description } = asRecord(JSON.parse(text))
    if (typeof error !== 'string') return undefined
    return { error, description: typeof description === 'string' ? description : undefined }
  } catch {
    // No JSON, so no OAuth error either; the caller says so with the status.
    return undefined
  }
}

function asOauthError(thrown: unknown, client: TokenClient): HubError {
  const { credential } = client
  const cause = causeOf(thrown)
  const known = [thrown, cause].find(each => each instanceof HubError)
  if (known) {
    const isHandshake = client.authentication.method === 'tls' && known.code === netErrors.TLS_FAILED.code
    const words = isHandshake ? certificateRefusal(known.cause) : undefined
    return words === undefined ? known : explainCertificateRefusal(words, client, known)
  }
  if (thrown instanceof DOMException && thrown.name === 'TimeoutError') {
    return oauthErrors.SERVER_FAILED({ credential, reason: 'no answer in time' }, { cause: thrown })
  }
  if (!(thrown instanceof Error)) return asHubError(thrown)
  return oauthErrors.ANSWER_ODD({ credential, reason: thrown.message }, { cause: thrown })
}

function causeOf(thrown: unknown): unknown {
  return thrown instanceof Error ? thrown.cause : undefined
}

function serverOf(client: TokenClient): AuthorizationServer {
  return { issuer: client.tokenUrl, token_endpoint: client.tokenUrl }
}

function claimsOf(token: unknown): Record<string, unknown> {
  if (typeof token !== 'string') return {}
  try {
    return asRecord(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()))
  } catch {
    // An opaque access token says nothing about its user, and needs not.
    return {}
  }
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}
