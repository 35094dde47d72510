import { afterEach, beforeEach, expect, test } from 'vitest'
import type { HubError } from '../../kernel/error.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { GraphFaultDocument } from '../../twins/graph/faults.ts'
import { never, startGraphWorld } from './graph-world.ts'
import { expandProperty, markOf, propertyEquals, propertyValue } from './link-property.ts'

// The client against the twin, over sockets, with tokens of the sign-in twin.

let world: Awaited<ReturnType<typeof startGraphWorld>>

beforeEach(async () => {
  world = await startGraphWorld({ pageSize: 5 })
})
afterEach(() => world.stop())

const link = { set: '6f0e1c1e-7a5b-4c11-9d1e-69737468616d', name: 'CrmObjectId' }
const events = 'users/ada@contoso.com/events'

function meeting(subject: string, day = '2026-11-23', more: JsonObject = {}): JsonObject {
  return {
    subject,
    start: { dateTime: `${day}T09:00:00`, timeZone: 'W. Europe Standard Time' },
    end: { dateTime: `${day}T10:00:00`, timeZone: 'W. Europe Standard Time' },
    ...more,
  }
}

async function create(body: JsonObject): Promise<JsonObject> {
  return world.client.object({ method: 'POST', path: events, body }, never)
}

test('an event is created with its mark, found by it, changed under its ETag and removed', async () => {
  const { client } = world
  const made = await create(
    meeting('Jour fixe', '2026-11-23', { singleValueExtendedProperties: [propertyValue(link, "O'Neil-1")] }),
  )
  expect(made['start']).toEqual({ dateTime: '2026-11-23T08:00:00.0000000', timeZone: 'UTC' })
  const query = `$filter=${encodeURIComponent(propertyEquals(link, "O'Neil-1"))}&$expand=${encodeURIComponent(expandProperty(link))}`
  const [found, ...others] = await Array.fromAsync(client.list(`${events}?${query}`, [], never))
  expect(others).toEqual([])
  expect(found && markOf(found, link)).toBe("O'Neil-1")
  expect(found?.['id']).toBe(made['id'])

  const path = `${events}/${String(made['id'])}`
  const changed = await client.object(
    { method: 'PATCH', path, body: { subject: 'New' }, ifMatch: String(made['@odata.etag']) },
    never,
  )
  expect(changed['subject']).toBe('New')
  const stale = client.send(
    { method: 'PATCH', path, body: { subject: 'Old' }, ifMatch: String(made['@odata.etag']) },
    never,
  )
  await expect(stale).rejects.toMatchObject({ code: 'GRAPH_CHANGED_MEANWHILE' })
  await client.send({ method: 'DELETE', path }, never)
  await expect(client.object({ method: 'GET', path }, never)).rejects.toMatchObject({ code: 'GRAPH_GONE' })
})

test('the same transaction creates one event, however often it is sent', async () => {
  const [one, two] = [
    await create(meeting('a', '2026-11-23', { transactionId: 't-1' })),
    await create(meeting('a', '2026-11-23', { transactionId: 't-1' })),
  ]
  expect(two['id']).toBe(one['id'])
  expect(world.graph.count('ada@contoso.com', 'event')).toBe(1)
})

test('a delta round tells pages, then what changed and what is gone; a forgotten token is said so', async () => {
  const { client, graph } = world
  const made: JsonObject[] = []
  for (let index = 0; index < 12; index += 1) made.push(await create(meeting(`m${index}`)))
  const first = await round(
    'users/ada@contoso.com/calendarView/delta?startDateTime=2026-11-01T00:00:00Z&endDateTime=2026-12-01T00:00:00Z',
  )
  expect(first.rows.map(row => row['subject'])).toEqual(made.map(each => each['subject']))
  expect(first.pages).toBe(3)
  await client.send(
    { method: 'PATCH', path: `${events}/${String(made[3]?.['id'])}`, body: { subject: 'changed' } },
    never,
  )
  await client.send({ method: 'DELETE', path: `${events}/${String(made[4]?.['id'])}` }, never)
  await create(meeting('outside', '2027-05-01'))
  const second = await round(first.delta)
  expect(second.rows.map(row => row['subject'] ?? row['@removed'])).toEqual(['changed', { reason: 'deleted' }])
  expect((await round(second.delta)).rows).toEqual([])
  graph.setFaults({ expireDeltas: true })
  await expect(round(second.delta)).rejects.toMatchObject({ code: 'GRAPH_DELTA_LOST', retry: 'soon' })

  async function round(path: string) {
    const rows: JsonObject[] = []
    let at = path
    for (let pages = 1; ; pages += 1) {
      const page = await client.page(at, [], never)
      rows.push(...page.items)
      if (page.delta !== undefined) return { rows, pages, delta: page.delta }
      at = page.next ?? ''
    }
  }
})

