import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TokenWorld, tokenWorld } from './token-world.ts'

let world: TokenWorld
beforeEach(async () => {
  world = await tokenWorld()
})
afterEach(() => world.close())

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
const takes: readonly [string, string][] = [
  ['/oauth/token', 'POST'],
  ['/introspect', 'POST'],
  ['/revoke', 'POST'],
  ['/oauth/switch-user/confirm', 'POST'],
  ['/token_keys', 'GET, HEAD'],
  ['/.well-known/openid-configuration', 'GET, HEAD'],
  ['/.well-known/oauth-authorization-server', 'GET, HEAD'],
  ['/oauth/authorize', 'GET, HEAD'],
  ['/oauth/authorize/abc', 'GET, HEAD'],
  ['/oauth/sign-in/abc', 'GET, HEAD, POST'],
]
test.each(takes)('%s takes %s, and tells it whoever calls with another method', async (path, allowed) => {
  for (const method of methods) {
    // As a browser asks before a page of another origin may send.
    const headers = { origin: 'https://evil.example', 'access-control-request-method': 'POST' }
    const answer = await fetch(`${world.issuer}${path}`, { method, headers, redirect: 'manual' })
    const body = await answer.text()
    const isTaken = allowed.split(', ').includes(method)
    expect([method, answer.status === 405, answer.headers.get('allow')]).toEqual([
      method,
      !isTaken,
      isTaken ? null : allowed,
    ])
    expect([...answer.headers.keys()].filter(name => name.startsWith('access-control-'))).toEqual([])
    if (isTaken || method === 'HEAD') continue
    const told = { error: 'invalid_request', error_description: `${path} takes ${allowed}, not ${method}` }
    expect(JSON.parse(body)).toEqual(told)
  }
})

test('who asks before it sends its body is not told to go on where the method is not taken', async () => {
  const socket = connect(world.port, '127.0.0.1')
  socket.write('PUT /oauth/token HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n')
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 405 .*connection: close/is)
})

test('HEAD tells of the keys and the metadata what GET does, without the body', async () => {
  for (const path of ['/token_keys', '/.well-known/openid-configuration']) {
    const [head, get] = [
      await fetch(`${world.issuer}${path}`, { method: 'HEAD' }),
      await fetch(`${world.issuer}${path}`),
    ]
    expect([head.status, await head.text()]).toEqual([200, ''])
    expect(head.headers.get('content-type')).toBe(get.headers.get('content-type'))
    expect(head.headers.get('content-length')).toBe(String((await get.arrayBuffer()).byteLength))
  }
})

test.each([
  ['a method that is not taken', 'PUT /oauth/token', 405],
  ['a form that is too large', 'POST /oauth/token', 400],
  ['one that is completed from the URL', 'POST /oauth/token?grant_type=client_credentials', 400],
  ['a secret in the URL', 'POST /oauth/token?client_secret=x', 400],
])('who writes all of a large body before reading learns what is wrong: %s', async (_what, request, status) => {
  const socket = connect(world.port, '127.0.0.1')
  const bodyBytes = 20_000_000
  socket.write(`${request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${bodyBytes}\r\n`)
  socket.write('Content-Type: application/x-www-form-urlencoded\r\n\r\n')
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.write('x'.repeat(bodyBytes), error => (error ? reject(error) : resolve()))
  })
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(answer.toString()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  // What comes next on the connection is a request again.
  socket.end('GET /token_keys HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  expect(await text(socket)).toMatch(/HTTP\/1\.1 200 /)
})
