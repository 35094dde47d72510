import { DAY } from '../kernel/time.ts'
import type { Finding } from './alerts/alert-book.ts'

/** What the monitor sees of a key by which callers prove themselves. */
export interface WatchedServiceKey {
  readonly id: string
  readonly name: string
  readonly instance: string
  readonly expiresAt: number
  /** A successor was handed out; this one is missed only if somebody still uses it. */
  readonly isReplaced: boolean
  readonly lastUsedAt: number | undefined
}

/** How long before its end a key is warned of, each time anew. */
export const keyWarnings = [30 * DAY, 7 * DAY, DAY] as const
/** How long after its end it is still told of: whoever looks for the reason of refused calls finds it. */
const endedMs = 7 * DAY
/** A replaced key that nobody used for this long is no loss. */
const usedWithinMs = 2 * DAY

/** One finding for each warning, so that the nearer end raises an alert of its own and the farther one is resolved. */
export function findServiceKey(key: WatchedServiceKey, now: number): readonly Finding[] {
  const restMs = key.expiresAt - now
  const isMissed = !key.isReplaced || (key.lastUsedAt !== undefined && now - key.lastUsedAt < usedWithinMs)
  const due = restMs > -endedMs && isMissed ? keyWarnings.findLast(ms => restMs <= ms) : undefined
  return keyWarnings.map(warnMs => ({
    id: `service-key:${key.id}:${warnMs / DAY}d`,
    kind: 'service-key',
    channels: [],
    trouble: warnMs === due ? { since: key.expiresAt - warnMs, ...wordsOf(key, restMs) } : undefined,
  }))
}

function wordsOf({ name, instance, expiresAt, isReplaced }: WatchedServiceKey, restMs: number) {
  const at = new Date(expiresAt).toISOString()
  const what = restMs > 0 ? `ends on ${at}` : `ended on ${at}`
  if (isReplaced) {
    return {
      what: `The old service key ${name} of ${instance} ${what}, and somebody still uses it.`,
      turn: 'Whoever calls with it.',
      next: 'Give its callers the key that has replaced it.',
      command: `isthmus key list ${instance}`,
    }
  }
  return {
    what: `The service key ${name} of ${instance} ${what}.`,
    turn: 'Whoever hands out keys.',
    next: 'Rotate it and give its callers the new one; or revoke it when nobody uses it.',
    command: `isthmus key rotate ${instance} ${name}`,
  }
}
