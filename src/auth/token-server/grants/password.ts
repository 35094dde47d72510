import { errors } from 'oidc-provider'
import { callerAddress } from '../../../kernel/caller-address.ts'
import { tooMany } from '../client-source.ts'
import { checkPassword } from '../password-check.ts'
import type { TokenGrant } from './grants.ts'
import { issueForUser } from './user-grant.ts'

/**
 * User and password in the request of a client (RFC 6749 section 4.3). RFC 9700 section 2.4 advises against it, so only
 * instances that list it may use it.
 */
export const password: TokenGrant = {
  grantType: 'password',
  parameters: ['username', 'password', 'scope'],
  async issue(provider, parts, context) {
    const { username, password: given, scope } = context.oidc.params
    if (!username || !given) throw new errors.InvalidRequest('username and password must be given')
    const result = await checkPassword(parts, callerAddress(context.req), username, given)
    if (!('person' in result)) {
      throw result.waitMs === undefined ? new errors.InvalidGrant() : tooMany(context, result.waitMs)
    }
    const accountId = result.person.name
    await issueForUser(provider, parts, context, { accountId, by: 'password', scope, isRenewable: true })
  },
}
