import { MINUTE } from '../../kernel/time.ts'

export const watermarkLimits = {
  /** Must exceed the time from a change until it shows in the feed; what is told twice costs little. */
  overlapMs: 5 * MINUTE,
} as const

/**
 * Tokens of a side that has no tokens, only "changed since": the time at which the last question was asked. The next
 * question begins earlier, since a change may carry a time before the question and become visible only after it.
 */
export function askSince(token: string | undefined, overlapMs: number = watermarkLimits.overlapMs): number | undefined {
  return token === undefined ? undefined : Date.parse(token) - overlapMs
}

/** The token to keep when everything is read that was asked for at `askedAt` (by the clock of that side where it tells). */
export function watermarkToken(askedAt: number): string {
  return new Date(askedAt).toISOString()
}
