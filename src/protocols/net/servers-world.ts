import type { Server } from 'node:net'

/** The servers that a file of tests has on free ports of 127.0.0.1, until `closeAll` after each test. */
export function serversOfTest() {
  const servers: Server[] = []
  return {
    async listen(server: Server): Promise<number> {
      servers.push(server)
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      const address = server.address()
      return typeof address === 'object' && address ? address.port : 0
    },
    closeAll(): void {
      for (const server of servers.splice(0)) server.close()
    },
  }
}
