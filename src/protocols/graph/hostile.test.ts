import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Json, JsonObject } from '../../kernel/json.ts'
import type { GraphCall } from './client.ts'
import { clientOf, never } from './graph-world.ts'

// A server that answers what Graph never would: each answer is refused or read, and none is believed.

let answer: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void
let root = ''
let asked = 0
const server = createServer((request, response) => {
  asked += 1
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => answer(request, response, Buffer.concat(chunks)))
})
beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  root = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/v1.0/`
})
afterAll(async () => {
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
})
beforeEach(() => {
  asked = 0
})

function says(body: string, status = 200, headers: Readonly<Record<string, string>> = {}): void {
  answer = (_, response) => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
}

async function withClient<T>(work: (client: ReturnType<typeof clientOf>['client']) => Promise<T>): Promise<T> {
  const { client, close } = clientOf(root, () => 'token', {
    limits: { answerBytes: 10_000, pages: 20, batchWaitMs: 50 },
  })
  try {
    return await work(client)
  } finally {
    await close()
  }
}

test.each<[string, string, string]>([
  ['no JSON', '<html>', 'GRAPH_ANSWER_ODD'],
  ['cut off', '{"value":[', 'GRAPH_ANSWER_ODD'],
  ['a number', '7', 'GRAPH_ANSWER_ODD'],
  ['no list', '{"value":{}}', 'GRAPH_ANSWER_ODD'],
  ['a list of numbers', '{"value":[1]}', 'GRAPH_ANSWER_ODD'],
  ['a link that is a number', '{"value":[],"@odata.nextLink":7}', 'GRAPH_ANSWER_ODD'],
  ['a link to nowhere', '{"value":[],"@odata.nextLink":"http://["}', 'GRAPH_ANSWER_ODD'],
  ['a link to another host', '{"value":[],"@odata.nextLink":"https://evil.example/v1.0/x"}', 'GRAPH_LINK_FOREIGN'],
  ['a link to another path', '{"value":[],"@odata.deltaLink":"/admin"}', 'GRAPH_LINK_FOREIGN'],
  ['a link with a user', '{"value":[],"@odata.nextLink":"http://a@127.0.0.1/v1.0/x"}', 'GRAPH_LINK_FOREIGN'],
  ['too much', `{"value":["${'x'.repeat(20_000)}"]}`, 'GRAPH_ANSWER_TOO_LARGE'],
])('a page that is %s is refused', async (_, body, code) => {
  says(body)
  await withClient(client => expect(client.page('users', [], never)).rejects.toMatchObject({ code }))
})

test('pages without end are left', async () => {
  answer = (request, response) => {
    const link = `http://${request.headers.host}/v1.0/users?$skip=${asked}`
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ value: [{}], '@odata.nextLink': link }))
  }
  await withClient(client =>
    expect(Array.fromAsync(client.list('users', [], never))).rejects.toMatchObject({ code: 'GRAPH_TOO_MANY_PAGES' }),
  )
  expect(asked).toBe(20)
})

test.each<[number, string, Readonly<Record<string, string>>, string]>([
  [302, '', { location: 'https://login.example/?secret=1' }, 'GRAPH_REDIRECTED'],
  [401, '{"error":{"code":"InvalidAuthenticationToken","message":"expired"}}', {}, 'GRAPH_LOGIN_REFUSED'],
  [403, '{"error":{"code":"Authorization_RequestDenied","message":"no"}}', {}, 'GRAPH_PERMISSION_MISSING'],
  [403, '{"error":{"code":"ErrorAccessDenied","message":"no"}}', {}, 'GRAPH_OUT_OF_SCOPE'],
  [404, '{"error":{"code":"MailboxNotEnabledForRESTAPI","message":"on premise"}}', {}, 'GRAPH_NO_MAILBOX'],
  [404, '{"error":{"code":"ResourceNotFound","message":"Resource could not be discovered."}}', {}, 'GRAPH_NO_MAILBOX'],
  [404, '{"error":{"code":"ErrorItemNotFound","message":"not in the store"}}', {}, 'GRAPH_GONE'],
  [410, '{"error":{"code":"resyncRequired","message":"again"}}', {}, 'GRAPH_DELTA_LOST'],
  [400, '{"error":{"code":"SyncStateInvalid","message":"again"}}', {}, 'GRAPH_DELTA_LOST'],
  [429, '', { 'retry-after': 'soon' }, 'GRAPH_BUSY'],
  [503, '{"error":{"code":"ErrorMailboxMoveInProgress","message":"moving"}}', {}, 'GRAPH_MAILBOX_MOVING'],
  [
    500,
    '{"error":{"code":"ErrorInternalServerError","message":"x","innerError":{"code":"ErrorServerBusy"}}}',
    {},
    'GRAPH_BUSY',
  ],
  [500, '<html>oops</html>', { 'content-type': 'text/html' }, 'GRAPH_SERVER_FAILED'],
  [504, '{"error":{"code":"UnknownError","message":""}}', {}, 'GRAPH_BUSY'],
  [418, '{"error":[]}', {}, 'GRAPH_REFUSED'],
])('%i %s is %s', async (status, body, headers, code) => {
  says(body, status, headers)
  await withClient(client =>
    expect(client.object({ method: 'GET', path: 'users/a/events/b' }, never)).rejects.toMatchObject({ code }),
  )
})

