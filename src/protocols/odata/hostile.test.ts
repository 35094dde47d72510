import { afterEach, beforeEach, expect, test } from 'vitest'
import type { HubError } from '../../kernel/error.ts'
import { KiB, MiB } from '../../kernel/size.ts'
import type { ODataClient, ODataClientOptions } from './client.ts'
import type { ODataVersion } from './edm.ts'
import { odataLimits } from './limits.ts'
import { type Answer, clientOf, ScriptedService } from './odata-world.ts'
import { serviceErrorOf } from './service-error.ts'

let service: ScriptedService
const closing: (() => Promise<void>)[] = []
beforeEach(async () => {
  service = await new ScriptedService().start()
})
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
  await service.stop()
})
const { signal } = new AbortController()

function open(version: ODataVersion, more: Partial<ODataClientOptions> = {}): ODataClient {
  const { client, close } = clientOf(service.root, version, more)
  closing.push(close)
  return client
}
async function readAll(client: ODataClient): Promise<number> {
  let count = 0
  for await (const page of client.pages({ path: 'Set', signal })) count += page.entities.length
  return count
}
async function failureOf(promise: Promise<unknown>): Promise<HubError> {
  return promise.then(
    value => expect.unreachable(`it gave ${JSON.stringify(value)}`),
    (error: HubError) => error,
  )
}
const json = (value: unknown) => JSON.stringify(value)
const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`

/** What comes back for a query, and the error that explains it. */
const lists: readonly [string, ODataVersion, string, string, string][] = [
  ['a log-in page', 'v2', '<html>Log On</html>', 'text/html', 'ODATA_ANSWER_ODD'],
  ['a log-in page that says it is JSON', 'v2', '<html>Log On</html>', 'application/json', 'ODATA_ANSWER_ODD'],
  ['Atom', 'v2', '<feed/>', 'application/atom+xml', 'ODATA_ANSWER_ODD'],
  ['nothing', 'v2', '', 'application/json', 'ODATA_ANSWER_ODD'],
  ['half of it', 'v4', '{"value":[{"a":1},', 'application/json', 'ODATA_ANSWER_ODD'],
  ['broken UTF-8', 'v4', '\xff\xfe', 'application/json', 'ODATA_ANSWER_ODD'],
  ['a number', 'v4', '5', 'application/json', 'ODATA_ANSWER_ODD'],
  ['null', 'v2', 'null', 'application/json', 'ODATA_ANSWER_ODD'],
  ['an entity where a list is due', 'v2', '{"d":{"a":1}}', 'application/json', 'ODATA_ANSWER_ODD'],
  ['a list of the other version', 'v4', '{"d":{"results":[]}}', 'application/json', 'ODATA_ANSWER_ODD'],
  ['a list that is a text', 'v4', '{"value":"x"}', 'application/json', 'ODATA_ANSWER_ODD'],
  ['a next link that is a number', 'v2', '{"d":{"results":[],"__next":5}}', 'application/json', 'ODATA_ANSWER_ODD'],
  [
    'a next link that is no address',
    'v4',
    '{"value":[],"@odata.nextLink":"http://["}',
    'application/json',
    'ODATA_ANSWER_ODD',
  ],
  [
    'a next link to another host',
    'v2',
    '{"d":{"results":[],"__next":"http://collector.example/x"}}',
    'application/json',
    'ODATA_NEXT_LINK_FOREIGN',
  ],
  [
    'a next link to another host without scheme',
    'v4',
    '{"value":[],"@odata.nextLink":"//collector.example/x"}',
    'application/json',
    'ODATA_NEXT_LINK_FOREIGN',
  ],
  [
    'a next link to another port',
    'v4',
    '{"value":[],"@odata.nextLink":"http://127.0.0.1:1/x"}',
    'application/json',
    'ODATA_NEXT_LINK_FOREIGN',
  ],
  [
    'a next link to a file',
    'v4',
    '{"value":[],"@odata.nextLink":"file:///etc/passwd"}',
    'application/json',
    'ODATA_NEXT_LINK_FOREIGN',
  ],
  [
    'a next link that is a script',
    'v4',
    '{"value":[],"@odata.nextLink":"javascript:1"}',
    'application/json',
    'ODATA_NEXT_LINK_FOREIGN',
  ],
  ['a next link to itself', 'v4', '{"value":[1],"@odata.nextLink":"Set"}', 'application/json', 'ODATA_PAGES_IN_CIRCLE'],
  [
    'more than was allowed',
    'v4',
    json({ value: ['x'.repeat(70 * KiB)] }),
    'application/json',
    'ODATA_ANSWER_TOO_LARGE',
  ],
]
test.each(lists)('a query answered with %s (%s)', async (_title, version, body, type, code) => {
  service.says(Buffer.from(body, 'latin1'), type)
  const error = await failureOf(readAll(open(version, { limits: { answerBytes: 64 * KiB } })))
  expect(error).toMatchObject({ code, side: 'receiver' })
})

test('pages without end stop at the limit, each with a link of its own', async () => {
  let turn = 0
  service.answer = (_request, response) => {
    turn += 1
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(json({ value: [turn], '@odata.nextLink': `Set?turn=${turn}` }))
  }
  const error = await failureOf(readAll(open('v4', { limits: { pages: 25 } })))
  expect(error).toMatchObject({ code: 'ODATA_TOO_MANY_PAGES', retry: 'never', fields: { pagesMax: 25 } })
  expect(turn).toBe(25)
})

test('a next link with a user in it is not followed', async () => {
  const [, port] = /:(\d+)\//.exec(service.root) ?? []
  service.says(json({ value: [], '@odata.nextLink': `http://user:pw@127.0.0.1:${port}/service/Set?2` }))
  expect(await failureOf(readAll(open('v4')))).toMatchObject({ code: 'ODATA_NEXT_LINK_FOREIGN' })
  expect(service.urls).toHaveLength(1)
})

