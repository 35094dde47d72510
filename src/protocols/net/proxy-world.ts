import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import type { Duplex } from 'node:stream'

export interface ProxyWorldOptions {
  /** Who may use it; everybody where left out. */
  readonly logIn?: { readonly user: string; readonly password: string }
  /** Hosts that it lets nobody through to. */
  readonly refuse?: readonly string[]
  /** Names that it knows, beside those of the machine. */
  readonly names?: Readonly<Record<string, string>>
}

/** A company's proxy that knows nothing but CONNECT. */
export interface ProxyWorld {
  readonly port: number
  readonly address: string
  /** What it was asked for: host:port, and what it answered. */
  readonly asked: { readonly target: string; readonly status: number }[]
  /** All that the connections it carries have in common is told here: every byte that passes. */
  readonly carried: { bytes: number; text: string }
  open(): number
  /** Ends every connection, as a proxy that is killed does. */
  cut(): void
  close(): Promise<void>
}

const carriedTextMax = 100_000

export async function startProxy(options: ProxyWorldOptions = {}, port = 0): Promise<ProxyWorld> {
  const sockets = new Set<Duplex>()
  const asked: ProxyWorld['asked'] = []
  const carried = { bytes: 0, text: '' }
  const expected =
    options.logIn && `Basic ${Buffer.from(`${options.logIn.user}:${options.logIn.password}`).toString('base64')}`

  const server = http.createServer((_request, response) => response.writeHead(405).end())
  server.on('connect', (request, near: Duplex, head: Buffer) => {
    keep(near)
    const target = request.url ?? ''
    const refuse = (status: number, words = '') => {
      asked.push({ target, status })
      near.end(`HTTP/1.1 ${status} No\r\n${words}content-length: 3\r\n\r\nno\n`)
    }
    if (expected !== undefined && request.headers['proxy-authorization'] !== expected) {
      return refuse(407, 'proxy-authenticate: Basic realm="contoso"\r\n')
    }
    const { hostname, port } = new URL(`tcp://${target}`)
    const host = hostname.replace(/^\[(.*)\]$/, '$1')
    if (options.refuse?.includes(host)) return refuse(403)
    const far = net.connect({ host: options.names?.[host] ?? host, port: Number(port), noDelay: true })
    keep(far)
    far.once('error', () => refuse(503))
    far.once('connect', () => {
      asked.push({ target, status: 200 })
      near.write('HTTP/1.1 200 Connection established\r\n\r\n')
      if (head.length > 0) far.write(head)
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on('data', (chunk: Buffer) => {
          carried.bytes += chunk.length
          if (carried.text.length < carriedTextMax) carried.text += chunk.toString('latin1')
        })
        from.pipe(to)
        from.once('close', () => to.destroy())
      }
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')

  function keep(socket: Duplex): void {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  }
  function cut(): void {
    for (const socket of sockets) socket.destroy()
  }

  const taken = (server.address() as net.AddressInfo).port
  return {
    port: taken,
    address: `127.0.0.1:${taken}`,
    asked,
    carried,
    open: () => sockets.size,
    cut,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      cut()
      await closed
    },
  }
}
