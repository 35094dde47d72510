import { randomUUID } from 'node:crypto'
import type { Outcome } from '../flow/adapter.ts'
import type { HubError } from '../kernel/error.ts'
import type { HttpResponse } from '../kernel/http-exchange.ts'
import type { JsonObject } from '../kernel/json.ts'
import { writeXiEnvelope, writeXiFault, writeXiMessage } from '../protocols/xi/write-message.ts'
import type { XiError, XiHeader } from '../protocols/xi/xi.ts'
import { xmlWords } from '../protocols/xml/write-xml.ts'
import { xiSenderErrors } from './xi-errors.ts'

/** The message is safe: SystemAck, as Process Orchestration gives it. The same for one that was taken before. */
export function acknowledge(asked: XiHeader, now: number): HttpResponse {
  const { type, text } = writeXiEnvelope({ ...answerTo(asked, now), messageClass: 'SystemAck', ack: { status: 'OK' } })
  return { status: 200, headers: { 'content-type': type }, body: text }
}

/**
 * The answer to a query: ApplicationResponse with the body of the result as its main document; ApplicationError where the
 * flow says with the attribute `fault` that the body is a fault message.
 */
export function respond(
  asked: XiHeader,
  { body, attributes }: NonNullable<Outcome['result']>,
  now: number,
): HttpResponse {
  const fault = faultOf(attributes)
  const header: XiHeader = {
    ...answerTo(asked, now),
    messageClass: fault ? 'ApplicationError' : 'ApplicationResponse',
    isSynchronous: true,
    quality: 'BestEffort',
    ...(fault && { error: fault }),
  }
  const written = writeXiMessage(header, [
    { name: 'MainDocument', kind: 'Application', type: body.type, bytes: body.bytes, stream: () => body.stream() },
  ])
  return {
    status: 200,
    headers: { 'content-type': written.type, 'content-length': String(written.bytes) },
    body: written.stream(),
  }
}

/** `fault: { name, namespace }`: the fault message type of the interface. */
function faultOf({ fault }: JsonObject): XiError | undefined {
  if (typeof fault !== 'object' || fault === null || !('name' in fault)) return undefined
  const { name, namespace = '' } = fault
  if (typeof name !== 'string' || typeof namespace !== 'string') return undefined
  const faultMessage = { name, namespace }
  return { category: 'Application', area: 'APPLICATION', code: 'FAULT', faultMessage, parameters: [], retry: 'N' }
}

/**
 * A refusal. SOAP 1.1 section 6.2 wants status 500 for every fault; what may succeed later is 503, which makes the queue
 * of the sender try again by itself.
 */
export function refuse(error: HubError): HttpResponse {
  // Who waits for an answer wants to read why there is none; nothing sends a query again by itself.
  const isTemporary = error.retry === 'soon' && error.code !== xiSenderErrors.LATE.code
  const { type, text } = writeXiFault({
    code: error.side === 'sender' || error.side === 'caller' ? 'Client' : 'Server',
    text: xmlWords(error.message, errorLetters),
    error: xiErrorOf(error),
  })
  const waitMs = error.retryAfterMs
  return {
    status: isTemporary ? 503 : 500,
    headers: {
      'content-type': type,
      ...(isTemporary && waitMs !== undefined && { 'retry-after': String(Math.ceil(waitMs / 1000)) }),
    },
    body: text,
  }
}

/** How SAP's monitors show an error of the hub. */
export function xiErrorOf(error: { code: string; message: string; retry?: string; side?: string }): XiError {
  return {
    category: categoryOf(error),
    area: 'ISTHMUS',
    code: error.code,
    parameters: [],
    text: xmlWords(error.message, errorLetters),
    retry: error.retry === 'soon' ? 'A' : 'M',
  }
}

function categoryOf({ code, side }: { readonly code: string; readonly side?: string }): string {
  // A flow that rejects a message speaks for the application behind it.
  if (code === xiSenderErrors.REJECTED.code) return 'Application'
  return side === 'sender' || side === 'caller' ? 'XIProtocol' : 'XIServer'
}

/** Who answered is who was asked. */
function answerTo(asked: XiHeader, now: number): XiHeader {
  return {
    messageClass: 'SystemAck',
    isSynchronous: true,
    messageId: newMessageId(),
    refToMessageId: asked.messageId,
    timeSent: timeOf(now),
    sender: asked.receiver,
    receiver: asked.sender,
    interface: asked.interface,
    acksWanted: [],
    dynamic: [],
    hops: [],
  }
}

export function newMessageId(): string {
  return randomUUID().replaceAll('-', '')
}

/** A time as XI headers have it: seconds, in UTC. */
export function timeOf(now: number): string {
  return `${new Date(now).toISOString().slice(0, 19)}Z`
}

/** Letters of an error that are told. */
const errorLetters = 2000
