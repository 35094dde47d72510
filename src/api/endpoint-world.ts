import { once } from 'node:events'
import { connect } from 'node:net'
import type { HttpRequest, HttpRoute } from '../kernel/http-exchange.ts'
import { silentLog } from '../kernel/log.ts'
import { createFlowEndpoints, type FlowEndpointOptions } from './flow-endpoints.ts'

/** The endpoints that a file of tests opens, with whatever else goes after each test: what came last goes first. */
export function endpointsOfTest() {
  const closing: (() => Promise<unknown>)[] = []
  return {
    closing,
    async open(route: Partial<HttpRoute> = {}, options: Partial<FlowEndpointOptions> = {}) {
      const opened = await openEndpoint(route, options)
      closing.push(() => opened.endpoints.close(100))
      return opened
    },
    async closeAll(): Promise<void> {
      for (const close of closing.splice(0).toReversed()) await close()
    },
  }
}

/** A flow at `/flows/orders` on a socket; `seen` holds the requests that reached it. */
async function openEndpoint(route: Partial<HttpRoute>, options: Partial<FlowEndpointOptions>) {
  const endpoints = createFlowEndpoints({ log: silentLog, ...options })
  const seen: { request: HttpRequest; body: string }[] = []
  const takeAway = endpoints.serve({
    flow: 'orders',
    path: '/orders',
    methods: ['POST'],
    role: undefined,
    bodyBytesMax: 1000,
    async handle(request) {
      let body = ''
      for await (const chunk of request.body) body += Buffer.from(chunk).toString('latin1')
      seen.push({ request, body })
      return { status: 202, headers: { 'content-type': 'application/json' }, body: '{"id":"X"}' }
    },
    ...route,
  })
  const url = await endpoints.listen({ host: '127.0.0.1', port: 0 })
  return { url, port: Number(new URL(url).port), seen, endpoints, takeAway }
}

/** Sends the bytes as they are; everything that came until the connection ended or was silent for half a second. */
export async function sendRaw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.setTimeout(500, () => socket.destroy())
  const chunks: Buffer[] = []
  socket.on('data', chunk => chunks.push(chunk))
  socket.on('error', () => {})
  socket.write(text)
  await once(socket, 'close')
  return Buffer.concat(chunks).toString()
}

/** Writes `head` and a body of so many bytes, and reads nothing before, as most callers do. */
export async function writeThenRead(port: number, head: string, bodyBytes: number): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.setTimeout(10_000, () => socket.destroy(new Error('The connection was silent.')))
  socket.write(`${head}Content-Length: ${bodyBytes}\r\n\r\n`)
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.write('x'.repeat(bodyBytes), error => (error ? reject(error) : resolve()))
  })
  let answer = ''
  for await (const chunk of socket) answer += String(chunk)
  return answer
}
