import type { ErrorOptions, HubError } from '../../kernel/error.ts'
import type { Json, JsonObject } from '../../kernel/json.ts'
import { retryAfterMs } from '../net/retry-after.ts'
import { graphErrors } from './errors.ts'

/** An answer with its JSON; undefined where there was none. Header names in lower case. */
export interface GraphAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Json | undefined
}

interface Context {
  readonly credential: string
  /** What was asked for, without the query. */
  readonly path: string
  readonly now: number
}

const textLettersMax = 500
/** Asked to wait without being told how long. */
const defaultWaitMs = 10_000

/** An answer that is no success as an error, by the code in it and then by its status. */
export function refusalOf(answer: GraphAnswer, { credential, path, now }: Context): HubError {
  const { status, headers } = answer
  const { code, text } = wordsOf(answer)
  const fields = { credential, path, status, code, text }
  const asked = retryAfterMs(headers['retry-after'], now)
  const wait: ErrorOptions = asked === undefined ? {} : { retryAfterMs: asked }
  if (status >= 300 && status < 400) {
    return graphErrors.REDIRECTED({ status, location: originOf(headers['location']) })
  }
  if (mailboxCodes.has(code)) return graphErrors.NO_MAILBOX(fields)
  if (movingCodes.has(code)) return graphErrors.MAILBOX_MOVING(fields, wait)
  if (/quota/i.test(code) || status === 507) return graphErrors.QUOTA_FULL(fields)
  if (/SyncState|resync/i.test(code) || status === 410) return graphErrors.DELTA_LOST(fields)
  if (sizeCodes.has(code) || status === 413) return graphErrors.TOO_LARGE(fields)
  if (busyStatus.has(status) || /^ErrorServerBusy$|Throttl|TooManyRequests/i.test(code)) {
    return graphErrors.BUSY(fields, { retryAfterMs: asked ?? defaultWaitMs })
  }
  switch (status) {
    case 401:
      return graphErrors.LOGIN_REFUSED(fields)
    case 403:
      if (/subscription|limit/i.test(text) && path.startsWith('subscriptions'))
        return graphErrors.SUBSCRIPTION_LIMIT(fields)
      return outOfScopeCodes.has(code) ? graphErrors.OUT_OF_SCOPE(fields) : graphErrors.PERMISSION_MISSING(fields)
    case 404:
      return isUser(path) || isOfMailbox(path, code, text) ? graphErrors.NO_MAILBOX(fields) : graphErrors.GONE(fields)
    case 409:
      return graphErrors.DUPLICATE(fields)
    case 412:
      return graphErrors.CHANGED_MEANWHILE(fields)
    default:
  }
  if (/IrresolvableConflict|ChangeKey/i.test(code)) return graphErrors.CHANGED_MEANWHILE(fields)
  if (status >= 500) return graphErrors.SERVER_FAILED(fields, wait)
  if (/validation request|notification (url|endpoint)/i.test(text)) return graphErrors.WEBHOOK_UNREACHABLE(fields)
  return graphErrors.REFUSED(fields)
}

const busyStatus: ReadonlySet<number> = new Set([408, 423, 425, 429, 503, 504, 509])
const mailboxCodes: ReadonlySet<string> = new Set([
  'ErrorInvalidUser',
  'ErrorNonExistentMailbox',
  'ErrorNoMailbox',
  'MailboxNotEnabledForRESTAPI',
  'MailboxNotSupportedForRESTAPI',
  'MailboxNotHostedInExchangeOnline',
  'ErrorAccountDisabled',
])
const movingCodes: ReadonlySet<string> = new Set([
  'ErrorMailboxMoveInProgress',
  'ErrorMailboxStoreUnavailable',
  'ErrorMailboxFailover',
])
const sizeCodes: ReadonlySet<string> = new Set(['ErrorMessageSizeExceeded', 'RequestEntityTooLarge'])
const outOfScopeCodes: ReadonlySet<string> = new Set([
  'ErrorAccessDenied',
  'AccessDenied',
  'ErrorImpersonateUserDenied',
])

/** True where the path names a user and nothing below. */
function isUser(path: string): boolean {
  return /^users\/[^/]+$/.test(path)
}

/**
 * True where what is missing is the mailbox or its user, not the item below: to take items for deleted because a licence
 * is gone, or because Exchange cannot be found for an hour, would delete them on the other side.
 */
function isOfMailbox(path: string, code: string, text: string): boolean {
  if (!path.startsWith('users/')) return false
  return code === 'Request_ResourceNotFound' || (code === 'ResourceNotFound' && /could not be discovered/i.test(text))
}

/** Code and text out of the error document; the innermost code says most where Graph nests them. */
function wordsOf({ headers, body }: GraphAnswer): { readonly code: string; readonly text: string } {
  const error = isObject(body) ? body['error'] : undefined
  if (!isObject(error)) {
    const type = headers['content-type'] ?? 'nothing'
    return { code: 'without a code', text: `the answer is of type ${type.slice(0, 80)}` }
  }
  const code = textOf(error['code'])
  const inner = isObject(error['innererror']) ? error['innererror'] : error['innerError']
  const innerCode = isObject(inner) ? textOf(inner['code']) : ''
  // Graph writes the cause of Exchange into a wrap of its own at some places.
  const says =
    code === '' || /^(UnknownError|ErrorInternalServerError|BadRequest)$/.test(code) ? innerCode || code : code
  const text = textOf(error['message'])
  return { code: (says || 'without a code').slice(0, 100), text: text.slice(0, textLettersMax) || 'it gave no reason' }
}

function originOf(location: string | undefined): string {
  return location !== undefined && URL.canParse(location) ? new URL(location).origin : 'nowhere'
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value.replace(/\s+/g, ' ').trim() : ''
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
