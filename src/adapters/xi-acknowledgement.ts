import type { JsonObject } from '../kernel/json.ts'
import type { Message } from '../kernel/message.ts'
import { normaliseMessageId, type XiHeader, xiNames } from '../protocols/xi/xi.ts'
import { timeOf, xiErrorOf } from './xi-answer.ts'
import { xiReceiverErrors } from './xi-errors.ts'

export interface AcknowledgementWish {
  readonly acknowledge: 'asked' | 'application' | 'system'
  readonly messageId: string
  readonly now: number
}

/**
 * What a message of an answers flow tells the system that sent the message it is about: SystemAck or ApplicationAck, or
 * the error of the same kind. Undefined when its sender asked for nothing of the kind.
 */
export function acknowledgementFor(message: Message, wish: AcknowledgementWish): XiHeader | undefined {
  const { attributes } = message
  const reference = text(attributes, 'messageId')
  if (reference === '') throw xiReceiverErrors.NO_REFERENCE()
  // One that a person let go was not delivered, whatever good reason there was.
  const isGood = /^(delivered|dropped|accepted)$/.test(text(attributes, 'outcome'))
  const kind = wish.acknowledge === 'asked' ? askedKind(attributes, isGood) : wish.acknowledge
  if (kind === undefined) return undefined
  const level = kind === 'system' ? ('System' as const) : ('Application' as const)
  return {
    messageClass: isGood ? `${level}Ack` : `${level}Error`,
    isSynchronous: false,
    messageId: wish.messageId,
    refToMessageId: normaliseMessageId(reference),
    timeSent: timeOf(wish.now),
    sender: endOf(attributes, 'receiver'),
    receiver: endOf(attributes, 'sender'),
    interface: { name: 'Acknowledgment', namespace: xiNames.xi },
    acksWanted: [],
    dynamic: [],
    hops: [],
    ack: { status: isGood ? 'OK' : 'Error', category: 'permanent' },
    ...(!isGood && { error: xiErrorOf(errorOf(message)) }),
  }
}

function askedKind(attributes: JsonObject, isGood: boolean): 'application' | 'system' | undefined {
  const asked = Array.isArray(attributes['acksWanted']) ? attributes['acksWanted'] : []
  if (asked.includes(isGood ? 'Application' : 'ApplicationError')) return 'application'
  return asked.includes(isGood ? 'System' : 'SystemError') ? 'system' : undefined
}

function endOf(attributes: JsonObject, side: 'sender' | 'receiver'): XiHeader['sender'] {
  const party = text(attributes, `${side}Party`)
  return {
    ...(party !== '' && { party: { name: party, agency: 'http://sap.com/xi/XI', scheme: 'XIParty' } }),
    service: text(attributes, `${side}Service`),
  }
}

/** The body of an answer is JSON with summary and error (sender answers). */
function errorOf({ body }: Message): { code: string; message: string; side: string } {
  const facts: unknown = body.held ? parse(Buffer.from(body.held).toString()) : undefined
  const known = isObject(facts) ? facts : {}
  const error = isObject(known['error']) ? known['error'] : {}
  return {
    code: text(error, 'code') || 'NOT_DELIVERED',
    message: text(error, 'message') || text(known, 'summary') || 'The message was not delivered.',
    side: text(error, 'side') || 'hub',
  }
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    // A step made another body of it: the acknowledgement then says less, which is better than none.
    return undefined
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function text(values: JsonObject, name: string): string {
  const value = values[name]
  return typeof value === 'string' ? value : ''
}
