import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HubError } from '../../kernel/error.ts'
import { type S4ODataTwin, s4User, startS4OData } from '../../twins/s4-odata/s4-odata.ts'
import { makeConnect } from '../net/connect.ts'
import { makeHttpAgent } from '../net/http-client.ts'
import type { BatchPart, BatchResult } from './batch.ts'
import { jsonBatch } from './batch-json.ts'
import { multipartBatch } from './batch-multipart.ts'
import type { ODataClient } from './client.ts'
import { clientOf, ScriptedService } from './odata-world.ts'

const { signal } = new AbortController()
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

const forms = [
  ['v2', 'multipart'],
  ['v4', 'multipart'],
  ['v4', 'json'],
] as const

describe.each(forms)('%s %s', (version, form) => {
  let twin: S4ODataTwin
  let client: ODataClient
  beforeEach(async () => {
    twin = await startS4OData({ count: 10 })
    closing.push(() => twin.stop())
    const pair = Buffer.from(`${s4User.user}:${s4User.password}`).toString('base64')
    const agent = makeHttpAgent({ connect: () => makeConnect(), connectTimeoutMs: 5000, answerBytesMax: -1 })
    closing.push(() => agent.destroy())
    const header = ['authorization', `Basic ${pair}`] as const
    const logIn = async () => ({ dispatcher: () => agent, identity: 'ISTHMUS', header, token: undefined })
    client = clientOf(twin.services[version], version, { logIn }).client
  })
  const set = version === 'v2' ? 'A_CostCenter' : 'CostCenter'
  const day = version === 'v2' ? '/Date(253402214400000)/' : '9999-12-31'
  const headers = { accept: 'application/json', 'content-type': 'application/json' }
  const get = (query: string): BatchPart => ({
    request: { method: 'GET', path: `${set}?${query}`, headers: { accept: 'application/json' } },
  })
  const create = (CostCenter: string, more: object = {}) =>
    ({
      method: 'POST',
      path: set,
      headers,
      body: JSON.stringify({ ControllingArea: 'A000', CostCenter, ValidityEndDate: day, ...more }),
    }) as const
  const bodyOf = (result: BatchResult | undefined) =>
    'answer' in (result ?? {}) ? Buffer.from((result as { answer: { body: Uint8Array } }).answer.body).toString() : ''

  test('reads and changesets are answered in their order', async () => {
    const results = await client.batch(
      [
        get('$top=1&$format=json'),
        { changeset: [create('B1', { CityName: "L'Aquila – Zürich" }), create('B2')] },
        get("$filter=CostCenter%20eq%20'B1'"),
      ],
      { signal, form },
    )
    expect(results).toHaveLength(3)
    expect(JSON.parse(bodyOf(results[0]))).toBeTypeOf('object')
    expect(results[1]).toMatchObject({ answers: [{ status: 201 }, { status: 201 }] })
    expect(bodyOf(results[2])).toContain("L'Aquila – Zürich")
    expect(twin.count('A_CostCenter')).toBe(12)
    // The token was fetched for the batch as a whole.
    expect(twin.requests.map(({ method, status }) => `${method} ${status}`)).toEqual([
      'POST 403',
      'GET 200',
      expect.stringMatching(/^POST 20[02]$/),
    ])
  })

  test('a changeset is done as a whole or not at all', async () => {
    const results = await client.batch([{ changeset: [create('B1'), create('B1')] }, get('$top=1')], { signal, form })
    expect(results[0]).toMatchObject({ failed: { status: 400 } })
    expect(Buffer.from((results[0] as { failed: { body: Uint8Array } }).failed.body).toString()).toContain(
      'already exists',
    )
    expect(results[1]).toMatchObject({ answer: { status: 200 } })
    expect(twin.count('A_CostCenter')).toBe(10)
  })

  test('half an answer leaves open what was done', async () => {
    await client.batch([get('$top=1')], { signal, form })
    twin.setFaults({ truncate: {} })
    const lost = await client.batch([{ changeset: [create('B1')] }], { signal, form }).catch((error: HubError) => error)
    expect(lost).toMatchObject({ code: 'ODATA_OUTCOME_UNKNOWN', isOutcomeUnknown: true })
  })
})

const change = (method: 'POST' | 'DELETE', path: string) => ({ method, path, headers: {} }) as const
const changes: readonly BatchPart[] = [
  { changeset: [change('POST', 'Set'), change('POST', '$1/Items'), change('DELETE', 'Set(2)')] },
  { request: { method: 'GET', path: 'Set?$top=1', headers: {} } },
]
const requestLines = (root?: URL) => multipartBatch(changes, root).body.match(/^[A-Z]+ \S+ HTTP\/1\.1$|^Host: .*$/gm)

test('requests in parts name a path relative to the batch, which holds behind a gateway', () => {
  const lines = ['POST Set HTTP/1.1', 'POST $1/Items HTTP/1.1', 'DELETE Set(2) HTTP/1.1', 'GET Set?$top=1 HTTP/1.1']
  expect(requestLines()).toEqual(lines)
})

