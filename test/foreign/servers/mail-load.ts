import { heldBody } from '../../../src/kernel/body.ts'
import { asHubError } from '../../../src/kernel/error.ts'
import { systemClock } from '../../../src/kernel/time.ts'
import { makeConnect } from '../../../src/protocols/net/connect.ts'
import { parseAddress } from '../../../src/protocols/smtp/address.ts'
import { inspectContent } from '../../../src/protocols/smtp/content.ts'
import { defaultTimeouts, openSession } from '../../../src/protocols/smtp/session.ts'
import { sendMail } from '../../../src/protocols/smtp/transaction.ts'

export interface LoadOptions {
  readonly port: number
  readonly perSecond: number
  readonly seconds: number
  /** Begins every Message-ID. */
  readonly name: string
}

export interface SentTry {
  /** Message-ID without angle brackets. */
  readonly id: string
  /** Milliseconds from the time it was due. */
  readonly tookMs: number
  /** Code of the error; undefined: the server said 250. */
  readonly error: string | undefined
}

const bodyBytes = 4_000
/** Connections at the same time, as a hub limits them; mails that are due meanwhile wait, and their time runs. */
const openMax = 64

/**
 * Sends mails at a fixed rate, each on a connection of its own and once: a failure is counted and not repeated, however
 * long others take. Resolves when all of them have ended.
 */
export async function sendAtRate({ port, perSecond, seconds, name }: LoadOptions): Promise<SentTry[]> {
  const count = Math.round(perSecond * seconds)
  const since = performance.now()
  const running: Promise<SentTry>[] = []
  const open = new Set<Promise<unknown>>()
  for (let number = 0; number < count; number++) {
    const dueMs = since + (number * 1000) / perSecond
    const waitMs = dueMs - performance.now()
    if (waitMs > 1) await new Promise(resolve => setTimeout(resolve, waitMs))
    while (open.size >= openMax) await Promise.race(open)
    const sending = sendOne(port, `${name}-${number}@load.example`, dueMs).finally(() => open.delete(sending))
    open.add(sending)
    running.push(sending)
  }
  return Promise.all(running)
}

async function sendOne(port: number, id: string, dueMs: number): Promise<SentTry> {
  const timeouts = { ...defaultTimeouts, greetingMs: 20_000, commandMs: 20_000, dataEndMs: 20_000 }
  const ended = (error?: unknown): SentTry => ({
    id,
    tookMs: performance.now() - dueMs,
    error: error === undefined ? undefined : asHubError(error).code,
  })
  try {
    const surroundings = { connect: makeConnect(), clock: systemClock }
    const connection = await openSession({ host: '127.0.0.1', port, security: 'none', timeouts }, surroundings)
    try {
      const text = `Message-ID: <${id}>\r\nSubject: load\r\n\r\n${'x'.repeat(76)}\r\n`
      await sendMail(
        connection,
        {
          name: id,
          from: parseAddress('load@load.example'),
          to: [parseAddress('orders@s4.example')],
          content: await inspectContent(heldBody(text.padEnd(bodyBytes, 'a line of the mail\r\n'), 'message/rfc822')),
          someRefused: 'refuse',
          whenUnknown: 'never',
          beforeCommit: async () => {},
        },
        timeouts,
      )
      return ended()
    } finally {
      await connection.quit()
    }
  } catch (error) {
    return ended(error)
  }
}
