import { asHubError } from '../kernel/error.ts'
import type { Log } from '../kernel/log.ts'
import { type Clock, SECOND } from '../kernel/time.ts'
import { storeErrors } from '../store/errors.ts'

const againMs = SECOND
/** After these nobody can write any more: another owner has the delivery, or the store is closed. */
const final: ReadonlySet<string> = new Set([storeErrors.FENCED.code, storeErrors.CLOSED.code])

export interface Persistence {
  readonly clock: Clock
  readonly log: Log
  /** Aborts when the hub stops; what is not written then is found open at the next start. */
  readonly signal: AbortSignal
}

/**
 * Writes until it is written. What the other side answered must not be forgotten because the disk was full for a
 * minute: the delivery would be in doubt, or sent again. Throws only STORE_FENCED, STORE_CLOSED, or when the hub stops.
 */
export async function persist<T>(
  { clock, log, signal }: Persistence,
  what: string,
  write: () => Promise<T>,
): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await write()
    } catch (thrown) {
      const error = asHubError(thrown)
      if (final.has(error.code) || signal.aborted) throw error
      if (failures === 0) {
        log.error('engine.write-delayed', { what, code: error.code, text: error.message, next: error.next })
      }
      await clock.sleep(againMs, signal)
    }
  }
}
