import { startProcess } from './server-process.ts'
import { freePorts, isListening, waitFor, withFreshPorts } from './wait.ts'

const startMs = 5_000
const startTries = 3
const backlog = 1000

export interface SmtpSink {
  readonly port: number
  /** Mails that arrived since the start. */
  receivedCount(): number
  /** When the first one arrived (performance.now()); undefined before it. */
  firstArrivalMs(): number | undefined
  /** When the last one arrived (performance.now()); undefined before the first. */
  lastArrivalMs(): number | undefined
  stop(): Promise<void>
}

/** Postfix's smtp-sink: takes mail into memory and forgets it. No CHUNKING. With `lmtp` it speaks LMTP. */
export async function startSmtpSink(options: { readonly lmtp?: boolean } = {}): Promise<SmtpSink> {
  let receivedCount = 0
  let firstArrivalMs: number | undefined
  let lastArrivalMs: number | undefined
  // With -c it writes its counters at each final dot: "sess=1 quit=0 mesg=17".
  const watch = (chunk: string) => {
    const counts = [...chunk.matchAll(/mesg=(\d+)/g)]
    const count = Number(counts.at(-1)?.[1] ?? receivedCount)
    if (count === receivedCount) return
    receivedCount = count
    lastArrivalMs = performance.now()
    firstArrivalMs ??= lastArrivalMs
  }
  const { server, port } = await withFreshPorts(startTries, async () => {
    const port = (await freePorts(1))[0] ?? 0
    const asUser = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
    const args = ['-c', ...(options.lmtp ? ['-L'] : []), ...asUser, `127.0.0.1:${port}`, String(backlog)]
    const server = startProcess('/usr/sbin/smtp-sink', args, { onOutput: watch })
    try {
      await waitFor('smtp-sink to listen', startMs, async () => {
        if (!server.isRunning()) throw new Error('smtp-sink ended at once.')
        return isListening(port)
      })
      return { server, port }
    } catch (cause) {
      await server.kill9()
      throw new Error(`smtp-sink did not start: ${server.output()}`, { cause })
    }
  })
  return {
    port,
    receivedCount: () => receivedCount,
    firstArrivalMs: () => firstArrivalMs,
    lastArrivalMs: () => lastArrivalMs,
    stop: () => server.stop(),
  }
}
