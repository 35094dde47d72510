import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { MINUTE } from '../../src/kernel/time.ts'
import { startMailTwins } from '../../src/testing/mail-twins.ts'
import { simulate } from '../../src/testing/simulate.ts'

const folder = import.meta.dirname
const eml = (name: string) => readFileSync(join(folder, 'mails', name))

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

/** The flow of this folder between stand-ins for Exchange Online and S/4HANA. */
async function startFlow() {
  const twins = await startMailTwins(['orders@contoso.com', 'invoices@contoso.com'])
  closing.push(twins.stop)
  const world = await simulate({
    flowFile: join(folder, 'flow.yaml'),
    params: { imapPort: twins.mailbox.port },
    virtualHosts: { 's4-smtp.virtual:25': twins.s4.port },
    credentials: { 'm365-mail': twins.credential },
    clock: twins.clock,
    trust: twins.trust,
  })
  closing.push(world.close)
  return { ...twins, world }
}

test('a mail that fails twice and then succeeds is delivered once, with the very bytes', async () => {
  const { world, mailbox, s4 } = await startFlow()
  s4.faults.refuse({ at: 'data', code: 451, text: 'Work processes are busy', times: 2 })
  const order = eml('signed-order.eml')
  mailbox.deliver('orders@contoso.com', order)

  await world.advance('10m')
  expect(s4.received.map(mail => mail.octets)).toEqual([order])
  expect(s4.received[0]).toMatchObject({ from: 'purchasing@adatum.example', to: ['orders@s4.example'] })

  // The policy of the flow: a minute before the second attempt, two before the third.
  const failed = world.events.filter(event => event.type === 'delivery.failed')
  expect(failed.map(({ attempt, dueAt, at }) => [attempt, dueAt - at])).toEqual([
    [1, MINUTE],
    [2, 2 * MINUTE],
  ])
  expect(mailbox.list('orders@contoso.com')).toEqual([])
  expect(mailbox.list('orders@contoso.com', 'Processed')).toHaveLength(1)
})

test('the mailbox decides which business process of S/4HANA gets a mail', async () => {
  const { world, mailbox, s4 } = await startFlow()
  mailbox.deliver('invoices@contoso.com', eml('invoice.eml'))
  mailbox.deliver('orders@contoso.com', eml('signed-order.eml'))
  await world.advance('1m')
  expect(s4.counts()).toEqual({ ZCL_INBOUND_INVOICES: 1, ZCL_INBOUND_ORDERS: 1 })
})

test('a mail to both mailboxes reaches both business processes; the same one again in a mailbox is not sent twice', async () => {
  const { world, mailbox, s4 } = await startFlow()
  const bytes = eml('invoice.eml')
  for (const address of ['orders@contoso.com', 'invoices@contoso.com', 'invoices@contoso.com'])
    mailbox.deliver(address, bytes)
  await world.advance('2m')
  expect(s4.counts()).toEqual({ ZCL_INBOUND_INVOICES: 1, ZCL_INBOUND_ORDERS: 1 })
  expect(mailbox.list('invoices@contoso.com', 'Processed')).toHaveLength(2)
})

test('mails without a Message-ID are not taken for one another', async () => {
  const { world, mailbox, s4 } = await startFlow()
  for (const number of [1, 2])
    mailbox.deliver('orders@contoso.com', Buffer.from(`To: orders@contoso.com\r\n\r\nOrder ${number}\r\n`))
  await world.advance('2m')
  expect(s4.counts()).toEqual({ ZCL_INBOUND_ORDERS: 2 })
})

test('a probe travels the whole way to an address of its own', async () => {
  const { world, mailbox, s4 } = await startFlow()
  const end = world.engine.probe('mail-o365-to-s4', 5 * MINUTE)
  await world.advance('1m')
  expect(await end).toMatchObject({ state: 'delivered' })
  expect(s4.received.map(({ from, to }) => ({ from, to }))).toEqual([{ from: '', to: ['probe@s4.example'] }])
  expect(mailbox.list('orders@contoso.com', 'Processed')).toHaveLength(1)
})

test('a mail that names no recipient is set aside and lies in the folder Failed', async () => {
  const { world, mailbox, s4 } = await startFlow()
  mailbox.deliver('orders@contoso.com', eml('no-recipient.eml'))
  await world.advance('1m')
  expect(await world.deliveries('set-aside')).toMatchObject([{ summary: 'The mail names no recipient.' }])
  expect(mailbox.list('orders@contoso.com', 'Failed')).toHaveLength(1)
  expect(s4.received).toEqual([])
})

test('a mail whose recipient S/4HANA does not know is set aside at once, with its answer', async () => {
  const { world, mailbox, s4 } = await startFlow()
  s4.faults.refuse({ at: 'rcpt', code: 550, text: 'unknown recipient in client 100' })
  mailbox.deliver('orders@contoso.com', eml('signed-order.eml'))
  await world.advance('1m')
  const [delivery] = await world.deliveries('set-aside')
  expect(delivery).toMatchObject({ attemptCount: 1, error: { code: 'SMTP_RECIPIENT_REFUSED', side: 'receiver' } })
  expect(delivery?.error?.message).toContain('550 unknown recipient in client 100')
  expect(mailbox.list('orders@contoso.com', 'Failed')).toHaveLength(1)
})

test('a crash in between loses and doubles nothing', async () => {
  const { world, mailbox, s4 } = await startFlow()
  s4.faults.refuse({ at: 'rcpt', code: 451, times: 1 })
  mailbox.deliver('orders@contoso.com', eml('signed-order.eml'))
  await world.settle()
  expect(s4.received).toEqual([])
  await world.crash()
  await world.advance('5m')
  expect(s4.received.map(mail => mail.messageId)).toEqual(['<order-4711@adatum.example>'])
  expect(mailbox.list('orders@contoso.com', 'Processed')).toHaveLength(1)
})
