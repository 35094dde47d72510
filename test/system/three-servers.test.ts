import { tmpdir } from 'node:os'
import { afterEach, expect, test } from 'vitest'
import { smtp } from '../../src/adapters/smtp.ts'
import { smtpConfig } from '../../src/adapters/smtp-config.ts'
import { connectorConfig } from '../../src/connector/agent/connector-config.ts'
import { createTargetPool } from '../../src/connector/balance/pool.ts'
import { heldBody } from '../../src/kernel/body.ts'
import { asHubError } from '../../src/kernel/error.ts'
import { defaultLimits } from '../../src/kernel/limit.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { systemClock } from '../../src/kernel/time.ts'
import { makeConnect } from '../../src/protocols/net/connect.ts'
import { type S4SmtpTwin, startS4Smtp } from '../../src/twins/s4-smtp/s4-smtp.ts'

const virtual = 's4-smtp.virtual:25'
const mailCount = 600
const workers = 16
const attemptsMax = 20

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

test('of three servers one is killed, one refuses and one is slow, under load: no mail is lost and none doubled', async () => {
  const servers = await Promise.all([s4(), s4(), s4()])
  const [killed, refusing, slow] = servers
  slow.setFaults({ delay: (['banner', 'mail', 'answer'] as const).map(at => ({ at, ms: 20, times: 1_000_000 })) })
  const receiver = await receiverFor(servers)
  const idsOf = (twin: S4SmtpTwin) => twin.received.map(({ messageId }) => messageId)
  let next = 0
  let attempts = 0
  let unknown = 0

  async function deliver(number: number): Promise<void> {
    const id = `<order-${number}@contoso.example>`
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      attempts++
      const error = await send(id, attempt).then(() => undefined, asHubError)
      if (!error) return
      if (error.isOutcomeUnknown) {
        unknown++
        // What the error asks a person to do: look for the Message-ID at the servers, replay only if it is not there.
        if (servers.some(twin => idsOf(twin).includes(id))) return
      } else expect(error.retry).toBe('soon')
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    throw new Error(`${id} was not delivered in ${attemptsMax} attempts`)
  }

  async function send(id: string, attempt: number): Promise<unknown> {
    const text = `From: anna@contoso.example\r\nTo: orders@s4.example\r\nMessage-ID: ${id}\r\n\r\nFive pumps, please.\r\n`
    const message = {
      id: '0A1B2C3D4E5',
      headers: { 'message-id': id },
      attributes: { messageId: id, from: 'anna@contoso.example', to: ['orders@s4.example'] },
      body: heldBody(text, 'message/rfc822'),
      acceptedAt: Date.now(),
    }
    return receiver.deliver(message, {
      key: id,
      attempt,
      isUnknown: false,
      scope: { message, params: {}, flow: { name: 'mail-to-s4', stage: 'test' } },
      signal: new AbortController().signal,
      intend: async () => {},
      isFirst: async () => true,
      unlearn: () => {},
    })
  }

  async function work(): Promise<void> {
    while (next < mailCount) {
      const number = next++
      if (number === mailCount / 4) void killed.stop()
      if (number === mailCount / 2)
        refusing.setFaults({ refuse: [{ at: 'banner', code: 421, text: '4.3.2 shutting down', times: 1_000_000 }] })
      await deliver(number)
    }
  }

  await Promise.all(Array.from({ length: workers }, work))
  const all = servers.flatMap(idsOf)
  expect(new Set(all).size).toBe(all.length)
  expect(all.toSorted()).toEqual(Array.from({ length: mailCount }, (_, n) => `<order-${n}@contoso.example>`).toSorted())
  for (const twin of servers) expect(twin.received.length).toBeGreaterThan(0)
  // The balancer takes the failures on itself: a delivery has to be repeated only for a connection that was cut.
  expect(attempts - mailCount).toBeLessThanOrEqual(2 * workers)
  expect(unknown).toBeLessThanOrEqual(workers)
})

async function s4(): Promise<S4SmtpTwin> {
  const twin = await startS4Smtp()
  closing.push(() => twin.stop())
  return twin
}

/** The smtp receiver with `via`, and at the other end of the tunnel the balancer with these servers. */
async function receiverFor(servers: readonly S4SmtpTwin[]) {
  const targets = servers.map(({ port }) => `127.0.0.1:${port}`)
  const parsed = connectorConfig.parse({
    'virtual-hosts': {
      [virtual]: { protocol: 'smtp', targets, health: { every: '500ms' }, ejection: { first: '500ms' } },
    },
  })
  const virtualHosts = Object.entries(parsed['virtual-hosts']).map(([address, { tls: _, ...host }]) => ({
    ...host,
    address,
  }))
  const pool = createTargetPool({ virtualHosts, connect: makeConnect(), clock: systemClock, log: silentLog })
  closing.push(() => pool.close())
  const connect = makeConnect({
    tunnel: async ({ host, port, timeoutMs, signal }) => {
      const opened = await pool.open(`${host}:${port}`, { signal: signal ?? new AbortController().signal, timeoutMs })
      return opened.socket
    },
  })
  const receiver = await smtp.open({
    config: smtpConfig.parse({ host: 's4-smtp.virtual', via: 'dc', security: 'none', to: 'orders@s4.example' }),
    flow: 'mail-to-s4',
    log: silentLog,
    signal: new AbortController().signal,
    clock: systemClock,
    limits: defaultLimits,
    connect,
    credential: () => Promise.reject(new Error('none is needed')),
    folder: tmpdir(),
  })
  closing.push(() => receiver.close())
  return receiver
}
