import { createServer, type ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { HubError } from '../../kernel/error.ts'
import { MINUTE } from '../../kernel/time.ts'
import type { EwsFaultDocument } from '../../twins/exchange-ews/faults.ts'
import { listenOnLoopback } from '../../twins/listen.ts'
import { backOffMsDefault, treatedCodes } from './answer.ts'
import { EwsClient } from './client.ts'
import { ewsOptions, startEwsWorld } from './ews-world.ts'

const folders = [{ known: 'calendar' }] as const
const shape = { itemClass: 'Task', fields: [] } as const
const at = { mailbox: 'anna@contoso.example', signal: new AbortController().signal }

async function failureOf(work: Promise<unknown>): Promise<HubError> {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(thrown instanceof HubError)) throw new Error(`no HubError: ${String(thrown)}`)
  return thrown
}

let world: Awaited<ReturnType<typeof startEwsWorld>>
beforeAll(async () => {
  world = await startEwsWorld({ concurrencyMax: 3 })
})
afterAll(() => world.stop())
beforeEach(() => world.twin.clearFaults())

describe('what Exchange says, and what the hub makes of it', () => {
  test.each(treatedCodes)('%s is %s, with a sentence and a next step', async (code, expected) => {
    // A server that refuses every version is asked in each of them.
    world.twin.setFaults({ fail: { times: 3, code, text: 'Sagt der Server.' } })
    const error = await failureOf(world.client.getFolders(at, folders))
    expect(error.code).toBe(expected)
    expect(`${error.message} ${error.next}`).not.toMatch(/[{}]/)
    expect(error.next.length).toBeGreaterThan(10)
  })

  test('any other code refuses the item it is about', async () => {
    world.twin.setFaults({ failItems: { times: 1, code: 'ErrorCalendarDurationIsTooLong', text: 'Too long.' } })
    const [outcome] = await world.client.getItems(at, [{ id: 'AAMkAny' }], shape)
    expect(outcome).toMatchObject({
      code: 'EWS_ITEM_REFUSED',
      isAboutMessage: true,
      retry: 'never',
      message: 'Exchange refused an item of anna@contoso.example (ErrorCalendarDurationIsTooLong): Too long.',
    })
  })

  test('a batch that stops is sent again from where it stopped', async () => {
    const hand = world.twin.mailbox(at.mailbox)
    const ids = ['a', 'b', 'c'].map(name => hand.put('tasks', `<t:Task><t:Subject>${name}</t:Subject></t:Task>`))
    world.twin.setFaults({ stopBatchAfter: { times: 2, items: 1 } })
    const outcomes = await world.client.getItems(
      at,
      ids.map(id => ({ id })),
      shape,
    )
    expect(outcomes.map(each => (each instanceof HubError ? each.code : each.id))).toEqual(ids)
  })

  test('a server that knows an older version only is spoken to in that', async () => {
    const { twin, client, stop } = await startEwsWorld()
    try {
      twin.setFaults({ fail: { times: 1, code: 'ErrorInvalidServerVersion' } })
      expect(await client.getFolders(at, folders)).toMatchObject([{ name: 'Calendar' }])
      await client.getFolders(at, folders)
      const versions = twin.requests.map(({ body }) => /Version="(\w+)"/.exec(body)?.[1])
      expect(versions).toEqual(['Exchange2016', 'Exchange2013_SP1', 'Exchange2013_SP1'])
    } finally {
      await stop()
    }
  })
})

test('a batch that does not get on at all is an error of its items', async () => {
  const id = world.twin.mailbox(at.mailbox).put('tasks', '<t:Task><t:Subject>x</t:Subject></t:Task>')
  world.twin.setFaults({ stopBatchAfter: { times: 1, items: 0 } })
  expect(await world.client.getItems(at, [{ id }], shape)).toMatchObject([{ code: 'EWS_BATCH_STOPPED', retry: 'soon' }])
})

describe('a busy server', () => {
  const busy = (as: NonNullable<EwsFaultDocument['busy']>['as'], backOffMs = 297_749) => ({ busy: { as, backOffMs } })

  test.each([
    ['a fault that names its wait', busy('fault'), 297_749],
    ['a fault of too many connections, which names none', busy('concurrency'), backOffMsDefault],
    ['HTTP 503 with Retry-After', busy('503'), 1000],
    ['a row of an answer', busy('row', 4000), 4000],
    ['an internal error with the busy server inside', busy('inside', 5000), 5000],
  ])('says so by %s', async (_name, faults, waitMs) => {
    world.twin.setFaults(faults)
    const error = await failureOf(
      world.client
        .syncItems(at, { known: 'tasks' }, undefined)
        .then(() => world.client.getItems(at, [{ id: 'x' }], shape)),
    )
    expect(error).toMatchObject({ code: 'EWS_BUSY', retry: 'soon', retryAfterMs: waitMs })
  })

  test('says so when the account asks for too much at the same time', async () => {
    world.twin.setFaults({ slowMs: 0 })
    const held = await startEwsWorld({ concurrencyMax: 0 })
    try {
      const error = await failureOf(held.client.getFolders(at, folders))
      expect(error).toMatchObject({ code: 'EWS_BUSY', retryAfterMs: backOffMsDefault })
    } finally {
      await held.stop()
    }
  })
})

