import { type Client, errors, type KoaContext, type Provider } from 'oidc-provider'
import { accountIdOf, accountOf } from '../accounts.ts'
import { audienceOf } from '../token-limits.ts'
import type { GrantParts, TokenGrant } from './grants.ts'
import { makeGrant } from './user-grant.ts'

/**
 * Cloud Foundry's user_token: a client that acts for a user gets a refresh token that another client, named in
 * `other_client`, can use for the same user. The user's access token comes as `assertion`; see `takeBearerUserToken` for
 * the spelling of the UAA.
 */
export const userToken: TokenGrant = {
  grantType: 'user_token',
  parameters: ['assertion', 'other_client', 'scope'],
  async issue(provider, parts, context) {
    const { assertion, other_client: otherId, scope } = context.oidc.params
    if (!assertion || !otherId) throw new errors.InvalidRequest('assertion and other_client must be given')
    const other = await provider.Client.find(otherId)
    if (!other?.grantTypeAllowed('refresh_token')) {
      throw new errors.InvalidRequest('the other client may not use refresh tokens')
    }
    const { accountId, roles } = await readUserToken(parts, context, assertion)
    const wished = scope?.split(' ').filter(each => each !== '') ?? roles
    const beyond = wished.filter(role => !roles.includes(role))
    if (beyond.length > 0)
      throw new errors.InvalidScope('the token does not have the requested scope', beyond.join(' '))
    const granted = parts.scopes.chooseRoles(otherId, undefined, accountId).filter(role => wished.includes(role))
    if (granted.length === 0) throw new errors.InvalidScope('the two clients have no role in common')
    context.body = await answerFor(provider, parts, { other, accountId, granted })
  },
}

/** The user whom the token is for. A token of a client itself, of another client or of a bound certificate is refused. */
async function readUserToken({ verifier, users, people, trusted }: GrantParts, { oidc }: KoaContext, token: string) {
  const claims = await verifier.verify(token)
  const isGood = claims && !verifier.isRevoked(claims) && users.checkKey(claims.clientId, claims.keyId).ok
  if (!isGood || claims.thumbprint !== undefined) throw new errors.InvalidGrant()
  if (claims.clientId !== oidc.client.clientId || claims.by === 'client_credentials') throw new errors.InvalidGrant()
  const accountId = accountIdOf(claims.subject, claims.trustedIssuer)
  if (!accountOf({ people, trusted }, accountId)) throw new errors.InvalidGrant()
  return { accountId, roles: claims.scope }
}

async function answerFor(
  provider: Provider,
  parts: GrantParts,
  { other, accountId, granted }: { other: Client; accountId: string; granted: readonly string[] },
): Promise<object> {
  const grantId = await makeGrant(provider, parts, { clientId: other.clientId, accountId, roles: granted })
  const scope = granted.join(' ')
  const resource = audienceOf(parts.issuer)
  const refresh = new provider.RefreshToken({ client: other, accountId, grantId, gty: 'user_token', scope, resource })
  // No access token: only the other client can get one, and it has to prove who it is.
  return {
    access_token: null,
    token_type: 'Bearer',
    refresh_token: await refresh.save(),
    scope,
    client_id: other.clientId,
  }
}
