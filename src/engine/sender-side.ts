import { asHubError, type HubError } from '../kernel/error.ts'
import type { CheckResult } from '../kernel/socket.ts'

/**
 * What went wrong on the link of a sender. Network and sign-in know servers only, and call the other end the receiver;
 * here it is the sending side's turn.
 */
export function senderError(thrown: unknown): HubError {
  const error = asHubError(thrown)
  return error.side === 'receiver' ? error.onSide('sender') : error
}

export function senderCheck(result: CheckResult): CheckResult {
  return result.ok ? result : { ok: false, error: senderError(result.error) }
}
