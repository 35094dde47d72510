import { HOUR, MINUTE, SECOND } from '../../kernel/time.ts'

/** How hard the sync works its servers, and how patiently. */
export const scheduleLimits = {
  /** Mailboxes that are synced at the same time in one hub, over all organizations; mostly one request each at a time. */
  running: 64,
  /** Turns of one organization: where it starts, and up to where it grows while its servers do not complain. */
  runningFirst: 10,
  /** EWSMaxConcurrency of Exchange is 27 for the service account. */
  runningPerOrganization: 27,
  /** How often a mailbox without notifications is asked. */
  pollMs: 5 * MINUTE,
  /** How often a mailbox with notifications is asked all the same, since notifications get lost. */
  watchedPollMs: 30 * MINUTE,
  /** What an earlier life of the hub left over goes on within this after its time, not in all mailboxes at once. */
  goOnMs: MINUTE,
  /** Notifications come in bursts; the turn waits for the rest of one. */
  pushDelayMs: 2 * SECOND,
  /** Turns in a row that follow at once while something is left over; after them waits double from the first one on. */
  againAtOnce: 3,
  againFirstMs: SECOND,
  /** Share of the wait by which it is shortened or prolonged at random, so that mailboxes spread over time. */
  jitter: 0.1,
  /** Waits of a mailbox that fails: from the first to the longest, doubling. */
  mailboxFirstMs: MINUTE,
  mailboxUpToMs: 6 * HOUR,
  /** Wait of an account that is busy without saying for how long; it doubles, too. */
  accountFirstMs: 30 * SECOND,
  accountUpToMs: 30 * MINUTE,
  /** The shortest wait that a server may wish, which doubles up to the first of those above, and the longest that is believed. */
  wishFirstMs: SECOND,
  wishUpToMs: 6 * HOUR,
  /** How often an account that was refused is tried with one turn until somebody changes something. */
  accountProbeMs: 15 * MINUTE,
  /** While it may as well be its mailboxes that are refused, one by one: from this wait to that one, doubling. */
  accountDoubtMs: SECOND,
  /** Of so many turns that an organization starts one is a first sync, when one waits. */
  initialEvery: 8,
  /** Charge of a turn before it is known how long it takes. */
  turnMsAssumed: 200,
} as const

export type ScheduleLimits = { readonly [K in keyof typeof scheduleLimits]: number }

/**
 * The wait that a server wishes after so many failures in a row, as far as it is to be believed: Retry-After: 0, or a date
 * of a clock that runs behind, is no leave to hammer, and a wish of years is a mistake that must not end the sync.
 */
export function wishedWaitMs(
  limits: ScheduleLimits,
  askedMs: number,
  failureCount: number,
  doubledUpToMs: number,
): number {
  const soonestMs = Math.min(limits.wishFirstMs * 2 ** Math.max(0, failureCount - 1), doubledUpToMs)
  return Math.min(Math.max(askedMs, soonestMs), limits.wishUpToMs)
}
