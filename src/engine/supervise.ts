import type { Link } from '../flow/adapter.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import { type Clock, MINUTE, SECOND } from '../kernel/time.ts'
import type { Store } from '../store/port.ts'

const backoffMs = { first: SECOND, upTo: 5 * MINUTE, awaitingChange: 5 * MINUTE }
/** A link that stood this long begins its back-off anew, and so does one that brought something. */
const steadyMs = 30 * SECOND
const leaseMs = 30 * SECOND

export interface Supervision {
  readonly clock: Clock
  readonly store: Pick<Store, 'lease' | 'endLease'>
  readonly owner: string
  /** Unique over the hub: `flow/link`. */
  readonly lease: string
  readonly signal: AbortSignal
  /** Aborts the present wait: somebody changed something. */
  wakeSignal(): AbortSignal
  onUp(detail: string): void
  onDown(error: HubError): void
  onTrouble(error: HubError): void
  onStuck(error: HubError | undefined): void
  /** Between 0 and 1; a parameter so that tests are repeatable. */
  random(): number
}

/**
 * Keeps one link running until the signal aborts. A link that fails is tried again after a growing wait with jitter,
 * never sooner than the other side asked for. Where several hubs share a store only one of them runs the link.
 */
export async function superviseLink(supervision: Supervision, run: (link: Link) => Promise<void>): Promise<void> {
  const { clock, signal } = supervision
  let failures = 0
  while (!signal.aborted) {
    const startedAt = clock.now()
    let upAt: number | undefined
    let hasMoved = false
    const woken = supervision.wakeSignal()
    try {
      await withLease(supervision, linkSignal =>
        run({
          signal: linkSignal,
          up: detail => {
            upAt = clock.now()
            supervision.onUp(detail)
          },
          moved: () => {
            hasMoved = true
          },
          trouble: supervision.onTrouble,
          stuck: supervision.onStuck,
        }),
      )
      if (signal.aborted) return
      // A run that ends by itself without an error is simply begun again, but never in a tight circle.
      failures = 0
      // Not for longer either, where the clock was set back meanwhile.
      const tookMs = Math.max(0, clock.now() - startedAt)
      await clock.sleep(Math.max(0, SECOND - tookMs), signal)
    } catch (thrown) {
      if (signal.aborted) return
      const error = asHubError(thrown)
      supervision.onDown(error)
      const wasSteady = upAt !== undefined && clock.now() - upAt >= steadyMs
      failures = wasSteady || hasMoved ? 1 : failures + 1
      // A change that came while the link was still trying may be just the one it failed for want of.
      const wake = error.retry === 'after-change' ? woken : supervision.wakeSignal()
      await clock.sleep(waitMs(error, failures, supervision.random()), AbortSignal.any([signal, wake]))
    }
  }
}

function waitMs(error: HubError, failures: number, random: number): number {
  const doubled = Math.min(backoffMs.first * 2 ** Math.min(failures - 1, 20), backoffMs.upTo)
  const base = error.retry === 'soon' ? doubled : backoffMs.awaitingChange
  return Math.max(base * (0.5 + random / 2), error.retryAfterMs ?? 0)
}

async function withLease(supervision: Supervision, run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const { clock, store, owner, lease, signal } = supervision
  while ((await store.lease(lease, owner, leaseMs, clock.now())) === undefined) {
    await clock.sleep(leaseMs / 3, signal)
    if (signal.aborted) return
  }
  const lost = new AbortController()
  let cancelRenewal = () => {}
  let isOver = false
  const renewLater = () => {
    // A renewal may have been under way when the link ended.
    if (isOver) return
    cancelRenewal = clock.after(leaseMs / 3, () => {
      store.lease(lease, owner, leaseMs, clock.now()).then(
        fence => (fence === undefined ? lost.abort() : renewLater()),
        // The store is in trouble; the next renewal may work before the lease runs out.
        () => renewLater(),
      )
    })
  }
  renewLater()
  try {
    await run(AbortSignal.any([signal, lost.signal]))
  } finally {
    isOver = true
    cancelRenewal()
    if (!lost.signal.aborted) await store.endLease(lease, owner)
  }
}
