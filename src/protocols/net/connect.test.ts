import net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { HubError } from '../../kernel/error.ts'
import { DAY } from '../../kernel/time.ts'
import { makeTwinCertificate, type TwinCertificate } from '../../twins/certificate.ts'
import { makeConnect } from './connect.ts'
import { asNetError } from './errors.ts'
import { serversOfTest } from './servers-world.ts'

const timeoutMs = 3000
const { listen, closeAll } = serversOfTest()
let good: TwinCertificate
let expired: TwinCertificate
let elsewhere: TwinCertificate

beforeAll(async () => {
  good = await makeTwinCertificate(['localhost', '127.0.0.1'])
  expired = await makeTwinCertificate(['localhost'], { validForMs: -DAY })
  elsewhere = await makeTwinCertificate(['mail.example'])
})
afterEach(closeAll)

const echo = (socket: Duplex) => {
  socket.on('error', () => {})
  socket.pipe(socket)
}
const echoTls = (certificate: TwinCertificate, options: tls.TlsOptions = {}) =>
  listen(tls.createServer({ cert: certificate.cert, key: certificate.key, ...options }, echo))

async function say(socket: Duplex, text: string): Promise<string> {
  socket.write(text)
  const [chunk] = await once<[Buffer]>(socket, 'data')
  socket.destroy()
  return chunk.toString()
}
function once<T extends unknown[]>(emitter: Duplex, event: string): Promise<T> {
  return new Promise(resolve => emitter.once(event, (...values: unknown[]) => resolve(values as T)))
}
async function failureOf(promise: Promise<unknown>): Promise<HubError> {
  return promise.then(
    () => expect.unreachable('it was connected'),
    (error: HubError) => error,
  )
}

test('plain TCP carries bytes both ways', async () => {
  const port = await listen(net.createServer(echo))
  const socket = await makeConnect()({ host: '127.0.0.1', port, timeoutMs })
  expect(await say(socket, 'EHLO')).toBe('EHLO')
})

test('TLS with a named authority, by name and by address', async () => {
  const port = await echoTls(good)
  for (const host of ['localhost', '127.0.0.1']) {
    const socket = await makeConnect()({ host, port, tls: { ca: good.ca }, timeoutMs })
    expect(await say(socket, 'hello')).toBe('hello')
  }
})

test('STARTTLS: a connection that stands is made secure, and the server sees the name', async () => {
  const context = tls.createSecureContext({ cert: good.cert, key: good.key })
  let servername: string | false | null = null
  const port = await listen(
    net.createServer(socket => {
      socket.once('data', () => {
        socket.write('220 ready', () => {
          const secure = new tls.TLSSocket(socket, { isServer: true, secureContext: context })
          secure.on('secure', () => {
            servername = secure.servername
          })
          echo(secure)
        })
      })
    }),
  )
  const connect = makeConnect()
  const request = { host: 'localhost', port, timeoutMs, tls: { ca: good.ca } }
  const socket = await connect({ host: 'localhost', port, timeoutMs })
  socket.write('STARTTLS')
  await once(socket, 'data')
  const secure = await connect.upgrade(socket, request)
  expect(await say(secure, 'secret')).toBe('secret')
  expect(servername).toBe('localhost')
})

