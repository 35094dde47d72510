import type { Body } from '../kernel/body.ts'
import { HubError, type Side } from '../kernel/error.ts'
import type { JsonObject } from '../kernel/json.ts'
import type { Message } from '../kernel/message.ts'
import type { BodyStore, Claimed, StoredBody, StoredError } from '../store/port.ts'

/** A stored body as flows see it. */
export function bodyOf(stored: StoredBody, bodies: BodyStore): Body {
  return {
    bytes: stored.bytes,
    type: stored.type,
    held: stored.inline,
    stream: into => bodies.read(stored, into),
  }
}

export function messageOf(claimed: Claimed, bodies: BodyStore): Message {
  return {
    id: claimed.id,
    headers: claimed.headers,
    attributes: claimed.attributes,
    body: bodyOf(claimed.body, bodies),
    acceptedAt: claimed.acceptedAt,
  }
}

const unreadableName = 'unreadable'

/** Writes down with a message why its sender could not read it. */
export function withUnreadable(attributes: JsonObject, error: HubError): JsonObject {
  return { ...attributes, [unreadableName]: { ...storedErrorOf(error) } }
}

/** Why the sender could not read it, where it could not. */
export function unreadableOf({ attributes }: Pick<Claimed, 'attributes'>): HubError | undefined {
  const stored = attributes[unreadableName]
  if (typeof stored !== 'object' || stored === null || !('code' in stored)) return undefined
  const { code, side, message, next } = stored as unknown as StoredError & { readonly side: Side }
  return new HubError(code, { side, retry: 'never', means: message, next })
}

export function storedErrorOf(error: HubError): StoredError {
  return { code: error.code, side: error.side, message: error.message, next: error.next }
}