const calls: readonly GraphCall[] = [
  { method: 'GET', path: 'users/a/events/1' },
  { method: 'POST', path: 'users/a/events', body: { subject: 'x' } },
]

test.each<[string, Json]>([
  ['no list', {}],
  ['too short', { responses: [{ id: '1', status: 200 }] }],
  [
    'too long',
    {
      responses: [
        { id: '1', status: 200 },
        { id: '2', status: 200 },
        { id: '3', status: 200 },
      ],
    },
  ],
  [
    'with one answer twice',
    {
      responses: [
        { id: '1', status: 200 },
        { id: '1', status: 200 },
      ],
    },
  ],
  [
    'to another question',
    {
      responses: [
        { id: '1', status: 200 },
        { id: '__proto__', status: 200 },
      ],
    },
  ],
  ['without a status', { responses: [{ id: '1', status: 200 }, { id: '2' }] }],
  ['of numbers', { responses: [1, 2] }],
])('a batch that is answered %s leaves open what was done', async (_, body) => {
  says(JSON.stringify(body))
  await withClient(client =>
    expect(client.batch(calls, never)).rejects.toMatchObject({ code: 'GRAPH_OUTCOME_UNKNOWN', isOutcomeUnknown: true }),
  )
})

test('a batch that is told to wait for ever gives up with what it has', async () => {
  says(
    JSON.stringify({
      responses: [
        { id: '1', status: 200, body: {} },
        { id: '2', status: 429, headers: { 'Retry-After': '3600' } },
      ],
    }),
  )
  await withClient(async client => {
    expect(await client.batch(calls, never)).toMatchObject([
      { status: 200 },
      { code: 'GRAPH_BUSY', retryAfterMs: 3_600_000 },
    ])
  })
  expect(asked).toBe(1)
})

test('answers of a batch are told to their questions, in whatever order they come', async () => {
  await withClient(client =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(1000), { minLength: 1, maxLength: 45 }),
        fc.infiniteStream(fc.nat()),
        async (numbers, dice) => {
          answer = (_request, response, body) => {
            const { requests } = JSON.parse(body.toString()) as { requests: readonly JsonObject[] }
            const responses = requests.map(({ id, url }) => ({ id, status: 200, body: { url: url ?? null } }))
            for (let at = responses.length - 1; at > 0; at -= 1) {
              const other = (dice.next().value ?? 0) % (at + 1)
              const [one, two] = [responses[at], responses[other]]
              if (one && two) [responses[at], responses[other]] = [two, one]
            }
            response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ responses }))
          }
          const answers = await client.batch(
            numbers.map(number => ({ method: 'GET' as const, path: `users/${number}` })),
            never,
          )
          expect(answers.map(each => 'body' in each && (each.body as JsonObject)['url'])).toEqual(
            numbers.map(number => `/users/${number}`),
          )
        },
      ),
      { numRuns: 30 },
    ),
  )
})

test('the token goes to Graph alone, and addresses in paths are not told in errors with their queries', async () => {
  says('{"error":{"code":"x","message":"y"}}', 404)
  await withClient(async client => {
    const failed = client.object({ method: 'GET', path: 'users/a/messages?$filter=secret' }, never)
    await expect(failed).rejects.toMatchObject({ message: expect.not.stringContaining('secret') })
  })
})
