import type { Receipt } from '../flow/adapter.ts'
import { HubError } from '../kernel/error.ts'
import { openXiMessage } from '../protocols/xi/read-message.ts'
import { duplicateDetected, type XiEnvelope, type XiError } from '../protocols/xi/xi.ts'
import type { HttpAnswer } from './http-answer.ts'
import type { Post } from './post.ts'
import { xiReceiverErrors } from './xi-errors.ts'

export interface AnswerContext {
  readonly post: Pick<Post, 'server' | 'failure'>
  /** Of the message that was sent. */
  readonly messageId: string
  readonly isQuery: boolean
}

/** What a system of SAP answered in the call; throws XIRECEIVER_… errors, or HTTP_… where it did not speak XI. */
export async function readXiAnswer(
  answer: HttpAnswer,
  { post, messageId, isQuery }: AnswerContext,
): Promise<Pick<Receipt, 'summary' | 'answer'>> {
  const { server } = post
  const read = await readEnvelope(answer)
  if (read instanceof HubError) {
    // A proxy, a log-in page, a gateway: what stands between speaks by its status.
    if (answer.status >= 300) throw post.failure(answer)
    throw xiReceiverErrors.ANSWER_UNCLEAR({ server, status: answer.status, text: read.message }, { cause: read })
  }
  const { envelope, document } = read
  const { header, fault } = envelope
  const error = header?.error ?? fault?.error
  // It has the message from an earlier attempt, whose answer was lost.
  if (error?.code === duplicateDetected) {
    return { summary: `${server} has message ${messageId} already` }
  }
  if (header?.messageClass === 'ApplicationError') {
    const { area, code, text } = wordsOf(envelope)
    throw xiReceiverErrors.APPLICATION_FAULT({ server, area, code, text: document ? excerpt(document.body) : text })
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
  return {
    summary: `${header?.messageClass ?? 'answer'} of ${server} for message ${messageId}`,
    ...(document && { answer: document }),
  }
}

async function readEnvelope({ headers, body }: HttpAnswer): Promise<
  | {
      readonly envelope: XiEnvelope
      readonly document:
        | { readonly headers: Record<string, string>; readonly type: string; readonly body: Uint8Array }
        | undefined
    }
  | HubError
> {
  try {
    const reader = await openXiMessage(
      (async function* () {
        yield body
      })(),
      headers['content-type'] ?? '',
    )
    let document:
      | { readonly headers: Record<string, string>; readonly type: string; readonly body: Uint8Array }
      | undefined
    for (let part = await reader.nextPart(); part; part = await reader.nextPart()) {
      const chunks: Uint8Array[] = []
      for await (const chunk of part.body) chunks.push(chunk)
      if (part.payload?.kind === 'Application')
        document ??= { headers: {}, type: part.type, body: Buffer.concat(chunks) }
    }
    return { envelope: reader.envelope, document }
  } catch (thrown) {
    if (thrown instanceof HubError) return thrown
    throw thrown
  }
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
