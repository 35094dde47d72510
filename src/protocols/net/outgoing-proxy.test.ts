import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { CredentialValue } from '../../kernel/credential.ts'
import type { HubError } from '../../kernel/error.ts'
import type { Connect } from '../../kernel/socket.ts'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import { guardConnect } from './address-guard.ts'
import { makeConnect } from './connect.ts'
import { makeHttpAgent } from './http-client.ts'
import { wayOutThrough } from './outgoing-proxy.ts'
import { type ProxyWorld, startProxy } from './proxy-world.ts'

const timeoutMs = 3000
const logIn = { user: 'svc-isthmus', password: 'right' }
/** Names that only the proxy knows, as in a network that looks up none of the internet. */
const names = { 'smtp.example': '127.0.0.1', 'graph.example': '127.0.0.1', '10.0.0.8': '127.0.0.1' }

let proxy: ProxyWorld
let basic: CredentialValue
const ends: (() => unknown)[] = []

beforeEach(async () => {
  proxy = await startProxy({ logIn, names })
  basic = { kind: 'basic', ...logIn }
})
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
  await proxy.close()
})

const connectWith = (except: readonly string[] = [], auth: string | undefined = 'proxy') =>
  makeConnect({ wayOut: wayOutThrough({ host: '127.0.0.1', port: proxy.port, auth, except }, async () => basic) })

async function listen(server: net.Server): Promise<number> {
  server.on('connection', (socket: net.Socket) => socket.on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(() => server.close())
  return (server.address() as net.AddressInfo).port
}

const failureOf = (promise: Promise<unknown>): Promise<HubError> =>
  promise.then(
    () => expect.unreachable('it was connected'),
    (error: HubError) => error,
  )

test('a mail server that greets first, and STARTTLS with it, through the proxy', async () => {
  const { cert, key, ca } = await makeTwinCertificate(['smtp.example'])
  const context = tls.createSecureContext({ cert, key })
  const port = await listen(
    net.createServer(socket => {
      socket.write('220 smtp.example ready\r\n')
      socket.once('data', () => {
        socket.write('220 go ahead', () => {
          const secure = new tls.TLSSocket(socket, { isServer: true, secureContext: context })
          secure.once('data', data => secure.write(data))
        })
      })
    }),
  )
  const connect = connectWith()
  const request = { host: 'smtp.example', port, timeoutMs }
  const socket = await connect(request)
  const [greeting] = (await once(socket, 'data')) as [Buffer]
  expect(greeting.toString()).toBe('220 smtp.example ready\r\n')
  socket.write('STARTTLS')
  await once(socket, 'data')
  const secure = await connect.upgrade(socket, { ...request, tls: { ca } })
  secure.write('secret')
  expect(String((await once(secure, 'data'))[0])).toBe('secret')
  secure.destroy()
  expect(proxy.asked).toEqual([{ target: `smtp.example:${port}`, status: 200 }])
  expect(proxy.carried.text).not.toContain('secret')
})

test('HTTPS from the first byte, as the agents of all receivers speak it', async () => {
  const { cert, key, ca } = await makeTwinCertificate(['graph.example'])
  const https = await import('node:https')
  const server = https.createServer({ cert, key }, (_request, response) => response.end('users'))
  const port = await listen(server)
  const agent = makeHttpAgent({
    connect: () => connectWith(),
    tls: { ca },
    connectTimeoutMs: timeoutMs,
    answerBytesMax: -1,
  })
  const answer = await agent.request({ origin: `https://graph.example:${port}`, path: '/v1.0/users', method: 'GET' })
  expect(await answer.body.text()).toBe('users')
  await agent.destroy()
  expect(proxy.asked).toEqual([{ target: `graph.example:${port}`, status: 200 }])
})

describe('without it are reached', () => {
  const direct = async (host: string, except: readonly string[] = []) => {
    const port = await listen(net.createServer(socket => socket.end('here')))
    const lookup: net.LookupFunction = (_name, options, callback) =>
      options.all ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4)
    const wayOut = wayOutThrough({ host: '127.0.0.1', port: proxy.port, auth: 'proxy', except }, async () => basic)
    const socket = await makeConnect({ wayOut, lookup })({ host, port, timeoutMs })
    socket.destroy()
    return proxy.asked.length === 0
  }

  test.each(['localhost', 'LOCALHOST', 'hub.localhost', '127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1'])(
    'this machine: %s',
    async host => {
      const isDirect = await direct(host).catch((error: HubError) => /NET_CONNECT_REFUSED/.test(error.code))
      expect(isDirect).toBe(true)
      expect(proxy.asked).toEqual([])
    },
  )

  test.each([
    ['s4.contoso.internal', ['*.contoso.internal']],
    ['S4.Contoso.Internal.', ['*.contoso.INTERNAL']],
    ['s4', ['s4']],
  ])('exceptions: %s by %j', async (host, except) => {
    expect(await direct(host, except)).toBe(true)
  })

  test.each([
    ['contoso.internal', ['*.contoso.internal']],
    ['evilcontoso.internal', ['*.contoso.internal']],
    ['10.1.2.3.example', ['10.0.0.0/8']],
    ['graph.example', ['example', '10.0.0.0/8']],
  ])('%s is none of %j', async (host, except) => {
    await failureOf(connectWith(except)({ host, port: 1, timeoutMs }))
    expect(proxy.asked).toHaveLength(1)
  })

  test('networks, for hosts that are written as addresses', () => {
    const wayOut = wayOutThrough({ host: 'p', port: 1, except: ['192.0.2.0/24', '2001:db8::/32'] }, async () => basic)
    const unused = () => expect.unreachable('nobody is asked')
    for (const host of ['192.0.2.7', '2001:db8::7', '::ffff:192.0.2.7']) {
      expect(wayOut?.({ host, port: 9, timeoutMs }, unused)).toBeUndefined()
    }
  })

  test('what goes through a connector', async () => {
    const port = await listen(net.createServer(socket => socket.end('there')))
    const wayOut = wayOutThrough({ host: '127.0.0.1', port: proxy.port, except: [] }, async () => basic)
    const connect = makeConnect({ wayOut, tunnel: async () => net.connect(port, '127.0.0.1') })
    const socket = await connect({ host: 's4.virtual', port: 25, via: 'dc-frankfurt', timeoutMs })
    socket.destroy()
    expect(proxy.asked).toEqual([])
  })
})

