import { createHmac } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import { hurriedClock } from './hurried-clock.ts'
import { type FlowChanges, invoices, mail, mailWorld, orders, stopWorlds, whenTestEnds } from './mail-world.ts'
import { silentServer } from './silent-server.ts'
import { webhookServer } from './webhook-server.ts'

afterEach(stopWorlds)

/** A minute is 0.6 seconds; timeouts are long enough for a busy machine all the same. */
const hurried = (
  changes: FlowChanges,
  options: Omit<NonNullable<Parameters<typeof mailWorld>[0]>, 'clock' | 'flows'> = {},
) =>
  mailWorld({
    ...options,
    clock: hurriedClock(100),
    flows: [
      {
        imap: { every: '10s', timeout: '10m' },
        smtp: { timeouts: { connect: '10m', greeting: '10m', command: '10m' } },
        delivery: { retry: { every: '10s', 'up-to': '20s', for: '1h' } },
        ...changes,
      },
    ],
  })

describe('a link that is dead never looks like a quiet one', () => {
  test('silence raises an alert by webhook, mail and log, and the next mail ends it', async () => {
    const hook = await webhookServer([500])
    whenTestEnds(() => hook.stop())
    const world = await hurried(
      { expect: { quiet: '3m' }, alert: ['duty', 'operations', 'log'] },
      {
        hub: ({ s4 }) => ({
          alertChannels: {
            duty: { webhook: { url: hook.url, auth: 'hook' } },
            operations: { mail: { from: 'hub@contoso.com', to: ['ops@s4.example'] } },
          },
          alertMailServers: { operations: { host: '127.0.0.1', port: s4, security: 'none' } },
        }),
      },
    )
    await world.ask('POST', '/api/credentials/hook', { kind: 'secret', secret: 'between us' })
    await world.alert('quiet')
    const mails = () => world.s4.received.filter(({ to }) => to[0] === 'ops@s4.example')
    // The first call was answered with 500, so it came again.
    await world.until('both channels to be told', () => hook.calls.length === 2 && mails().length === 1)
    const told = hook.calls[1]
    expect(told?.json).toMatchObject({
      kind: 'quiet',
      state: 'open',
      flow: 'mail',
      what: 'Flow mail has taken in nothing for 3m.',
      command: 'isthmus flow check mail',
    })
    const [, seconds, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(told?.headers['isthmus-signature'])) ?? []
    expect(signature).toBe(createHmac('sha256', 'between us').update(`${seconds}.${told?.text}`).digest('hex'))
    const text = mails()[0]?.octets?.toString() ?? ''
    expect(text).toContain('Subject: [Isthmus] Flow mail has taken in nothing for 3m.')
    expect(text).toContain('Auto-Submitted: auto-generated')
    expect(world.log.join('')).toContain('"event":"alert.raised"')

    world.exchange.deliver(orders, mail('order 1'))
    await world.alert('quiet', 'resolved')
    await world.until('both channels to be told', () => hook.calls.length === 3 && mails().length === 2)
    expect(hook.calls[2]?.json).toMatchObject({ kind: 'quiet', state: 'resolved' })
    expect(mails()[1]?.octets?.toString()).toContain('Subject: [Isthmus] Resolved: ')
    expect(world.arrived()).toContain('order 1')
  })

  test('a hub stops at once while its channels hang, and tells them after its next start', async () => {
    const silent = await silentServer()
    whenTestEnds(() => silent.stop())
    const world = await hurried(
      { expect: { quiet: '3m' }, alert: ['duty', 'operations'] },
      {
        hub: () => ({
          alertChannels: {
            duty: { webhook: { url: `http://127.0.0.1:${silent.port}/` } },
            operations: { mail: { from: 'hub@contoso.com', to: ['ops@s4.example'] } },
          },
          alertMailServers: {
            operations: { host: '127.0.0.1', port: silent.port, security: 'none', timeouts: { greeting: '1h' } },
          },
        }),
      },
    )
    await world.alert('quiet')
    await world.until('both channels to hang', () => silent.callCount() >= 2)
    const begun = performance.now()
    await world.restart()
    expect(performance.now() - begun).toBeLessThan(5_000)
    await world.until('both channels to be told again', () => silent.callCount() >= 4)
  })

  test('a mailbox that is away for minutes raises an alert and is read again when it is back', async () => {
    const world = await hurried({ imap: { every: '10s', timeout: '10m', user: [orders, invoices] } })
    await world.link(orders, 'up')
    world.exchange.setFaults({ refuseConnection: { times: 1_000 } })
    world.exchange.dropConnections()
    const alert = await world.alert('link-down')
    expect(alert.what).toMatch(/^Link (orders|invoices)@contoso\.com of flow mail is down: /)
    const { ok, links } = await world.ask<{ ok: boolean; links: { link: string; ok: boolean }[] }>(
      'POST',
      '/api/flows/mail/check',
    )
    expect([ok, links.map(link => [link.link, link.ok])]).toEqual([
      false,
      [
        ['from', false],
        ['to[0]', true],
      ],
    ])
    world.exchange.clearFaults()
    world.exchange.deliver(invoices, mail('invoice 1'))
    await world.ask('POST', '/api/flows/mail/start')
    await world.reached(1)
    await world.alert('link-down', 'resolved')
  })

  test('somebody says that they look after it', async () => {
    const world = await hurried({ expect: { quiet: '1m' } })
    const { id } = await world.alert('quiet')
    await world.ask('POST', '/api/alerts/acknowledge', { id })
    const { alerts } = await world.ask<{ alerts: { acknowledged?: { by: string } }[] }>('GET', '/api/alerts?state=open')
    expect(alerts[0]?.acknowledged?.by).toBe('admin@127.0.0.1')
  })
})

