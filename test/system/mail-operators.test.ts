import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { KiB, MiB } from '../../src/kernel/size.ts'
import { hurriedClock } from './hurried-clock.ts'
import { invoices, mail, mailWorld, orders, pause, stopWorlds } from './mail-world.ts'

afterEach(stopWorlds)

describe('a person deals with a message', () => {
  async function refusedOnce() {
    const world = await mailWorld()
    world.s4.faults.refuse({ at: 'end', code: 554, text: 'No order number found' })
    world.exchange.deliver(orders, mail('order 1'))
    const message = await world.only('set-aside')
    await world.emptied()
    return { world, message }
  }

  test('repairs it: the other side gets the new bytes, and the original is kept', async () => {
    const { world, message } = await refusedOnce()
    expect(message.error).toMatchObject({ code: 'SMTP_REFUSED', side: 'receiver' })
    const repaired = mail('order 1', { body: 'Order number 4711' })
    await world.ask('POST', `/api/messages/${message.id}/repair`, { body: { base64: repaired.toString('base64') } })
    await world.only('delivered')
    expect(world.s4.received.map(({ octets }) => octets?.equals(repaired))).toEqual([true])
    const original = await world.call('GET', `/api/messages/${message.id}/body?which=original`)
    expect(await original.text()).toBe(mail('order 1').toString())
    expect((await world.detail(message.id)).original).toBeDefined()
  })

  test('replays it, and later sends a delivered one a second time; both are in the audit log, whose chain holds', async () => {
    const { world, message } = await refusedOnce()
    expect(world.exchange.list(orders, 'Failed')).toHaveLength(1)
    await world.ask('POST', `/api/messages/${message.id}/replay`)
    const delivered = await world.only('delivered')
    expect(delivered.id).toBe(message.id)
    await world.until('its mail to leave the failed folder', () => world.exchange.list(orders, 'Failed').length === 0)
    expect(world.exchange.list(orders, 'Processed')).toHaveLength(1)
    const { id } = await world.ask<{ id: string }>('POST', `/api/messages/${message.id}/replay`)
    await world.reached(2)
    await world.until('the second to end', async () => (await world.find('state=delivered')).length === 2)
    expect(await world.detail(id)).toMatchObject({ replayOf: message.id, state: 'delivered' })
    expect(world.arrived()).toEqual(['order 1', 'order 1'])
    const { entries } = await world.ask<{ entries: { action: string; who: string }[] }>('GET', '/api/audit')
    expect(entries.filter(({ action }) => action === 'message.replay')).toHaveLength(2)
    expect(await world.ask('POST', '/api/audit/verify')).toEqual({ ok: true })
  })

  test('skips one that holds back its successors of the same sender; those of others never waited', async () => {
    const world = await mailWorld({ flows: [{ delivery: { 'order-by': 'message.from' } }] })
    world.s4.faults.refuse({ at: 'end', code: 554, text: 'No order number found' })
    world.exchange.deliver(orders, mail('order 1'))
    const { id } = await world.only('set-aside')
    for (const number of [2, 3]) world.exchange.deliver(orders, mail(`order ${number}`))
    world.exchange.deliver(orders, mail('of another', { header: ['From: b@litware.example'] }))
    await world.reached(1)
    await world.until('two to be held', async () => {
      const held = await world.ask<{ messages: { heldBy?: string }[] }>('GET', '/api/messages?state=queued')
      return held.messages.length === 2 && held.messages.some(({ heldBy }) => heldBy === id)
    })
    expect(world.arrived()).toEqual(['of another'])
    await world.ask('POST', `/api/messages/${id}/skip`, { reason: 'It was a test.' })
    await world.reached(3)
    expect(world.arrived()).toEqual(['of another', 'order 2', 'order 3'])
    expect(await world.counted('isthmus_delivery_skipped_total{flow="mail"}')).toBe(1)
  })

  test('mails that are held take no places: those of others are read, however many wait behind the one', async () => {
    const world = await mailWorld({
      flows: [{ imap: { ahead: 2, every: '200ms' }, delivery: { 'order-by': 'message.from' } }],
    })
    world.s4.faults.refuse({ at: 'end', code: 554, text: 'No order number found' })
    world.exchange.deliver(orders, mail('order 1'))
    const { id } = await world.only('set-aside')
    for (const number of [2, 3, 4, 5, 6]) world.exchange.deliver(orders, mail(`order ${number}`))
    world.exchange.deliver(orders, mail('of another', { header: ['From: b@litware.example'] }))
    await world.reached(1)
    expect(world.arrived()).toEqual(['of another'])
    await world.ask('POST', `/api/messages/${id}/skip`, { reason: 'It was a test.' })
    await world.reached(6)
    expect(world.arrived()).toEqual(['of another', ...[2, 3, 4, 5, 6].map(number => `order ${number}`)])
  })

  test('can do nothing with what is under way or unknown, and reads why', async () => {
    const { world, message } = await refusedOnce()
    await world.ask('POST', `/api/messages/${message.id}/skip`, { reason: 'done by hand' })
    const answers = await Promise.all([
      world.call('POST', `/api/messages/${message.id}/skip`, { reason: 'again' }),
      world.call('POST', `/api/messages/${message.id}/repair`, { body: { text: 'x' } }),
      world.call('POST', '/api/messages/0123456789A/replay'),
    ])
    const problems = await Promise.all(answers.map(answer => answer.json() as Promise<{ code: string; next: string }>))
    expect(problems.map(({ code }) => code)).toEqual(['STORE_FINISHED', 'STORE_NOT_SET_ASIDE', 'STORE_NOT_FOUND'])
    expect(answers.map(({ status }) => status)).toEqual([409, 409, 404])
    for (const { next } of problems) expect(next.length).toBeGreaterThan(10)

    world.s4.faults.delay({ at: 'end', ms: 1_000 })
    world.exchange.deliver(orders, mail('order 2'))
    const { id } = await world.only('queued')
    await world.until('it to be handed over', async () => (await world.detail(id)).receipts.length > 0)
    const running = await world.call('POST', `/api/messages/${id}/skip`, { reason: 'too late' })
    expect([running.status, await running.json()]).toMatchObject([409, { code: 'STORE_RUNNING' }])
    await world.only('delivered')
  })
})