describe('who may act for whom', () => {
  const account = { user: 'CONTOSO\\svc-sync', password: 'Impersonate-1' }
  test.each([
    [
      'a mailbox outside of the scope',
      ['ben@contoso.example'] as readonly string[],
      at.mailbox,
      'EWS_IMPERSONATION_DENIED',
    ],
    ['anybody without the role', 'nobody' as const, at.mailbox, 'EWS_NOT_AN_IMPERSONATOR'],
    ['a mailbox that is not there', 'everybody' as const, 'nobody@contoso.example', 'EWS_NO_MAILBOX'],
    ['an alias instead of the primary address', 'everybody' as const, 'a.schmidt@contoso.example', 'EWS_NO_MAILBOX'],
  ])('%s: no', async (_name, impersonates, mailbox, code) => {
    const { client, stop } = await startEwsWorld({
      accounts: [{ ...account, impersonates }],
      mailboxes: [{ address: at.mailbox, aliases: ['a.schmidt@contoso.example'] }],
    })
    try {
      const error = await failureOf(client.getFolders({ ...at, mailbox }, folders))
      expect(error).toMatchObject({ code, retry: 'after-change' })
      expect(error.message).toContain(code === 'EWS_NOT_AN_IMPERSONATOR' ? 'service account' : mailbox)
    } finally {
      await stop()
    }
  })
})

describe('a connection that is cut', () => {
  const create = () =>
    world.client.createItems(at, { known: 'tasks' }, [
      { itemClass: 'Task', parts: [{ field: 'Subject', xml: '<t:Subject>x</t:Subject>' }] },
    ])

  test('while something is read is a lost connection', async () => {
    for (const fault of [{ dropBefore: { times: 1 } }, { dropAfter: { times: 1 } }, { truncate: { times: 1 } }]) {
      world.twin.setFaults(fault)
      expect(await failureOf(world.client.getFolders(at, folders))).toMatchObject({
        code: 'NET_CONNECTION_LOST',
        retry: 'soon',
      })
    }
  })

  test('while something is written leaves it open whether it was done', async () => {
    for (const fault of [{ dropBefore: { times: 1 } }, { dropAfter: { times: 1 } }, { truncate: { times: 1 } }]) {
      world.twin.setFaults(fault)
      expect(await failureOf(create())).toMatchObject({ code: 'EWS_OUTCOME_UNKNOWN', isOutcomeUnknown: true })
    }
  })

  test('by the time limit is one too', async () => {
    const slow = new EwsClient(ewsOptions(world.twin.url, { timeoutMs: 100 }))
    world.twin.setFaults({ slowMs: 2000 })
    try {
      expect(await failureOf(slow.getFolders(at, folders))).toMatchObject({ code: 'NET_CONNECTION_LOST' })
    } finally {
      await slow.close()
    }
  })

  test('by whoever asks no longer is the hub that stops', async () => {
    world.twin.setFaults({ slowMs: 2000 })
    const ending = new AbortController()
    const failing = failureOf(world.client.getFolders({ ...at, signal: ending.signal }, folders))
    ending.abort()
    expect(await failing).toMatchObject({ code: 'HUB_STOPPING' })
  })
})