describe('probes', () => {
  const probing = { expect: { probe: { every: '4m', within: '2m' } } }

  test('travel the whole way and count for nothing else', async () => {
    const world = await hurried(probing)
    const probes = () => world.counted('isthmus_probe_ended_total{flow="mail",state="delivered"}')
    await world.until('a probe to arrive', async () => ((await probes()) ?? 0) >= 1)
    expect(world.s4.received[0]).toMatchObject({ from: '', to: ['orders@s4.example'] })
    expect(world.s4.received[0]?.octets?.toString()).toMatch(/^X-Isthmus-Probe: /m)
    await world.emptied()
    const { counts } = await world.ask<{ counts: { accepted: number } }>('GET', '/api/flows/mail')
    expect(counts.accepted).toBe(0)
    expect(await world.counted('isthmus_delivery_accepted_total{flow="mail"}')).toBeUndefined()
    const [probe] = await world.find('flow=mail')
    expect(probe).toMatchObject({ isProbe: true, state: 'delivered' })
  })

  test('one that does not arrive raises an alert, and the next that does ends it', async () => {
    const world = await hurried(probing)
    world.s4.faults.refuse({ at: 'rcpt', code: 451, text: 'Work processes are busy', times: 1_000 })
    expect((await world.alert('probe')).what).toBe('The probe of flow mail did not arrive within 2m.')
    world.s4.faults.clear()
    await world.alert('probe', 'resolved')
  })

  test('one that is refused for good says so in the words of the other side', async () => {
    const world = await hurried(probing)
    world.s4.faults.refuse({ at: 'rcpt', code: 550, text: 'unknown recipient in client 100', times: 1_000 })
    const alert = await world.alert('probe')
    expect(alert.what).toContain('The probe of flow mail ended as set-aside')
    expect(alert.what).toContain('550 unknown recipient in client 100')
  })

  test('one that cannot even be sent says why', async () => {
    const world = await hurried(probing)
    await world.link(orders, 'up')
    world.exchange.setFaults({ refuse: { commands: ['APPEND'], text: 'The mailbox is over its quota.', times: 1_000 } })
    const alert = await world.alert('probe')
    expect(alert.what).toMatch(/could not be sent: .*over its quota/)
  })

  test('are sent on request, and nobody else can make one', async () => {
    const world = await mailWorld()
    await world.link(orders, 'up')
    const end = await world.ask<{ ok: boolean; state: string; id: string }>('POST', '/api/flows/mail/probe', {})
    expect(end).toMatchObject({ ok: true, state: 'delivered' })
    const [sent] = world.s4.received
    const token = /^X-Isthmus-Probe: (.*?)\r$/m.exec(sent?.octets?.toString() ?? '')?.[1] ?? ''
    expect(token).not.toBe('')
    world.exchange.deliver(orders, mail('forged', { header: [`X-Isthmus-Probe: ${token.slice(0, -1)}x`] }))
    await world.reached(2)
    const found = await world.find('term=forged@adatum.example')
    expect(found).toMatchObject([{ isProbe: false }])
  })
})

describe('what waits for a person', () => {
  test('set-aside deliveries, a queue that stands, and a flow that does not start are told with the next step', async () => {
    const world = await mailWorld({
      hub: { alertPolicy: { lookEveryMs: 200, queueAgeMs: 500 } },
      flows: [{}, 'flow: broken\nfrom:\n  imapp: {}\n'],
    })
    world.s4.faults.refuse({ at: 'rcpt', code: 550, text: 'unknown recipient in client 100' })
    world.exchange.deliver(orders, mail('order 1'))
    const setAside = await world.alert('set-aside')
    expect(setAside.what).toMatch(/^1 delivery of flow mail is set aside; the newest: .*550 unknown recipient/)
    world.s4.faults.refuse({ at: 'rcpt', code: 451, times: 1_000 })
    world.exchange.deliver(orders, mail('order 2'))
    const queue = await world.alert('queue-age')
    expect(queue.what).toContain('The oldest delivery of flow mail has waited')
    const failed = await world.alert('flow-failed')
    expect(failed.what).toContain('Flow broken does not run: ')
    expect(await world.counted('isthmus_alerts_open')).toBe(3)
  })
})
