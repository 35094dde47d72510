import type { KoaContext, Provider } from 'oidc-provider'
import type { ClientSource } from '../client-source.ts'
import type { TokenScope } from '../scope.ts'
import type { TokenParts } from '../token-server.ts'
import { clientCredentials } from './client-credentials.ts'
import { jwtBearer } from './jwt-bearer.ts'
import { password } from './password.ts'
import { samlBearer } from './saml-bearer.ts'
import { userToken } from './user-token.ts'

/** What a grant works with. */
export interface GrantParts extends TokenParts {
  readonly clients: ClientSource
  readonly scopes: TokenScope
}

/** One way to a token: the parameters it reads, and what it does with a request whose client is known. */
export interface TokenGrant {
  readonly grantType: string
  readonly parameters: readonly string[]
  issue(provider: Provider, parts: GrantParts, context: KoaContext): Promise<void>
}

/** Grants of the hub's own; authorization_code and refresh_token are oidc-provider's. */
const grants: readonly TokenGrant[] = [clientCredentials, password, samlBearer, jwtBearer, userToken]

export function registerGrants(provider: Provider, parts: GrantParts): void {
  for (const { grantType, parameters, issue } of grants) {
    provider.registerGrantType(grantType, context => issue(provider, parts, context), parameters)
  }
}
