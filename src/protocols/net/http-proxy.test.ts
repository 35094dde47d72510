import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { HubError } from '../../kernel/error.ts'
import { makeTwinCertificate, type TwinCertificate } from '../../twins/certificate.ts'
import { connectThroughProxy, proxyLimits } from './http-proxy.ts'
import { type ProxyWorldOptions, startProxy } from './proxy-world.ts'

const timeoutMs = 3000
const ends: (() => Promise<unknown>)[] = []
let certificate: TwinCertificate

beforeAll(async () => {
  certificate = await makeTwinCertificate(['localhost'])
})
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

async function listen(server: net.Server): Promise<number> {
  const sockets = new Set<net.Socket>()
  server.on('connection', (socket: net.Socket) => sockets.add(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as net.AddressInfo).port
}

async function proxied(options: ProxyWorldOptions = {}) {
  const proxy = await startProxy(options)
  ends.push(() => proxy.close())
  return proxy
}

const at = (port: number, logIn?: { user: string; password: string }) => ({
  host: '127.0.0.1',
  port,
  logIn,
  setting: 'hub.proxy in connector.yaml',
})

async function failureOf(promise: Promise<unknown>): Promise<HubError> {
  return promise.then(
    () => expect.unreachable('the way was opened'),
    (error: HubError) => error,
  )
}

const echo = () => net.createServer(socket => socket.pipe(socket))

test('bytes go both ways, TLS end to end, and the proxy sees host and port only', async () => {
  const proxy = await proxied()
  const secure = tls.createServer({ cert: certificate.cert, key: certificate.key }, socket => socket.pipe(socket))
  const port = await listen(secure)
  const socket = await connectThroughProxy(at(proxy.port), { host: 'localhost', port, timeoutMs })
  const inside = tls.connect({ socket, servername: 'localhost', ca: certificate.ca })
  inside.write('a secret of ours')
  const [chunk] = (await once(inside, 'data')) as [Buffer]
  expect(chunk.toString()).toBe('a secret of ours')
  expect(proxy.asked).toEqual([{ target: `localhost:${port}`, status: 200 }])
  expect(proxy.carried.bytes).toBeGreaterThan(100)
  expect(proxy.carried.text).not.toContain('a secret of ours')
  inside.destroy()
})

test('user and password are shown to the proxy, in any letters', async () => {
  const logIn = { user: 'svc-ïsthmus', password: 'geheim: ß%' }
  const proxy = await proxied({ logIn })
  const port = await listen(echo())
  const socket = await connectThroughProxy(at(proxy.port, logIn), { host: '127.0.0.1', port, timeoutMs })
  socket.destroy()
  expect(proxy.asked).toEqual([{ target: `127.0.0.1:${port}`, status: 200 }])
})

test('a wrong password, and none where one is wanted, are told as such, and without it', async () => {
  const proxy = await proxied({ logIn: { user: 'isthmus', password: 'right' } })
  const wish = { host: '127.0.0.1', port: 1, timeoutMs }
  const wrong = await failureOf(connectThroughProxy(at(proxy.port, { user: 'isthmus', password: 'wr0ng-one' }), wish))
  expect(wrong).toMatchObject({ code: 'NET_PROXY_SIGN_IN', retry: 'after-change' })
  expect(wrong.message).toBe(`The proxy ${proxy.address} does not take user isthmus with this password (407).`)
  expect(wrong.next).toContain('hub.proxy in connector.yaml')
  expect(JSON.stringify(wrong) + String(wrong)).not.toContain('wr0ng-one')
  const none = await failureOf(connectThroughProxy(at(proxy.port), wish))
  expect(none.message).toBe(`The proxy ${proxy.address} wants a user and a password (407).`)
})

test('an IPv6 address stands in brackets', async () => {
  const proxy = await proxied({ refuse: ['::1'] })
  await failureOf(connectThroughProxy(at(proxy.port), { host: '::1', port: 443, timeoutMs }))
  expect(proxy.asked).toEqual([{ target: '[::1]:443', status: 403 }])
})

/** A proxy that says these bytes to whatever it is asked, and then what `after` does. */
const saying = (text: string, after: (socket: net.Socket) => void = () => {}) =>
  listen(
    net.createServer(socket => {
      socket.once('data', () => {
        socket.write(text, 'latin1')
        after(socket)
      })
    }),
  )

const wish = { host: 'hub.contoso.com', port: 8443, timeoutMs }

describe('what a proxy answers says whose turn it is', () => {
  test.each([
    ['403 Forbidden', 'NET_PROXY_REFUSED', 'after-change', /does not let this machine through to hub.contoso.com:8443/],
    ['405 Method Not Allowed', 'NET_PROXY_REFUSED', 'after-change', /\(405\)/],
    ['429 Too Many', 'NET_PROXY_NO_WAY', 'soon', /\(429\)/],
    ['500 Unable to connect', 'NET_PROXY_NO_WAY', 'soon', /cannot reach hub.contoso.com:8443 \(500\)/],
    ['502 Bad Gateway', 'NET_PROXY_NO_WAY', 'soon', /\(502\)/],
    ['503 Service Unavailable', 'NET_PROXY_NO_WAY', 'soon', /\(503\)/],
    ['504 Gateway Timeout', 'NET_PROXY_NO_WAY', 'soon', /\(504\)/],
    ['302 Found', 'NET_PROXY_ANSWER_ODD', 'soon', /it answers CONNECT with 302/],
  ])('%s', async (status, code, retry, words) => {
    const port = await saying(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nno`)
    const error = await failureOf(connectThroughProxy(at(port), wish))
    expect(error).toMatchObject({ code, retry })
    expect(error.message).toMatch(words)
  })

  test.each([
    ['NTLM\r\nProxy-Authenticate: Negotiate', /\(Negotiate, NTLM\)/],
    ['Digest realm="Basic", nonce="x"', /\(Digest\)/],
    ['', /it names none/],
  ])('a sign-in that is not spoken here: %j', async (challenge, words) => {
    const port = await saying(`HTTP/1.1 407 No\r\nProxy-Authenticate: ${challenge}\r\n\r\n`)
    const error = await failureOf(connectThroughProxy(at(port, { user: 'u', password: 'p' }), wish))
    expect(error.code).toBe('NET_PROXY_SIGN_IN')
    expect(error.message).toMatch(words)
    expect(error.next).toMatch(/through by its address.*Cntlm/)
  })

  test.each(['Negotiate, Basic realm="x"', 'Basic'])('Basic among others: %s', async challenge => {
    const port = await saying(`HTTP/1.1 407 No\r\nProxy-Authenticate: ${challenge}\r\n\r\n`)
    const error = await failureOf(connectThroughProxy(at(port), wish))
    expect(error.message).toMatch(/wants a user and a password/)
  })
})

test('401 in the place of 407, as tinyproxy says of a wrong password', async () => {
  const port = await saying('HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n')
  const error = await failureOf(connectThroughProxy(at(port, { user: 'isthmus', password: 'p' }), wish))
  expect(error.message).toMatch(/does not take user isthmus with this password \(401\)/)
})

describe('an answer of an older kind', () => {
  test.each(['HTTP/1.0 200 Connection established\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nVia: x\r\n\r\n'])(
    '%j, with the greeting of a server that speaks first right behind it',
    async answer => {
      const port = await saying(`${answer}220 smtp.office365.com ready\r\n`)
      const socket = await connectThroughProxy(at(port), wish)
      const [greeting] = (await once(socket, 'data')) as [Buffer]
      expect(greeting.toString()).toBe('220 smtp.office365.com ready\r\n')
      socket.destroy()
    },
  )

  test('bytes of TLS right behind the answer are part of the handshake', async () => {
    const proxyPort = await listen(
      net.createServer(near => {
        near.once('data', () => {
          const far = net.connect(securePort, '127.0.0.1')
          // Everything of the server comes behind the answer, in the same segment.
          const held: Buffer[] = [Buffer.from('HTTP/1.1 200 OK\r\n\r\n')]
          far.on('data', chunk => {
            held.push(chunk)
            near.write(Buffer.concat(held.splice(0)))
          })
          near.on('data', chunk => far.write(chunk))
        })
      }),
    )
    // It speaks before it is asked: an alert, as a server does that is going down.
    const securePort = await listen(net.createServer(socket => socket.write(Buffer.from('15030300020250', 'hex'))))
    const socket = await connectThroughProxy(at(proxyPort), wish)
    const inside = tls.connect({ socket, servername: 'localhost' })
    const error = await new Promise<Error & { code?: string }>(resolve => inside.once('error', resolve))
    expect(error.code).toMatch(/ALERT_INTERNAL_ERROR/)
  })
})

describe('a hostile proxy', () => {
  test('a header without an end is not read on', async () => {
    let written = 0
    const port = await saying('HTTP/1.1 200 OK\r\n', socket => {
      const line = `x: ${'y'.repeat(1000)}\r\n`
      const go = () => {
        while (!socket.destroyed && written < 50_000_000) {
          written += line.length
          if (!socket.write(line)) return socket.once('drain', go)
        }
        return undefined
      }
      go()
    })
    const error = await failureOf(connectThroughProxy(at(port), wish))
    expect(error.code).toBe('NET_PROXY_ANSWER_ODD')
    expect(error.message).toContain(`more than ${proxyLimits.answerBytes} bytes`)
    expect(written).toBeLessThan(20_000_000)
  })

  test('half an answer and the end', async () => {
    const port = await saying('HTTP/1.1 200 Conn', socket => socket.end())
    expect(await failureOf(connectThroughProxy(at(port), wish))).toMatchObject({ code: 'NET_PROXY_UNREACHABLE' })
  })

  test('an end without a word, and a reset', async () => {
    for (const end of [(socket: net.Socket) => socket.end(), (socket: net.Socket) => socket.resetAndDestroy()]) {
      const port = await saying('', end)
      expect(await failureOf(connectThroughProxy(at(port), wish))).toMatchObject({ code: 'NET_PROXY_UNREACHABLE' })
    }
  })

  test('a slow drip ends with the time', async () => {
    const port = await saying('HTTP/1.1 200 OK\r\nx: ', socket => {
      const drip = setInterval(() => socket.write('y'), 20)
      socket.once('close', () => clearInterval(drip))
    })
    const begun = performance.now()
    const error = await failureOf(connectThroughProxy(at(port), { ...wish, timeoutMs: 300 }))
    expect(error.code).toBe('NET_PROXY_TIMEOUT')
    expect(performance.now() - begun).toBeLessThan(2500)
  })

  test.each(['SSH-2.0-OpenSSH_9.2\r\n', '\u0015\u0003\u0003\u0000\u0002\u0002P', '220 smtp ready\r\n'])(
    'no proxy at all: %j',
    async text => {
      const port = await saying(text)
      expect(await failureOf(connectThroughProxy(at(port), wish))).toMatchObject({ code: 'NET_PROXY_ANSWER_ODD' })
    },
  )

  test('a server that hangs up behind its answer', async () => {
    const port = await saying('HTTP/1.1 200 OK\r\n\r\nbye', socket => socket.end())
    const socket = await connectThroughProxy(at(port), wish)
    let heard = ''
    for await (const chunk of socket) heard += String(chunk)
    expect(heard).toBe('bye')
  })

  test('a challenge of 15 KB without sense costs no time', async () => {
    const port = await saying(`HTTP/1.1 407 No\r\nProxy-Authenticate: ${', '.repeat(7500)}x\r\n\r\n`)
    const begun = performance.now()
    expect(await failureOf(connectThroughProxy(at(port), wish))).toMatchObject({ code: 'NET_PROXY_SIGN_IN' })
    expect(performance.now() - begun).toBeLessThan(1000)
  })
})

test('nobody listens, or the name is unknown: it is the proxy that does not answer', async () => {
  const server = net.createServer()
  const port = await listen(server)
  await new Promise(resolve => server.close(resolve))
  const error = await failureOf(connectThroughProxy(at(port), wish))
  expect(error.message).toBe(`The proxy 127.0.0.1:${port} does not answer: ECONNREFUSED.`)
})

test('whoever gives up meanwhile leaves nothing open', async () => {
  const closed = Promise.withResolvers<void>()
  const port = await listen(net.createServer(socket => void socket.resume().once('close', () => closed.resolve())))
  const stop = new AbortController()
  const failure = failureOf(connectThroughProxy(at(port), { ...wish, signal: stop.signal }))
  setTimeout(() => stop.abort(), 50)
  expect((await failure).code).toBe('HUB_STOPPING')
  await closed.promise
  expect(await failureOf(connectThroughProxy(at(port), { ...wish, signal: stop.signal }))).toMatchObject({
    code: 'HUB_STOPPING',
  })
})
