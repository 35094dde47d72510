import type { Outcome } from '../flow/adapter.ts'
import type { HubError } from '../kernel/error.ts'
import type { HttpResponse } from '../kernel/http-exchange.ts'
import { isForPeopleOfHub } from './endpoint-config.ts'

const json = { 'content-type': 'application/json' }
const problemJson = { 'content-type': 'application/problem+json' }

/** 202: the message is safe; `link` tells how it ends. */
export function answerAccepted(id: string, link: string, duplicate: boolean): HttpResponse {
  const body = JSON.stringify({ id, state: 'accepted', duplicate, status: link })
  return { status: 202, headers: { ...json, location: link, 'x-isthmus-message': id }, body }
}

/** What became of a message: its result, or a problem document (RFC 9457) that names the message. */
export function answerEnd(outcome: Outcome, link: string, tellsErrors: boolean): HttpResponse {
  const { id, state, result } = outcome
  const { summary, error } = told(outcome, tellsErrors)
  const headers = { location: link, 'x-isthmus-message': id }
  if (state === 'delivered' && result) {
    const { body } = result
    return { status: 200, headers: { ...headers, 'content-type': body.type }, body: body.held ?? body.stream() }
  }
  if (state === 'delivered' || state === 'dropped') {
    return { status: 200, headers: { ...headers, ...json }, body: JSON.stringify({ id, state, summary }) }
  }
  const status = statusOf(outcome)
  const problem = {
    type: `urn:isthmus:error:${error?.code ?? 'REJECTED'}`,
    title: error?.message ?? summary,
    status,
    code: error?.code,
    side: error?.side,
    next: error?.next,
    state,
    message: id,
  }
  return { status, headers: { ...headers, ...problemJson }, body: JSON.stringify(problem) }
}

/** What became of a message, for who asks later. */
export function answerState(outcome: Outcome, tellsErrors: boolean): HttpResponse {
  const { id, state } = outcome
  const { summary, error } = told(outcome, tellsErrors)
  const body = JSON.stringify({ id, state, summary, ...(error && { error }) })
  return { status: 200, headers: { ...json, 'cache-control': 'no-store' }, body }
}

/** What callers read of an outcome. */
function told({ id, summary, error }: Outcome, tellsErrors: boolean): Pick<Outcome, 'summary' | 'error'> {
  if (!error || !isForPeopleOfHub(error, tellsErrors)) return { summary, ...(error && { error }) }
  const message = 'The message was taken in but not delivered.'
  const next = `Ask whoever runs the hub, and name message ${id}.`
  return { summary: message, error: { code: error.code, side: error.side, message, next } }
}

/** A refusal before there is a message. */
export function answerProblem(error: HubError, status: number): HttpResponse {
  const { code, side, next } = error
  const problem = { type: `urn:isthmus:error:${code}`, title: error.message, status, code, side, next }
  return { status, headers: problemJson, body: JSON.stringify(problem) }
}

function statusOf({ state, error }: Outcome): number {
  if (state === 'rejected' || error?.side === 'sender' || error?.side === 'caller') return 422
  return error?.side === 'receiver' ? 502 : 500
}
