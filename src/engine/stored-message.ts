import type { Body } from '../kernel/body.ts'
import type { HubError } from '../kernel/error.ts'
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

export function storedErrorOf(error: HubError): StoredError {
  return { code: error.code, side: error.side, message: error.message, next: error.next }
}
