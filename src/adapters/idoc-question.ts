import type { Outcome, SenderContext } from '../flow/adapter.ts'
import { readBody } from '../kernel/body.ts'
import type { HubError } from '../kernel/error.ts'
import type { HttpResponse } from '../kernel/http-exchange.ts'
import { formatDuration } from '../kernel/time.ts'
import { type SoapVersion, soapTypes } from '../protocols/soap/soap.ts'
import { writeSoap } from '../protocols/soap/write-soap.ts'
import { isForPeopleOfHub } from './endpoint-config.ts'
import { answerProblem } from './https-answer.ts'
import { answerFault } from './idoc-answer.ts'
import { idocAdapterErrors } from './idoc-errors.ts'

export interface Question {
  /** Id of its message. */
  readonly id: string
  /** When it came in SOAP. */
  readonly soap: SoapVersion | undefined
  readonly withinMs: number
  /** The caller reads what a receiver said. */
  readonly tellsErrors: boolean
  /** Aborts when the caller is gone. */
  readonly signal: AbortSignal
}

/** The answer to a question by IDoc: what the flow made of it, once it has ended. The message goes on after `withinMs`. */
export async function answerQuestion(
  { clock, intake, limits }: Pick<SenderContext<unknown>, 'clock' | 'intake' | 'limits'>,
  { id, soap, withinMs, tellsErrors, signal }: Question,
): Promise<HttpResponse> {
  const late = new AbortController()
  const cancel = clock.after(withinMs, () => late.abort())
  let outcome: Outcome | undefined
  try {
    outcome = await intake.outcome(id, AbortSignal.any([signal, late.signal]), clock.now() + withinMs)
  } finally {
    cancel()
  }
  const refuse = (why: HubError, status: number) => (soap ? answerFault(why, id, soap) : answerProblem(why, status))
  if (!outcome) return refuse(idocAdapterErrors.LATE({ id, within: formatDuration(withinMs) }), 504)
  const { state, summary, result, error } = outcome
  if (state === 'delivered' && result) {
    const { body } = result
    const headers = { 'content-type': soap ? soapTypes[soap] : body.type, 'x-isthmus-message': id }
    if (!soap) return { status: 200, headers, body: body.held ?? body.stream() }
    const document = await readBody(body, limits.parseBytes, 'answering in SOAP (parseBytes)')
    return { status: 200, headers, body: writeSoap(soap, document) }
  }
  if (state === 'delivered') return refuse(idocAdapterErrors.ANSWER_GONE({ id }), 410)
  if (state === 'rejected') return refuse(idocAdapterErrors.REJECTED({ id, summary }), 422)
  const why = error && isForPeopleOfHub(error, tellsErrors) ? error.code : (error?.message ?? summary)
  const isOwnFault = error?.side === 'sender' || error?.side === 'caller'
  const status = isOwnFault ? 422 : error?.side === 'receiver' ? 502 : 500
  return refuse(idocAdapterErrors.NOT_ANSWERED({ id, why }), status)
}