describe('what is wrong with a certificate is said in words, with the next step', () => {
  const cases: readonly [string, () => { certificate: TwinCertificate; ca?: string; host?: string }, RegExp, RegExp][] =
    [
      ['an authority nobody knows', () => ({ certificate: good }), /authority that this hub does not know/, /\(ca\)/],
      ['expired', () => ({ certificate: expired, ca: expired.ca }), /has expired/, /Renew/],
      [
        'another name',
        () => ({ certificate: elsewhere, ca: elsewhere.ca }),
        /for another name \(mail\.example\)/,
        /issued for localhost/,
      ],
    ]
  test.each(cases)('%s', async (_title, make, reason, next) => {
    const { certificate, ca } = make()
    const port = await echoTls(certificate)
    const error = await failureOf(makeConnect()({ host: 'localhost', port, timeoutMs, tls: ca ? { ca } : {} }))
    expect(error.code).toBe('NET_TLS_FAILED')
    expect(error.message).toMatch(reason)
    expect(error.next).toMatch(next)
    expect(error.retry).toBe('after-change')
  })

  test('self-signed', async () => {
    const { ca, caKey } = await selfSigned()
    const port = await listen(tls.createServer({ cert: ca, key: caKey }, echo))
    const error = await failureOf(makeConnect()({ host: 'localhost', port, timeoutMs, tls: {} }))
    expect(error.message).toMatch(/self-signed/)
  })

  test('TLS 1.1 and older are not spoken', async () => {
    const port = await echoTls(good, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' })
    const error = await failureOf(makeConnect()({ host: 'localhost', port, timeoutMs, tls: { ca: good.ca } }))
    expect(error.code).toBe('NET_TLS_FAILED')
    expect(error.message).toMatch(/no TLS version/)
  })

  test('a port that does not speak TLS', async () => {
    const port = await listen(net.createServer(socket => socket.on('error', () => {}).end('220 smtp ready\r\n')))
    const error = await failureOf(makeConnect()({ host: 'localhost', port, timeoutMs, tls: {} }))
    expect(error.message).toMatch(/does not speak TLS on this port/)
  })
})

describe('what keeps a connection from standing', () => {
  test('nobody listens', async () => {
    const server = net.createServer()
    const port = await listen(server)
    await new Promise(resolve => server.close(resolve))
    const error = await failureOf(makeConnect()({ host: '127.0.0.1', port, timeoutMs }))
    expect(error.code).toBe('NET_CONNECT_REFUSED')
    expect(error.retry).toBe('soon')
  })

  test.each(['EMFILE', 'ENFILE', 'ENOBUFS'])(
    '%s: this machine has no more of them; the server is not to blame',
    code => {
      const thrown = Object.assign(new Error(`connect ${code} 192.0.2.1:25`), { code })
      expect(asNetError(thrown, { host: 'mail.example', port: 25 })).toMatchObject({
        code: 'NET_MACHINE_EXHAUSTED',
        side: 'hub',
        retry: 'soon',
        message: expect.stringContaining(code),
      })
    },
  )

  test('a name nobody knows', async () => {
    const connect = makeConnect({
      lookup: (_host, _options, callback) => callback(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), '', 4),
    })
    const error = await failureOf(connect({ host: 's4.nowhere', port: 25, timeoutMs }))
    expect(error.code).toBe('NET_NAME_UNKNOWN')
    expect(error.message).toContain('s4.nowhere')
  })

  test('a server that takes the connection and never answers the handshake', async () => {
    const port = await listen(net.createServer(socket => socket.on('error', () => {})))
    const error = await failureOf(makeConnect()({ host: 'localhost', port, timeoutMs: 100, tls: {} }))
    expect(error.code).toBe('NET_CONNECT_TIMEOUT')
  })

  test('a server that hangs up in the handshake', async () => {
    const port = await listen(net.createServer(socket => socket.destroy()))
    const error = await failureOf(makeConnect()({ host: 'localhost', port, timeoutMs, tls: {} }))
    expect(error.code).toBe('NET_CONNECTION_LOST')
  })

  test('a hub that stops gives up at once', async () => {
    const port = await listen(net.createServer(socket => socket.on('error', () => {})))
    const stop = new AbortController()
    const failure = failureOf(makeConnect()({ host: 'localhost', port, timeoutMs, tls: {}, signal: stop.signal }))
    stop.abort()
    expect((await failure).code).toBe('HUB_STOPPING')
  })
})

test('via goes through the tunnel, with TLS inside it; without a tunnel it is an error with a next step', async () => {
  const port = await echoTls(good)
  const asked: string[] = []
  const connect = makeConnect({
    tunnel: async request => {
      asked.push(`${request.via} ${request.host}:${request.port}`)
      return net.connect(port, '127.0.0.1')
    },
  })
  const request = { host: 's4.virtual', port: 44300, via: 'dc-frankfurt', timeoutMs }
  const socket = await connect({ ...request, tls: { ca: good.ca, servername: 'localhost' } })
  expect(await say(socket, 'through')).toBe('through')
  expect(asked).toEqual(['dc-frankfurt s4.virtual:44300'])

  const error = await failureOf(makeConnect()(request))
  expect(error.code).toBe('NET_NO_CONNECTOR')
  expect(error.next).toMatch(/Start a connector/)
})

test.each(['directly', 'through a tunnel'])(
  '%s, a slow reader gets every byte of a server that has hung up',
  async way => {
    const payload = Buffer.alloc(4 * 1024 * 1024, 'x')
    const port = await listen(
      tls.createServer({ cert: good.cert, key: good.key }, socket => {
        socket.on('error', () => {}).end(payload)
      }),
    )
    const tunnel = async () => {
      // Another kind of stream than a socket, as a connector gives.
      const { duplexPair } = await import('node:stream')
      const [near, far] = duplexPair()
      const socket = net.connect(port, '127.0.0.1')
      far.pipe(socket).pipe(far)
      return near
    }
    const request = { host: 'localhost', port, timeoutMs, tls: { ca: good.ca } }
    const socket = await makeConnect({ tunnel })(way === 'directly' ? request : { ...request, via: 'dc' })
    let bytes = 0
    for await (const chunk of socket) {
      bytes += (chunk as Buffer).length
      await new Promise(resolve => setTimeout(resolve, 1))
    }
    expect(bytes).toBe(payload.length)
  },
)

test('a connection that is cut while nobody listens does not end the process', async () => {
  const port = await listen(net.createServer(socket => socket.on('error', () => {}).resetAndDestroy()))
  const socket = await makeConnect()({ host: '127.0.0.1', port, timeoutMs }).catch(() => undefined)
  if (socket && !socket.destroyed) {
    socket.resume()
    await once(socket, 'close')
  }
  expect(socket?.destroyed ?? true).toBe(true)
})

async function selfSigned(): Promise<{ ca: string; caKey: string }> {
  await import('reflect-metadata')
  const { X509CertificateGenerator, PemConverter } = await import('@peculiar/x509')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost',
    keys,
    signingAlgorithm: algorithm,
    notAfter: new Date(Date.now() + DAY),
  })
  const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey)
  return { ca: certificate.toString('pem'), caKey: PemConverter.encode(key, 'PRIVATE KEY') }
}
