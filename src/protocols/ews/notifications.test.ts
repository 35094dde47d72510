import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { startEwsWorld } from './ews-world.ts'
import { type StreamEvent, splitEnvelopes } from './notifications.ts'

let world: Awaited<ReturnType<typeof startEwsWorld>>
beforeAll(async () => {
  world = await startEwsWorld()
})
afterAll(() => world.stop())
beforeEach(() => world.twin.clearFaults())

const tasks = [{ known: 'tasks' }] as const

test('a stream is cut into its envelopes wherever the pieces of the connection end', () => {
  const envelope = fc
    .tuple(
      fc.constantFrom('s:', 'SOAP:', ''),
      fc.string({ unit: 'grapheme', maxLength: 30 }).map(each => each.replace(/[<>\u0000]/g, '')),
    )
    .map(([prefix, text]) => `<${prefix}Envelope a="b">${text}</${prefix}Envelope >`)
  fc.assert(
    fc.property(
      fc.array(envelope, { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (envelopes, sizes) => {
        const bytes = Buffer.from(envelopes.join(''))
        const split = splitEnvelopes('x.example')
        const found: string[] = []
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1
          found.push(...split(bytes.subarray(at, at + size)))
          at += size
        }
        // Half a surrogate is not sent by anybody.
        expect(found).toEqual(envelopes.map(each => Buffer.from(each).toString()))
      },
    ),
  )
})

test('a stream without any envelope has an end', () => {
  const split = splitEnvelopes('x.example')
  const piece = Buffer.alloc(1024 * 1024, 'a')
  expect(() => {
    for (let turn = 0; turn < 8; turn += 1) split(piece)
  }).toThrowError(/larger than/)
})

function listening() {
  const events: StreamEvent[] = []
  const lost: string[] = []
  let isConnected = false
  return {
    events,
    lost,
    get isConnected() {
      return isConnected
    },
    onConnected: () => {
      isConnected = true
    },
    onEvent: (event: StreamEvent) => events.push(event),
    onLost: (ids: readonly string[]) => lost.push(...ids),
  }
}

test('what happens in the folders is told, also what happened before the stream was open', async () => {
  const { client, at, twin } = world
  const subscription = await client.subscribe(at, tasks)
  const hand = twin.mailbox(at.mailbox)
  const id = hand.put('tasks', '<t:Task><t:Subject>before</t:Subject></t:Task>')
  const listener = listening()
  const ending = new AbortController()
  const done = client.streamEvents({ ...at, signal: ending.signal }, [subscription], listener)
  try {
    await expect.poll(() => listener.events.length, { timeout: 10_000 }).toBe(1)
    hand.change(id, '<t:Task><t:Subject>after</t:Subject></t:Task>')
    hand.put('calendar', '<t:CalendarItem><t:Subject>elsewhere</t:Subject></t:CalendarItem>')
    hand.remove(id)
    await expect
      .poll(() => listener.events.map(event => event.kind), { timeout: 10_000 })
      .toEqual(['Created', 'Modified', 'Deleted'])
    expect(listener.events.every(event => event.subscription === subscription && event.itemId === id)).toBe(true)
  } finally {
    ending.abort()
    await done
  }
  await client.unsubscribe(at, subscription)
  await expect(client.unsubscribe(at, subscription)).rejects.toMatchObject({ code: 'EWS_SUBSCRIPTION_LOST' })
})

test('a subscription that the server does not know is told at once, and the stream is over', async () => {
  const { client, at } = world
  const listener = listening()
  await client.streamEvents(at, ['gone'], listener)
  expect([listener.lost, listener.isConnected]).toEqual([['gone'], false])
})

test('a stream that is cut in the middle of an envelope is a lost connection', async () => {
  const { client, at, twin } = world
  const listener = listening()
  const done = client.streamEvents(at, [await client.subscribe(at, tasks)], listener).catch((thrown: unknown) => thrown)
  await expect.poll(() => listener.isConnected, { timeout: 10_000 }).toBe(true)
  twin.setFaults({ cutStreams: true })
  expect(await done).toMatchObject({ code: 'NET_CONNECTION_LOST', retry: 'soon' })
})

test('a stream without a sign of life is a lost connection, not a quiet mailbox', async () => {
  const { client, at } = world
  const listener = listening()
  const subscription = await client.subscribe(at, tasks)
  const done = client.streamEvents(at, [subscription], listener, { silenceMs: 300 })
  await expect(done).rejects.toMatchObject({
    code: 'NET_CONNECTION_LOST',
    message: expect.stringContaining('300ms') as string,
  })
})

test('more subscriptions or streams than a mailbox may have are refused', async () => {
  const { client, at, twin } = world
  twin.addMailbox('many@contoso.example')
  const many = { ...at, mailbox: 'many@contoso.example' }
  const ids: string[] = []
  for (let index = 0; index < 20; index += 1) ids.push(await client.subscribe(many, tasks))
  await expect(client.subscribe(many, tasks)).rejects.toMatchObject({ code: 'EWS_SUBSCRIPTIONS_EXCEEDED' })
  const ending = new AbortController()
  const listeners = ids.slice(0, 9).map(() => listening())
  const streams = listeners.map((listener, index) =>
    client.streamEvents({ ...many, signal: ending.signal }, [ids[index] ?? ''], listener),
  )
  try {
    await expect.poll(() => listeners.filter(listener => listener.isConnected).length, { timeout: 10_000 }).toBe(9)
  } finally {
    ending.abort()
    await Promise.all(streams)
  }
})

test('streams take no connections from other requests, however many there are', async () => {
  const narrow = await startEwsWorld({}, { connections: 1, auth: 'ntlm' })
  const ending = new AbortController()
  const listeners = [listening(), listening(), listening()]
  try {
    const streams = listeners.map(async listener => {
      const id = await narrow.client.subscribe(narrow.at, tasks)
      await narrow.client.streamEvents({ ...narrow.at, signal: ending.signal }, [id], listener)
    })
    await expect.poll(() => listeners.filter(listener => listener.isConnected).length, { timeout: 10_000 }).toBe(3)
    expect(await narrow.client.getFolders(narrow.at, tasks)).toMatchObject([{ name: 'Tasks' }])
    ending.abort()
    await Promise.all(streams)
  } finally {
    ending.abort()
    await narrow.stop()
  }
})

test('the requests of a group of mailboxes stay on the server that answered the first of them', async () => {
  const { client, at, twin } = world
  const anchor = 'first@contoso.example'
  const subscription = await client.subscribe(at, tasks, anchor)
  expect(twin.requests.at(-1)?.headers).toMatchObject({ 'x-anchormailbox': anchor, 'x-preferserveraffinity': 'true' })
  expect(twin.requests.at(-1)?.headers).not.toHaveProperty('cookie')
  await client.unsubscribe(at, subscription, anchor)
  expect(twin.requests.at(-1)?.headers).toMatchObject({
    cookie: 'X-BackEndOverrideCookie=mail.contoso.example~1941962753',
  })
  // Requests of nobody's group go where the mailbox is.
  await client.getFolders(at, tasks)
  expect(twin.requests.at(-1)?.headers).not.toHaveProperty('cookie')
})
