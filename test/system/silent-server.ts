import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** Takes connections and never says a word. */
export async function silentServer() {
  const calls: Socket[] = []
  const server = createServer(socket => {
    socket.on('error', () => {})
    calls.push(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    callCount: () => calls.length,
    async stop() {
      for (const socket of calls) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