describe('a host that a message chose', () => {
  const chosen = (except: readonly string[], addresses: readonly string[], allow: readonly string[] = []) =>
    guardConnect(connectWith(except), {
      allow,
      resolve: async () => addresses.map(address => ({ address, family: net.isIPv6(address) ? 6 : 4 })),
    })

  test('is judged here, and the proxy is asked for the address that was judged', async () => {
    const inside = await failureOf(chosen([], ['10.0.0.8'])({ host: 'inside.example', port: 443, timeoutMs }))
    expect(inside.code).toBe('NET_ADDRESS_FORBIDDEN')
    expect(proxy.asked).toEqual([])
    await failureOf(chosen([], ['10.0.0.8'], ['10.0.0.0/8'])({ host: 'inside.example', port: 1, timeoutMs }))
    expect(proxy.asked).toEqual([{ target: '10.0.0.8:1', status: 503 }])
  })

  test('an exception by name holds for it', async () => {
    const connect = chosen(['*.contoso.internal'], ['127.0.0.2'], ['127.0.0.0/8'])
    await failureOf(connect({ host: 'api.contoso.internal', port: 1, timeoutMs }))
    expect(proxy.asked).toEqual([])
  })
})

test('a password that was refused is not shown again for a while, a corrected one is at once', async () => {
  const port = await listen(net.createServer(socket => socket.end('there')))
  const connect = connectWith()
  basic = { kind: 'basic', user: logIn.user, password: 'outdated' }
  for (let turn = 0; turn < 5; turn++) {
    const error = await failureOf(connect({ host: 'smtp.example', port, timeoutMs }))
    expect(error).toMatchObject({ code: 'NET_PROXY_SIGN_IN', side: 'hub', retry: 'after-change' })
    expect(error.next).toContain('outgoing-proxy in isthmus.yaml')
  }
  expect(proxy.asked).toHaveLength(1)
  basic = { kind: 'basic', ...logIn }
  const socket = await connect({ host: 'smtp.example', port, timeoutMs })
  socket.destroy()
  expect(proxy.asked).toHaveLength(2)
})

describe('when many want to get out at once', () => {
  const manyWith = (connect: Connect, port: number) =>
    Promise.all(Array.from({ length: 20 }, () => connect({ host: 'smtp.example', port, timeoutMs })))

  test('a wrong password is shown once, a right one lets all of them through', async () => {
    const port = await listen(net.createServer(socket => socket.end('there')))
    const connect = connectWith()
    basic = { kind: 'basic', user: logIn.user, password: 'outdated' }
    expect(await failureOf(manyWith(connect, port))).toMatchObject({ code: 'NET_PROXY_SIGN_IN' })
    await failureOf(manyWith(connect, port))
    expect(proxy.asked).toHaveLength(1)
    basic = { kind: 'basic', ...logIn }
    for (const socket of await manyWith(connect, port)) socket.destroy()
    expect(proxy.asked).toHaveLength(21)
  })

  test('a proxy that says nothing to the first one does not keep the others', async () => {
    const asked = new Set<net.Socket>()
    const port = await listen(net.createServer(socket => asked.add(socket)))
    const wayOut = wayOutThrough({ host: '127.0.0.1', port, auth: 'proxy', except: [] }, async () => basic)
    const all = failureOf(manyWith(makeConnect({ wayOut }), 25))
    await vi.waitFor(() => expect(asked.size).toBe(20), { timeout: 10_000 })
    expect(await all).toMatchObject({ code: 'NET_PROXY_TIMEOUT' })
    for (const socket of asked) socket.destroy()
  })
})

test('a proxy that wants no user is shown none, and one that wants one all the same is told as such', async () => {
  const port = await listen(net.createServer(socket => socket.end('there')))
  const open = await startProxy({ names })
  ends.push(() => open.close())
  const connectBy = (by: ProxyWorld) =>
    makeConnect({ wayOut: wayOutThrough({ host: '127.0.0.1', port: by.port, except: [] }, async () => basic) })
  const socket = await connectBy(open)({ host: 'smtp.example', port, timeoutMs })
  socket.destroy()
  expect(open.asked).toEqual([{ target: `smtp.example:${port}`, status: 200 }])
  const error = await failureOf(connectBy(proxy)({ host: 'smtp.example', port, timeoutMs }))
  expect(error).toMatchObject({ code: 'NET_PROXY_SIGN_IN', retry: 'after-change' })
  expect(error.message).toContain('wants a user and a password')
})

test('a credential of another kind is told as such', async () => {
  basic = { kind: 'secret', secret: 'x' }
  const error = await failureOf(connectWith()({ host: 'smtp.example', port: 25, timeoutMs }))
  expect(error).toMatchObject({ code: 'NET_PROXY_CREDENTIAL', retry: 'after-change' })
})
