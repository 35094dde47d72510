import { asHubError, type HubError } from '../../kernel/error.ts'
import type { Side, WriteOutcome } from '../drivers.ts'
import type { Round } from './round-state.ts'
import { stopIfAsked } from './round-state.ts'
import type { Waiting } from './sync-store.ts'

type Refusal = Extract<WriteOutcome, { readonly state: 'refused' }>

/**
 * Writes a batch. A failure that concerns one item, not the mailbox, is found by writing the items each for itself;
 * unless something of the batch may have arrived, then the round ends and the next one finds out.
 */
export async function writeBatch<T, O extends WriteOutcome>(
  round: Round,
  side: Side,
  batch: readonly T[],
  write: (batch: readonly T[]) => Promise<readonly O[]>,
): Promise<readonly (O | Refusal)[]> {
  if (batch.length === 0) return []
  stopIfAsked(round)
  try {
    return await write(batch)
  } catch (thrown) {
    const error = asHubError(thrown)
    if (error.isOutcomeUnknown || round.context.drivers[side].concerns(error) !== 'item') throw thrown
    if (batch.length === 1) return [{ state: 'refused', error }]
    const outcomes: (O | Refusal)[] = []
    for (const one of batch) outcomes.push(...(await writeBatch(round, side, [one], write)))
    return outcomes
  }
}

/** What to remember of an item that a side refused. */
export function waitingFor(
  round: Round,
  item: { readonly side: Side; readonly id: string; readonly version: string | undefined },
  error: HubError,
  earlier: Waiting | undefined,
): Waiting {
  const { clock, limits } = round.context
  const attemptCount = (earlier?.attemptCount ?? 0) + 1
  const waitMs = Math.min(limits.refusedFirstMs * 2 ** (attemptCount - 1), limits.refusedUpToMs)
  const waits: Record<HubError['retry'], number | undefined> = {
    soon: error.retryAfterMs ?? waitMs,
    'after-change': limits.refusedUpToMs,
    never: undefined,
  }
  const delayMs = waits[error.retry]
  return {
    ...item,
    attemptCount,
    dueAt: delayMs === undefined ? undefined : clock.now() + delayMs,
    at: clock.now(),
    error: { code: error.code, side: error.side, message: error.message, next: error.next },
    isWanted: earlier?.isWanted ?? false,
  }
}
