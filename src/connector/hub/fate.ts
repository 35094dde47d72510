import { asHubError } from '../../kernel/error.ts'
import type { Fate, SentOctets, Trace } from '../../kernel/socket.ts'
import { type Clock, SECOND } from '../../kernel/time.ts'
import { passedOnAnswer, wireLimits, wirePaths } from '../wire.ts'
import { locationErrors } from './errors.ts'
import { hubLimits } from './limits.ts'
import type { TunnelRegistry } from './registry.ts'

/** After a question that came to nothing the next one waits so long, unless a tunnel comes in before. */
const againMs = SECOND

interface AskParts {
  readonly registry: TunnelRegistry
  /** A clock that nobody sets. */
  readonly clock: Pick<Clock, 'now' | 'after'>
  /** By that clock: since when this process of the hub waits for the connector. */
  readonly startedAt: number
  readonly signal: AbortSignal
}

/**
 * Asks the connector of a lost stream, over another tunnel where its own is lost, how many of its bytes the server may have,
 * and what it answered. A connector that is away is waited for, and where the server has the whole mail its reply.
 * Undefined: the connector does not know (it was started anew), or is not there in time.
 */
export async function askFate(
  { location, connector, stream }: Trace,
  mail: SentOctets,
  { registry, clock, startedAt, signal }: AskParts,
): Promise<Fate | undefined> {
  const begunAt = clock.now()
  let endsAt = Math.max(begunAt + hubLimits.fateMs, startedAt + hubLimits.fateAfterStartMs)
  let fate: Fate | undefined
  for (;;) {
    // Whole ones: node takes no others for the time of a question, nor does the connector.
    const leftMs = Math.ceil(endsAt - clock.now())
    if (leftMs <= 0 || signal.aborted) return fate
    const tunnel = registry.bestOf(connector)
    if (!tunnel) {
      await registry.awaitTunnel(location, clock, leftMs, signal)
      continue
    }
    const waitMs = Math.min(leftMs, wireLimits.passedOnWaitMs)
    try {
      const timeoutMs = waitMs + Math.min(leftMs, hubLimits.controlMs)
      const { bytes, reply, isDue } = await tunnel.ask(wirePaths.passedOn, passedOnAnswer, {
        body: { stream, ...mail, waitMs },
        timeoutMs,
        signal,
      })
      if (bytes === undefined) return fate
      fate = { passedOn: bytes, reply: reply === undefined ? undefined : Buffer.from(reply, 'base64') }
      if (!isDue) return fate
      endsAt = Math.max(endsAt, begunAt + hubLimits.answerMs)
    } catch (thrown) {
      // One of an earlier version does not know the question.
      if (asHubError(thrown).code === locationErrors.CONNECTOR_REFUSED.code) return fate
      // Another tunnel may bring the answer.
      await registry.awaitTunnel(location, clock, Math.min(againMs, leftMs), signal)
    }
  }
}
