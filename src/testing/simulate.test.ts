import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { asHubError } from '../kernel/error.ts'
import { MiB } from '../kernel/size.ts'
import { type MailTwins, startMailTwins } from './mail-twins.ts'
import { type SimulateOptions, simulate } from './simulate.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

const mailbox = 'orders@contoso.com'

function writeFlow(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-flow-'))
  closing.push(async () => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'flow.yaml'), text)
  return join(folder, 'flow.yaml')
}

const flow = (twins: MailTwins, smtp = '') => `
flow: orders
from:
  imap: { host: 127.0.0.1, port: ${twins.mailbox.port}, user: ${mailbox}, auth: mail, done: { move: Done } }
to:
  smtp: { host: 127.0.0.1, port: ${twins.s4.port}, to: orders@s4.example${smtp} }
`

async function world(smtp?: string, options: Partial<SimulateOptions> = {}) {
  const twins = await startMailTwins([mailbox])
  closing.push(twins.stop)
  const simulated = await simulate({
    flowFile: writeFlow(flow(twins, smtp)),
    credentials: { mail: twins.credential },
    clock: twins.clock,
    trust: twins.trust,
    ...options,
  })
  closing.push(simulated.close)
  return { ...twins, world: simulated }
}

const mail = (bodyBytes: number) =>
  Buffer.from(`From: a@adatum.example\r\nTo: ${mailbox}\r\nMessage-ID: <1@a>\r\n\r\n${'x'.repeat(bodyBytes)}\r\n`)

test('a document with a mistake is refused with the place of the mistake', async () => {
  const flowFile = writeFlow('flow: orders\nfrom:\n  imapp: {}\n')
  const error = asHubError(await simulate({ flowFile }).catch((thrown: unknown) => thrown))
  expect(error.code).toBe('SIMULATION_FLOW_DOES_NOT_LINT')
  expect(error.message).toContain(`${flowFile}:3:3`)
})

test('a credential that the test forgot is shown where the hub would show it', async () => {
  const { world: it } = await world('', { credentials: {} })
  const [status] = it.engine.flows()
  expect(status?.links).toMatchObject([
    { link: mailbox, state: 'down', error: { code: 'SIMULATION_CREDENTIAL_MISSING' } },
  ])
})

test('a mail of 3 MiB, which travels through the body store, has arrived when the world is at rest', async () => {
  const { world: it, s4, mailbox: exchange } = await world()
  const large = mail(3 * MiB)
  exchange.deliver(mailbox, large)
  await it.settle()
  expect(s4.received.map(({ octets }) => octets?.equals(large))).toEqual([true])
})

test('a server that says nothing costs the timeout of the flow in simulated time, and moments of real time', async () => {
  const { world: it, s4, mailbox: exchange } = await world(', timeouts: { command: 2m }')
  s4.faults.delay({ at: 'rcpt', ms: 600_000 })
  exchange.deliver(mailbox, mail(10))
  const startedAt = performance.now()
  await it.advance('1m')
  expect(it.events.some(event => event.type === 'delivery.failed')).toBe(false)
  await it.advance('2m')
  expect(it.events.find(event => event.type === 'delivery.failed')).toMatchObject({ error: { code: 'SMTP_TIMEOUT' } })
  await it.advance('2m')
  expect(s4.received).toHaveLength(1)
  expect(performance.now() - startedAt).toBeLessThan(10_000)
})
