import { decodeJwt, errors as joseErrors, jwtVerify } from 'jose'
import { errors } from 'oidc-provider'
import { SECOND } from '../../../kernel/time.ts'
import { foreignAccount } from '../accounts.ts'
import { tokenLimits } from '../token-limits.ts'
import type { TrustedIssuer } from '../trusted-issuers.ts'
import type { GrantParts, TokenGrant } from './grants.ts'
import { issueForUser } from './user-grant.ts'

// Public keys only: with a secret, whoever checks an assertion could make one.
const algorithms = ['ES256', 'ES384', 'RS256', 'PS256', 'EdDSA']
const compactForm = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/

/** A JWT in which a trusted issuer vouches for a user (RFC 7523 section 2.1). */
export const jwtBearer: TokenGrant = {
  grantType: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
  parameters: ['assertion', 'scope'],
  async issue(provider, parts, context) {
    const { assertion, scope } = context.oidc.params
    if (!assertion) throw new errors.InvalidRequest('assertion must be given')
    const { trustedIssuer, subject } = await readAssertion(parts, assertion)
    const accountId = foreignAccount(trustedIssuer.name, subject)
    await issueForUser(provider, parts, context, { accountId, by: 'jwt-bearer', scope, isRenewable: false })
  },
}

async function readAssertion({ issuer, trusted, clock, replays, log }: GrantParts, assertion: string) {
  const refuse = (reason: string) => {
    log.info('token.assertion-refused', { kind: 'jwt', reason })
    return new errors.InvalidGrant()
  }
  if (assertion.length > tokenLimits.assertionBytes || !compactForm.test(assertion))
    throw refuse('it is no compact JWT')
  try {
    const trustedIssuer = issuerOf(trusted.values(), assertion)
    if (!trustedIssuer?.jwtKeys) throw refuse('nobody trusts its issuer')
    const { payload } = await jwtVerify(assertion, trustedIssuer.jwtKeys, {
      algorithms,
      issuer: trustedIssuer.issuer,
      requiredClaims: ['exp', 'iat', 'sub', 'jti'],
      clockTolerance: tokenLimits.clockSkewMs / SECOND,
      maxTokenAge: tokenLimits.assertionMsMax / SECOND,
      currentDate: new Date(clock.now()),
    })
    const { sub: subject = '', jti = '', exp = 0, aud } = payload
    // One audience, and it is this server: an assertion that also counts elsewhere could come from there.
    if (aud !== issuer) throw refuse('it is meant for somebody else')
    if (subject === '' || subject.length > subjectLettersMax || typeof jti !== 'string')
      throw refuse('its subject is unusable')
    if (exp * SECOND > clock.now() + tokenLimits.assertionMsMax) throw refuse('it is valid for too long')
    const until = exp * SECOND + tokenLimits.clockSkewMs
    if (!(await replays.useOnce(trustedIssuer.issuer, jti, until))) throw refuse('it was used before')
    return { trustedIssuer, subject }
  } catch (thrown) {
    if (thrown instanceof joseErrors.JOSEError) throw refuse(thrown.message)
    throw thrown
  }
}

export const subjectLettersMax = 255

/** Whose it says it is; that it truly is theirs is what the signature shows. */
function issuerOf(trusted: Iterable<TrustedIssuer>, assertion: string): TrustedIssuer | undefined {
  const { iss } = decodeJwt(assertion)
  return [...trusted].find(({ issuer }) => issuer === iss)
}
