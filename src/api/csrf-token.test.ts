import { afterEach, beforeEach, expect, test } from 'vitest'
import { basic, type GuardWorld, guardWorld } from '../auth/service/guard-world.ts'
import type { HttpRequest, HttpRoute } from '../kernel/http-exchange.ts'
import { silentLog } from '../kernel/log.ts'
import { createFlowEndpoints } from './flow-endpoints.ts'

let world: GuardWorld
const closing: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  world = await guardWorld()
})
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
  await world.close()
})

/** As ABAP, the SAP Cloud SDK and flows of SAP Cloud Integration spell it. */
const spellings = ['Fetch', 'fetch', 'FETCH']

test.each(['HEAD', 'GET', 'OPTIONS'])(
  'a caller that fetches a token with %s gets one, and then sends',
  async method => {
    const { clientId, secret } = await world.caller('c4c')
    const authorization = basic(clientId, secret)
    for (const spelling of spellings) {
      const fetched = await fetch(`${world.url}/costs`, {
        method,
        headers: { authorization, 'x-csrf-token': spelling },
      })
      expect([fetched.status, await fetched.text()]).toEqual([200, ''])
      expect(fetched.headers.get('cache-control')).toBe('no-store')
      expect(fetched.headers.get('set-cookie')).toBeNull()
      const token = fetched.headers.get('x-csrf-token') ?? ''
      expect(token).toMatch(/^[\w-]+$/)
      expect(world.seen).toHaveLength(0)
      expect((await world.post(authorization, { 'x-csrf-token': token, cookie: 'JSESSIONID=1' })).status).toBe(200)
      expect(world.seen.splice(0)).toHaveLength(1)
    }
  },
)

test('whatever comes as a token with a message is ignored', async () => {
  const { clientId, secret } = await world.caller('c4c')
  for (const token of ['', 'of-yesterday', 'Fetch', 'Required']) {
    expect([token, (await world.post(basic(clientId, secret), { 'x-csrf-token': token })).status]).toEqual([token, 200])
  }
  expect(world.seen).toHaveLength(4)
})

test.each(['HEAD', 'GET', 'OPTIONS'])('nobody fetches a token with %s who may not send', async method => {
  const fetchToken = async (path: string, headers: Record<string, string>) => {
    const answer = await fetch(`${world.url}${path}`, { method, headers: { 'x-csrf-token': 'Fetch', ...headers } })
    return [answer.status, answer.headers.get('x-csrf-token')]
  }
  const { clientId, secret } = await world.caller('c4c')
  const other = await world.caller('other', { roles: ['API.invoke'] })
  expect(await fetchToken('/costs', {})).toEqual([401, null])
  expect(await fetchToken('/costs', { authorization: basic(clientId, 'wrong') })).toEqual([401, null])
  expect(await fetchToken('/costs', { authorization: basic(other.clientId, other.secret) })).toEqual([403, null])
  expect(await fetchToken('/open', { via: '1.1 proxy' })).toEqual([403, null])
  expect(await fetchToken('/open', { 'sec-fetch-site': 'cross-site' })).toEqual([403, null])
  expect(await fetchToken('/nothing', { authorization: basic(clientId, secret) })).toEqual([404, null])
  expect(await fetchToken('/open', {})).toEqual([200, 'not-needed'])
})

test('without the wish for a token the method is refused as ever', async () => {
  const { clientId, secret } = await world.caller('c4c')
  const authorization = basic(clientId, secret)
  for (const method of ['HEAD', 'GET', 'OPTIONS', 'DELETE']) {
    const tokens = method === 'DELETE' ? ['Fetch'] : ['', 'a-token', 'fetched']
    for (const token of tokens) {
      const { status, headers } = await fetch(`${world.url}/costs`, {
        method,
        headers: { authorization, 'x-csrf-token': token },
      })
      expect([method, token, status, headers.get('allow')]).toEqual([method, token, 405, 'POST'])
    }
  }
})

async function serve(methods: HttpRoute['methods']) {
  const endpoints = createFlowEndpoints({ log: silentLog })
  closing.push(() => endpoints.close(100))
  const seen: HttpRequest[] = []
  endpoints.serve({
    flow: 'prices',
    path: '/prices',
    role: undefined,
    methods,
    bodyBytesMax: 1000,
    async handle(request) {
      seen.push(request)
      return { status: 200, headers: {}, body: 'data' }
    },
  })
  const url = `${await endpoints.listen({ host: '127.0.0.1', port: 0 })}/prices`
  const ask = async (method: string) => {
    const answer = await fetch(url, { method, headers: { 'x-csrf-token': 'Fetch' } })
    return [answer.status, answer.headers.get('x-csrf-token'), await answer.text()]
  }
  return { ask, seen }
}

test('where messages are sent and read, GET with the wish for a token starts no flow', async () => {
  const { ask, seen } = await serve(['GET', 'POST'])
  expect(await ask('GET')).toEqual([200, 'not-needed', ''])
  expect(await ask('HEAD')).toEqual([200, 'not-needed', ''])
  expect(seen).toHaveLength(0)
})

test('where there is nothing to send, a reader that always wishes a token reads', async () => {
  const { ask, seen } = await serve(['GET'])
  expect(await ask('GET')).toEqual([200, null, 'data'])
  expect(await ask('HEAD')).toEqual([200, 'not-needed', ''])
  expect(seen).toHaveLength(1)
})
