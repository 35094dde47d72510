import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { gateHttp } from './http-gate.ts'
import { splice } from './splice.ts'

const allow = {
  address: 's4:80',
  paths: [
    { path: '/sap/opu/odata/', methods: ['GET', 'POST'] },
    { path: '/sap/bc/ping', methods: ['GET'] },
  ],
}

/** A server behind a gate: what the gate lets through, and a port before it. */
interface World {
  readonly port: number
  readonly seen: string[]
  readonly noted: string[]
  close(): Promise<void>
}

let world: World

beforeEach(async () => {
  const seen: string[] = []
  const noted: string[] = []
  const answer = async (request: http.IncomingMessage, response: http.ServerResponse) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    seen.push(`${request.method} ${request.url} ${Buffer.concat(chunks).toString()}`)
    response.setHeader('x-seen', String(seen.length))
    if (request.url?.includes('slow')) await new Promise(resolve => setTimeout(resolve, 100))
    // One half with a length, the other in chunks.
    if (request.url?.includes('chunked')) response.write('part ')
    response.end(`answer to ${request.url}`)
  }
  const server = http.createServer((request, response) => {
    // A request that is cut off has no answer.
    answer(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: behind } = server.address() as net.AddressInfo
  const front = net.createServer({ allowHalfOpen: true }, socket => {
    const far = net.connect(behind, '127.0.0.1')
    splice({
      near: gateHttp(
        socket,
        () => allow,
        what => noted.push(what),
      ),
      below: socket,
      far,
      resetNear: () => socket.destroy(),
      onEnd() {},
    })
  })
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')
  world = {
    port: (front.address() as net.AddressInfo).port,
    seen,
    noted,
    async close() {
      server.closeAllConnections()
      const closed = [once(server, 'close'), once(front, 'close')]
      server.close()
      front.close()
      await Promise.all(closed)
    },
  }
})

afterEach(() => world.close())

/** Sends these pieces and reads to the end. */
async function talk(...pieces: readonly string[]): Promise<string> {
  const socket = net.connect({ port: world.port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  let text = ''
  socket.on('data', chunk => (text += chunk.toString('latin1')))
  for (const piece of pieces) {
    socket.write(piece, 'latin1')
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  const ended = once(socket, 'close')
  socket.end()
  await ended
  return text
}

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: s4\r\n${more}\r\n`

test('requests on the list go through as they are, one after the other on one connection', async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const headers = { host: 'S4:80' }
  const ask = async (method: string, path: string, body?: string) => {
    const request = http.request({ port: world.port, host: '127.0.0.1', agent, method, path, headers })
    if (body !== undefined) request.write(body)
    request.end()
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    let text = ''
    for await (const chunk of response) text += String(chunk)
    return `${response.statusCode} ${text}`
  }
  expect(await ask('GET', '/sap/opu/odata/sap/API_BP/A_BP?$top=1')).toBe(
    '200 answer to /sap/opu/odata/sap/API_BP/A_BP?$top=1',
  )
  expect(await ask('POST', '/sap/opu/odata/chunked', 'a body')).toBe('200 part answer to /sap/opu/odata/chunked')
  expect(await ask('GET', "/sap/opu/odata/A('x%2Fy')")).toBe("200 answer to /sap/opu/odata/A('x%2Fy')")
  expect(await ask('GET', '/sap/bc/ping')).toBe('200 answer to /sap/bc/ping')
  expect(await ask('GET', '/sap/bc/pingpong')).toMatch(
    /^403 The connector does not let this request through: the path is not/,
  )
  agent.destroy()
  expect(world.seen).toHaveLength(4)
  expect(world.noted).toEqual(['GET /sap/bc/pingpong'])
})

test('a refused request behind others waits for their answers, and nothing after it is sent', async () => {
  const text = await talk(
    get('/sap/opu/odata/slow') + get('/sap/opu/odata/two') + get('/sap/bc/admin') + get('/sap/opu/odata/three'),
  )
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 403'])
  expect(text).toContain('answer to /sap/opu/odata/two')
  expect(world.seen).toEqual(['GET /sap/opu/odata/slow ', 'GET /sap/opu/odata/two '])
})

test('a request in single letters is the same request', async () => {
  const text = await talk(...Array.from(get('/sap/bc/ping', 'Connection: close\r\n')))
  expect(text).toContain('answer to /sap/bc/ping')
})

test('a body in chunks goes through whole, with its trailers', async () => {
  const head = 'POST /sap/opu/odata/x HTTP/1.1\r\nHost: s4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n'
  const text = await talk(head, '5\r\nhel', 'lo\r\n6;ext="1"\r\n world\r\n0\r', '\nX-Trailer: 1\r\n\r\n')
  expect(text).toContain('HTTP/1.1 200')
  expect(world.seen).toEqual(['POST /sap/opu/odata/x hello world'])
})

describe('what is not on the list, or what two readers could read in two ways, is never sent', () => {
  test.each([
    ['another method', 'DELETE /sap/opu/odata/x HTTP/1.1\r\nHost: s4\r\n\r\n', 403],
    ['a method in a header', get('/sap/opu/odata/x', 'X-HTTP-Method: DELETE\r\n'), 403],
    ['a path in a header', get('/sap/opu/odata/x', 'X-Original-URL: /admin\r\n'), 403],
    ['dots', get('/sap/opu/odata/../bc/admin'), 403],
    ['escaped dots', get('/sap/opu/odata/%2e%2E/bc/admin'), 403],
    ['dots with escaped slashes', get('/sap/opu/odata/..%2fbc/admin'), 403],
    ['twice escaped dots', get('/sap/opu/odata/%252e%252e/bc/admin'), 403],
    ['dots with parameters', get('/sap/opu/odata/..;x=1/bc/admin'), 403],
    ['backslashes', get('/sap/opu/odata/..\\bc\\admin'), 403],
    ['escaped backslashes', get('/sap/opu/odata/..%5cbc'), 403],
    ['an escaped zero', get('/sap/opu/odata/x%00'), 403],
    ['other capitals', get('/SAP/opu/odata/x'), 403],
    ['the prefix without its end', get('/sap/opu/odata'), 403],
    ['another protocol', get('/sap/opu/odata/x', 'Connection: upgrade\r\nUpgrade: h2c\r\n'), 403],
    ['a whole URL', get('http://other/sap/opu/odata/x'), 400],
    ['CONNECT', 'CONNECT s4:443 HTTP/1.1\r\nHost: s4\r\n\r\n', 400],
    ['HTTP/1.0', 'GET /sap/bc/ping HTTP/1.0\r\nHost: s4\r\n\r\n', 400],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['no host', 'GET /sap/bc/ping HTTP/1.1\r\n\r\n', 400],
    ['two hosts', get('/sap/bc/ping', 'Host: other\r\n'), 400],
    ['another host behind the same server', 'GET /sap/bc/ping HTTP/1.1\r\nHost: payroll.contoso.internal\r\n\r\n', 403],
    ['another port of the host', 'GET /sap/bc/ping HTTP/1.1\r\nHost: s4:443\r\n\r\n', 403],
    ['two lengths', get('/sap/bc/ping', 'Content-Length: 1\r\nContent-Length: 1\r\n'), 400],
    ['length and chunks', get('/sap/bc/ping', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'), 400],
    ['an odd length', get('/sap/bc/ping', 'Content-Length: +1\r\n'), 400],
    ['an odd encoding', get('/sap/bc/ping', 'Transfer-Encoding: xchunked\r\n'), 400],
    ['two encodings', get('/sap/bc/ping', 'Transfer-Encoding: gzip, chunked\r\n'), 400],
    ['a space before the colon', get('/sap/bc/ping', 'Content-Length : 5\r\n'), 400],
    ['a folded header', get('/sap/bc/ping', 'X: 1\r\n Content-Length: 5\r\n'), 400],
    ['a bare line feed', get('/sap/bc/ping', 'X: 1\nContent-Length: 5\r\n'), 400],
    ['a bare carriage return', get('/sap/bc/ping', 'X: 1\rY: 2\r\n'), 400],
    ['a zero byte', get('/sap/bc/ping', 'X: \0\r\n'), 400],
    ['an empty first line', `\r\n${get('/sap/bc/ping')}`, 400],
    ['a tab in the request line', 'GET\t/sap/bc/ping HTTP/1.1\r\nHost: s4\r\n\r\n', 400],
    ['headers without end', `GET /sap/bc/ping HTTP/1.1\r\nX: ${'x'.repeat(70_000)}`, 400],
  ])('%s', async (_name, bytes, status) => {
    const text = await talk(bytes)
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(text).toContain('isthmus-error: CONNECTOR_HTTP_REFUSED')
    expect(world.seen).toEqual([])
    expect(world.noted).toHaveLength(1)
  })

  test.each([
    ['a size that is none', 'xyz\r\n'],
    ['a chunk that is longer than its size', '3\r\nhello\r\n'],
    ['a size without CR', '5\nhello\r\n0\r\n\r\n'],
  ])('a body of chunks with %s is cut off', async (_name, body) => {
    const head = 'POST /sap/opu/odata/x HTTP/1.1\r\nHost: s4\r\nTransfer-Encoding: chunked\r\n\r\n'
    expect(await talk(head, body)).not.toContain('200')
    expect(world.seen).toEqual([])
  })
})
