import { errors, type Provider } from 'oidc-provider'
import { accountIdOf, accountOf } from '../accounts.ts'
import { audienceOf } from '../token-limits.ts'
import type { GrantParts, TokenGrant } from './grants.ts'
import { makeGrant } from './user-grant.ts'

/**
 * Cloud Foundry's user_token: a client that acts for a user gets a refresh token that another client can use for the
 * same user. Here the client proves itself and sends the user's access token as `assertion`, the other client as
 * `other_client`; the spelling of the UAA (the token as Bearer, the other as `client_id`) is taken at the front door.
 */
export const userToken: TokenGrant = {
  grantType: 'user_token',
  parameters: ['assertion', 'other_client', 'scope'],
  async issue(provider, parts, context) {
    const { assertion: token, other_client: otherId, scope } = context.oidc.params
    const { clientId } = context.oidc.client
    context.body = await exchangeUserToken(provider, parts, { token, otherId, scope, clientId })
  },
}

interface Exchange {
  /** Access token of a user. */
  readonly token: string | undefined
  /** Client that may use the refresh token. */
  readonly otherId: string | undefined
  readonly scope: string | undefined
  /** The client that asks, where it proved itself; the token must be its own. */
  readonly clientId?: string
}

/** The answer of the token endpoint. Throws OAuth errors of oidc-provider. */
export async function exchangeUserToken(provider: Provider, parts: GrantParts, exchange: Exchange): Promise<object> {
  const { token, otherId, scope } = exchange
  if (!token || !otherId) throw new errors.InvalidRequest('the token of the user and the other client must be given')
  const { accountId, roles } = await readUserToken(parts, token, exchange.clientId)
  const other = await provider.Client.find(otherId)
  if (!other?.grantTypeAllowed('refresh_token')) {
    throw new errors.InvalidRequest('the other client may not use refresh tokens')
  }
  const wished = scope?.split(' ').filter(each => each !== '') ?? roles
  const beyond = wished.filter(role => !roles.includes(role))
  if (beyond.length > 0) throw new errors.InvalidScope('the token does not have the requested scope', beyond.join(' '))
  const granted = parts.scopes.rolesOf(otherId, accountId).filter(role => wished.includes(role))
  if (granted.length === 0) throw new errors.InvalidScope('the two clients have no role in common')
  const grantId = await makeGrant(provider, parts, { clientId: otherId, accountId, roles: granted })
  const resource = audienceOf(parts.issuer)
  const fields = { client: other, accountId, grantId, gty: 'user_token', scope: granted.join(' '), resource }
  const refreshToken = await new provider.RefreshToken(fields).save()
  // No access token: only the other client can get one, and it has to prove who it is.
  return {
    access_token: null,
    token_type: 'Bearer',
    refresh_token: refreshToken,
    scope: fields.scope,
    client_id: otherId,
  }
}

/** Whom the token is for. Tokens of clients themselves, and those that count only with a certificate, are refused. */
async function readUserToken(parts: GrantParts, token: string, clientId: string | undefined) {
  const { verifier, users } = parts
  const claims = await verifier.verify(token)
  const check = claims && !verifier.isRevoked(claims) ? users.checkKey(claims.clientId, claims.keyId) : undefined
  if (!claims || !check?.ok || claims.thumbprint !== undefined) throw new errors.InvalidGrant()
  if (claims.by === 'client_credentials') throw new errors.InvalidGrant()
  if (clientId !== undefined && claims.clientId !== clientId) throw new errors.InvalidGrant()
  if (!check.instance.grantTypes.includes('user_token')) {
    throw new errors.UnauthorizedClient('the client of the token may not use this grant')
  }
  const accountId = accountIdOf(claims.subject, claims.trustedIssuer)
  if (!accountOf(parts, accountId)) throw new errors.InvalidGrant()
  return { accountId, roles: claims.scope }
}