test('where the service asks for it they name the path from the root of the server, and the server', () => {
  expect(requestLines(new URL('https://crm.example/api/data/v9.2/'))?.slice(0, 4)).toEqual([
    'POST /api/data/v9.2/Set HTTP/1.1',
    'Host: crm.example',
    'POST $1/Items HTTP/1.1',
    'Host: crm.example',
  ])
})

test('changes of a JSON batch are done in their order: each depends on the one before', () => {
  const { requests } = JSON.parse(jsonBatch(changes).body) as { requests: { id: string; dependsOn?: string[] }[] }
  expect(requests.map(({ id, dependsOn }) => [id, dependsOn])).toEqual([
    ['1.1', undefined],
    ['1.2', ['1.1']],
    ['1.3', ['1.2']],
    ['2.1', undefined],
  ])
})

test('more requests than a batch may have are not sent', async () => {
  const { client, close } = clientOf('http://127.0.0.1:1/service/', 'v4')
  closing.push(close)
  const parts = Array.from(
    { length: 1001 },
    (): BatchPart => ({ request: { method: 'GET', path: 'Set', headers: {} } }),
  )
  await expect(client.batch(parts, { signal })).rejects.toMatchObject({ code: 'ODATA_VALUE_UNFIT' })
})

const part = (lines: readonly string[]) => ['--b', 'Content-Type: application/http', '', ...lines].join('\r\n')
const good = ['HTTP/1.1 200 OK', 'Content-Type: application/json', 'Content-Length: 2', '', '{}']
const multipart = 'multipart/mixed; boundary=b'
const broken: readonly [string, string, string, RegExp][] = [
  ['no end', multipart, `${part(good)}\r\n`, /ends in the middle/],
  ['nothing', multipart, '', /ends in the middle/],
  ['no boundary', 'multipart/mixed', `${part(good)}\r\n--b--`, /of type/],
  ['JSON where parts are due', 'application/json', '{"responses":[]}', /of type application\/json/],
  ['a log-in page', 'text/html', '<html>', /of type text\/html/],
  ['an answer without status', multipart, `${part(['Content-Type: x', '', '{}'])}\r\n--b--`, /status line/],
  [
    'a body shorter than it says',
    multipart,
    `${part(['HTTP/1.1 200 OK', 'Content-Length: 99', '', '{}'])}\r\n--b--`,
    /shorter/,
  ],
  [
    'a part of another kind',
    multipart,
    '--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--',
    /part of type text\/plain/,
  ],
  ['more answers than requests', multipart, `${part(good)}\r\n${part(good)}\r\n--b--`, /2 answers came for 1/],
  [
    'a changeset for a read',
    multipart,
    `--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\n\r\n${good.join('\r\n')}\r\n--c--\r\n--b--`,
    /changeset came/,
  ],
]
test.each(broken)('an answer with %s is a broken batch', async (_title, type, body, reason) => {
  const service = await new ScriptedService().start()
  const { client, close } = clientOf(service.root, 'v2')
  closing.push(() => service.stop(), close)
  service.says(body, type)
  const error = await client
    .batch([{ request: { method: 'GET', path: 'Set', headers: {} } }], { signal })
    .catch((thrown: HubError) => thrown)
  expect(error).toMatchObject({ code: 'ODATA_BATCH_BROKEN', isOutcomeUnknown: true })
  expect((error as HubError).message).toMatch(reason)
})

const brokenJson: readonly [string, string, RegExp][] = [
  ['half of it', '{"responses":[', /ends in the middle/],
  ['no responses', '{}', /no list of responses/],
  ['a response without id', '{"responses":[{"status":200}]}', /no id/],
  ['a changeset with an answer too few', '{"responses":[{"id":"1.1","status":204}]}', /fewer answers/],
]
test.each(brokenJson)('JSON with %s is a broken batch', async (_title, body, reason) => {
  const service = await new ScriptedService().start()
  const { client, close } = clientOf(service.root, 'v4')
  closing.push(() => service.stop(), close)
  service.says(body)
  const request = { method: 'DELETE' as const, path: 'Set(1)', headers: {} }
  await expect(client.batch([{ changeset: [request, request] }], { signal, form: 'json' })).rejects.toThrow(reason)
})

test('boundaries inside a body are no boundaries', async () => {
  const service = await new ScriptedService().start()
  const { client, close } = clientOf(service.root, 'v2')
  closing.push(() => service.stop(), close)
  const text = 'a --b-- c\r\n--bb\r\n--b x'
  service.says(`${part(['HTTP/1.1 200 OK', `Content-Length: ${text.length}`, '', text])}\r\n--b--`, multipart)
  const [result] = await client.batch([{ request: { method: 'GET', path: 'Set', headers: {} } }], { signal })
  expect(Buffer.from((result as { answer: { body: Uint8Array } }).answer.body).toString()).toBe(text)
})
