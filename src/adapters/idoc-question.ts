import type { SenderContext } from '../flow/adapter.ts'
import { readBody } from '../kernel/body.ts'
import type { HubError } from '../kernel/error.ts'
import type { HttpResponse } from '../kernel/http-exchange.ts'
import { formatDuration } from '../kernel/time.ts'
import { type SoapVersion, soapTypes } from '../protocols/soap/soap.ts'
import { writeSoap } from '../protocols/soap/write-soap.ts'
import { endWithin } from './endpoint.ts'
import { isForPeopleOfHub } from './endpoint-config.ts'
import { answerProblem } from './https-answer.ts'
import { answerFault } from './idoc-answer.ts'
import { idocAdapterErrors } from './idoc-errors.ts'
import type { IdocSenderConfig } from './idoc-sender-config.ts'

export interface Question {
  /** Id of its message. */
  readonly id: string
  /** When it came in SOAP. */
  readonly soap: SoapVersion | undefined
  /** Aborts when the caller is gone. */
  readonly signal: AbortSignal
}

/** The answer to a question by IDoc: what the flow made of it, once it has ended. The message goes on after `within`. */
export async function answerQuestion(
  context: Pick<SenderContext<IdocSenderConfig>, 'clock' | 'config' | 'intake' | 'limits'>,
  { id, soap, signal }: Question,
): Promise<HttpResponse> {
  const { config, limits } = context
  const outcome = await endWithin(context, id, signal)
  const refuse = (why: HubError, status: number) => (soap ? answerFault(why, id, soap) : answerProblem(why, status))
  if (!outcome) return refuse(idocAdapterErrors.LATE({ id, within: formatDuration(config.within) }), 504)
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
  const why = error && isForPeopleOfHub(error, config['tell-errors']) ? error.code : (error?.message ?? summary)
  const isOwnFault = error?.side === 'sender' || error?.side === 'caller'
  const status = isOwnFault ? 422 : error?.side === 'receiver' ? 502 : 500
  return refuse(idocAdapterErrors.NOT_ANSWERED({ id, why }), status)
}
