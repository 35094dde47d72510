import type { Outcome, SenderContext } from '../flow/adapter.ts'
import { type Body, readBody } from '../kernel/body.ts'
import type { HttpResponse } from '../kernel/http-exchange.ts'
import { formatDuration } from '../kernel/time.ts'
import { isForPeopleOfHub } from './endpoint-config.ts'
import { answerProblem } from './https-answer.ts'
import { inEnvelope } from './idoc-answer.ts'
import { idocAdapterErrors } from './idoc-errors.ts'

export interface Question {
  /** Id of its message. */
  readonly id: string
  readonly isSoap: boolean
  readonly withinMs: number
  /** The caller reads what a receiver said. */
  readonly tellsErrors: boolean
  /** Aborts when the caller is gone. */
  readonly signal: AbortSignal
}

/** The answer to a question by IDoc: what the flow made of it, once it has ended. The message goes on after `withinMs`. */
export async function answerQuestion(
  { clock, intake, limits }: Pick<SenderContext<unknown>, 'clock' | 'intake' | 'limits'>,
  { id, isSoap, withinMs, tellsErrors, signal }: Question,
): Promise<HttpResponse> {
  const late = new AbortController()
  const cancel = clock.after(withinMs, () => late.abort())
  let outcome: Outcome | undefined
  try {
    outcome = await intake.outcome(id, AbortSignal.any([signal, late.signal]), clock.now() + withinMs)
  } finally {
    cancel()
  }
  if (!outcome) return answerProblem(idocAdapterErrors.LATE({ id, within: formatDuration(withinMs) }), 504)
  const { state, summary, result, error } = outcome
  if (state === 'delivered' && result) {
    const { body } = result
    const headers = { 'content-type': body.type, 'x-isthmus-message': id }
    return { status: 200, headers, body: isSoap ? await soapOf(body, limits.parseBytes) : (body.held ?? body.stream()) }
  }
  if (state === 'delivered') return answerProblem(idocAdapterErrors.ANSWER_GONE({ id }), 410)
  if (state === 'rejected') return answerProblem(idocAdapterErrors.REJECTED({ id, summary }), 422)
  const why = error && isForPeopleOfHub(error, tellsErrors) ? error.code : (error?.message ?? summary)
  const isOwnFault = error?.side === 'sender' || error?.side === 'caller'
  const status = isOwnFault ? 422 : error?.side === 'receiver' ? 502 : 500
  return answerProblem(idocAdapterErrors.NOT_ANSWERED({ id, why }), status)
}

async function soapOf(body: Body, bytesMax: number): Promise<string> {
  const text = Buffer.from(await readBody(body, bytesMax, 'answering in SOAP (parseBytes)')).toString()
  return `<?xml version="1.0" encoding="UTF-8"?>${inEnvelope(text.replace(/^\ufeff?<\?xml[^>]*\?>\s*/, ''))}`
}
