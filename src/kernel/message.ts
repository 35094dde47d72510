import type { Body } from './body.ts'
import type { JsonObject } from './json.ts'

/**
 * What travels through a flow. Steps make new messages; nobody changes one.
 * In expressions an attribute stands beside the fixed names: `message.to`, `message.headers['message-id']`,
 * `message.size`, `message.body` (parsed JSON).
 */
export interface Message {
  /** The id under which the hub accepted it; it stays through the whole flow. */
  readonly id: string
  /** Headers of the sender's protocol (mail, HTTP), names in lower case; a repeated one keeps its first value. */
  readonly headers: Readonly<Record<string, string>>
  /** Facts that the sender or a step worked out: `from`, `to`, `subject`, `mailbox`, … */
  readonly attributes: JsonObject
  readonly body: Body
  /** When the hub accepted it, milliseconds since 1970 UTC. */
  readonly acceptedAt: number
}

/** Names that an attribute may not take, because expressions use them for the parts of the message itself. */
export const reservedNames: readonly string[] = ['id', 'headers', 'body', 'size', 'type', 'acceptedAt', 'attachments']
