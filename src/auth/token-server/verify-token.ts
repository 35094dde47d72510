import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose'
import { type Clock, SECOND } from '../../kernel/time.ts'
import type { People } from '../people/people.ts'
import type { AccessTokenClaims } from '../service/model.ts'
import { isOlderThan } from './accounts.ts'
import type { DeniedTokens } from './denied-tokens.ts'
import type { SigningKeys } from './signing-keys.ts'
import { tokenLimits } from './token-limits.ts'
import type { TrustedIssuers } from './trusted-issuers.ts'

/** Claims of an access token with what only the token server needs of them. */
export interface VerifiedToken extends AccessTokenClaims {
  /** Grant type by which it was got. */
  readonly by: string
  /** See `familyOf`; undefined for tokens without a log-in or exchange behind them. */
  readonly family: string | undefined
  readonly trustedIssuer: string | undefined
  readonly payload: JWTPayload
}

interface VerifierParts {
  readonly issuer: string
  readonly audience: string
  readonly keys: SigningKeys
  readonly denied: DeniedTokens
  readonly people: People
  readonly trusted: TrustedIssuers
  readonly clock: Clock
}

// base64 decoders forgive spaces, padding and stray bits: another spelling of a token would be another cache key.
const compactForm = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
/** The hub writes these into the header of a token; a token with others is not its own. */
const headerNames = new Set(['alg', 'typ', 'kid'])
const requiredClaims = ['exp', 'iat', 'jti', 'sub', 'client_id', 'key_id']
const clockToleranceSeconds = 5

/** Knows access tokens of this hub again (RFC 9068 section 4). */
export class TokenVerifier {
  readonly #parts: VerifierParts

  constructor(parts: VerifierParts) {
    this.#parts = parts
  }

  /** Undefined for anything but a genuine access token. */
  async verify(token: string): Promise<VerifiedToken | undefined> {
    try {
      const payload = await this.#open(token)
      return payload?.aud === this.#parts.audience ? readClaims(payload) : undefined
    } catch (thrown) {
      if (isAgainstToken(thrown)) return undefined
      throw thrown
    }
  }

  /** True for a token that was genuine until its time was over. */
  async hasExpired(token: string): Promise<boolean> {
    try {
      await this.#open(token)
      return false
    } catch (thrown) {
      // The time is looked at when the signature and all else was found right.
      if (thrown instanceof errors.JWTExpired) return thrown.payload.aud === this.#parts.audience
      if (isAgainstToken(thrown)) return false
      throw thrown
    }
  }

  /** True when it no longer counts although its signature is good: revoked, or its user lost what it was given for. */
  isRevoked(claims: AccessTokenClaims): boolean {
    const { denied, people, trusted, clock } = this.#parts
    if (denied.isDenied('jti', claims.jti)) return true
    if (!isVerified(claims)) return false
    if (claims.family !== undefined && denied.isDenied('family', claims.family)) return true
    if (claims.trustedIssuer !== undefined) {
      const issuer = trusted.get(claims.trustedIssuer)
      return !issuer || !isWithin(claims.scope, issuer.roles)
    }
    if (claims.by === 'client_credentials') return false
    const person = people.find(claims.subject)
    if (!person || person.disabledAt !== undefined || !isWithin(claims.scope, person.roles)) return true
    return isOlderThan(person, claims.payload.iat ?? 0, clock)
  }

  async #open(token: string): Promise<JWTPayload | undefined> {
    const { issuer, clock } = this.#parts
    if (token.length > tokenLimits.accessTokenLetters || !compactForm.test(token)) return undefined
    const signedWith = this.#keyOf(token)
    if (!signedWith) return undefined
    const { payload } = await jwtVerify(token, signedWith.key, {
      algorithms: [signedWith.algorithm],
      typ: 'at+jwt',
      issuer,
      requiredClaims,
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(clock.now()),
    })
    return payload
  }

  #keyOf(token: string) {
    const header = decodeProtectedHeader(token)
    if (Object.keys(header).some(name => !headerNames.has(name))) return undefined
    return typeof header.kid === 'string' ? this.#parts.keys.publicKey(header.kid) : undefined
  }
}

/** Whatever jose says against it: to the hub it is no token of its own. Anything else is a defect. */
function isAgainstToken(thrown: unknown): boolean {
  return thrown instanceof errors.JOSEError || thrown instanceof TypeError || thrown instanceof SyntaxError
}

function readClaims(payload: JWTPayload): VerifiedToken | undefined {
  const { sub, jti, exp, scope, client_id: clientId, key_id: keyId, gty, cnf, fam, idp } = payload
  if (typeof sub !== 'string' || typeof jti !== 'string' || exp === undefined) return undefined
  if (typeof clientId !== 'string' || typeof keyId !== 'string' || typeof gty !== 'string') return undefined
  if (scope !== undefined && typeof scope !== 'string') return undefined
  const thumbprint = thumbprintOf(cnf)
  if (cnf !== undefined && thumbprint === undefined) return undefined
  return {
    clientId,
    keyId,
    subject: sub,
    scope: scope ? scope.split(' ') : [],
    jti,
    expiresAt: exp * SECOND,
    thumbprint,
    by: gty,
    family: typeof fam === 'string' ? fam : undefined,
    trustedIssuer: typeof idp === 'string' ? idp : undefined,
    payload,
  }
}

/** Only a certificate binding is understood; a token bound in another way must not pass for an unbound one. */
function thumbprintOf(cnf: unknown): string | undefined {
  if (typeof cnf !== 'object' || cnf === null || Object.keys(cnf).length !== 1) return undefined
  const value: unknown = Object.entries(cnf).find(([name]) => name === 'x5t#S256')?.[1]
  return typeof value === 'string' ? value : undefined
}

function isVerified(claims: AccessTokenClaims): claims is VerifiedToken {
  return 'by' in claims
}

/** OpenID Connect's own scopes are no roles. */
const openidScopes = new Set(['openid', 'offline_access', 'profile', 'email'])

function isWithin(scope: readonly string[], roles: readonly string[] | undefined): boolean {
  return roles === undefined || scope.every(each => openidScopes.has(each) || roles.includes(each))
}
