import { once } from 'node:events'
import type { Server, Socket } from 'node:net'

/** A listening server on loopback with the sockets it holds, so that it can be stopped at once. */
export interface Listener {
  readonly port: number
  readonly sockets: ReadonlySet<Socket>
  stop(): Promise<void>
}

/** Binds to 127.0.0.1 only: a twin is never reachable from another machine. Port 0 takes a free one. */
export async function listenOnLoopback(server: Server, port = 0): Promise<Listener> {
  const sockets = new Set<Socket>()
  // 'connection' also fires for TLS servers, with the TCP socket below: destroying that one ends both.
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: address !== null && typeof address === 'object' ? address.port : port,
    sockets,
    async stop() {
      if (!server.listening) return
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}
