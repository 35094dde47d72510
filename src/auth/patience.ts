import { asHubError, type HubError } from '../kernel/error.ts'
import { type Clock, SECOND } from '../kernel/time.ts'

const attemptsMax = 3
const firstWaitMs = 300
/** A server may ask for more, but whoever waits for the token has a limit of its own. */
const longestWaitMs = 30 * SECOND

/** Asks up to three times while the error is one that passes; waits what the server asked for, or 300 ms doubling. */
export async function askPatiently<T>(clock: Clock, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask()
    } catch (thrown) {
      const error = asHubError(thrown)
      if (error.retry !== 'soon' || attempt === attemptsMax || !isTransport(error)) throw error
      await clock.sleep(Math.min(error.retryAfterMs ?? firstWaitMs * 2 ** (attempt - 1), longestWaitMs), signal)
      if (signal.aborted) throw error
    }
  }
}

// Only what came from the line or the server passes by itself; a store that cannot write is not asked thrice.
function isTransport(error: HubError): boolean {
  return error.code.startsWith('NET_') || error.code.startsWith('OAUTH_')
}
