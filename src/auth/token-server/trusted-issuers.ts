import { X509Certificate } from 'node:crypto'
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { tokenErrors } from './token-errors.ts'

/** An identity provider whose assertions about its users count here. */
export interface TrustedIssuer {
  readonly name: string
  /** What it calls itself: entity id (SAML) or issuer (JWT). */
  readonly issuer: string
  /** The roles that its users may have; undefined: all roles of the instance that asks. */
  readonly roles: readonly string[] | undefined
  /** PEM of the certificates that sign its SAML assertions; empty: it makes none. */
  readonly samlCertificates: readonly string[]
  /** The keys that sign its JWT assertions; undefined: it makes none. */
  readonly jwtKeys: JWTVerifyGetKey | undefined
}

/** By name. */
export type TrustedIssuers = ReadonlyMap<string, TrustedIssuer>

export interface TrustedIssuerInput {
  readonly name: string
  readonly issuer: string
  readonly roles?: readonly string[] | undefined
  /** PEM texts. */
  readonly certificates?: readonly string[] | undefined
  /** Text of a JWK set. */
  readonly jwks?: string | undefined
}

/** Throws TOKEN_TRUST_UNUSABLE for one that could prove nothing, or everything. */
export function readTrustedIssuers(inputs: readonly TrustedIssuerInput[]): TrustedIssuers {
  const trusted = new Map<string, TrustedIssuer>()
  for (const input of inputs) {
    const { name, issuer, roles, certificates = [], jwks } = input
    const isTwice = trusted.has(name) || [...trusted.values()].some(other => other.issuer === issuer)
    if (isTwice) throw tokenErrors.TRUST_UNUSABLE({ name, reason: 'its name or issuer stands there twice' })
    if (certificates.length === 0 && jwks === undefined) {
      throw tokenErrors.TRUST_UNUSABLE({ name, reason: 'it has neither certificates nor keys' })
    }
    try {
      const samlCertificates = certificates.map(pem => new X509Certificate(pem).toString())
      trusted.set(name, {
        name,
        issuer,
        roles,
        samlCertificates,
        jwtKeys: jwks === undefined ? undefined : readKeys(jwks),
      })
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw tokenErrors.TRUST_UNUSABLE({ name, reason }, { cause })
    }
  }
  return trusted
}

function readKeys(text: string): JWTVerifyGetKey {
  const set = JSON.parse(text) as JSONWebKeySet
  if (!Array.isArray(set.keys) || set.keys.length === 0) throw new Error('the JWK set holds no keys')
  const secret = set.keys.find(({ kty }) => kty === 'oct')
  if (secret) throw new Error('a JWK set of a trusted issuer holds public keys only')
  return createLocalJWKSet(set)
}
