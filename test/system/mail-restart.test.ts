import { afterEach, describe, expect, test } from 'vitest'
import { HubUnderTest, type SeenMessage } from '../hub/hub-under-test.ts'
import { mail, mailWorld, orders, pause, stopWorlds, whenTestEnds } from './mail-world.ts'

afterEach(stopWorlds)

test('a hub that is started again and again in the middle of 300 mails loses none and doubles none', async () => {
  const world = await mailWorld({ flows: [{ delivery: { retry: { every: '100ms', 'up-to': '200ms', for: '1m' } } }] })
  const count = 300
  for (let number = 0; number < count; number++) world.exchange.deliver(orders, mail(`order ${number}`))
  world.s4.faults.refuse({ at: 'rcpt', code: 451, times: 20 })
  for (const reached of [30, 100, 180]) {
    await world.reached(reached)
    await world.restart()
  }
  await world.emptied()
  expect(world.s4.received).toHaveLength(count)
  expect(new Set(world.arrived()).size).toBe(count)
  expect(await world.find('state=set-aside')).toEqual([])
  expect(world.subjects(orders, 'Processed')).toHaveLength(count)
})

test('a mail that the server is just taking in when the hub stops is waited for, and not sent again', async () => {
  const world = await mailWorld()
  world.s4.faults.delay({ at: 'answer', ms: 1_200 })
  world.exchange.deliver(orders, mail('order 1'))
  await world.reached(1)
  await world.restart()
  await world.emptied()
  await world.only('delivered')
  expect(world.arrived()).toEqual(['order 1'])
})

test('a mail that was delivered before the hub stopped, but not yet moved, is only moved after it', async () => {
  const world = await mailWorld()
  world.exchange.setFaults({ refuse: { commands: ['MOVE'], times: 1_000 } })
  world.exchange.deliver(orders, mail('order 1'))
  await world.only('delivered')
  await world.restart()
  world.exchange.clearFaults()
  await world.emptied()
  await pause(300)
  expect(world.arrived()).toEqual(['order 1'])
  expect(world.subjects(orders, 'Processed')).toEqual(['order 1'])
})

test('S/4HANA that comes and goes all the time: each mail arrives once, or a person is asked', async () => {
  const world = await mailWorld({
    flows: [{ delivery: { retry: { every: '100ms', 'up-to': '300ms', for: '1m' }, parallel: 4 } }],
  })
  const count = 150
  world.s4.setFaults({ flap: { upMs: 120, downMs: 80 } })
  for (let number = 0; number < count; number++) world.exchange.deliver(orders, mail(`order ${number}`))
  await world.emptied()
  world.s4.clearFaults()
  const doubts = await world.find('state=set-aside&limit=200')
  for (const { id, error } of doubts) {
    expect(error?.code).toBe('SMTP_OUTCOME_UNKNOWN')
    const messageId = /<[^>]*>/.exec(error?.next ?? '')?.[0]
    const isThere = world.s4.received.some(each => each.messageId === messageId)
    if (isThere) await world.ask('POST', `/api/messages/${id}/skip`, { reason: 'S/4HANA has it' })
    else await world.ask('POST', `/api/messages/${id}/replay`)
  }
  await world.reached(count)
  await pause(200)
  expect(world.s4.received).toHaveLength(count)
  expect(new Set(world.arrived()).size).toBe(count)
})

test('a mailbox whose connection breaks again and again: each mail arrives once', async () => {
  const world = await mailWorld()
  const count = 60
  for (let number = 0; number < count; number++) world.exchange.deliver(orders, mail(`order ${number}`))
  for (let breaks = 0; breaks < 3; breaks++) {
    await world.link(orders, 'up')
    world.exchange.dropConnections()
    await pause(100)
  }
  await world.emptied()
  expect(world.s4.received).toHaveLength(count)
  expect(new Set(world.arrived()).size).toBe(count)
})

