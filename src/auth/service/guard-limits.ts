import { KiB } from '../../kernel/size.ts'
import { MINUTE, SECOND } from '../../kernel/time.ts'

/** Limits of the guard. A caller with the right credential is let in whatever others did. */
export const guardLimits = {
  /** Refused credentials from one address … */
  failuresPerAddress: 60,
  /** … and for one client from one address … */
  failuresPerClient: 20,
  /** … within this time; more are answered with 429 and no longer logged one by one. */
  failuresWithinMs: MINUTE,
  /** Addresses that are remembered; the oldest is forgotten first. */
  addressesRemembered: 10_000,
  /** A credential that was found right is not computed again for this long; whether it still counts is. */
  cacheMs: 30 * SECOND,
  cacheEntries: 10_000,
  tokenBytes: 8 * KiB,
  basicBytes: 2 * KiB,
} as const
