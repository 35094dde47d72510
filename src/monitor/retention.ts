import { z } from 'zod'
import { defaultRetention, type Retention } from '../flow/document.ts'
import { asHubError } from '../kernel/error.ts'
import type { Log } from '../kernel/log.ts'
import { type Clock, DAY, MINUTE } from '../kernel/time.ts'
import type { BodyStore, Inspection, Records } from '../store/port.ts'
import type { Watched } from './watched.ts'

export const retentionLimits = {
  everyMs: 5 * MINUTE,
  /** Deliveries that go in one piece; the store is free for others between two pieces. */
  batch: 200,
  pauseMs: 20,
  /** Batches of one flow, or of the audit log, before the next one has its turn. */
  batchesPerRound: 500,
}

/** How long the audit log goes back where isthmus.yaml says nothing of it: what is commonly asked for. */
export const defaultAuditKeepMs = 365 * DAY

export interface RetentionParts {
  readonly engine: Pick<Watched, 'flows'>
  readonly store: Pick<Inspection, 'purge' | 'flowNames'> &
    Pick<Records, 'read' | 'write' | 'purgeAudit'> & { readonly bodies: Pick<BodyStore, 'collect'> }
  readonly clock: Clock
  readonly log: Log
  readonly auditKeepMs?: number | undefined
}

/** Under which the store remembers how long each flow keeps, for when it does not run any more. */
const area = 'retention'
const recordSchema = z.object({ deliveredMs: z.number(), setAsideMs: z.number() })

/** Deletes what has been kept long enough until the signal aborts. */
export async function keepRetention(parts: RetentionParts, signal: AbortSignal): Promise<void> {
  for (;;) {
    // Not at once: a sender that starts may still have to tell its mailbox of what ended before.
    await parts.clock.sleep(retentionLimits.everyMs, signal)
    if (signal.aborted) return
    await purgeAll(parts, signal)
  }
}

/**
 * One round over all flows of which there is anything, in small batches; those that do not run, or have no document any
 * more, keep as long as they said last. Returns how many deliveries went.
 */
export async function purgeAll(parts: RetentionParts, signal: AbortSignal): Promise<number> {
  const { engine, store, clock, log } = parts
  const now = clock.now()
  try {
    let purged = 0
    const running = new Map(engine.flows().map(({ flow }) => [flow.name, flow.keep]))
    for (const flow of new Set([...running.keys(), ...(await store.flowNames())])) {
      const keep = await keepOf(flow, running.get(flow), store)
      const count = await purgeFlow(flow, keep, now, parts, signal)
      if (count > 0) log.info('retention.purged', { flow, count })
      purged += count
    }
    const audited = await purgeAudit(now, parts, signal)
    if (audited > 0) log.info('retention.audit-purged', { count: audited })
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

async function keepOf(flow: string, said: Retention | undefined, store: RetentionParts['store']): Promise<Retention> {
  const known = recordSchema.safeParse((await store.read(area, flow))?.value)
  if (!said) return known.success ? known.data : defaultRetention
  const { deliveredMs, setAsideMs } = said
  const isKnown = known.data?.deliveredMs === deliveredMs && known.data.setAsideMs === setAsideMs
  if (!isKnown) await store.write(area, flow, { deliveredMs, setAsideMs })
  return said
}

async function purgeFlow(
  flow: string,
  keep: Retention,
  now: number,
  { store, clock }: RetentionParts,
  signal: AbortSignal,
): Promise<number> {
  const { deliveredMs, setAsideMs } = keep
  const { batch: max } = retentionLimits
  const request = { flow, deliveredBefore: now - deliveredMs, setAsideBefore: now - setAsideMs, max }
  return purgeInSlices(() => store.purge(request), clock, signal)
}

function purgeAudit(
  now: number,
  { store, clock, auditKeepMs = defaultAuditKeepMs }: RetentionParts,
  signal: AbortSignal,
): Promise<number> {
  const request = { before: now - auditKeepMs, max: retentionLimits.batch }
  return purgeInSlices(() => store.purgeAudit(request), clock, signal)
}

async function purgeInSlices(purge: () => Promise<number>, clock: Clock, signal: AbortSignal): Promise<number> {
  let purged = 0
  for (let round = 0; round < retentionLimits.batchesPerRound && !signal.aborted; round++) {
    const count = await purge()
    purged += count
    if (count < retentionLimits.batch) break
    await clock.sleep(retentionLimits.pauseMs, signal)
  }
  return purged
}
