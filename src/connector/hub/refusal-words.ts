import type { IncomingHttpHeaders } from 'node:http2'
import type { HubError } from '../../kernel/error.ts'
import { refusals, wireHeaders } from '../wire.ts'
import { locationErrors } from './errors.ts'
import type { StreamTarget } from './tunnel-stream.ts'

const wordsMax = 500

/** A sentence of the other side, as far as it can be shown: one line, not endless. */
export function decodeWords(header: string | readonly string[] | undefined): string {
  const text = Array.isArray(header) ? header.join(' ') : String(header ?? '')
  return readable(text)
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, wordsMax)
}

function readable(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // Not encoded as agreed: shown as it came.
    return text
  }
}

/** A CONNECT that was not opened, as the error that says whose turn it is. */
export function refusalOf(headers: IncomingHttpHeaders, connector: string, target: StreamTarget): HubError {
  const status = Number(headers[':status'])
  const words = decodeWords(headers[wireHeaders.text])
  const reason = words || `status ${status} without words`
  const fields = { ...target, connector, reason }
  if (status === refusals.notAllowed) return locationErrors.NOT_ALLOWED(fields)
  if (status === refusals.tooMany) return locationErrors.TOO_MANY_STREAMS(fields)
  if (status === refusals.noTarget) return locationErrors.NO_TARGET(fields)
  if (status === refusals.noneHealthy) return locationErrors.NONE_HEALTHY(fields)
  return locationErrors.REFUSED(fields)
}
