import type { Dispatcher } from 'undici'
import { type ErrorOptions, HubError, type RetryClass } from '../kernel/error.ts'
import { asNetError } from '../protocols/net/errors.ts'
import { isAnswerTooLarge } from '../protocols/net/http-client.ts'
import { gatewayDoubt } from '../protocols/net/other-server.ts'
import { retryAfterMs } from '../protocols/net/retry-after.ts'
import { EndedHere, requestWhole, type WholeAnswer } from '../protocols/net/whole-answer.ts'
import type { HttpConfig } from './http-config.ts'
import { httpErrors } from './http-errors.ts'

/** The answer of the other side, read whole. */
export type HttpAnswer = WholeAnswer

export interface HttpQuestion {
  readonly url: URL
  readonly method: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Dispatcher.DispatchOptions['body'] | undefined
  readonly signal: AbortSignal
  readonly timeoutMs: number
  readonly answerBytesMax: number
  /** What becomes of a delivery when nobody knows whether this one arrived. */
  readonly onUnknown: RetryClass
}

/** One exchange. Throws HTTP_OUTCOME_UNKNOWN, HTTP_ANSWER_TOO_LARGE, and those of NET for what never went out. */
export async function ask(agent: Dispatcher, question: HttpQuestion): Promise<HttpAnswer> {
  const { url, method, headers, body, signal, timeoutMs, answerBytesMax, onUnknown } = question
  const server = url.host
  try {
    const path = url.pathname + url.search
    const request = { origin: url.origin, path, method, headers, ...(body !== undefined && { body }) }
    const answer = await requestWhole(agent, request, { signal, timeoutMs })
    const doubt = gatewayDoubt(answer.status)
    if (doubt === undefined || onUnknown !== 'never') return answer
    throw httpErrors.OUTCOME_UNKNOWN({ server, reason: `${doubt}: ${excerpt(answer)}` })
  } catch (thrown) {
    // Errors of our own came before the request was sent, or say themselves what became of it.
    if (thrown instanceof HubError) throw thrown
    if (isAnswerTooLarge(thrown)) {
      throw httpErrors.ANSWER_TOO_LARGE({ server, bytesMax: answerBytesMax }, { cause: thrown })
    }
    const reason = reasonOf(thrown, url, timeoutMs)
    throw httpErrors.OUTCOME_UNKNOWN({ server, reason }, { cause: thrown, retry: onUnknown })
  }
}

function reasonOf(thrown: unknown, url: URL, timeoutMs: number): string {
  if (thrown instanceof EndedHere) {
    return thrown.why === 'timeout' ? `no answer within ${timeoutMs} ms` : 'the attempt was ended'
  }
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
  return asNetError(thrown, { host: url.hostname, port }).message
}

export function isSuccess(status: number, success: HttpConfig['success']): boolean {
  return success.some(entry => entry === status || entry === `${Math.floor(status / 100)}xx`)
}

export interface FailureContext {
  readonly server: string
  readonly credential: string
  readonly now: number
  /** It must not be done twice. */
  readonly isOnce?: boolean
}

/** An answer that is no success, as an error with the right turn and retry class (RFC 9110 section 15). */
export function failureOf(answer: HttpAnswer, context: FailureContext): HubError {
  const { status, headers } = answer
  const { server, credential } = context
  const waitMs = retryAfterMs(headers['retry-after'], context.now)
  const options: ErrorOptions = waitMs === undefined ? {} : { retryAfterMs: waitMs }
  const fields = { server, credential, status, text: excerpt(answer) }
  if (status >= 300 && status < 400) {
    // 303 tells where to read of what was done (RFC 9110 section 15.4.4): asking again would do it again.
    const isDone = status === 303 && context.isOnce
    const location = headers['location'] ?? 'nowhere'
    return httpErrors.REDIRECTED({ ...fields, location }, isDone ? { retry: 'never' } : {})
  }
  if (status === 401) return httpErrors.LOGIN_REFUSED(fields, options)
  if (status === 403) return httpErrors.FORBIDDEN(fields, options)
  if (status === 408 || status === 425 || status === 429 || status === 503) return httpErrors.BUSY(fields, options)
  return status >= 500 ? httpErrors.SERVER_FAILED(fields, options) : httpErrors.REFUSED(fields, options)
}

const excerptLetters = 300

/** The beginning of an answer in one line, for people. */
export function excerpt({ headers, body }: HttpAnswer): string {
  const type = headers['content-type'] ?? ''
  if (body.length === 0) return 'the answer is empty'
  if (!/json|text|xml/i.test(type)) return `${body.length} bytes of ${type || 'unknown type'}`
  const text = Buffer.from(body.subarray(0, 8 * excerptLetters)).toString()
  const plain = /html|xml/i.test(type) ? text.replace(/<[^>]*>/g, ' ') : text
  return plain.replace(/\s+/g, ' ').trim().slice(0, excerptLetters)
}
