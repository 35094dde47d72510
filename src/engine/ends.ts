import { HubError } from '../kernel/error.ts'
import { formatDuration } from '../kernel/time.ts'
import type { AttemptEnd } from './attempt.ts'
import { engineErrors } from './errors.ts'

/** A delivery that a step set aside or rejected carries an error like one that failed, so that people see what to do. */
export function withReason(
  end: Exclude<AttemptEnd, { state: 'failed' }>,
  where: string,
): typeof end & { error?: HubError } {
  if (end.state !== 'set-aside' && end.state !== 'rejected') return end
  return { ...end, error: engineErrors.ENDED_BY_STEP({ where, reason: end.summary }) }
}

/** What was under way at so many deaths of the hub is not begun. */
export function endsTheHub(deaths: number): AttemptEnd {
  return { state: 'failed', error: engineErrors.ENDS_THE_HUB({ deaths }), expiry: undefined }
}

/** The same error, which now also says that the delivery has had its chances. */
export function retriesEnded(error: HubError, attempts: number, tookMs: number): HubError {
  const means = `After ${attempts} attempts in ${formatDuration(tookMs)} it still failed. ${error.message}`
  return new HubError(error.code, { side: error.side, retry: 'never', means, next: error.next }, {}, { cause: error })
}
