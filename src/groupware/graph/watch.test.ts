import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { DAY, HOUR, systemClock } from '../../kernel/time.ts'
import type { WatchRequest } from '../drivers.ts'
import { scopeOf, startGraphDriver } from '../graph-driver-world.ts'
import type { ItemKind } from '../plan/items.ts'
import { sampleAppointment } from '../sample-items-world.ts'
import { GraphInbox } from './inbox.ts'

// Subscriptions and notifications over sockets: the twin calls an endpoint of ours, as Graph would.

let endpoint: Awaited<ReturnType<typeof startEndpoint>>
let world: Awaited<ReturnType<typeof startGraphDriver>>
let ends: AbortController
let watching: Promise<void>
const heard: string[] = []
const patience = { timeout: 10_000, interval: 20 }

async function startEndpoint() {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1')
      const { status, type, body } = answers.inbox.handle(Object.fromEntries(searchParams), Buffer.concat(chunks))
      response.writeHead(answers.status ?? status, { 'content-type': type }).end(body)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const origin = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  const inbox = new GraphInbox({ notificationUrl: `${origin}/changes`, lifecycleUrl: `${origin}/lifecycle` })
  const answers: { inbox: GraphInbox; status: number | undefined } = { inbox, status: undefined }
  return {
    inbox,
    /** From now on every request is answered with this status. */
    answerWith: (status: number | undefined) => {
      answers.status = status
    },
    stop: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

beforeEach(async () => {
  endpoint = await startEndpoint()
  world = await startGraphDriver({}, { inbox: endpoint.inbox })
  ends = new AbortController()
  watching = Promise.resolve()
  heard.length = 0
})
afterEach(async () => {
  ends.abort()
  await watching
  await world.graph.subscriptions.settled()
  await world.stop()
  await endpoint.stop()
})

const scopesOf =
  (...kinds: readonly ItemKind[]) =>
  () =>
    kinds.map(kind => ({ kind, folders: [] }))

function watch(more: Partial<WatchRequest> = {}, driver = world.driver): void {
  const request: WatchRequest = {
    mailboxes: ['ada@contoso.com', 'ben@contoso.com'],
    scopesOf: scopesOf('appointment', 'contact'),
    onChange: (mailbox, kind) => heard.push(`${mailbox} ${kind} changed`),
    onConnected: mailbox => heard.push(`${mailbox} connected`),
    onLost: (mailbox, { code }) => heard.push(`${mailbox} lost ${code}`),
    signal: ends.signal,
    ...more,
  }
  watching = driver.watch?.(request) ?? Promise.reject(new Error('it cannot watch'))
}

async function put(mailbox: string): Promise<void> {
  const scope = scopeOf('appointment', { mailbox })
  const wish = { key: `k ${heard.length}`, mark: null, item: sampleAppointment, openAttachment: () => nothing() }
  await world.driver.create(scope, [wish], new AbortController().signal)
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

const connected = () => heard.filter(line => line.endsWith('connected')).length

test('each mailbox is connected, its changes are heard, and the end of watching ends the subscriptions', async () => {
  watch()
  await vi.waitFor(() => expect(connected()).toBe(2), patience)
  expect(world.graph.subscriptions.count).toBe(4)
  await put('ben@contoso.com')
  await vi.waitFor(() => expect(heard.at(-1)).toBe('ben@contoso.com appointment changed'), patience)
  ends.abort()
  await watching
  expect(world.graph.subscriptions.count).toBe(0)
})

test('subscriptions that Graph ends are made anew, and what was missed is asked for', async () => {
  watch({ mailboxes: ['ada@contoso.com'], scopesOf: scopesOf('appointment') })
  await vi.waitFor(() => expect(connected()).toBe(1), patience)
  world.graph.setFaults({ dropNotifications: { times: 1 } })
  await put('ada@contoso.com')
  await vi.waitFor(() => expect(heard.at(-1)).toBe('ada@contoso.com appointment changed'), patience)
  world.graph.setFaults({ endSubscriptions: true })
  await vi.waitFor(() => expect(connected()).toBe(2), patience)
  expect(world.graph.subscriptions.count).toBe(1)
  // What happened before there was another one is asked for after it.
  await vi.waitFor(() => expect(heard.at(-1)).toBe('ada@contoso.com appointment changed'), patience)
})

test('an address that Graph cannot reach loses the mailbox to polling, in words', async () => {
  endpoint.answerWith(500)
  watch({ mailboxes: ['ada@contoso.com'], scopesOf: scopesOf('contact') })
  await vi.waitFor(() => expect(heard).toEqual(['ada@contoso.com lost GRAPH_WEBHOOK_UNREACHABLE']), patience)
})

test('what is refused for all is not asked for each mailbox', async () => {
  const mailboxes = Array.from({ length: 100 }, (_, number) => `p${number}@contoso.com`)
  for (const mailbox of mailboxes) world.graph.addMailbox(mailbox)
  for (const trouble of ['unreachable', 'busy'] as const) {
    endpoint.answerWith(trouble === 'unreachable' ? 500 : undefined)
    if (trouble === 'busy') world.graph.setFaults({ throttle: { times: 10_000, retryAfterS: 3600 } })
    const before = world.graph.counters.requests
    heard.length = 0
    ends = new AbortController()
    watch({ mailboxes, scopesOf: scopesOf('contact') })
    await vi.waitFor(() => expect(heard.length).toBeGreaterThanOrEqual(20), patience)
    await systemClock.sleep(300)
    expect(heard.filter(line => line.includes('lost')).length).toBe(20)
    expect(world.graph.counters.requests - before).toBeLessThan(30)
    ends.abort()
    await watching
    world.graph.clearFaults()
  }
})

/** A clock of which a test says how far it is from the one of the machine, and that sleeps but a moment. */
function movedClock(aheadMs: number) {
  const clock = {
    ...systemClock,
    aheadMs,
    now: () => systemClock.now() + clock.aheadMs,
    sleep: (_ms: number, ending?: AbortSignal) => systemClock.sleep(20, ending),
  }
  return clock
}

test('neither a wait of years that a proxy wishes nor a clock that is set back ends the notifications', async () => {
  for (const [aheadMs, retryAfterS, laterMs] of [
    [0, 999_999_999, 7 * HOUR],
    [365 * DAY, 5, HOUR],
  ] as const) {
    heard.length = 0
    ends = new AbortController()
    const clock = movedClock(aheadMs)
    world.graph.setFaults({ throttle: { times: 10_000, retryAfterS } })
    watch({ mailboxes: ['ada@contoso.com'], scopesOf: scopesOf('contact') }, world.reopened({ clock }))
    await vi.waitFor(() => expect(heard).toEqual(['ada@contoso.com lost GRAPH_BUSY']), patience)
    world.graph.clearFaults()
    clock.aheadMs = 0
    await systemClock.sleep(100)
    clock.aheadMs = laterMs
    await vi.waitFor(() => expect(connected()).toBe(1), patience)
    ends.abort()
    await watching
  }
})

test('mailboxes whose subscriptions Graph has ended are polled while it is too busy for new ones', async () => {
  const mailboxes = Array.from({ length: 40 }, (_, number) => `p${number}@contoso.com`)
  for (const mailbox of mailboxes) world.graph.addMailbox(mailbox)
  let awayMs = 0
  const logIn = async () => {
    await systemClock.sleep(awayMs)
    return world.logIn()
  }
  watch({ mailboxes, scopesOf: scopesOf('contact') }, world.reopened({ logIn }))
  await vi.waitFor(() => expect(connected()).toBe(40), patience)
  // All of them are told of while the first is asked for anew.
  awayMs = 300
  world.graph.setFaults({ throttle: { times: 10_000, retryAfterS: 3600 }, endSubscriptions: true })
  const lost = () => new Set(heard.filter(line => line.includes('lost')))
  await vi.waitFor(() => expect(lost().size).toBe(40), patience)
})

test('a mailbox out of scope is lost alone', async () => {
  world.graph.mailbox('ada@contoso.com').inScope = false
  watch({ scopesOf: scopesOf('task') })
  await vi.waitFor(
    () => expect(heard).toEqual(['ada@contoso.com lost GRAPH_OUT_OF_SCOPE', 'ben@contoso.com connected']),
    patience,
  )
})

test('a mailbox that is not heard of in everything is lost, until it is', async () => {
  // Without the permission for mail, which comes before that for appointments.
  const issue = (...roles: string[]) => world.signIn.issue({ scope: 'https://graph.microsoft.com/.default', roles })
  let token = issue('Calendars.ReadWrite')
  const clock = movedClock(0)
  const driver = world.reopened({ logIn: async () => ({ ...(await world.logIn()), token }), clock })
  watch({ mailboxes: ['ada@contoso.com'], scopesOf: scopesOf('mail', 'appointment') }, driver)
  await vi.waitFor(() => expect(heard).toEqual(['ada@contoso.com lost GRAPH_OUT_OF_SCOPE']), patience)
  await vi.waitFor(() => expect(world.graph.subscriptions.count).toBe(1), patience)
  expect(connected()).toBe(0)
  token = issue('Calendars.ReadWrite', 'Mail.ReadWrite')
  clock.aheadMs = HOUR
  await vi.waitFor(() => expect(connected()).toBe(1), patience)
})

test('the inbox believes its own subscriptions only, and answers whatever comes', () => {
  const { inbox } = endpoint
  const told: (string | undefined)[] = []
  const forget = inbox.listen('s-1', 'secret', ({ lifecycle, item }) => told.push(lifecycle ?? item))
  const body = (value: unknown) => Buffer.from(JSON.stringify({ value }))
  const notification = { subscriptionId: 's-1', clientState: 'secret', resourceData: { id: 'i-1' } }
  expect(inbox.handle({ validationToken: 'abc def' }, Buffer.alloc(0))).toEqual({
    status: 200,
    type: 'text/plain',
    body: 'abc def',
  })
  expect(inbox.handle({ validationToken: '<script>' }, Buffer.alloc(0)).status).toBe(400)
  expect(
    inbox.handle({}, body([notification, { ...notification, resourceData: null, lifecycleEvent: 'missed' }])).status,
  ).toBe(202)
  expect(inbox.handle({}, body([{ ...notification, clientState: 'guess!' }])).status).toBe(202)
  expect(inbox.handle({}, body([{ ...notification, clientState: undefined }])).status).toBe(202)
  expect(inbox.handle({}, body([{ ...notification, subscriptionId: 'other' }])).status).toBe(202)
  expect(told).toEqual(['i-1', 'missed'])
  for (const odd of [
    '',
    '{',
    'null',
    '[]',
    '{"value":1}',
    '{"value":[1]}',
    '{"value":[{}]}',
    '{"value":[{"subscriptionId":"s","lifecycleEvent":"party"}]}',
    '\xff',
  ]) {
    expect(inbox.handle({}, Buffer.from(odd, 'latin1')).status, odd).toBe(400)
  }
  forget()
  expect(inbox.handle({}, body([notification])).status).toBe(202)
  expect(told).toHaveLength(2)
})