test('names of JavaScript in an answer are names like any other', async () => {
  service.says('{"d":{"results":[{"__proto__":{"admin":true},"constructor":{"prototype":1},"a":1}]}}')
  for await (const { entities } of open('v2').pages({ path: 'Set', signal })) {
    expect(Object.keys(entities[0] as object)).toEqual(['__proto__', 'constructor', 'a'])
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  }
})

test('JSON nested without end is an odd answer, not the end of the process', async () => {
  service.says(`{"value":[${nested(200_000)}]}`)
  const count = await readAll(open('v4')).catch((error: HubError) => error.code)
  expect(count === 1 || count === 'ODATA_ANSWER_ODD').toBe(true)
})

test('an answer that drips for ever ends with the time of the request', async () => {
  const timers: NodeJS.Timeout[] = []
  service.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    timers.push(setInterval(() => response.write(' '), 20))
  }
  const error = await failureOf(readAll(open('v4', { timeoutMs: 300 })))
  for (const timer of timers) clearInterval(timer)
  expect(error).toMatchObject({ code: 'NET_CONNECTION_LOST', retry: 'soon' })
  expect(error.message).toContain('no answer within 300 ms')
})

test('a hundred megabytes of pages take the memory of some of them', async () => {
  const page = json({ value: Array.from({ length: 500 }, (_, index) => ({ id: index, text: 'x'.repeat(1000) })) })
  let turn = 0
  service.answer = (_request, response) => {
    turn += 1
    const next = turn < 200 ? `,"@odata.nextLink":"Set?turn=${turn}"}` : '}'
    response.writeHead(200, { 'content-type': 'application/json' }).end(page.slice(0, -1) + next)
  }
  let most = 0
  let count = 0
  const before = process.memoryUsage.rss()
  for await (const { entities } of open('v4').pages({ path: 'Set', signal })) {
    count += entities.length
    most = Math.max(most, process.memoryUsage.rss() - before)
  }
  // 100 MB went through; what was read stays away from the heap.
  expect(count).toBe(100_000)
  expect(most).toBeLessThan(80 * MiB)
})

const edmx = (inside: string) =>
  `<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>${inside}</edmx:DataServices></edmx:Edmx>`
const bomb = `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>`
const metadata: readonly [string, string, RegExp][] = [
  ['an entity bomb', bomb, /document type definition/],
  ['an external entity', '<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', /document type definition/],
  ['an undeclared entity', edmx('<Schema Namespace="&who;"/>'), /cannot be used/],
  ['a log-in page', '<html><br></html>', /cannot be used/],
  ['JSON', '{}', /cannot be used/],
  ['nothing', '', /cannot be used/],
  ['half a document', '<edmx:Edmx xmlns:edmx="x"><Schema', /cannot be used/],
  ['no schema', edmx(''), /no schema/],
  ['no end of nesting', edmx('<a>'.repeat(5000)), /nested too deeply/],
  [
    'no end of names',
    edmx(
      `<Schema Namespace="n" xmlns="x"><EntityType Name="T">${'<Property Name="p" Type="Edm.String"/>'.repeat(201_000)}</EntityType></Schema>`,
    ),
    /more than 200000 names/,
  ],
  ['broken UTF-8', edmx('\xff'), /cannot be used/],
]
test.each(metadata)('$metadata that is %s', async (_title, text, reason) => {
  service.says(Buffer.from(text, 'latin1'), 'application/xml')
  const error = await failureOf(open('v4').model(signal))
  expect(error).toMatchObject({ code: 'ODATA_METADATA_ODD', retry: 'after-change' })
  expect(error.message).toMatch(reason)
})

