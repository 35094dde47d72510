import type { ErrorOptions, HubError } from '../../kernel/error.ts'
import { gatewayDoubt } from '../net/other-server.ts'
import { retryAfterMs } from '../net/retry-after.ts'
import { type FailureContext, type ODataAnswer, serviceErrorOf } from '../odata/service-error.ts'
import { dataverseErrors as errors } from './errors.ts'
import { gateLimits } from './gate.ts'

/**
 * An answer of Dataverse that is no success, in words. The status decides first: the code in the body is often empty
 * and not tied to it (Microsoft, "Compose HTTP requests and handle errors").
 */
export function dataverseFailure(answer: ODataAnswer, context: FailureContext): HubError {
  const { status, headers } = answer
  const { server, credential, path, now } = context
  const { code, text } = serviceErrorOf(answer)
  const waitMs = retryAfterMs(headers['retry-after'], now)
  // Of a broken proxy, or of one with another clock: whoever asks again after an hour does no harm.
  const options: ErrorOptions = waitMs === undefined ? {} : { retryAfterMs: Math.min(waitMs, gateLimits.pauseMs) }
  const fields = { server, credential, path, status, code, text }
  if (status >= 300 && status < 400) {
    return errors.REDIRECTED({ ...fields, location: headers['location'] ?? 'nowhere' })
  }
  // Of a double Microsoft documents 412 ("Detect duplicate data") and 500 ("Detect duplicate data using the Web API").
  if (isDouble(code)) return conflict(code, text)(fields)
  switch (status) {
    case 400:
      if (isKeyUndefined(text)) {
        return errors.KEY_NOT_THERE({ ...fields, set: path, columns: 'these columns', state: ` (${text})` })
      }
      return isReadOnly(text) ? errors.READ_ONLY(fields) : badRequest(code)(fields)
    case 401:
      return errors.LOGIN_REFUSED(fields, options)
    case 403:
      return isReadOnly(text) ? errors.READ_ONLY(fields) : errors.FORBIDDEN(fields, options)
    case 404:
      // A page of a proxy, or of an environment that is gone: Dataverse itself says it in JSON.
      if (!/json/i.test(headers['content-type'] ?? '')) return errors.UNAVAILABLE(fields, options)
      return isSegmentUnknown(code, text) ? errors.TABLE_UNKNOWN(fields) : errors.NOT_FOUND(fields)
    case 409:
    case 412:
      return conflict(code, text)(fields)
    case 413:
      return errors.TOO_LARGE(fields)
    case 429:
      return errors.THROTTLED(fields, options)
    case 408:
    case 503:
      return errors.UNAVAILABLE(fields, options)
    default:
      return status >= 500 ? errors.SERVER_FAILED(fields, options) : errors.REFUSED(fields, options)
  }
}

/**
 * Why nobody knows what became of a change that was answered so. Gateways of Microsoft that waited in vain say 503, too
 * (Azure Front Door, "Troubleshooting common routing issues"); a 503 of Dataverse itself is JSON, or names a time, and
 * comes before anything was done.
 */
export function dataverseDoubt({ status, headers }: Pick<ODataAnswer, 'status' | 'headers'>): string | undefined {
  const isPage = headers['retry-after'] === undefined && !/json/i.test(headers['content-type'] ?? '')
  return status === 503 && isPage ? 'a gateway has no answer of it (503)' : gatewayDoubt(status)
}

/** Codes that say more than their status. In lower case, as Dataverse writes them. */
const codes = {
  columnUnknown: new Set(['0x80048d19', '0x80060888']),
  plugin: new Set(['0x80040265', '0x80045040']),
  refused: new Set(['0x80040216']),
  segmentUnknown: new Set(['0x8006088a', '0x80060888']),
  exists: new Set(['0x80060892', '0x80040237', '0x80040234']),
  version: new Set(['0x80060882']),
  duplicate: new Set(['0x80040333']),
}

function badRequest(code: string) {
  const low = code.toLowerCase()
  if (codes.columnUnknown.has(low)) return errors.COLUMN_UNKNOWN
  if (codes.plugin.has(low)) return errors.PLUGIN_REFUSED
  return codes.refused.has(low) || !low.startsWith('0x') ? errors.REFUSED : errors.VALUE_REFUSED
}

/** Quotes, orders and invoices that are closed, and their lines; the code of this refusal says nothing. */
function isReadOnly(text: string): boolean {
  return /read-only entity|parent is not editable/i.test(text)
}

/** Also while the index of a key is being made; the code of this refusal says nothing. */
function isKeyUndefined(text: string): boolean {
  return /key attributes are not a defined key/i.test(text)
}

function isSegmentUnknown(code: string, text: string): boolean {
  return codes.segmentUnknown.has(code.toLowerCase()) || /resource not found for the segment/i.test(text)
}

function isDouble(code: string): boolean {
  const low = code.toLowerCase()
  return codes.duplicate.has(low) || codes.exists.has(low)
}

function conflict(code: string, text: string) {
  const low = code.toLowerCase()
  if (codes.duplicate.has(low)) return errors.DUPLICATE_SUSPECTED
  if (codes.exists.has(low) || /matching key values|key values? already|violate.*key|entity key/i.test(text)) {
    return errors.EXISTS_ALREADY
  }
  if (!codes.version.has(low) && /duplicate (of the current )?record/i.test(text)) return errors.DUPLICATE_SUSPECTED
  return errors.CHANGED_MEANWHILE
}
