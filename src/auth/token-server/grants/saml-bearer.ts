import { errors } from 'oidc-provider'
import { foreignAccount } from '../accounts.ts'
import { paths } from '../paths.ts'
import { readAssertion } from '../saml/read-assertion.ts'
import { AssertionRefused } from '../saml/refused.ts'
import { tokenLimits } from '../token-limits.ts'
import type { TokenGrant } from './grants.ts'
import { issueForUser } from './user-grant.ts'

/** A SAML 2.0 assertion in which a trusted issuer vouches for a user (RFC 7522 section 2.1). */
export const samlBearer: TokenGrant = {
  grantType: 'urn:ietf:params:oauth:grant-type:saml2-bearer',
  parameters: ['assertion', 'scope'],
  async issue(provider, parts, context) {
    const { assertion: encoded, scope } = context.oidc.params
    if (!encoded) throw new errors.InvalidRequest('assertion must be given')
    const { issuer, trusted, clock, replays, log } = parts
    try {
      const { id, subject, trustedIssuer, until } = readAssertion(encoded, {
        trusted: [...trusted.values()],
        recipient: `${issuer}${paths.token}`,
        audience: issuer,
        now: clock.now(),
      })
      const isFirst = await replays.useOnce(trustedIssuer.issuer, id, until + tokenLimits.clockSkewMs)
      if (!isFirst) throw new AssertionRefused('it was used before')
      const accountId = foreignAccount(trustedIssuer.name, subject)
      await issueForUser(provider, parts, context, { accountId, by: 'saml2-bearer', scope, isRenewable: false })
    } catch (thrown) {
      if (!(thrown instanceof AssertionRefused)) throw thrown
      // Whoever sends a made-up assertion learns nothing of what was wrong with it; the log has it.
      log.info('token.assertion-refused', {
        kind: 'saml',
        client: context.oidc.client.clientId,
        reason: thrown.message,
      })
      throw new errors.InvalidGrant()
    }
  },
}
