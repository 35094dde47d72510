import { asHubError, type HubError } from '../../kernel/error.ts'
import { type Clock, HOUR, MINUTE, SECOND } from '../../kernel/time.ts'
import type { Identity } from './identity.ts'

export const renewalLimits = {
  /** Part of the life of a certificate after which a new one is asked for. */
  partOfLife: 2 / 3,
  /** After a failure; a certificate has weeks left then. */
  retryMs: 15 * MINUTE,
  /** With less than a day left. */
  retrySoonMs: MINUTE,
  /** The longest wait: the clock of the machine may jump. */
  lookMs: HOUR,
  leastMs: SECOND,
} as const

export interface RenewalParts {
  readonly clock: Clock
  readonly identity: () => Identity
  renew(signal: AbortSignal): Promise<void>
  onFailure(error: HubError, retryInMs: number): void
}

/** Renews the certificate when two thirds of its life are over, for as long as the connector runs. */
export function keepRenewed({ clock, identity, renew, onFailure }: RenewalParts): { close(): Promise<void> } {
  const stop = new AbortController()
  const running = (async () => {
    while (!stop.signal.aborted) {
      const dueInMs = renewalDueAt(identity()) - clock.now()
      if (dueInMs > 0) {
        await clock.sleep(Math.min(Math.max(dueInMs, renewalLimits.leastMs), renewalLimits.lookMs), stop.signal)
        continue
      }
      try {
        await renew(stop.signal)
        // Of a hub whose clock is far behind ours each new one seems to be old already: the next would be no better.
        if (renewalDueAt(identity()) <= clock.now()) await clock.sleep(renewalLimits.lookMs, stop.signal)
      } catch (thrown) {
        if (stop.signal.aborted) return
        const restMs = identity().endsAt - clock.now()
        const retryInMs = restMs < 24 * HOUR ? renewalLimits.retrySoonMs : renewalLimits.retryMs
        onFailure(asHubError(thrown), retryInMs)
        await clock.sleep(retryInMs, stop.signal)
      }
    }
  })()
  return {
    async close() {
      stop.abort()
      await running
    },
  }
}

export function renewalDueAt({ beginsAt, endsAt }: Pick<Identity, 'beginsAt' | 'endsAt'>): number {
  return beginsAt + (endsAt - beginsAt) * renewalLimits.partOfLife
}
