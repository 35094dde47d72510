import type { AccessToken } from '../kernel/credential.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import { type Clock, MINUTE, SECOND, steadyClock } from '../kernel/time.ts'

export interface FetchedToken extends Pick<AccessToken, 'value' | 'boundTo'> {
  readonly sentAt: number
  readonly expiresInMs: number | undefined
}

export interface TokenCacheOptions {
  readonly clock: Clock
  /** Between 0 and 1; spreads the renewals of many hubs. */
  readonly random: () => number
  /** One request for a new token, with its own repeats. */
  readonly fetchToken: () => Promise<FetchedToken>
  /** Told of renewals that nobody waits for. */
  readonly onBackgroundFailure: (error: HubError) => void
}

export interface TokenCache {
  token(refused?: string): Promise<AccessToken>
  /** The token held now, for status; undefined when there is none that may be used. */
  current(): AccessToken | undefined
}

interface Held extends AccessToken {
  readonly renewAt: number
  readonly unusableAt: number
}

/** Life of a token whose server does not say how long it lives. */
const unsaidLifeMs = 5 * MINUTE
/** After a failure that repeating does not mend, the server is left alone for so long. */
const refusedPauseMs = MINUTE
/** After another failure: long enough that waiting callers do not queue up for the same one. */
const failedPauseMs = SECOND

/**
 * Keeps one access token fresh. Callers share one request; a token is renewed before its end while callers go on with
 * it; no token is handed out in the last tenth (at most 30 s) of its life.
 */
export function makeTokenCache({ clock, random, fetchToken, onBackgroundFailure }: TokenCacheOptions): TokenCache {
  // Nobody must wait for as long as the clock of the machine is set back.
  const steady = steadyClock(clock)
  let held: Held | undefined
  let flight: Promise<Held> | undefined
  let failure: { readonly error: HubError; readonly until: number } | undefined

  function renew(): Promise<Held> {
    flight ??= fetchAndHold().finally(() => {
      flight = undefined
    })
    return flight
  }

  async function fetchAndHold(): Promise<Held> {
    if (failure && steady.now() < failure.until) throw failure.error
    try {
      held = plan(await fetchToken(), random())
      failure = undefined
      return held
    } catch (thrown) {
      const error = asHubError(thrown)
      const pauseMs = error.retry === 'soon' ? failedPauseMs : refusedPauseMs
      failure = { error, until: steady.now() + pauseMs }
      throw error
    }
  }

  return {
    async token(refused) {
      // Right after a renewal a caller may still report the token before it: only the one held now is dropped.
      if (refused !== undefined && held?.value === refused) held = undefined
      const now = clock.now()
      if (!held || now >= held.unusableAt) return renew()
      if (now >= held.renewAt && !(failure && steady.now() < failure.until)) renew().catch(onBackgroundFailure)
      return held
    },
    current: () => (held && clock.now() < held.expiresAt ? held : undefined),
  }
}

function plan({ value, boundTo, sentAt, expiresInMs }: FetchedToken, random: number): Held {
  const lifeMs = expiresInMs !== undefined && expiresInMs > 0 ? expiresInMs : unsaidLifeMs
  const renewAfterMs = lifeMs <= 20 * MINUTE ? 0.7 * lifeMs : Math.max(0.75 * lifeMs, lifeMs - 5 * MINUTE)
  const unusableAfterMs = lifeMs - Math.min(30 * SECOND, 0.1 * lifeMs)
  // Up to a tenth of the way to the hard limit: enough to keep many hubs from asking in the same second.
  const jitterMs = random * 0.1 * (unusableAfterMs - renewAfterMs)
  return {
    value,
    boundTo,
    expiresAt: sentAt + lifeMs,
    renewAt: sentAt + renewAfterMs + jitterMs,
    unusableAt: sentAt + unusableAfterMs,
  }
}
