import { createHash } from 'node:crypto'
import { type ClientProof, proveClient } from './client-proof.ts'
import type { App, Tenant } from './directory.ts'
import { refuse } from './entra-error.ts'
import type { Grant } from './grants.ts'
import { readScope, resourceScopes, type ScopeRequest } from './scope.ts'
import type { World } from './world.ts'

export interface TokenRequest {
  readonly tenantName: string
  readonly form: URLSearchParams
  /** Name and secret of an HTTP Basic header. */
  readonly basic: { readonly user: string; readonly password: string } | undefined
}

/** Answers a token request with Entra's JSON document, or throws an EntraError. */
export async function answerTokenRequest(world: World, request: TokenRequest): Promise<Record<string, unknown>> {
  const { form } = request
  const grantType = need(form, 'grant_type')
  const tenant = world.directory.tenant(request.tenantName)
  const clientId = form.get('client_id') ?? request.basic?.user
  if (clientId === undefined) throw refuse('PARAMETER_MISSING', { name: 'client_id' })
  const app = world.directory.app(tenant, clientId)
  const audiences = [tenant.id, tenant.domain, request.tenantName].flatMap(name => {
    const endpoints = world.endpoints(name)
    return [endpoints.token, endpoints.issuer]
  })
  const proof = await proveClient(app, form, request.basic, audiences, world.clock.now())
  switch (grantType) {
    case 'authorization_code':
      return redeemCode(world, app, form, proof)
    case 'refresh_token':
      return refresh(world, app, form, proof)
    case 'client_credentials':
      return grantToApp(world, tenant, app, form, proof)
    default:
      throw refuse('GRANT_TYPE', { name: grantType })
  }
}

function redeemCode(world: World, app: App, form: URLSearchParams, proof: ClientProof): Record<string, unknown> {
  const { grant, terms } = world.grants.redeemCode(need(form, 'code'))
  if (grant.app !== app) throw refuse('GRANT_MALFORMED')
  const redirect = need(form, 'redirect_uri')
  if (redirect !== terms.redirectUri) throw refuse('REDIRECT_MISMATCH', { redirect, app: app.clientId })
  if (terms.challenge !== undefined) {
    const verifier = need(form, 'code_verifier')
    // RFC 7636 section 4.6
    const challenge = createHash('sha256').update(verifier).digest('base64url')
    if (challenge !== terms.challenge) throw refuse('PKCE_MISMATCH')
  }
  return answerWithUserTokens(world, grant, proof, terms.nonce)
}

function refresh(world: World, app: App, form: URLSearchParams, proof: ClientProof): Record<string, unknown> {
  const token = need(form, 'refresh_token')
  const grant = world.grants.readRefreshToken(token)
  if (grant.app !== app) throw refuse('GRANT_MALFORMED')
  const wished = form.get('scope')
  const scope = wished === null ? grant.scope : readScope(wished, grant.tenant.domain)
  // A refresh token is good for every permission the user has given, not only for those of the first request.
  const answer = answerWithUserTokens(world, { ...grant, scope: withRefresh(scope) }, proof, undefined)
  if (world.oldRefreshTokenDies) world.grants.retire(token)
  return answer
}

function answerWithUserTokens(
  world: World,
  grant: Grant,
  proof: ClientProof,
  nonce: string | undefined,
): Record<string, unknown> {
  const { tenant, app, user, scope } = grant
  const names = scope.isDefault ? [...new Set([...app.delegated, ...scope.names])] : scope.names
  if (!world.directory.user(tenant, user)) throw refuse('USER_UNKNOWN', { user, tenant: tenant.domain })
  if (!world.directory.hasConsent(tenant, app, user, names)) {
    throw refuse('CONSENT_MISSING', { app: app.clientId, name: app.name })
  }
  const resource = scope.resource ?? 'https://outlook.office.com'
  const expiresInMs = world.accessTokenMs
  return {
    token_type: 'Bearer',
    scope: resourceScopes(names)
      .map(name => `${resource}/${name}`)
      .join(' '),
    expires_in: Math.floor(expiresInMs / 1000),
    ext_expires_in: Math.floor(expiresInMs / 1000),
    access_token: world.issue({ tenant, app, user, audience: resource, names: resourceScopes(names), proof }),
    ...(names.includes('offline_access') ? { refresh_token: world.grants.issueRefreshToken(grant) } : {}),
    ...(names.includes('openid') ? { id_token: world.issueIdToken({ tenant, app, user, nonce }) } : {}),
  }
}

function grantToApp(
  world: World,
  tenant: Tenant,
  app: App,
  form: URLSearchParams,
  proof: ClientProof,
): Record<string, unknown> {
  if (proof === '0') throw refuse('CLIENT_UNPROVEN')
  const text = need(form, 'scope')
  const scope = text.includes('/.default') ? readScope(text, tenant.domain) : undefined
  if (!scope?.isDefault || scope.names.length > 0) throw refuse('SCOPE_NOT_DEFAULT', { scope: text })
  // Entra gives an app without admin consent a token too; it only names no roles, and Exchange refuses it.
  const roles = world.directory.hasAdminConsent(tenant, app) ? app.roles : []
  return {
    token_type: 'Bearer',
    expires_in: Math.floor(world.accessTokenMs / 1000),
    ext_expires_in: Math.floor(world.accessTokenMs / 1000),
    access_token: world.issue({
      tenant,
      app,
      audience: scope.resource ?? 'https://outlook.office365.com',
      roles,
      proof,
    }),
  }
}

/** The successor of a refresh token is given without asking for offline_access again. */
function withRefresh(scope: ScopeRequest): ScopeRequest {
  return { ...scope, names: [...new Set([...scope.names, 'offline_access'])] }
}

function need(form: URLSearchParams, name: string): string {
  const value = form.get(name)
  if (value === null || value === '') throw refuse('PARAMETER_MISSING', { name })
  return value
}
