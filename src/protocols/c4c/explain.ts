import { HubError } from '../../kernel/error.ts'
import { odataErrors } from '../odata/errors.ts'
import { c4cErrors } from './errors.ts'

/** An error of OData in the words of Cloud for Customer, with what helps there; others stay what they are. */
export function explain(thrown: unknown, path: string): unknown {
  if (!(thrown instanceof HubError)) return thrown
  const { fields, retryAfterMs, code } = thrown
  const given = { server: '', credential: '', text: thrown.message, status: 0, reason: thrown.message, ...fields, path }
  const options = { cause: thrown, ...(retryAfterMs !== undefined && { retryAfterMs }) }
  switch (code) {
    case odataErrors.LOGIN_REFUSED.code:
      return c4cErrors.LOGIN_REFUSED(given, options)
    case odataErrors.FORBIDDEN.code:
      return c4cErrors.FORBIDDEN(given, options)
    case odataErrors.NOT_FOUND.code:
      return c4cErrors.GONE(given, options)
    case odataErrors.CHANGED_MEANWHILE.code:
    case odataErrors.ETAG_WANTED.code:
      return c4cErrors.CHANGED_MEANWHILE(given, options)
    case odataErrors.BUSY.code:
      return c4cErrors.BUSY(given, options)
    case odataErrors.SERVER_FAILED.code:
      return c4cErrors.SERVER_FAILED(given, options)
    case odataErrors.REFUSED.code:
      return c4cErrors.REFUSED(given, options)
    case odataErrors.ANSWER_TOO_LARGE.code:
      return c4cErrors.ANSWER_TOO_LARGE(given, options)
    case odataErrors.OUTCOME_UNKNOWN.code:
    case odataErrors.BATCH_BROKEN.code:
      return c4cErrors.OUTCOME_UNKNOWN(given, options)
    default:
      return thrown
  }
}
