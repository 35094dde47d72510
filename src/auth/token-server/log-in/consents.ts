import { createHash } from 'node:crypto'
import type { Grant, KoaContext, Provider } from 'oidc-provider'
import { openidScopes, type TokenScope } from '../scope.ts'
import { audienceOf } from '../token-limits.ts'
import type { TokenParts } from '../token-server.ts'

const area = 'token-consent'

/** What people allowed which client, so that they are asked once. */
export class Consents {
  readonly #parts: TokenParts

  constructor(parts: TokenParts) {
    this.#parts = parts
  }

  async remember(accountId: string, clientId: string, scopes: readonly string[]): Promise<void> {
    const id = this.#idOf(accountId, clientId)
    const known = await this.#read(id)
    await this.#parts.records.write(area, id, { v: 1, scopes: [...new Set([...known, ...scopes])] })
  }

  /**
   * A grant for the request of a person who allowed all of it before, or has just done so; undefined: they have to be
   * asked. Each log-in has a grant of its own, so that ending one leaves the others.
   */
  async grantFor(provider: Provider, { oidc }: KoaContext, scopes: TokenScope): Promise<Grant | undefined> {
    const fresh = oidc.result?.consent?.grantId
    if (fresh !== undefined) return provider.Grant.find(fresh)
    const accountId = oidc.account?.accountId
    if (accountId === undefined) return undefined
    const { clientId } = oidc.client
    const asked = [...oidc.requestParamScopes]
    const allowed = await this.#read(this.#idOf(accountId, clientId))
    const possible = asked.filter(scope => this.#isPossible(scope, scopes.rolesOf(clientId, accountId)))
    if (possible.length === 0 || possible.some(scope => !allowed.includes(scope))) return undefined
    return this.makeGrant(provider, { accountId, clientId, asked, scopes })
  }

  /** Grants what was asked for, as far as the person has it; the rest is noted as not given, so nobody asks for it. */
  async makeGrant(
    provider: Provider,
    wish: { accountId: string; clientId: string; asked: readonly string[]; scopes: TokenScope },
  ): Promise<Grant> {
    const { accountId, clientId, asked, scopes } = wish
    const audience = audienceOf(this.#parts.issuer)
    const roles = scopes.rolesOf(clientId, accountId)
    const grant = new provider.Grant({ accountId, clientId })
    const openid = asked.filter(scope => isOpenid(scope))
    if (openid.length > 0) grant.addOIDCScope(openid.join(' '))
    for (const role of asked.filter(scope => !isOpenid(scope))) {
      if (roles.includes(role)) grant.addResourceScope(audience, role)
      else grant.rejectResourceScope(audience, role)
    }
    await grant.save()
    return grant
  }

  #isPossible(scope: string, roles: readonly string[]): boolean {
    return isOpenid(scope) || roles.includes(scope)
  }

  async #read(id: string): Promise<readonly string[]> {
    const record = await this.#parts.records.read(area, id)
    const value = record?.value as { readonly scopes?: readonly string[] } | undefined
    return value?.scopes ?? []
  }

  /** A person who is deleted and entered anew has allowed nothing yet. */
  #idOf(accountId: string, clientId: string): string {
    const since = this.#parts.people.find(accountId)?.createdAt ?? 0
    return createHash('sha256').update(`${accountId}\0${since}\0${clientId}`).digest('base64url')
  }
}

function isOpenid(scope: string): boolean {
  return (openidScopes as readonly string[]).includes(scope)
}