describe('a stop does not wait for a slow mailbox', () => {
  test('in the middle of a large mail: nothing of it is left, and it comes whole after the start', async () => {
    const world = await mailWorld({ flows: [{ imap: { timeout: '1m' } }] })
    await world.link(orders, 'up')
    world.exchange.setFaults({ slowWrite: { bytesPerSecond: 200_000 } })
    const large = mail('large', { body: 'x'.repeat(1_500_000) })
    world.exchange.deliver(orders, large)
    await world.until('the fetch', () => world.exchange.commands.some(({ line }) => line.includes('BODY.PEEK[]')))
    await pause(300)
    const stoppedAt = Date.now()
    await world.ask('POST', '/api/flows/mail/stop')
    expect(Date.now() - stoppedAt).toBeLessThan(2_000)
    expect(await world.find('limit=10')).toEqual([])
    world.exchange.clearFaults()
    await world.ask('POST', '/api/flows/mail/start')
    await world.reached(1)
    expect(world.s4.received[0]?.octets?.equals(large)).toBe(true)
  })

  test('nor for a server that does not answer', async () => {
    const world = await mailWorld({ flows: [{ imap: { timeout: '1m', idle: false } }] })
    await world.link(orders, 'up')
    world.exchange.setFaults({ slowAnswerMs: 20_000 })
    await pause(300)
    const stoppedAt = Date.now()
    await world.restart()
    expect(Date.now() - stoppedAt).toBeLessThan(3_000)
  })
})

/** The same twins with a hub in a process of its own, which can be killed. */
async function killableWorld() {
  const password = 'mailbox-password'
  const world = await mailWorld({
    flows: [{ flow: 'killed', imap: { auth: 'mailbox' } }],
    credential: 'none',
    exchange: { isPasswordAllowed: true, mailboxes: { [orders]: { password } } },
  })
  await world.stop()
  const hub = new HubUnderTest({
    dataFolder: `${world.folder}/killed`,
    flowFiles: world.flowFiles,
    basic: { mailbox: { user: orders, password } },
  })
  whenTestEnds(() => hub.stop())
  const found = async (state: string) =>
    (await hub.call<{ messages: SeenMessage[] }>('GET', `/api/messages?state=${state}`)).messages
  await hub.start()
  return { world, hub, found }
}

test('killed between the 250 of the other side and the move in the mailbox: moved after the start, not sent again', async () => {
  const { world, hub, found } = await killableWorld()
  world.exchange.setFaults({ refuse: { commands: ['MOVE'], times: 1_000 } })
  world.exchange.deliver(orders, mail('order 1'))
  await world.until('the delivery', async () => (await found('delivered')).length === 1)
  await hub.kill9()
  world.exchange.clearFaults()
  await hub.start()
  await world.emptied()
  expect(world.arrived()).toEqual(['order 1'])
  expect(await found('delivered')).toHaveLength(1)
})

test('killed after the dot and before the 250: a person decides, and the mail is not sent twice by itself', async () => {
  const { world, hub, found } = await killableWorld()
  world.s4.faults.delay({ at: 'answer', ms: 20_000 })
  world.exchange.deliver(orders, mail('order 1'))
  await world.reached(1)
  await hub.kill9()
  await hub.start()
  await world.until('the doubt', async () => (await found('set-aside')).length === 1)
  const [message] = await found('set-aside')
  expect(message?.error?.code).toBe('SMTP_OUTCOME_UNKNOWN')
  expect(message?.error?.next).toContain('Look for Message-ID <order-1@adatum.example>')
  await hub.call('POST', `/api/messages/${message?.id}/skip`, { reason: 'S/4HANA has it' })
  await world.emptied()
  expect(world.arrived()).toEqual(['order 1'])
})

test('killed before the dot: sent after the start, once', async () => {
  const { world, hub, found } = await killableWorld()
  world.s4.faults.delay({ at: 'rcpt', ms: 20_000 })
  world.exchange.deliver(orders, mail('order 1'))
  await world.until('the server to think about the recipient', () => world.s4.faults.pending().delay.length === 0)
  expect(await found('queued')).toHaveLength(1)
  await hub.kill9()
  await hub.start()
  await world.emptied()
  expect(world.arrived()).toEqual(['order 1'])
})
