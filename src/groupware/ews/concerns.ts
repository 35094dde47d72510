import type { HubError } from '../../kernel/error.ts'
import { ewsErrors } from '../../protocols/ews/errors.ts'
import type { EwsOptions } from '../../protocols/ews/exchange.ts'
import { netErrors } from '../../protocols/net/errors.ts'
import type { Concern } from '../drivers.ts'

/** Failures of the account that logs in, which is the mailbox itself where no other one acts for it. */
const logIn = codesOf([
  ewsErrors.LOGIN_REFUSED,
  ewsErrors.LOGIN_NOT_OFFERED,
  ewsErrors.BUSY,
  ewsErrors.TOO_MUCH_AT_ONCE,
  ewsErrors.CREDENTIAL_UNFIT,
  ewsErrors.NTLM_REFUSED,
])
const account = codesOf([
  ewsErrors.NOT_AN_IMPERSONATOR,
  ewsErrors.WRONG_ADDRESS,
  ewsErrors.VERSION_REFUSED,
  ...Object.values(netErrors),
])
/** EWS may be switched off for a mailbox or for all, and a server may break at one mailbox alone. */
const either = codesOf([
  ewsErrors.SWITCHED_OFF,
  ewsErrors.FORBIDDEN,
  ewsErrors.REDIRECTED,
  ewsErrors.SERVER_FAILED,
  ewsErrors.ANSWER_ODD,
])

/** Whom a failure stops: a busy server means the service account, a missing mailbox only itself. */
export function concernOf({ code, isAboutMessage }: HubError, access: EwsOptions['access'] = 'impersonation'): Concern {
  const isDirect = access === 'direct'
  // The log-in at the CRM may have failed as well.
  if (code.startsWith('CREDENTIAL_')) return isDirect ? 'either' : 'account'
  if (logIn.has(code)) return isDirect ? 'mailbox' : 'account'
  if (account.has(code)) return 'account'
  if (either.has(code)) return 'either'
  return isAboutMessage ? 'item' : 'mailbox'
}

function codesOf(errors: readonly { readonly code: string }[]): ReadonlySet<string> {
  return new Set(errors.map(({ code }) => code))
}
