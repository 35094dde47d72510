import type { Message } from '../kernel/message.ts'

/** An attribute that is a text; empty when it is not there or something else. */
export function textAttribute(message: Message, name: string): string {
  const value = message.attributes[name]
  return typeof value === 'string' ? value : ''
}

/** What a person can look for at the other side: the Message-ID, or the id of the delivery where there is none. */
export function nameOfMail(message: Message): string {
  const id = textAttribute(message, 'messageId') || (message.headers['message-id'] ?? '')
  return id.replace(/\p{Cc}/gu, '').slice(0, 200) || `(none; delivery ${message.id})`
}
