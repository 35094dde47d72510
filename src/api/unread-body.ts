import type { IncomingMessage, ServerResponse } from 'node:http'
import { SECOND } from '../kernel/time.ts'

export const unreadLimits = {
  /** So long the rest of a body that nobody wants is taken from the line ... */
  ms: 30 * SECOND,
  /** ... and so long without a byte of it. */
  silentMs: 5 * SECOND,
}

/** True while there may be more of the body; such a connection serves no other request. */
export function hasUnread({ complete, headers }: IncomingMessage): boolean {
  return !complete && (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0)
}

/**
 * Ends an answer whose head is written. Most callers read it only when they have written all they have, and a connection
 * that is closed before is reset (RFC 9112 section 9.6): of a large body they would learn "broken pipe" in place of 401 or
 * 413. So the answer goes out at once, and what still comes is taken and thrown away, until the server closes (`signal`).
 */
export function endAnswer(
  incoming: IncomingMessage,
  response: ServerResponse,
  body: string | Uint8Array,
  signal: AbortSignal,
  limits = unreadLimits,
): void {
  if (!hasUnread(incoming) || signal.aborted) {
    response.end(body)
    return
  }
  response.flushHeaders()
  response.write(body)
  const end = () => response.end()
  const late = setTimeout(end, limits.ms)
  const silent = setTimeout(end, limits.silentMs)
  signal.addEventListener('abort', end)
  incoming.on('data', () => silent.refresh()).once('end', end)
  response.once('close', () => {
    clearTimeout(late)
    clearTimeout(silent)
    signal.removeEventListener('abort', end)
  })
}
