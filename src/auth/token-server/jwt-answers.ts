import type { KoaContext } from 'oidc-provider'
import type { ServiceUsers } from '../service/model.ts'
import { tokenLimits } from './token-limits.ts'
import type { TokenParts } from './token-server.ts'

/**
 * Introspection (RFC 7662) and revocation (RFC 7009) of access tokens. oidc-provider checks the client and then says
 * that it does not know JWTs; this gives the answer in its place.
 */
export function answerForJwt({ verifier, denied, log }: TokenParts, users: ServiceUsers) {
  return async (context: KoaContext, next: () => Promise<void>): Promise<void> => {
    await next()
    if (context.status === 401 && !context.res.hasHeader('www-authenticate')) {
      context.set('www-authenticate', 'Basic realm="isthmus"')
    }
    if (!isUnknownType(context.body)) return
    const { route, params, client } = context.oidc
    const token = await verifier.verify(params['token'] ?? '')
    if (route === 'introspection') {
      context.status = 200
      const isGood = token && !verifier.isRevoked(token) && users.checkKey(token.clientId, token.keyId).ok
      const instance = token && users.instanceOfClient(token.clientId)
      if (!isGood || !instance) {
        context.body = { active: false }
        return
      }
      const roles = users.effectiveRoles(instance)
      const scope = token.scope.filter(each => roles.includes(each)).join(' ')
      const { scope: _asIssued, ...claims } = token.payload
      context.body = { active: true, ...claims, ...(scope !== '' && { scope }), token_type: 'Bearer' }
      return
    }
    // A token that is not genuine is no error (RFC 7009 section 2.2); one of another client is not ours to end.
    if (token && token.clientId !== client.clientId) {
      context.body = { error: 'invalid_request', error_description: 'the token belongs to another client' }
      return
    }
    if (token) {
      await denied.deny('jti', token.jti, token.expiresAt + tokenLimits.clockSkewMs)
      log.info('token.revoked', { client: client.clientId, token: token.jti })
    }
    context.status = 200
    context.body = ''
  }
}

function isUnknownType(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'error' in body && body.error === 'unsupported_token_type'
}
