import http from 'node:http'
import https from 'node:https'
import type { Json } from '../../kernel/json.ts'
import { type Clock, HOUR, systemClock } from '../../kernel/time.ts'
import { listenOnLoopback } from '../listen.ts'
import { readFaults, type Twin } from '../twin.ts'
import { makeAuthorization } from './authorize.ts'
import { accessClaims, idClaims } from './claims.ts'
import { contoso } from './contoso.ts'
import { makeDirectory, type TenantSeed } from './directory.ts'
import { type SignInFaultDocument, type SignInFaults, signInFaults } from './faults.ts'
import { defaultGrantLimits, type GrantLimits, makeGrantStore } from './grants.ts'
import { makeHandler, type SeenRequest } from './http.ts'
import { readScope, resourceScopes } from './scope.ts'
import { type Claims, readToken, signToken, tokenKey } from './token.ts'
import type { Endpoints, World } from './world.ts'

// Written on node:http rather than on oidc-provider: what must be true here are Entra's tenant paths, error documents,
// consent rules and rotation, all of which a standard provider would have to be bent to.

export interface SignInOptions {
  readonly port?: number
  /** PEM; without it the twin speaks HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly tenants?: readonly TenantSeed[]
  readonly clock?: Clock
  readonly accessTokenMs?: number
  readonly grantLimits?: Partial<GrantLimits>
  /**
   * True (the twin's default) ends a refresh token once it was used: a client that does not store its successor first
   * is found out. Entra itself lets the old one live until it expires.
   */
  readonly oldRefreshTokenDies?: boolean
  /** True: whoever login_hint names is signed in and accepts the permissions, without any page. */
  readonly isAutomatic?: boolean
}

/** Who a token is for; the tenant is the one of the user or the first one. */
interface TokenWish {
  readonly user?: string
  readonly clientId?: string
  /** As in a token request; for an app it names the resource. */
  readonly scope?: string
  /** For an app. */
  readonly roles?: readonly string[]
  /** Negative: a token that has expired. */
  readonly expiresInMs?: number
}

export interface SignInTwin extends Twin {
  readonly port: number
  /** `http://127.0.0.1:40443`, no slash at the end. */
  readonly origin: string
  endpoints(tenant?: string): Endpoints
  /** The claims of an access token of ours that is valid now; undefined for anything else. */
  verify(token: string): Claims | undefined
  /** For servers that check tokens themselves: Dovecot's key dictionary, `GET /check?token=…` being the other way. */
  readonly publicKey: { readonly kid: string; readonly pem: string }
  /** An access token without any ceremony, for tests of those who read it. */
  issue(wish: TokenWish): string
  /** A refresh token as if the user had signed in and accepted; for credentials that start out authorised. */
  issueRefreshToken(wish: { readonly user: string; readonly clientId?: string; readonly scope?: string }): string
  grantConsent(wish: { readonly user: string; readonly clientId?: string; readonly scope?: string }): void
  grantAdminConsent(wish?: { readonly tenant?: string; readonly clientId?: string }): void
  withdrawConsent(wish?: { readonly user?: string; readonly clientId?: string }): void
  /** Adds a redirect URI to an app registration. */
  allowRedirect(uri: string, clientId?: string): void
  /** The last requests, oldest first, without secrets. */
  readonly requests: readonly SeenRequest[]
  setFaults(document: SignInFaultDocument): void
}

const delegatedScope =
  'https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access'

