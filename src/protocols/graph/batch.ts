import type { JsonObject } from '../../kernel/json.ts'
import type { GraphCall } from './client.ts'
import { graphErrors } from './errors.ts'
import { type GraphAnswer, isObject } from './refusal.ts'

/** The body of a $batch: each request by its number from 1, without any order between them. */
export function batchBody(calls: readonly GraphCall[]): JsonObject {
  return {
    requests: calls.map((call, index) => ({
      id: String(index + 1),
      method: call.method,
      url: `/${call.path}`,
      headers: {
        ...(call.prefer !== undefined && call.prefer.length > 0 && { Prefer: call.prefer.join(', ') }),
        ...(call.ifMatch !== undefined && { 'If-Match': call.ifMatch }),
        ...(call.body !== undefined && { 'Content-Type': 'application/json' }),
      },
      ...(call.body !== undefined && { body: call.body }),
    })),
  }
}

/** The answers in the order of the requests, whatever order they came in. Throws GRAPH_OUTCOME_UNKNOWN. */
export function readBatch(body: GraphAnswer['body'], count: number): readonly GraphAnswer[] {
  const unknown = (reason: string) => graphErrors.OUTCOME_UNKNOWN({ path: '$batch', reason })
  const responses = isObject(body) ? body['responses'] : undefined
  if (!Array.isArray(responses)) throw unknown('its answer is no batch')
  const answers: GraphAnswer[] = []
  for (const response of responses) {
    if (!isObject(response)) throw unknown('a part of its answer is no answer')
    const { id, status, headers, body: inner } = response
    const index = typeof id === 'string' && /^[1-9]\d{0,2}$/.test(id) ? Number(id) - 1 : -1
    if (index < 0 || index >= count || answers[index]) throw unknown('it answers to what was not asked')
    if (typeof status !== 'number') throw unknown('a part of its answer has no status')
    const names = isObject(headers) ? Object.entries(headers) : []
    answers[index] = {
      status,
      headers: Object.fromEntries(names.map(([name, value]) => [name.toLowerCase(), String(value)])),
      body: inner,
    }
  }
  if (answers.length !== count || answers.includes(undefined as never)) throw unknown('its answer is not complete')
  for (let index = 0; index < count; index += 1) if (!answers[index]) throw unknown('its answer is not complete')
  return answers
}
