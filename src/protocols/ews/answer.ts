import { type ErrorOptions, HubError } from '../../kernel/error.ts'
import { SECOND } from '../../kernel/time.ts'
import { childOf, textOf, type XmlElement } from '../xml/xml-element.ts'
import { ewsErrors } from './errors.ts'
import { readEwsXml } from './read-xml.ts'
import { namespaces } from './write-xml.ts'

/** One row of `m:ResponseMessages`: what became of one part of a request. */
export interface ResponseMessage {
  readonly isError: boolean
  /** `NoError`, or Exchange's own word for what went wrong. */
  readonly code: string
  readonly text: string
  /** The wait that Exchange wishes, in milliseconds. */
  readonly backOffMs: number | undefined
  readonly element: XmlElement
}

/** What errors name. */
export interface FailureContext {
  readonly server: string
  readonly mailbox: string
  readonly credential: string
}

/** How long the account waits when Exchange is busy and does not say for how long (the MaxConcurrency fault). */
export const backOffMsDefault = 30 * SECOND

const textLettersMax = 600

/** The rows of an answer. A fault is thrown as the error it is; what is no EWS throws EWS_ANSWER_ODD. */
export function readAnswer(text: string, context: FailureContext): readonly ResponseMessage[] {
  const body = readBody(text, context)
  const fault = childOf(body, 'Fault', namespaces.soap)
  if (fault) throw readFault(fault, context)
  const [response] = body.children
  const rows = childOf(response, 'ResponseMessages')?.children
  if (!rows) throw odd(context, response ? `${response.name} has no ResponseMessages` : 'the body is empty')
  return rows.map(readRow)
}

/** The body of an envelope. */
export function readBody(text: string, context: FailureContext): XmlElement {
  let root: XmlElement
  try {
    root = readEwsXml(text)
  } catch (thrown) {
    if (!(thrown instanceof HubError)) throw thrown
    throw odd(context, thrown.message, thrown)
  }
  const body = root.name === 'Envelope' && root.namespace === namespaces.soap ? childOf(root, 'Body') : undefined
  if (!body) throw odd(context, `its root is ${root.name.slice(0, 60)}, not a SOAP envelope`)
  return body
}

export function readRow(element: XmlElement): ResponseMessage {
  const code = textOf(element, 'ResponseCode') ?? 'NoError'
  return {
    isError: element.attributes.get('ResponseClass') === 'Error',
    code,
    text: (textOf(element, 'MessageText') ?? '').slice(0, textLettersMax),
    backOffMs: backOffIn(childOf(element, 'MessageXml')),
    element,
  }
}

/** The error of a row that has one. */
export function failureOfRow(row: ResponseMessage, context: FailureContext): HubError {
  // The throttling page of Exchange: an internal error with ErrorServerBusy inside is a busy server.
  const isBusyInside =
    row.code === 'ErrorInternalServerError' && (row.text.includes('ErrorServerBusy') || row.backOffMs !== undefined)
  return failureOf(isBusyInside ? 'ErrorServerBusy' : row.code, row.text, row.backOffMs, context)
}

/** The error behind a fault (HTTP 500 with a SOAP fault in it). */
export function readFault(fault: XmlElement, context: FailureContext): HubError {
  const detail = childOf(fault, 'detail')
  const faultCode = textOf(fault, 'faultcode') ?? ''
  const code = textOf(detail, 'ResponseCode') ?? faultCode.slice(faultCode.indexOf(':') + 1)
  const text = (textOf(detail, 'Message') ?? textOf(fault, 'faultstring') ?? '').slice(0, textLettersMax)
  return failureOf(code, text, backOffIn(childOf(detail, 'MessageXml')), context)
}

/** Exchange's word for a failure as an error of the hub. */
export function failureOf(
  code: string,
  text: string,
  backOffMs: number | undefined,
  context: FailureContext,
): HubError {
  const name = errorOfCode.get(code)
  const fields = { ...context, code, text: text || 'it gives no reason', folder: 'of the profile' }
  if (name === 'BUSY') return ewsErrors.BUSY(fields, { retryAfterMs: backOffMs ?? backOffMsDefault })
  const options: ErrorOptions = backOffMs === undefined ? {} : { retryAfterMs: backOffMs }
  if (name) return ewsErrors[name](fields, options)
  return ewsErrors.ITEM_REFUSED(fields, options)
}

