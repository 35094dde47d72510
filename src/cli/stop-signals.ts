import { SECOND } from '../kernel/time.ts'
import { exitCodes } from './cli-errors.ts'

/** One wish may come as two signals: npm and `timeout` pass on what the terminal or they themselves send to the whole group. */
const sameWishMs = SECOND

/** Aborts with the name of the signal when the process is told to stop. Told again later it ends at once: nothing that was accepted is lost by it. */
export function stopSignal(): AbortSignal {
  const stopping = new AbortController()
  let toldAt: number | undefined
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      toldAt ??= performance.now()
      if (performance.now() - toldAt > sameWishMs) {
        process.exit(signal === 'SIGTERM' ? exitCodes.terminated : exitCodes.interrupted)
      }
      stopping.abort(signal)
    })
  }
  return stopping.signal
}
