import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Notification } from '../../protocols/graph/subscription.ts'
import { GraphEndpoint } from './graph-endpoint.ts'

let server: Server
let origin: string
let endpoint: GraphEndpoint

beforeEach(async () => {
  endpoint = new GraphEndpoint('https://hub.contoso.com')
  server = createServer((incoming, response) => {
    if (!endpoint.handle(incoming, response)) response.writeHead(404).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  server.closeAllConnections()
  server.close()
})

const post = (path: string, body: string) => fetch(`${origin}${path}`, { method: 'POST', body })

test('the address is proven to Graph by the token that comes back, as plain text', async () => {
  expect(endpoint.inbox.notificationUrl).toBe('https://hub.contoso.com/groupware/graph')
  const answer = await post('/groupware/graph?validationToken=Validation%3A%20Testing%201', '')
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain/)
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  expect(await answer.text()).toBe('Validation: Testing 1')
})

test('only who knows the secret of a subscription is heard', async () => {
  const heard: Notification[] = []
  endpoint.inbox.listen('s1', 'secret', notification => heard.push(notification))
  const told = (clientState: string) =>
    JSON.stringify({
      value: [{ subscriptionId: 's1', clientState, changeType: 'updated', resource: 'Users/u/Events/e' }],
    })
  expect((await post('/groupware/graph', told('guess'))).status).toBe(202)
  expect(heard).toHaveLength(0)
  expect((await post('/groupware/graph', told('secret'))).status).toBe(202)
  expect(heard).toHaveLength(1)
})

test.each([
  ['no JSON', '{"value": [', 400],
  ['a megabyte and more', ' '.repeat(1024 * 1024 + 1), 413],
])('%s is refused', async (_name, body, status) => {
  expect((await post('/groupware/graph/lifecycle', body)).status).toBe(status)
})

test('other methods are refused, other paths are somebody else’s', async () => {
  expect((await fetch(`${origin}/groupware/graph`)).status).toBe(405)
  expect((await post('/groupware/graphs', '')).status).toBe(404)
  // As a socket brings them; a URL of WHATWG would be of another host, or of none.
  for (const url of ['/\\[', '/\\a:99999/', '/\\\\a/groupware/graph', '/x/../groupware/graph']) {
    expect(endpoint.handle({ url, method: 'GET' } as IncomingMessage, {} as ServerResponse)).toBe(false)
  }
})