type ErrorName = 'BUSY' | Exclude<(typeof codeTable)[number][0], 'BUSY'>

/** Every response code that the hub treats in a way of its own; any other one refuses the item it is about. */
const codeTable = [
  ['BUSY', 'ErrorServerBusy ErrorInsufficientResources'],
  [
    'TOO_MUCH_AT_ONCE',
    'ErrorExceededConnectionCount ErrorTooManyObjectsOpened ErrorTimeoutExpired ErrorExceededFindCountLimit ErrorMessageSizeExceeded ErrorBatchTooLarge',
  ],
  ['SUBSCRIPTIONS_EXCEEDED', 'ErrorExceededSubscriptionCount'],
  ['IMPERSONATION_DENIED', 'ErrorImpersonateUserDenied'],
  ['NOT_AN_IMPERSONATOR', 'ErrorImpersonationDenied ErrorImpersonationFailed'],
  [
    'NO_MAILBOX',
    'ErrorNonExistentMailbox ErrorNameResolutionNoMailbox ErrorNameResolutionNoResults ErrorCannotFindUser ErrorNonPrimarySmtpAddress ErrorInvalidSmtpAddress ErrorMissingEmailAddress',
  ],
  ['MAILBOX_DISABLED', 'ErrorAccountDisabled'],
  [
    'MAILBOX_AWAY',
    'ErrorMailboxMoveInProgress ErrorMailboxStoreUnavailable ErrorMailboxFailover ErrorConnectionFailed ErrorADUnavailable ErrorADOperation ErrorCrossSiteRequest',
  ],
  ['VERSION_REFUSED', 'ErrorInvalidServerVersion ErrorIncorrectSchemaVersion'],
  ['SYNC_STATE_LOST', 'ErrorInvalidSyncStateData'],
  ['FOLDER_GONE', 'ErrorSyncFolderNotFound ErrorFolderNotFound ErrorParentFolderNotFound'],
  [
    'CHANGED_MEANWHILE',
    'ErrorIrresolvableConflict ErrorStaleObject ErrorChangeKeyRequiredForWriteOperations ErrorChangeKeyRequired ErrorInvalidChangeKey',
  ],
  [
    'ITEM_GONE',
    'ErrorItemNotFound ErrorCalendarOccurrenceIsDeletedFromRecurrence ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange ErrorInvalidId ErrorInvalidIdMalformed ErrorInvalidIdNotAnItemAttachmentId',
  ],
  ['BATCH_STOPPED', 'ErrorBatchProcessingStopped'],
  [
    'SUBSCRIPTION_LOST',
    'ErrorInvalidSubscription ErrorSubscriptionNotFound ErrorReadEventsFailed ErrorMissedNotificationEvents ErrorProxyRequestNotAllowed ErrorNewEventStreamConnectionOpened ErrorExpiredSubscription ErrorInvalidWatermark',
  ],
  ['ACCESS_DENIED', 'ErrorAccessDenied'],
  ['QUOTA_EXCEEDED', 'ErrorQuotaExceeded'],
  ['REQUEST_REFUSED', 'ErrorSchemaValidation ErrorInvalidRequest Client ErrorInvalidOperation ErrorNotSupported'],
  ['SERVER_FAILED', 'ErrorInternalServerError ErrorInternalServerTransientError ErrorTransientError Server'],
] as const

const errorOfCode = new Map<string, ErrorName>(
  codeTable.flatMap(([name, codes]) => codes.split(' ').map(code => [code, name] as const)),
)

/** Every response code with a treatment of its own, and the code of the hub's error for it. */
export const treatedCodes: readonly (readonly [code: string, error: string])[] = [...errorOfCode].map(
  ([code, name]) => [code, ewsErrors[name].code] as const,
)

function backOffIn(messageXml: XmlElement | undefined): number | undefined {
  const value = messageXml?.children.find(
    child => child.name === 'Value' && child.attributes.get('Name') === 'BackOffMilliseconds',
  )
  const ms = Number(value?.text.trim() || Number.NaN)
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined
}

function odd(context: FailureContext, reason: string, cause?: unknown): HubError {
  return ewsErrors.ANSWER_ODD({ server: context.server, reason }, { cause })
}
