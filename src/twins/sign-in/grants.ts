import { randomBytes } from 'node:crypto'
import { DAY, MINUTE } from '../../kernel/time.ts'
import type { App, Tenant } from './directory.ts'
import { refuse } from './entra-error.ts'
import type { ScopeRequest } from './scope.ts'

/** What a user has allowed an app to do, on its way from code to refresh token to refresh token. */
export interface Grant {
  readonly tenant: Tenant
  readonly app: App
  readonly user: string
  readonly scope: ScopeRequest
}

/** What the authorization request fixed for the redemption of its code. */
interface CodeTerms {
  readonly redirectUri: string
  /** S256 code challenge; undefined where the app came without PKCE. */
  readonly challenge: string | undefined
  readonly nonce: string | undefined
}

/** Codes and refresh tokens in memory, the oldest forgotten first. */
export interface GrantStore {
  issueCode(grant: Grant, terms: CodeTerms): string
  /** Takes a code out of use; throws AADSTS54005 for a used one, 70008 for an expired one, 9002313 for nonsense. */
  redeemCode(code: string): { readonly grant: Grant; readonly terms: CodeTerms }
  issueRefreshToken(grant: Grant): string
  /** Looks a refresh token up; throws AADSTS50173 where it was revoked, 70008 where it ended. */
  readRefreshToken(token: string): Grant
  /** Ends a token that has been replaced by its successor. */
  retire(token: string): void
  /** Ends all, or those of one user. */
  revokeAll(user?: string): void
  readonly liveRefreshTokens: number
}

export interface GrantLimits {
  readonly codeMs: number
  readonly refreshTokenMs: number
  readonly entriesMax: number
}

/** Entra: a code lives 10 minutes, a refresh token of a confidential client 90 days. */
export const defaultGrantLimits: GrantLimits = { codeMs: 10 * MINUTE, refreshTokenMs: 90 * DAY, entriesMax: 10_000 }

interface Code {
  readonly grant: Grant
  readonly terms: CodeTerms
  readonly expiresAt: number
  isUsed: boolean
}

interface RefreshToken {
  readonly grant: Grant
  readonly expiresAt: number
  isRevoked: boolean
}

export function makeGrantStore(now: () => number, limits: GrantLimits): GrantStore {
  const codes = new Map<string, Code>()
  const refreshTokens = new Map<string, RefreshToken>()
  const keep = <T>(map: Map<string, T>, entry: T, prefix: string): string => {
    const name = `${prefix}${randomBytes(48).toString('base64url')}`
    map.set(name, entry)
    const oldest = map.size > limits.entriesMax ? map.keys().next().value : undefined
    if (oldest !== undefined) map.delete(oldest)
    return name
  }
  return {
    issueCode: (grant, terms) => keep(codes, { grant, terms, expiresAt: now() + limits.codeMs, isUsed: false }, '1.'),
    redeemCode(name) {
      const code = codes.get(name)
      if (!code) throw refuse('GRANT_MALFORMED')
      if (code.isUsed) throw refuse('CODE_USED')
      code.isUsed = true
      if (code.expiresAt <= now()) throw refuse('GRANT_EXPIRED')
      return code
    },
    issueRefreshToken: grant =>
      keep(refreshTokens, { grant, expiresAt: now() + limits.refreshTokenMs, isRevoked: false }, '1.A'),
    readRefreshToken(name) {
      const token = refreshTokens.get(name)
      if (!token) throw refuse('GRANT_MALFORMED')
      if (token.isRevoked) throw refuse('GRANT_REVOKED')
      if (token.expiresAt <= now()) throw refuse('GRANT_EXPIRED')
      return token.grant
    },
    retire(name) {
      const token = refreshTokens.get(name)
      if (token) token.isRevoked = true
    },
    revokeAll(user) {
      for (const token of refreshTokens.values()) {
        if (user === undefined || token.grant.user.toLowerCase() === user.toLowerCase()) token.isRevoked = true
      }
    },
    get liveRefreshTokens() {
      return [...refreshTokens.values()].filter(token => !token.isRevoked && token.expiresAt > now()).length
    },
  }
}