/** Starts a look-alike of Microsoft Entra sign-in on loopback. */
export async function startSignIn(options: SignInOptions = {}): Promise<SignInTwin> {
  const clock = options.clock ?? systemClock
  const accessTokenMs = options.accessTokenMs ?? HOUR
  const key = await tokenKey()
  const directory = makeDirectory(options.tenants ?? [contoso()])
  const grants = makeGrantStore(() => clock.now(), { ...defaultGrantLimits, ...options.grantLimits })
  let faults: SignInFaults = {}
  let issuedCount = 0
  let expiredUpTo = 0
  let origin = ''

  const world: World = {
    clock,
    directory,
    grants,
    accessTokenMs,
    oldRefreshTokenDies: options.oldRefreshTokenDies ?? true,
    isAutomatic: options.isAutomatic ?? false,
    endpoints,
    issue(wish) {
      issuedCount += 1
      return signToken(key, accessClaims(wish, issuedCount, origin, clock.now(), wish.expiresInMs ?? accessTokenMs))
    },
    issueIdToken: wish => signToken(key, idClaims(wish, endpoints(wish.tenant.id).issuer, clock.now(), accessTokenMs)),
  }

  const handler = makeHandler({
    world,
    authorization: makeAuthorization(world),
    jwk: key.jwk,
    origin: () => origin,
    verify,
    faults: () => faults,
  })
  const server = options.tls ? https.createServer(options.tls, handler.handle) : http.createServer(handler.handle)
  const listener = await listenOnLoopback(server, options.port)
  origin = `${options.tls ? 'https' : 'http'}://127.0.0.1:${listener.port}`

  function endpoints(tenant = directory.tenants[0]?.id ?? 'common'): Endpoints {
    return {
      issuer: `${origin}/${tenant}/v2.0`,
      authorize: `${origin}/${tenant}/oauth2/v2.0/authorize`,
      token: `${origin}/${tenant}/oauth2/v2.0/token`,
      jwks: `${origin}/${tenant}/discovery/v2.0/keys`,
      adminConsent: `${origin}/${tenant}/adminconsent`,
      configuration: `${origin}/${tenant}/v2.0/.well-known/openid-configuration`,
    }
  }

  function verify(token: string): Claims | undefined {
    const claims = readToken(key, token, origin, clock.now())
    return claims && Number.parseInt(claims.uti, 10) > expiredUpTo ? claims : undefined
  }

  /** The tenant and app that a test means when it names a user or a client id, or nothing at all. */
  function mean(wish: { readonly user?: string; readonly clientId?: string; readonly tenant?: string }) {
    const tenant = directory.tenant(wish.tenant ?? directory.tenants[0]?.id ?? '', wish.user)
    return { tenant, app: directory.app(tenant, wish.clientId ?? [...tenant.apps.keys()][0] ?? '') }
  }

  const twin: SignInTwin = {
    name: 'sign-in',
    about: 'Microsoft Entra sign-in: authorization code, refresh tokens, client credentials, consent.',
    port: listener.port,
    ports: { [options.tls ? 'https' : 'http']: listener.port },
    origin,
    endpoints,
    verify,
    publicKey: { kid: key.kid, pem: String(key.publicKey.export({ type: 'spki', format: 'pem' })) },
    issue(wish) {
      const { tenant, app } = mean(wish)
      const scope = readScope(wish.scope ?? delegatedScope, tenant.domain)
      const expiry = wish.expiresInMs === undefined ? {} : { expiresInMs: wish.expiresInMs }
      const holder =
        wish.user === undefined
          ? {
              roles: wish.roles ?? app.roles,
              audience: (wish.scope && scope.resource) ?? 'https://outlook.office365.com',
              proof: '2' as const,
            }
          : {
              user: wish.user,
              names: resourceScopes(scope.names),
              audience: scope.resource ?? 'https://outlook.office.com',
              proof: '1' as const,
            }
      return world.issue({ tenant, app, ...holder, ...expiry })
    },
    issueRefreshToken(wish) {
      const { tenant, app } = mean(wish)
      const scope = readScope(wish.scope ?? delegatedScope, tenant.domain)
      directory.grant(tenant, app, wish.user, scope.names)
      return grants.issueRefreshToken({ tenant, app, user: wish.user, scope })
    },
    grantConsent(wish) {
      const { tenant, app } = mean(wish)
      directory.grant(tenant, app, wish.user, readScope(wish.scope ?? delegatedScope, tenant.domain).names)
    },
    grantAdminConsent(wish = {}) {
      const { tenant, app } = mean(wish)
      directory.grantForAll(tenant, app)
    },
    withdrawConsent(wish = {}) {
      const { tenant, app } = mean(wish)
      directory.withdraw(tenant, app, wish.user)
    },
    allowRedirect(uri, clientId) {
      mean(clientId === undefined ? {} : { clientId }).app.redirectUris.add(uri)
    },
    requests: handler.requests,
    faultSchema: signInFaults,
    setFaults(document) {
      faults = readFaults('sign-in', signInFaults, document)
      if (faults.expireTokens) expiredUpTo = issuedCount
      if (faults.revokeRefreshTokens) grants.revokeAll()
      if (faults.withdrawConsent) {
        for (const tenant of directory.tenants) {
          for (const app of tenant.apps.values()) directory.withdraw(tenant, app)
        }
      }
    },
    clearFaults() {
      faults = {}
    },
    state: (): Json => ({
      origin,
      faults: JSON.parse(JSON.stringify(faults)),
      tenants: directory.tenants.map(tenant => ({
        id: tenant.id,
        domain: tenant.domain,
        users: [...tenant.users.values()].map(user => user.name),
        apps: [...tenant.apps.values()].map(app => ({
          clientId: app.clientId,
          name: app.name,
          redirectUris: [...app.redirectUris],
          hasAdminConsent: directory.hasAdminConsent(tenant, app),
        })),
      })),
      accessTokensIssued: issuedCount,
      refreshTokensLive: grants.liveRefreshTokens,
      requests: handler.requests.map(request => ({ ...request })),
    }),
    stop: () => listener.stop(),
  }
  return twin
}
