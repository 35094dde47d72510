import type { Outcome, SenderContext } from '../flow/adapter.ts'
import { whenAborted } from '../kernel/abort.ts'
import type { HttpRoute } from '../kernel/http-exchange.ts'

/** Serves the routes of a sender for as long as its flow runs. */
export async function serveRoutes(
  { serve, signal }: Pick<SenderContext<unknown>, 'serve' | 'signal'>,
  ...routes: readonly HttpRoute[]
): Promise<void> {
  const removals: (() => void)[] = []
  try {
    for (const route of routes) removals.push(serve(route))
    await whenAborted(signal)
  } finally {
    for (const remove of removals) remove()
  }
}

/** Bytes of the largest body that a sender takes: its own limit, and never more than the hub's. */
export function bodyBytesMaxOf({
  config,
  limits,
}: Pick<SenderContext<{ readonly 'max-size'?: number | undefined }>, 'config' | 'limits'>): number {
  return Math.min(config['max-size'] ?? limits.messageBytes, limits.messageBytes)
}

/** How a message ended; undefined when it has not after `config.within` (ms), or when the caller is gone. */
export async function endWithin(
  { clock, config, intake }: Pick<SenderContext<{ readonly within: number }>, 'clock' | 'config' | 'intake'>,
  id: string,
  callerGone: AbortSignal,
): Promise<Outcome | undefined> {
  const late = new AbortController()
  const cancel = clock.after(config.within, () => late.abort())
  try {
    return await intake.outcome(id, AbortSignal.any([callerGone, late.signal]), clock.now() + config.within)
  } finally {
    cancel()
  }
}
