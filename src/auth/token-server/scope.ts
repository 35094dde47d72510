import { errors, type KoaContext, type ResourceServerInfo } from 'oidc-provider'
import { rolesOfAccount } from './accounts.ts'
import { audienceOf } from './token-limits.ts'
import type { TokenParts } from './token-server.ts'

/** OpenID Connect's own scopes; every other scope is a role. */
export const openidScopes = ['openid', 'offline_access', 'profile', 'email'] as const
const isOpenid = (scope: string) => (openidScopes as readonly string[]).includes(scope)

/** Which roles a token may carry: those of the instance that exist now, and of these only what its user has too. */
export class TokenScope {
  readonly #parts: TokenParts

  constructor(parts: TokenParts) {
    this.#parts = parts
  }

  /** The roles that the client may have for the account, or for itself. */
  rolesOf(clientId: string, accountId?: string): readonly string[] {
    const { users } = this.#parts
    const instance = users.instanceOfClient(clientId)
    if (!instance) return []
    const roles = users.effectiveRoles(instance)
    const limit = accountId === undefined ? undefined : rolesOfAccount(this.#parts, accountId)
    return limit === undefined ? roles : roles.filter(role => limit.includes(role))
  }

  resourceServer(clientId: string, accountId?: string): ResourceServerInfo {
    const { issuer, keys, users } = this.#parts
    const { kid, algorithm } = keys.active()
    return {
      scope: this.rolesOf(clientId, accountId).join(' '),
      audience: audienceOf(issuer),
      accessTokenTTL: users.instanceOfClient(clientId)?.tokenValiditySeconds ?? 0,
      accessTokenFormat: 'jwt',
      jwt: { sign: { alg: algorithm, kid } },
    }
  }

  /**
   * The roles of a token: what was asked for, or everything when nothing was. Throws invalid_scope for a role that the
   * instance does not have. What the user lacks is left out; when nothing is left, that is invalid_scope too.
   */
  chooseRoles(clientId: string, asked: string | undefined, accountId?: string): readonly string[] {
    const wished = asked?.split(' ').filter(scope => scope !== '') ?? []
    const ofInstance = this.rolesOf(clientId)
    refuseForeign(wished, ofInstance)
    const may = this.rolesOf(clientId, accountId)
    const roles = wished.length === 0 ? may : wished.filter(role => may.includes(role))
    const isNothingLeft = roles.length === 0 && (wished.length > 0 || ofInstance.length > 0)
    if (isNothingLeft) throw new errors.InvalidScope('nothing of the requested scope can be given', asked)
    return [...new Set(roles)]
  }

  /** Gives an authorization request without a scope all roles of the instance. Throws invalid_scope. */
  completeRequest({ oidc }: KoaContext): void {
    const { params, client } = oidc
    const roles = this.rolesOf(client.clientId)
    if (params['scope'] === undefined) {
      if (roles.length > 0) params['scope'] = roles.join(' ')
      return
    }
    refuseForeign(
      params['scope'].split(' ').filter(scope => !isOpenid(scope)),
      roles,
    )
  }
}

function refuseForeign(wished: readonly string[], owned: readonly string[]): void {
  const foreign = wished.filter(role => !owned.includes(role))
  if (foreign.length > 0)
    throw new errors.InvalidScope('the client does not have the requested scope', foreign.join(' '))
}
