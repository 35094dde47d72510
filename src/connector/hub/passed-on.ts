import { asHubError } from '../../kernel/error.ts'
import { type Clock, SECOND } from '../../kernel/time.ts'
import { passedOnAnswer, wirePaths } from '../wire.ts'
import { locationErrors } from './errors.ts'
import { hubLimits } from './limits.ts'
import type { TunnelRegistry } from './registry.ts'
import type { Tunnel } from './tunnel.ts'

/** After a question that came to nothing the next one waits so long, unless a tunnel comes in before. */
const againMs = SECOND

/**
 * Asks the connector of a stream, over another tunnel where its own is lost, how many of its bytes the server may have.
 * A connector that is away is waited for, by a clock that nobody sets back. Undefined: it does not know (it was started
 * anew), or is not there in time.
 */
export async function askPassedOn(
  name: string,
  carrier: Tunnel,
  {
    registry,
    clock,
    signal,
  }: { readonly registry: TunnelRegistry; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<number | undefined> {
  const { connector, location } = carrier.owner
  const endsAt = clock.now() + hubLimits.passedOnMs
  for (;;) {
    const leftMs = endsAt - clock.now()
    if (leftMs <= 0 || signal.aborted) return undefined
    const tunnel = registry.bestOf(connector)
    if (!tunnel) {
      await registry.awaitTunnel(location, clock, leftMs, signal)
      continue
    }
    try {
      const timeoutMs = Math.min(leftMs, hubLimits.controlMs)
      const { bytes } = await tunnel.ask(wirePaths.passedOn, passedOnAnswer, { body: { stream: name }, timeoutMs })
      return bytes
    } catch (thrown) {
      // One of an earlier version does not know the question.
      if (asHubError(thrown).code === locationErrors.CONNECTOR_REFUSED.code) return undefined
      // Another tunnel may bring the answer.
      await registry.awaitTunnel(location, clock, Math.min(againMs, leftMs), signal)
    }
  }
}
