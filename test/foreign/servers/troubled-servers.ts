import { systemClock } from '../../../src/kernel/time.ts'
import { SmtpFaults } from '../../../src/twins/smtp/faults.ts'
import type { ReceivedMail } from '../../../src/twins/smtp/mailbag.ts'
import { type SmtpTwinServer, startSmtpServer } from '../../../src/twins/smtp/server.ts'

export interface Troubles {
  /** Every answer of the second server comes so much later. */
  readonly slowMs: number
  /** The third one is up and down in turns; while it is down, connections are refused. */
  readonly flap: { readonly upMs: number; readonly downMs: number }
}

export interface TroubledServers {
  /** Good, slow, flapping. */
  readonly ports: readonly number[]
  /** Message-IDs that each one took, over all its lives; as often as it took them. */
  readonly taken: readonly (readonly string[])[]
  stop(): Promise<void>
}

const startTries = 50
const always = 1_000_000
const places = ['banner', 'ehlo', 'mail', 'rcpt', 'data', 'answer'] as const

/** Three mail servers of which one is well. */
export async function startTroubledServers({ slowMs, flap }: Troubles): Promise<TroubledServers> {
  const taken: string[][] = [[], [], []]
  const start = (index: number, faults: SmtpFaults, port?: number): Promise<SmtpTwinServer> =>
    startSmtpServer({
      name: `s${index}.example`,
      faults,
      keep: 'digest',
      mailsMax: 1,
      ...(port !== undefined && { port }),
      policy: { onReceived: mail => remember(taken[index], mail) },
    })
  const slow = new SmtpFaults('slow')
  slow.set({ delay: places.map(at => ({ at, ms: slowMs, times: always })) })
  const steady = await Promise.all([start(0, new SmtpFaults('good')), start(1, slow)])
  let third = await start(2, new SmtpFaults('flapping'))
  const { port } = third
  const ending = new AbortController()
  const { signal } = ending
  async function live(): Promise<void> {
    while (!signal.aborted) {
      await systemClock.sleep(flap.upMs, signal)
      if (signal.aborted) return
      await third.stop()
      await systemClock.sleep(flap.downMs, signal)
      // Somebody may have the port for a moment.
      for (let again = 0; !signal.aborted; again++) {
        try {
          third = await start(2, new SmtpFaults('flapping'), port)
          break
        } catch (error) {
          if (again >= startTries) throw error
          await systemClock.sleep(100, signal)
        }
      }
    }
  }
  const living = live()
  // Its failure is met in `stop`.
  living.catch(() => undefined)
  return {
    ports: [...steady.map(server => server.port), port],
    taken,
    async stop() {
      ending.abort()
      try {
        await living
      } finally {
        await Promise.all([...steady, third].map(server => server.stop()))
      }
    },
  }
}

function remember(taken: string[] | undefined, mail: ReceivedMail): undefined {
  taken?.push((mail.messageId ?? '').replace(/^<|>$/g, ''))
  return undefined
}
