import type { Receipt } from '../flow/adapter.ts'
import { type Body, heldBody } from '../kernel/body.ts'
import type { Json } from '../kernel/json.ts'
import { decodeUtf8, isJsonType, parseJson } from './change-message.ts'

/** An answer as expressions see it: `answer.body` is JSON or text, bytes that are neither are base64. */
export function answerValue(receipt: Receipt): Json {
  const { answer, summary, fields } = receipt
  return {
    summary,
    fields: fields ?? {},
    headers: answer?.headers ?? {},
    type: answer?.type ?? '',
    body: answer ? bodyValue(answer.body, answer.type) : null,
  }
}

function bodyValue(bytes: Uint8Array, type: string): Json {
  if (bytes.length === 0) return null
  if (isJsonType(type)) return parseJson(decodeUtf8(bytes))
  const isText = /^text\/|[/+]xml\b/i.test(type)
  return isText ? decodeUtf8(bytes) : Buffer.from(bytes).toString('base64')
}

export function answerBody(receipt: Receipt): Body | undefined {
  return receipt.answer && heldBody(receipt.answer.body, receipt.answer.type)
}
