import { asHubError } from '../kernel/error.ts'
import type { Log } from '../kernel/log.ts'
import { type Clock, MINUTE } from '../kernel/time.ts'
import type { BodyStore, Inspection } from '../store/port.ts'
import type { Watched, WatchedFlow } from './watched.ts'

export const retentionLimits = {
  everyMs: 5 * MINUTE,
  /** Deliveries that go in one piece; the store is free for others between two pieces. */
  batch: 200,
  pauseMs: 20,
  /** Batches of one flow before the next one has its turn. */
  batchesPerRound: 500,
}

export interface RetentionParts {
  readonly engine: Pick<Watched, 'flows'>
  readonly store: Pick<Inspection, 'purge'> & { readonly bodies: Pick<BodyStore, 'collect'> }
  readonly clock: Clock
  readonly log: Log
}

/** Deletes what has been kept long enough until the signal aborts. Flows that do not run keep everything. */
export async function keepRetention(parts: RetentionParts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await purgeAll(parts, signal)
    await parts.clock.sleep(retentionLimits.everyMs, signal)
  }
}

/** One round over all flows, in small batches. Returns how many deliveries went. */
export async function purgeAll(parts: RetentionParts, signal: AbortSignal): Promise<number> {
  const { engine, store, log } = parts
  try {
    let purged = 0
    for (const { flow } of engine.flows()) {
      const count = await purgeFlow(flow, parts, signal)
      if (count > 0) log.info('retention.purged', { flow: flow.name, count })
      purged += count
    }
    const bodies = await store.bodies.collect()
    if (bodies > 0) log.info('retention.collected', { bodies })
    return purged
  } catch (thrown) {
    // The next round tries again; to stop here would let the disk fill up.
    const error = asHubError(thrown)
    log.error('retention.failed', { code: error.code, error: error.message, next: error.next })
    return 0
  }
}

async function purgeFlow(flow: WatchedFlow, { store, clock }: RetentionParts, signal: AbortSignal): Promise<number> {
  const now = clock.now()
  const request = {
    flow: flow.name,
    deliveredBefore: now - flow.keep.deliveredMs,
    setAsideBefore: now - flow.keep.setAsideMs,
    max: retentionLimits.batch,
  }
  let purged = 0
  for (let round = 0; round < retentionLimits.batchesPerRound && !signal.aborted; round++) {
    const count = await store.purge(request)
    purged += count
    if (count < retentionLimits.batch) break
    await clock.sleep(retentionLimits.pauseMs, signal)
  }
  return purged
}
