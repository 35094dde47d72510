import type { HubError } from '../../kernel/error.ts'
import { ewsErrors } from '../../protocols/ews/errors.ts'
import { netErrors } from '../../protocols/net/errors.ts'

const account: ReadonlySet<string> = new Set(
  [
    ewsErrors.LOGIN_REFUSED,
    ewsErrors.LOGIN_NOT_OFFERED,
    ewsErrors.SWITCHED_OFF,
    ewsErrors.FORBIDDEN,
    ewsErrors.WRONG_ADDRESS,
    ewsErrors.BUSY,
    ewsErrors.TOO_MUCH_AT_ONCE,
    ewsErrors.NOT_AN_IMPERSONATOR,
    ewsErrors.VERSION_REFUSED,
    ewsErrors.REDIRECTED,
    ewsErrors.SERVER_FAILED,
    ewsErrors.ANSWER_ODD,
    ewsErrors.CREDENTIAL_UNFIT,
    ewsErrors.NTLM_REFUSED,
    ...Object.values(netErrors),
  ].map(each => each.code),
)
const item: ReadonlySet<string> = new Set(
  [
    ewsErrors.CHANGED_MEANWHILE,
    ewsErrors.ITEM_GONE,
    ewsErrors.BATCH_STOPPED,
    ewsErrors.ITEM_REFUSED,
    ewsErrors.ITEM_UNFIT,
    ewsErrors.ACCESS_DENIED,
  ].map(each => each.code),
)

/** Whom a failure stops: a busy server means the service account, a missing mailbox only itself. */
export function concernOf({ code }: HubError): 'item' | 'mailbox' | 'account' {
  if (account.has(code) || code.startsWith('CREDENTIAL_')) return 'account'
  return item.has(code) ? 'item' : 'mailbox'
}
