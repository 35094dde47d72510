import { headersOf, numberOf, objectOf, optionalBytesOf, optionalTextOf, type Row, textOf } from './columns.ts'
import type { StoredAnswer, StoredReceipt } from './port.ts'

/** A row of table `receipt` as it is written: seq, effect, state, at, summary, fields, the answer's headers, type and body. */
export function receiptColumns(
  seq: number,
  { effect, state, at, summary, fields, answer }: StoredReceipt,
): (string | number | Uint8Array | null)[] {
  return [
    seq,
    effect,
    state,
    Math.round(at),
    summary,
    fields === undefined ? null : JSON.stringify(fields),
    answer === undefined ? null : JSON.stringify(answer.headers),
    answer?.type ?? null,
    answer?.body ?? null,
  ]
}

/** A row of table `receipt`. */
export function receiptOf(row: Row): StoredReceipt {
  return {
    effect: textOf(row['effect']),
    state: receiptStateOf(textOf(row['state'])),
    at: numberOf(row['at']),
    summary: textOf(row['summary']),
    fields: row['fields'] === null ? undefined : objectOf(row['fields']),
    answer: answerOf(row),
  }
}

function receiptStateOf(text: string): StoredReceipt['state'] {
  return text === 'done' || text === 'withdrawn' ? text : 'intended'
}

function answerOf(row: Row): StoredAnswer | undefined {
  const type = optionalTextOf(row['answer_type'])
  if (type === undefined) return undefined
  return {
    headers: headersOf(row['answer_headers']),
    type,
    body: optionalBytesOf(row['answer_body']) ?? new Uint8Array(),
  }
}
