import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { z } from 'zod'
import { asHubError } from '../../kernel/error.ts'
import { KiB } from '../../kernel/size.ts'
import {
  type CheckAnswer,
  type ConnectorStatus,
  checkRequest,
  drainRequest,
  type Hello,
  type PassedOnAnswer,
  type PassedOnRequest,
  passedOnRequest,
  refusals,
  wireHeaders,
  wirePaths,
} from '../wire.ts'
import type { AuditLog } from './audit-log.ts'
import { connectorErrors } from './errors.ts'
import type { TargetPool } from './targets.ts'

export const controlLimits = {
  /** What the hub may send with a question. */
  requestBytes: 16 * KiB,
  /** What is told of an error. */
  sentenceLetters: 2000,
} as const

export interface ControlParts {
  readonly hello: () => Hello
  readonly status: () => ConnectorStatus
  readonly pool: TargetPool
  readonly audit: AuditLog
  readonly isListed: (virtualHost: string) => boolean
  readonly passedOn: (request: PassedOnRequest, signal: AbortSignal) => Promise<PassedOnAnswer>
}

interface Answer {
  readonly status: number
  readonly body: unknown
  readonly error?: { readonly code: string; readonly message: string }
}

/** Answers the questions of the hub that are no CONNECT: hello, status, drain, check, passed-on. */
export async function answerControl(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  parts: ControlParts,
): Promise<void> {
  stream.on('error', () => {})
  const { status, body, error } = await findAnswer(stream, headers, parts).catch((thrown: unknown): Answer => {
    const { code, message, next } = thrown instanceof z.ZodError ? wrongQuestion(thrown) : asHubError(thrown)
    const isRefused = code === connectorErrors.NOT_ALLOWED.code
    return { status: isRefused ? refusals.notAllowed : 400, body: { code, message, next }, error: { code, message } }
  })
  if (stream.closed || stream.destroyed) return
  stream.respond({
    ':status': status,
    'content-type': 'application/json',
    ...(error && refusalHeaders(error)),
  })
  stream.end(JSON.stringify(body))
  stream.resume()
}

function wrongQuestion(error: z.ZodError) {
  return connectorErrors.QUESTION_WRONG({ text: z.prettifyError(error) })
}

/** Code and sentence of an error, as the hub reads them from the headers of an answer. */
export function refusalHeaders({ code, message }: { readonly code: string; readonly message: string }) {
  const text = encodeURIComponent(message.slice(0, controlLimits.sentenceLetters).toWellFormed())
  return { [wireHeaders.error]: code, [wireHeaders.text]: text }
}

async function findAnswer(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  parts: ControlParts,
): Promise<Answer> {
  const { pool, audit } = parts
  const asked = `${headers[':method'] ?? ''} ${headers[':path'] ?? ''}`
  if (asked === `GET ${wirePaths.hello}`) return { status: 200, body: parts.hello() }
  if (asked === `GET ${wirePaths.status}`) return { status: 200, body: parts.status() }
  if (asked === `POST ${wirePaths.drain}`) {
    const { virtualHost, target, drained } = drainRequest.parse(await readJson(stream))
    if (!parts.isListed(virtualHost)) throw connectorErrors.NOT_ALLOWED({ virtualHost })
    pool.drain(virtualHost, target, drained)
    audit.write('target.drained', { virtualHost, target, drained })
    return { status: 200, body: parts.status() }
  }
  if (asked === `POST ${wirePaths.check}`) {
    const { virtualHost } = checkRequest.parse(await readJson(stream))
    if (!parts.isListed(virtualHost)) throw connectorErrors.NOT_ALLOWED({ virtualHost })
    const answer: CheckAnswer = await pool.check(virtualHost, goneWith(stream))
    return { status: 200, body: answer }
  }
  if (asked === `POST ${wirePaths.passedOn}`) {
    const request = passedOnRequest.parse(await readJson(stream))
    return { status: 200, body: await parts.passedOn(request, goneWith(stream)) }
  }
  throw connectorErrors.QUESTION_WRONG({ text: `It does not know ${asked.slice(0, 100)}.` })
}

/** Aborts when the hub does not wait for the answer any more. */
function goneWith(stream: ServerHttp2Stream): AbortSignal {
  const gone = new AbortController()
  if (stream.closed) gone.abort()
  else stream.once('close', () => gone.abort())
  return gone.signal
}

async function readJson(stream: ServerHttp2Stream): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > controlLimits.requestBytes) {
      throw connectorErrors.QUESTION_WRONG({ text: `It has more than ${controlLimits.requestBytes} bytes.` })
    }
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString('utf8')
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw connectorErrors.QUESTION_WRONG({ text: 'It is no JSON.' }, { cause })
  }
}
