import { randomUUID } from 'node:crypto'
import type { Json } from '../../kernel/json.ts'

/** A refusal in the words of Graph. */
export class GraphRefusal extends Error {
  readonly status: number
  readonly code: string
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

export const refusals = {
  noToken: () => new GraphRefusal(401, 'InvalidAuthenticationToken', 'Access token is empty.'),
  badToken: () =>
    new GraphRefusal(401, 'InvalidAuthenticationToken', 'Lifetime validation failed, the token is expired.'),
  wrongAudience: () =>
    new GraphRefusal(401, 'InvalidAuthenticationToken', 'Access token validation failure. Invalid audience.'),
  noRole: () => new GraphRefusal(403, 'ErrorAccessDenied', 'Access is denied. Check credentials and try again.'),
  notGranted: () =>
    new GraphRefusal(403, 'Authorization_RequestDenied', 'Insufficient privileges to complete the operation.'),
  outOfScope: () =>
    new GraphRefusal(
      403,
      'ErrorAccessDenied',
      'Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings.',
    ),
  noUser: (name: string) => new GraphRefusal(404, 'ErrorInvalidUser', `The requested user '${name}' is invalid.`),
  noMailbox: () =>
    new GraphRefusal(
      404,
      'MailboxNotEnabledForRESTAPI',
      'The mailbox is either inactive, soft-deleted, or is hosted on-premise.',
    ),
  noItem: () => new GraphRefusal(404, 'ErrorItemNotFound', 'The specified object was not found in the store.'),
  noResource: (path: string) =>
    new GraphRefusal(404, 'ResourceNotFound', `Resource not found for the segment '${path}'.`),
  malformed: (text: string) => new GraphRefusal(400, 'BadRequest', text),
  noProperty: (text: string) => new GraphRefusal(400, 'RequestBodyRead', text),
  wrongValue: (text: string) => new GraphRefusal(400, 'ErrorPropertyValidationFailure', text),
  badFilter: (text: string) =>
    new GraphRefusal(400, 'ErrorInvalidUrlQueryFilter', `The query filter contains one or more invalid nodes: ${text}`),
  badQuery: (text: string) =>
    new GraphRefusal(400, 'ErrorInvalidUrlQuery', `The following parameters are not supported: '${text}'.`),
  malformedId: () => new GraphRefusal(400, 'ErrorInvalidIdMalformed', 'Id is malformed.'),
  stale: () =>
    new GraphRefusal(
      412,
      'ErrorIrresolvableConflict',
      'The send or update operation could not be performed because the change key passed in the request does not match the current change key for the item.',
    ),
  deltaLost: () =>
    new GraphRefusal(
      410,
      'SyncStateNotFound',
      'The sync state generation is not found; continue with a full synchronization.',
    ),
  tooLarge: () => new GraphRefusal(413, 'ErrorMessageSizeExceeded', 'The message exceeds the maximum supported size.'),
  notAllowed: (method: string) =>
    new GraphRefusal(
      405,
      'Request_BadRequest',
      `Specified HTTP method is not allowed for the request target: ${method}.`,
    ),
  gaveUp: (status: number) => new GraphRefusal(status, 'UnknownError', 'The service did not answer in time.'),
  webhook: (text: string) =>
    new GraphRefusal(400, 'ValidationError', `Subscription validation request failed. ${text}`),
} as const

/** An error document as Graph writes it. */
export function errorDocument({ code, message }: GraphRefusal, nowMs: number): Json {
  const id = randomUUID()
  const date = new Date(nowMs).toISOString().slice(0, 19)
  return { error: { code, message, innerError: { date, 'request-id': id, 'client-request-id': id } } }
}
