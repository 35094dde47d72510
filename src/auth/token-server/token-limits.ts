import { KiB } from '../../kernel/size.ts'
import { DAY, HOUR, MINUTE, SECOND } from '../../kernel/time.ts'

/** ES256 unless a receiver is too old for it. */
export const signingAlgorithms = ['ES256', 'RS256', 'EdDSA'] as const
export type SigningAlgorithm = (typeof signingAlgorithms)[number]

/** Limits and lives of what the token server hands out. */
export const tokenLimits = {
  /** An access token in characters; longer ones are refused unread. */
  accessTokenLetters: 8 * KiB,
  /** The longest life that an instance may ask for its access tokens. */
  accessTokenMsMax: DAY,
  codeSeconds: MINUTE / SECOND,
  idTokenSeconds: HOUR / SECOND,
  /** From the first page of a log-in to its end. */
  interactionSeconds: (10 * MINUTE) / SECOND,
  sessionSeconds: HOUR / SECOND,
  /** Log-ins that are begun and not ended, of all callers together; then the oldest of the address with most gives way. */
  openInteractions: 10_000,
  /** A new signing key is published this long before its first use, so that caches of the JWKS know it by then. */
  announceMs: HOUR,
  /** The form of a token request; oidc-provider takes no more either. */
  formBytes: 56 * KiB,
  /** Form of the log-in page. */
  pageFormBytes: 8 * KiB,
  /** An assertion in its XML form, and how deep and how rich it may be. */
  assertionBytes: 40 * KiB,
  assertionElements: 500,
  assertionDepth: 30,
  /** The longest life of an assertion (SAML or JWT). */
  assertionMsMax: HOUR,
  clockSkewMs: MINUTE,
  purgeEveryMs: 10 * MINUTE,
  passwordFailures: { count: 5, windowMs: 5 * MINUTE },
  addressFailures: { count: 20, windowMs: MINUTE },
} as const

/** The audience of every access token: the flows of this hub. */
export function audienceOf(issuer: string): string {
  return `${issuer}/runtime`
}