test('a batch carries 20 at a time, answers in its order, and repeats what was told to wait', async () => {
  const { client, graph } = world
  const bodies = Array.from({ length: 45 }, (_, index) => meeting(`m${index}`))
  graph.setFaults({ throttle: { times: 3, retryAfterS: 0 } })
  const answers = await client.batch(
    bodies.map(body => ({ method: 'POST' as const, path: events, body })),
    never,
  )
  expect(answers.map(each => ('body' in each ? (each.body as JsonObject)['subject'] : each))).toEqual(
    bodies.map(each => each['subject']),
  )
  expect(graph.counters.batches).toBe(4)
  expect(graph.count('ada@contoso.com', 'event')).toBe(45)
  const gone = await client.batch([{ method: 'GET', path: `${events}/${'x'.repeat(40)}` }], never)
  expect(gone).toMatchObject([{ code: 'GRAPH_GONE' }])
})

test.each([503, 504])(
  'a write in a batch that a gateway gave up on (%i) is not sent again: it may be done',
  async status => {
    const { client, graph } = world
    const path = 'users/ada@contoso.com/contacts'
    const calls = ['Ann', 'Ben'].map(givenName => ({ method: 'POST' as const, path, body: { givenName } }))
    graph.setFaults({ late: { times: 1, status } })
    expect(await client.batch(calls, never)).toMatchObject([{ code: 'GRAPH_BUSY' }, { status: 201 }])
    expect(graph.count('ada@contoso.com', 'contact')).toBe(2)
  },
)

test('a series: occurrences keep their hour over the change of clocks, exceptions and cancelled ones are told', async () => {
  const { client } = world
  const recurrence = {
    pattern: { type: 'weekly', interval: 1, daysOfWeek: ['monday'], firstDayOfWeek: 'monday' },
    range: {
      type: 'numbered',
      startDate: '2026-10-19',
      numberOfOccurrences: 3,
      recurrenceTimeZone: 'W. Europe Standard Time',
    },
  }
  const master = await create(meeting('weekly', '2026-10-19', { recurrence }))
  const path = `${events}/${String(master['id'])}`
  const window = 'startDateTime=2026-10-01T00:00:00Z&endDateTime=2026-12-01T00:00:00Z'
  const instances = await Array.fromAsync(client.list(`${path}/instances?${window}`, [], never))
  expect(instances.map(each => (each['start'] as JsonObject)['dateTime'])).toEqual([
    '2026-10-19T07:00:00.0000000',
    '2026-10-26T08:00:00.0000000',
    '2026-11-02T08:00:00.0000000',
  ])
  const [, second, third] = instances
  await client.send(
    { method: 'PATCH', path: `${events}/${String(second?.['id'])}`, body: { subject: 'moved room' } },
    never,
  )
  await client.send({ method: 'DELETE', path: `${events}/${String(third?.['id'])}` }, never)
  const read = await client.object(
    { method: 'GET', path: `${path}?$select=subject,recurrence,cancelledOccurrences&$expand=exceptionOccurrences` },
    never,
  )
  expect(read['exceptionOccurrences']).toMatchObject([
    { subject: 'moved room', type: 'exception', originalStart: '2026-10-26T08:00:00Z' },
  ])
  expect(read['cancelledOccurrences']).toEqual([`OID.${String(master['id'])}.2026-11-02`])
})