describe('flows', () => {
  test('a stopped flow leaves its mailbox alone and keeps what waits; started again it goes on', async () => {
    const world = await mailWorld({ flows: [{ delivery: { retry: { every: '300ms', 'up-to': '300ms', for: '1m' } } }] })
    world.s4.faults.refuse({ at: 'rcpt', code: 451, times: 1_000 })
    world.exchange.deliver(orders, mail('order 1'))
    await world.until('the first to wait', async () => (await world.find('state=queued')).some(({ error }) => error))
    await world.ask('POST', '/api/flows/mail/stop')
    expect(world.exchange.connections).toEqual([])
    world.s4.faults.clear()
    world.exchange.deliver(orders, mail('order 2'))
    await pause(600)
    expect(world.s4.received).toEqual([])
    // It stays stopped over a restart of the hub, as a person has said so.
    await world.restart()
    await pause(200)
    expect(await world.find('state=queued')).toHaveLength(1)
    expect(world.exchange.connections).toEqual([])
    await world.ask('POST', '/api/flows/mail/start')
    await world.reached(2)
    await world.emptied()
    expect(world.arrived().toSorted()).toEqual(['order 1', 'order 2'])
  })

  test('one with mistakes does not keep the others from running, and starts when they are corrected', async () => {
    const world = await mailWorld({
      flows: [
        {},
        { flow: 'invoices', imap: { user: invoices, evry: '1m' } },
        { flow: 'nowhere', imap: { user: invoices, auth: 'm365-mail' }, smtp: { ca: 'missing.pem' } },
      ],
    })
    world.exchange.deliver(orders, mail('order 1'))
    await world.reached(1)
    const { flows } = await world.ask<{
      flows: { name: string; state: string; problems: { message: string; line: number }[] }[]
    }>('GET', '/api/flows')
    expect(flows.map(({ name, state }) => [name, state])).toEqual([
      ['invoices', 'stopped'],
      ['mail', 'running'],
      ['nowhere', 'stopped'],
    ])
    expect(flows[0]?.problems[0]?.message).toContain('evry')
    expect(world.hub.failedFlows.map(({ name, error }) => [name, error.code])).toEqual([
      ['invoices', 'CATALOG_DOES_NOT_LINT'],
      ['nowhere', 'SMTP_CA_UNREADABLE'],
    ])
    const health = await world.ask<{ status: string }>('GET', '/api/health')
    expect(health.status).toBe('degraded')
    const refused = await world.call('POST', '/api/flows/invoices/start')
    expect(await refused.json()).toMatchObject({ code: 'CATALOG_DOES_NOT_LINT' })

    // What is posted to be judged is judged in its own words, not in those of the file.
    const document = JSON.stringify(world.document({ flow: 'invoices', imap: { user: invoices } }))
    expect(await world.ask('POST', '/api/lint', { document })).toEqual({ ok: true, problems: [] })
    const judged = await world.ask<{ ok: boolean; problems: { message: string }[] }>('POST', '/api/lint', {
      document: document.replace('"user"', '"usr"'),
    })
    expect([judged.ok, judged.problems.some(({ message }) => message.includes('usr'))]).toEqual([false, true])

    const corrected = world.document({ flow: 'invoices', imap: { user: invoices } })
    writeFileSync(world.flowFiles[1] ?? '', JSON.stringify(corrected))
    await world.ask('POST', '/api/flows/invoices/start')
    world.exchange.deliver(invoices, mail('invoice 1'))
    await world.reached(2)
    expect(world.hub.failedFlows.map(({ name }) => name)).toEqual(['nowhere'])

    // Under another name it is the same document all the same.
    const renamed = world.document({ flow: 'somewhere', imap: { user: invoices } })
    writeFileSync(world.flowFiles[2] ?? '', JSON.stringify(renamed))
    await world.ask('POST', '/api/flows/somewhere/start')
    expect(world.hub.failedFlows).toEqual([])
  })

  test('metrics count what came, what went and what stands', async () => {
    const world = await mailWorld()
    world.s4.faults.refuse({ at: 'rcpt', code: 451 })
    world.exchange.deliver(orders, mail('order 1'))
    await world.emptied()
    world.s4.faults.refuse({ at: 'rcpt', code: 550 })
    world.exchange.deliver(orders, mail('order 2'))
    await world.only('set-aside')
    const bytes = mail('order 1').length + mail('order 2').length
    const figures: readonly (readonly [string, number])[] = [
      ['isthmus_delivery_accepted_total{flow="mail"}', 2],
      ['isthmus_delivery_accepted_bytes_total{flow="mail"}', bytes],
      ['isthmus_delivery_delivered_total{flow="mail"}', 1],
      ['isthmus_delivery_set_aside_total{flow="mail"}', 1],
      ['isthmus_delivery_failed_total{flow="mail",code="SMTP_REFUSED_FOR_NOW",side="receiver"}', 1],
      ['isthmus_delivery_duration_seconds_count{flow="mail"}', 2],
      ['isthmus_set_aside_deliveries{flow="mail"}', 1],
      ['isthmus_queue_deliveries{flow="mail"}', 0],
      ['isthmus_flow_running{flow="mail"}', 1],
      ['isthmus_link_up{flow="mail",link="orders@contoso.com"}', 1],
    ]
    for (const [name, value] of figures) expect([name, await world.counted(name)]).toEqual([name, value])
  })
})

