import type { KoaContext, Provider, Token } from 'oidc-provider'
import { audienceOf } from '../token-limits.ts'
import type { GrantParts } from './grants.ts'

interface UserWish {
  readonly accountId: string
  /** Stands in the token as `gty`. */
  readonly by: string
  /** The scope parameter; without it everything that client and user have in common. */
  readonly scope: string | undefined
}

/**
 * Answers a token request with a token by which the client acts for a user: its roles are those that both have. A
 * refresh token comes with it where `isRenewable` and the instance lists that grant.
 */
export async function issueForUser(
  provider: Provider,
  parts: GrantParts,
  context: KoaContext,
  wish: UserWish & { readonly isRenewable: boolean },
): Promise<void> {
  const { client } = context.oidc
  const { accountId, by } = wish
  const roles = parts.scopes.chooseRoles(client.clientId, wish.scope, accountId)
  const scope = roles.join(' ') || undefined
  const audience = audienceOf(parts.issuer)
  const grantId = await makeGrant(provider, parts, { clientId: client.clientId, accountId, roles })
  const certificate = client.tlsClientCertificateBoundAccessTokens ? parts.clients.certificate(context) : undefined
  const bind = (token: Token) => certificate && token.setThumbprint('x5t', certificate)

  const token = new provider.AccessToken({ client, accountId, grantId, gty: by, scope })
  token.resourceServer = new provider.ResourceServer(audience, parts.scopes.resourceServer(client.clientId, accountId))
  bind(token)
  context.oidc.entity('AccessToken', token)
  const accessToken = await token.save()

  const isRenewable = wish.isRenewable && client.grantTypeAllowed('refresh_token')
  const refresh = isRenewable
    ? new provider.RefreshToken({ client, accountId, grantId, gty: by, scope, resource: audience })
    : undefined
  if (refresh) bind(refresh)
  context.body = {
    access_token: accessToken,
    token_type: token.tokenType,
    expires_in: token.expiration,
    ...(scope !== undefined && { scope }),
    ...(refresh && { refresh_token: await refresh.save() }),
  }
}

/** What refresh tokens hang on: ending it ends all that came from it. */
export async function makeGrant(
  provider: Provider,
  { issuer }: Pick<GrantParts, 'issuer'>,
  wish: { readonly clientId: string; readonly accountId: string; readonly roles: readonly string[] },
): Promise<string> {
  const { clientId, accountId, roles } = wish
  const grant = new provider.Grant({ accountId, clientId })
  if (roles.length > 0) grant.addResourceScope(audienceOf(issuer), roles.join(' '))
  return grant.save()
}
