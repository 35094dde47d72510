import { audienceOf } from '../token-limits.ts'
import type { TokenGrant } from './grants.ts'

/** A token for the client itself (RFC 6749 section 4.4). Without a scope it carries all roles, as SAP's does. */
export const clientCredentials: TokenGrant = {
  grantType: 'client_credentials',
  parameters: ['scope'],
  async issue(provider, { clients, scopes, issuer }, context) {
    const { client, params } = context.oidc
    const roles = scopes.chooseRoles(client.clientId, params['scope'])
    const token = new provider.ClientCredentials({ client, scope: roles.join(' ') || undefined })
    const server = scopes.resourceServer(client.clientId)
    token.resourceServer = new provider.ResourceServer(audienceOf(issuer), server)
    const certificate = client.tlsClientCertificateBoundAccessTokens ? clients.certificate(context) : undefined
    if (certificate) token.setThumbprint('x5t', certificate)
    context.oidc.entity('ClientCredentials', token)
    context.body = {
      access_token: await token.save(),
      token_type: token.tokenType,
      expires_in: token.expiration,
      ...(roles.length > 0 && { scope: roles.join(' ') }),
    }
  },
}