describe('bodies and retention', () => {
  const bodyFiles = (folder: string) =>
    readdirSync(join(folder, 'data'), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile() && /[0-9a-f]{64}/.test(entry.name))
      .map(({ name }) => name)

  test('a mail above 256 KiB travels through a file, whose octets are the very ones', async () => {
    const world = await mailWorld()
    await world.link(orders, 'up')
    const sizes = [256 * KiB - 1, 256 * KiB + 1, 5 * MiB]
    const mails = sizes.map((bytes, index) => {
      const empty = mail(`large ${index}`, { body: '' })
      return mail(`large ${index}`, {
        body: `${'0123456789abcde\n'.repeat(bytes / 16)}x`.replaceAll('\n', '\r\n').slice(0, bytes - empty.length),
      })
    })
    for (const each of mails) world.exchange.deliver(orders, each)
    await world.reached(3)
    await world.emptied()
    for (const each of mails) expect(world.s4.received.filter(({ octets }) => octets?.equals(each))).toHaveLength(1)
    expect(bodyFiles(world.folder)).toHaveLength(2)
  })

  test('what was kept long enough goes with its body, what is set aside stays longer', async () => {
    const world = await mailWorld({
      // The first purge comes when the flow starts, the second after five minutes, which are three seconds here.
      clock: hurriedClock(100),
      flows: [
        {
          imap: { every: '1h', timeout: '1h' },
          smtp: { timeouts: { connect: '1h', greeting: '1h', command: '1h', 'data-start': '1h', 'data-block': '1h' } },
          keep: { delivered: '1m', 'set-aside': '2d' },
        },
      ],
    })
    world.exchange.deliver(orders, mail('order 1', { body: 'x'.repeat(300 * KiB) }))
    await world.only('delivered')
    world.s4.faults.refuse({ at: 'rcpt', code: 550 })
    world.exchange.deliver(orders, mail('order 2'))
    const { id } = await world.only('set-aside')
    expect(bodyFiles(world.folder)).toHaveLength(1)
    await world.until('the purge', async () => (await world.find('limit=10')).length === 1)
    expect((await world.find('limit=10')).map(message => message.id)).toEqual([id])
    await world.until('the file to go', () => bodyFiles(world.folder).length === 0)
    expect(await world.find('term=order-1*')).toEqual([])
  })
})