describe('a server that answers oddly', () => {
  let answer: (response: ServerResponse) => void = () => {}
  let listener: Awaited<ReturnType<typeof listenOnLoopback>>
  let client: EwsClient
  beforeAll(async () => {
    const server = createServer((request, response) => {
      request.resume()
      request.on('end', () => answer(response))
    })
    listener = await listenOnLoopback(server)
    client = new EwsClient(
      ewsOptions(`http://127.0.0.1:${listener.port}/EWS/Exchange.asmx`, { answerBytesMax: 20_000 }),
    )
  })
  afterAll(async () => {
    await client.close()
    await listener.stop()
  })
  afterEach(() => {
    answer = () => {}
  })

  const says = (status: number, headers: Record<string, string | string[]>, body: string | Buffer = '') => {
    answer = response => response.writeHead(status, headers).end(body)
  }
  const xml = { 'content-type': 'text/xml; charset=utf-8' }
  const soap = (body: string) =>
    `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>${body}</s:Body></s:Envelope>`
  const rows = (content: string) => soap(`<r><ResponseMessages>${content}</ResponseMessages></r>`)

  test('an error page of brackets without end costs no time', async () => {
    says(500, { 'content-type': 'text/html' }, '<'.repeat(100_000))
    const started = performance.now()
    expect((await failureOf(client.getFolders(at, folders))).code).toBe('EWS_SERVER_FAILED')
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  test.each([
    ['a log-in page', 200, { 'content-type': 'text/html' }, '<html>', 'EWS_ANSWER_ODD'],
    ['nothing', 200, xml, '', 'EWS_ANSWER_ODD'],
    ['XML that ends too early', 200, xml, '<s:Envelope xmlns:s="x"><s:Body>', 'EWS_ANSWER_ODD'],
    ['another root', 200, xml, '<a/>', 'EWS_ANSWER_ODD'],
    ['an envelope of another namespace', 200, xml, '<Envelope><Body/></Envelope>', 'EWS_ANSWER_ODD'],
    ['an empty body', 200, xml, soap(''), 'EWS_ANSWER_ODD'],
    ['an answer without rows', 200, xml, soap('<x/>'), 'EWS_ANSWER_ODD'],
    ['fewer rows than were asked for', 200, xml, rows(''), 'EWS_ANSWER_ODD'],
    ['a row without its item', 200, xml, rows('<x ResponseClass="Success"/>'), undefined],
    ['a document type', 200, xml, '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>', 'EWS_ANSWER_ODD'],
    ['more than anybody should send', 200, xml, soap('x'.repeat(30_000)), 'EWS_ANSWER_TOO_LARGE'],
    [
      'a bomb',
      200,
      { ...xml, 'content-encoding': 'gzip' },
      gzipSync(Buffer.alloc(10_000_000, 32)),
      'EWS_ANSWER_TOO_LARGE',
    ],
    ['gzip that is none', 200, { ...xml, 'content-encoding': 'gzip' }, 'plain', 'EWS_ANSWER_ODD'],
    ['a redirect', 302, { location: 'https://elsewhere.example/' }, '', 'EWS_REDIRECTED'],
    ['401 without a word', 401, {}, '', 'EWS_LOGIN_REFUSED'],
    ['401 with NTLM alone', 401, { 'www-authenticate': ['Negotiate', 'NTLM'] }, '', 'EWS_LOGIN_NOT_OFFERED'],
    ['403', 403, {}, '', 'EWS_FORBIDDEN'],
    ['404', 404, {}, '', 'EWS_WRONG_ADDRESS'],
    ['405', 405, {}, '', 'EWS_WRONG_ADDRESS'],
    ['429', 429, { 'retry-after': '60' }, '', 'EWS_BUSY'],
    ['500 of a proxy', 500, { 'content-type': 'text/html' }, '<h1>Bad</h1>', 'EWS_SERVER_FAILED'],
    ['500 with XML that is no fault', 500, xml, '<a/>', 'EWS_SERVER_FAILED'],
    ['502', 502, {}, '', 'EWS_SERVER_FAILED'],
  ] as const)('%s', async (_name, status, headers, body, code) => {
    says(status, headers as Record<string, string | string[]>, body)
    if (code === undefined) {
      expect(await client.getFolders(at, folders)).toMatchObject([{ code: 'EWS_ANSWER_ODD' }])
      return
    }
    const error = await failureOf(client.getFolders(at, folders))
    expect(error.code).toBe(code)
    expect(`${error.message} ${error.next}`).not.toMatch(/[{}]/)
    if (status === 429) expect(error.retryAfterMs).toBe(MINUTE)
  })

  test('is not believed when it was asked to write', async () => {
    says(200, xml, soap('<x/>'))
    const error = await failureOf(client.deleteItems(at, [{ id: 'a' }]))
    expect(error).toMatchObject({ code: 'EWS_OUTCOME_UNKNOWN', isOutcomeUnknown: true })
  })

  test('with 403 in Exchange Online means that EWS is switched off', async () => {
    says(403, {})
    const online = new EwsClient(
      ewsOptions('http://outlook.office365.com/EWS/Exchange.asmx', {
        connect: url => {
          const { connect } = ewsOptions('http://x.example')
          const open = connect(url)
          return Object.assign(
            (request: Parameters<typeof open>[0]) => open({ ...request, host: '127.0.0.1', port: listener.port }),
            { upgrade: open.upgrade },
          )
        },
      }),
    )
    try {
      expect(await failureOf(online.getFolders(at, folders))).toMatchObject({
        code: 'EWS_SWITCHED_OFF',
        next: expect.stringContaining('Microsoft Graph') as string,
      })
    } finally {
      await online.close()
    }
  })
})