test('$metadata that is too large is let go, and asked for anew by the next one', async () => {
  service.says(edmx(`<Schema Namespace="n"/>${' '.repeat(100_000)}`), 'application/xml')
  const client = open('v4', { limits: { metadataBytes: 50_000 } })
  expect(await failureOf(client.model(signal))).toMatchObject({ code: 'ODATA_ANSWER_TOO_LARGE' })
  service.says(edmx('<Schema Namespace="n"/>'), 'application/xml')
  expect((await client.model(signal)).sets.size).toBe(0)
  await client.model(signal)
  expect(service.urls).toEqual(Array(2).fill('GET /service/$metadata'))
})

test('types that inherit from each other in a circle end somewhere', async () => {
  const circle =
    '<EntityType Name="A" BaseType="n.B"/><EntityType Name="B" BaseType="n.A"/><EntityContainer Name="C"><EntitySet Name="As" EntityType="n.A"/></EntityContainer>'
  service.says(edmx(`<Schema Namespace="n" xmlns="x">${circle}</Schema>`), 'application/xml')
  expect((await open('v4').model(signal)).sets.get('As')?.properties.size).toBe(0)
})

/** Answers to a change: whether it was done is not known, unless the status says so. */
const changes: readonly [string, Answer, string, boolean][] = [
  [
    'yes, in words that nobody understands',
    (_r, response) => response.writeHead(201, { 'content-type': 'text/html' }).end('<html>'),
    'ODATA_OUTCOME_UNKNOWN',
    true,
  ],
  [
    'yes, and half of it',
    (_r, response) => response.writeHead(201, { 'content-type': 'application/json' }).end('{"a":'),
    'ODATA_OUTCOME_UNKNOWN',
    true,
  ],
  ['a closed connection', (request, _response) => request.socket.destroy(), 'ODATA_OUTCOME_UNKNOWN', true],
  [
    'a redirect to a log-in page',
    (_r, response) => response.writeHead(302, { location: 'https://login.example/' }).end(),
    'ODATA_REDIRECTED',
    false,
  ],
  [
    '403 with a token wish without end',
    (_r, response) => response.writeHead(403, { 'x-csrf-token': 'Required' }).end(),
    'ODATA_FORBIDDEN',
    false,
  ],
  [
    'a token that is never right',
    (request, response) =>
      request.method === 'GET'
        ? response.writeHead(200, { 'x-csrf-token': 'T' }).end()
        : response.writeHead(403, { 'x-csrf-token': 'Required' }).end('no'),
    'ODATA_CSRF_REFUSED',
    false,
  ],
]
test.each(changes)('a change answered with %s', async (_title, answer, code, isUnknown) => {
  service.answer = answer
  const change = open('v4').change({ method: 'POST', path: 'Set', body: '{}', isRepeatable: false, signal })
  const error = await failureOf(change)
  expect(error).toMatchObject({ code, isOutcomeUnknown: isUnknown })
  if (isUnknown) expect(error.retry).toBe('never')
  // Nothing is repeated without end.
  expect(service.urls.length).toBeLessThanOrEqual(4)
})

test.each(['text/html', 'application/xml'])(
  'a page of errors (%s) that is nothing but brackets costs no time',
  type => {
    const body = Buffer.from(`Sorry ${'<'.repeat(odataLimits.errorBytes)}`)
    const before = performance.now()
    expect(serviceErrorOf({ headers: { 'content-type': type }, body }).text).toMatch(/^Sorry </)
    expect(performance.now() - before).toBeLessThan(1000)
    const page = Buffer.from('<html><h1 class="a">Sorry</h1>\n<p>Logon failed: 1 < 2</p></html>')
    expect(serviceErrorOf({ headers: { 'content-type': type }, body: page }).text).toBe('Sorry Logon failed: 1 < 2')
  },
)

test('cookies without number or measure are not all kept', async () => {
  const headers: string[] = []
  service.answer = (request, response) => {
    headers.push(request.headers.cookie ?? '')
    const many = Array.from({ length: 200 }, (_, index) => `c${index}=${'v'.repeat(20)}`)
    response
      .writeHead(200, {
        'content-type': 'application/json',
        'set-cookie': [...many, `big=${'x'.repeat(5000)}`, 'gone=1; Max-Age=0', 'bad name=1'],
      })
      .end('{"value":[]}')
  }
  const client = open('v4')
  await readAll(client)
  await readAll(client)
  expect(headers[0]).toBe('')
  expect(headers[1]?.split('; ')).toHaveLength(50)
  expect(headers[1]).not.toMatch(/big=|gone=|bad/)
})
