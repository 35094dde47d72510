import type { Receipt } from '../flow/adapter.ts'
import { HubError, type RetryClass } from '../kernel/error.ts'
import { openXiMessage, type XiMessageReader, type XiPart } from '../protocols/xi/read-message.ts'
import { duplicateDetected, type XiEnvelope, type XiError } from '../protocols/xi/xi.ts'
import type { HttpAnswer } from './http-answer.ts'
import type { Post } from './post.ts'
import { xiReceiverErrors } from './xi-errors.ts'
import { documentOf } from './xi-intake.ts'

export interface AnswerContext {
  readonly post: Pick<Post, 'server' | 'failure'>
  /** Of the message that was sent. */
  readonly messageId: string
  readonly isQuery: boolean
  /** When nobody knows whether the message was taken. */
  readonly onUnknown: RetryClass
  /** What of the answer to a query is handed on: its document, or all of it as it came. */
  readonly take: 'document' | 'message'
  readonly attachments: 'refuse' | 'drop'
}

interface ReadPart extends Omit<XiPart, 'body'> {
  readonly bytes: Uint8Array
}

interface ReadAnswer {
  readonly envelope: XiEnvelope
  readonly parts: readonly ReadPart[]
}

/** What a system of SAP answered in the call; throws XIRECEIVER_… errors, or HTTP_… where it did not speak XI. */
export async function readXiAnswer(
  answer: HttpAnswer,
  context: AnswerContext,
): Promise<Pick<Receipt, 'summary' | 'answer'>> {
  const { post, messageId, isQuery, onUnknown } = context
  const { server } = post
  const read = await readMessage(answer)
  if (read instanceof HubError) {
    // A proxy, a log-in page, a gateway: what stands between speaks by its status.
    if (answer.status >= 300) throw post.failure(answer)
    const text = read.message
    throw xiReceiverErrors.ANSWER_UNCLEAR({ server, status: answer.status, text }, { cause: read, retry: onUnknown })
  }
  const { envelope, parts } = read
  const { header, fault } = envelope
  const error = header?.error ?? fault?.error
  // It has the message from an earlier attempt, whose answer was lost.
  if (error?.code === duplicateDetected) {
    return { summary: `${server} has message ${messageId} already` }
  }
  if (header?.messageClass === 'ApplicationError') {
    const { area, code, text } = wordsOf(envelope)
    const document = parts.find(({ payload }) => payload?.kind === 'Application')
    throw xiReceiverErrors.APPLICATION_FAULT({ server, area, code, text: document ? excerpt(document.bytes) : text })
  }
  if (fault || error || header?.ack?.status === 'Error' || header?.messageClass === 'SystemError') {
    const fields = { server, id: messageId.toUpperCase(), ...wordsOf(envelope) }
    throw mayRepeat(answer, error) ? xiReceiverErrors.FAILED(fields) : xiReceiverErrors.REFUSED(fields)
  }
  if (answer.status >= 300) throw post.failure(answer)
  if (isQuery !== (header?.messageClass === 'ApplicationResponse')) {
    const text = `a message of class ${header?.messageClass ?? 'none'}`
    throw xiReceiverErrors.ANSWER_UNCLEAR({ server, status: answer.status, text }, { retry: 'never' })
  }
  const taken = isQuery ? await takenOf(answer, read, context) : undefined
  return {
    summary: `${header?.messageClass ?? 'answer'} of ${server} for message ${messageId}`,
    ...(taken && { answer: { headers: {}, ...taken } }),
  }
}

async function readMessage({ headers, body }: HttpAnswer): Promise<ReadAnswer | HubError> {
  try {
    const { envelope, nextPart } = await openXiMessage(one(body), headers['content-type'] ?? '')
    const parts: ReadPart[] = []
    for (let part = await nextPart(); part; part = await nextPart()) {
      parts.push({ payload: part.payload, type: part.type, bytes: Buffer.concat(await Array.fromAsync(part.body)) })
    }
    return { envelope, parts }
  } catch (thrown) {
    if (thrown instanceof HubError) return thrown
    throw thrown
  }
}

/** What a flow goes on with; undefined where the answer brings nothing. Throws XIRECEIVER_ATTACHMENTS_REFUSED, XIRECEIVER_PAYLOAD_UNCLEAR. */
async function takenOf(
  { headers, body }: HttpAnswer,
  { envelope, parts }: ReadAnswer,
  { post: { server }, take, attachments }: AnswerContext,
): Promise<{ readonly type: string; readonly body: Uint8Array } | undefined> {
  if (take === 'message') return { type: headers['content-type'] ?? '', body }
  const rest = parts.map(({ bytes, ...part }) => ({ ...part, body: one(bytes) }))
  const reader: XiMessageReader = { envelope, nextPart: async () => rest.shift() }
  const document = await documentOf(reader, attachments, {
    attachments: count => xiReceiverErrors.ATTACHMENTS_REFUSED({ server, count }),
    unclear: count => xiReceiverErrors.PAYLOAD_UNCLEAR({ server, count }),
  })
  const bytes = Buffer.concat(await Array.fromAsync(document.body))
  return envelope.payloads.length === 0 ? undefined : { type: document.type, body: bytes }
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** SAP says A where it would try again by itself; where it says nothing, a busy or failing server (5xx) may recover. */
function mayRepeat({ status }: HttpAnswer, error: XiError | undefined): boolean {
  if (status === 503 || status === 429) return true
  return error?.retry === undefined ? status >= 500 && error === undefined : error.retry.startsWith('A')
}

function wordsOf({ header, fault }: XiEnvelope) {
  const error = header?.error ?? fault?.error
  const words = [error?.text, error?.stack, ...(error?.parameters ?? []), fault?.text].filter(Boolean)
  return {
    category: error?.category ?? fault?.code ?? header?.messageClass ?? 'error',
    area: error?.area ?? '',
    code: error?.code ?? '',
    text: (words[0] ?? 'no words').slice(0, excerptLetters),
  }
}

const excerptLetters = 300

function excerpt(body: Uint8Array): string {
  const text = Buffer.from(body.subarray(0, 8 * excerptLetters)).toString()
  return text
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, excerptLetters)
}
