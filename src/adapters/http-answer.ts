import type { Dispatcher } from 'undici'
import type { ErrorOptions, HubError } from '../kernel/error.ts'
import { isAnswerTooLarge } from '../protocols/net/http-client.ts'
import { retryAfterMs } from '../protocols/net/retry-after.ts'
import type { HttpConfig } from './http-config.ts'
import { httpErrors } from './http-errors.ts'

/** The answer of the other side, read whole. */
export interface HttpAnswer {
  readonly status: number
  /** Names in lower case; repeated ones joined with a comma. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** Reads an answer; throws HTTP_ANSWER_TOO_LARGE when it is longer than the limit. */
export async function readAnswer(
  response: Dispatcher.ResponseData,
  server: string,
  bytesMax: number,
): Promise<HttpAnswer> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined) headers[name.toLowerCase()] = typeof value === 'string' ? value : value.join(', ')
  }
  try {
    return { status: response.statusCode, headers, body: await response.body.bytes() }
  } catch (thrown) {
    if (isAnswerTooLarge(thrown)) {
      throw httpErrors.ANSWER_TOO_LARGE({ server, bytesMax }, { cause: thrown })
    }
    throw thrown
  }
}

export function isSuccess(status: number, success: HttpConfig['success']): boolean {
  return success.some(entry => entry === status || entry === `${Math.floor(status / 100)}xx`)
}

export interface FailureContext {
  readonly server: string
  readonly credential: string
  readonly now: number
}

/** An answer that is no success, as an error with the right turn and retry class (RFC 9110 section 15). */
export function failureOf(answer: HttpAnswer, context: FailureContext): HubError {
  const { status, headers } = answer
  const { server, credential } = context
  const waitMs = retryAfterMs(headers['retry-after'], context.now)
  const options: ErrorOptions = waitMs === undefined ? {} : { retryAfterMs: waitMs }
  const fields = { server, credential, status, text: excerpt(answer) }
  if (status >= 300 && status < 400) {
    return httpErrors.REDIRECTED({ ...fields, location: headers['location'] ?? 'nowhere' })
  }
  if (status === 401) return httpErrors.LOGIN_REFUSED(fields, options)
  if (status === 403) return httpErrors.FORBIDDEN(fields, options)
  if (status === 408 || status === 425 || status === 429 || status === 503) return httpErrors.BUSY(fields, options)
  return status >= 500 ? httpErrors.SERVER_FAILED(fields, options) : httpErrors.REFUSED(fields, options)
}

const excerptLetters = 300

/** The beginning of an answer in one line, for people. */
function excerpt({ headers, body }: HttpAnswer): string {
  const type = headers['content-type'] ?? ''
  if (body.length === 0) return 'the answer is empty'
  if (!/json|text|xml/i.test(type)) return `${body.length} bytes of ${type || 'unknown type'}`
  const text = Buffer.from(body.subarray(0, 8 * excerptLetters)).toString()
  const plain = /html|xml/i.test(type) ? text.replace(/<[^>]*>/g, ' ') : text
  return plain.replace(/\s+/g, ' ').trim().slice(0, excerptLetters)
}