test.each<[string, GraphFaultDocument, string, Partial<HubError>]>([
  ['throttled', { throttle: { times: 1, retryAfterS: 7 } }, 'GRAPH_BUSY', { retryAfterMs: 7000, retry: 'soon' }],
  ['down', { unavailable: { times: 1, status: 500 } }, 'GRAPH_SERVER_FAILED', { retry: 'soon' }],
  ['unavailable', { unavailable: { times: 1 } }, 'GRAPH_BUSY', { retryAfterMs: 10_000 }],
  ['moved', { moving: { times: 1, mailbox: 'ada@contoso.com' } }, 'GRAPH_MAILBOX_MOVING', {}],
  ['behind a log-in page', { html: { times: 1 } }, 'GRAPH_OUTCOME_UNKNOWN', { isOutcomeUnknown: true }],
  ['cut before it is done', { dropBefore: { times: 1 } }, 'GRAPH_OUTCOME_UNKNOWN', { isOutcomeUnknown: true }],
  ['cut after it is done', { dropAfter: { times: 1 } }, 'GRAPH_OUTCOME_UNKNOWN', { isOutcomeUnknown: true }],
  ['answered by half', { truncate: { times: 1 } }, 'GRAPH_OUTCOME_UNKNOWN', { isOutcomeUnknown: true }],
  [
    'full',
    { refuse: { times: 1, status: 507, code: 'ErrorQuotaExceeded' } },
    'GRAPH_QUOTA_FULL',
    { retry: 'after-change' },
  ],
  [
    'too large',
    { refuse: { times: 1, status: 413, code: 'ErrorMessageSizeExceeded' } },
    'GRAPH_TOO_LARGE',
    { retry: 'never' },
  ],
  ['refused', { refuse: { times: 1, code: 'ErrorInvalidRequest' } }, 'GRAPH_REFUSED', { isAboutMessage: true }],
  ['there already', { refuse: { times: 1, status: 409, code: 'ErrorDuplicate' } }, 'GRAPH_DUPLICATE', {}],
])('a write that is %s says so', async (_, faults, code, more) => {
  world.graph.setFaults(faults)
  await expect(create(meeting('x'))).rejects.toMatchObject({ code, ...more })
})

test('a read that is cut leaves no doubt, and a link to another server is not followed', async () => {
  const { client, graph } = world
  graph.setFaults({ dropBefore: { times: 1 } })
  await expect(client.page(events, [], never)).rejects.toMatchObject({ code: 'NET_CONNECTION_LOST' })
  graph.setFaults({ truncate: { times: 1 } })
  await expect(client.page(events, [], never)).rejects.toMatchObject({ retry: 'soon', isOutcomeUnknown: false })
  graph.setFaults({ html: { times: 1 } })
  await expect(client.page(events, [], never)).rejects.toMatchObject({ code: 'GRAPH_ANSWER_ODD' })
  for (let index = 0; index < 6; index += 1) await create(meeting(`m${index}`))
  graph.setFaults({ foreignLinks: true })
  await expect(client.page(events, [], never)).rejects.toMatchObject({ code: 'GRAPH_LINK_FOREIGN' })
})

test('tokens: an ended one is replaced without a word; scope, permission and mailbox are told apart', async () => {
  const { client, graph, signIn } = world
  await create(meeting('before'))
  signIn.setFaults({ expireTokens: true })
  await create(meeting('after'))
  expect(graph.requests.at(-1)).toMatchObject({ status: 201 })
  graph.mailbox('ada@contoso.com').inScope = false
  await expect(create(meeting('x'))).rejects.toMatchObject({ code: 'GRAPH_OUT_OF_SCOPE' })
  graph.mailbox('ben@contoso.com').isOnline = false
  await expect(client.page('users/ben@contoso.com/contacts', [], never)).rejects.toMatchObject({
    code: 'GRAPH_NO_MAILBOX',
  })
  await expect(client.page('users/nobody@contoso.com/contacts', [], never)).rejects.toMatchObject({
    code: 'GRAPH_NO_MAILBOX',
  })
  await expect(client.object({ method: 'GET', path: 'users/nobody@contoso.com' }, never)).rejects.toMatchObject({
    code: 'GRAPH_NO_MAILBOX',
  })
})
