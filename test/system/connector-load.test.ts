import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TakenMail } from '../hub/mail-server.ts'
import { startConnectorMail } from './connector-mail-world.ts'
import { pause } from './mail-world.ts'

/** Mails before a fault, while it lasts, and after it. */
const [calm, during, after] = [40, 120, 120] as const
/** A mail that took no longer noticed nothing of the fault. */
const usualMs = 500
/** The longest a mail may take, whatever dies meanwhile, on a machine that is busy with other tests too. */
const mailMsMax = 30_000

let world: Awaited<ReturnType<typeof startConnectorMail>>
beforeAll(async () => {
  world = await startConnectorMail()
}, 120_000)
afterAll(() => world.close())

interface Fault {
  readonly name: string
  strike(): void | Promise<void>
  /** Resolves when everything runs again. */
  mend(): Promise<void>
}

const faults: readonly Fault[] = [
  {
    name: 'kill -9 of one of two connectors',
    strike: () => world.connectors[0].kill9(),
    async mend() {
      world.connectors[0].start()
      await world.allAreConnected()
    },
  },
  {
    name: 'SIGSTOP of one of two connectors',
    strike: () => world.connectors[1].signal('SIGSTOP'),
    async mend() {
      world.connectors[1].signal('SIGCONT')
      await world.allAreConnected()
    },
  },
  {
    name: 'kill -9 of one of three mail servers',
    strike: () => world.servers[0].kill9(),
    mend: () => world.servers[0].start(),
  },
  {
    name: 'SIGSTOP of one of three mail servers',
    strike: () => world.servers[1].signal('SIGSTOP'),
    mend: async () => world.servers[1].signal('SIGCONT'),
  },
  {
    name: 'kill -9 of the hub',
    strike: async () => {
      await world.hub.kill9()
      await world.hub.start()
    },
    mend: () => world.allAreConnected(),
  },
  {
    name: 'SIGSTOP of the hub for two seconds',
    strike: async () => {
      process.kill(world.hub.pid, 'SIGSTOP')
      await pause(2000)
      process.kill(world.hub.pid, 'SIGCONT')
    },
    mend: () => world.allAreConnected(),
  },
]

test.each(faults)(
  '$name under a constant load: no mail is lost, none doubled, and the pace comes back',
  async fault => {
    const first = world.sentAt.size
    await world.send(calm)
    const struckAt = Date.now()
    const striking = Promise.resolve(fault.strike())
    // Also when a mail cannot be sent: what was begun is awaited.
    await Promise.allSettled([striking, world.send(during)])
    await striking
    await fault.mend()
    await world.send(after)
    const inDoubt = await world.allEnded()

    expect(inDoubt.length).toBeLessThanOrEqual(world.parallel)
    const ids = [...world.sentAt.keys()].slice(first)
    const { arrived, missing } = world.compare(ids, inDoubt)
    const told = recoveryOf(ids, arrived, struckAt)
    console.info(
      `${fault.name}: ${ids.length} mails, ${missing.length} of ${inDoubt.length} in doubt not there; ` +
        `slowest mail ${seconds(told.slowestMs)}, usual pace after ${seconds(told.recoveredMs)}`,
    )
    expect(told.slowestMs).toBeLessThan(mailMsMax)
    for (const { id } of inDoubt) await world.hub.call('POST', `/api/messages/${id}/skip`, { reason: 'looked at' })
  },
  240_000,
)

/** How long the slowest mail took, and how long after the fault the last mail was sent that took longer than usual. */
function recoveryOf(ids: readonly string[], arrived: ReadonlyMap<string, readonly TakenMail[]>, struckAt: number) {
  let slowestMs = 0
  let recoveredMs = 0
  for (const id of ids) {
    const [taken] = arrived.get(id) ?? []
    const sent = world.sentAt.get(id) ?? 0
    if (!taken) continue
    const tookMs = taken.at - sent
    slowestMs = Math.max(slowestMs, tookMs)
    if (tookMs > usualMs) recoveredMs = Math.max(recoveredMs, sent - struckAt)
  }
  return { slowestMs, recoveredMs: Math.max(0, recoveredMs) }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
