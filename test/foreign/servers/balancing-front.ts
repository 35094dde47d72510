import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connectorConfig } from '../../../src/connector/agent/connector-config.ts'
import { createTargetPool } from '../../../src/connector/balance/pool.ts'
import type { VirtualHostStatus } from '../../../src/connector/wire.ts'
import { silentLog } from '../../../src/kernel/log.ts'
import { systemClock } from '../../../src/kernel/time.ts'
import { makeConnect } from '../../../src/protocols/net/connect.ts'

const virtual = 's4-smtp.virtual:25'

export interface BalancingFront {
  readonly port: number
  statuses(): readonly VirtualHostStatus[]
  stop(): Promise<void>
}

/** The balancer of the connector behind a plain TCP port, in the place of a TCP balancer; its defaults, no tunnel. */
export async function startBalancingFront(targetPorts: readonly number[]): Promise<BalancingFront> {
  const targets = targetPorts.map(port => `127.0.0.1:${port}`)
  const parsed = connectorConfig.parse({ 'virtual-hosts': { [virtual]: { protocol: 'smtp', targets } } })
  const virtualHosts = Object.entries(parsed['virtual-hosts']).map(([address, { tls: _, ...host }]) => ({
    ...host,
    address,
  }))
  const pool = createTargetPool({ virtualHosts, connect: makeConnect(), clock: systemClock, log: silentLog })
  const clients = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, client => {
    clients.add(client)
    client.once('close', () => clients.delete(client)).on('error', () => {})
    const gone = new AbortController()
    const onGone = () => gone.abort()
    client.once('close', onGone)
    pool.open(virtual, { signal: gone.signal, timeoutMs: 10_000 }).then(
      ({ socket }) => {
        client.off('close', onGone)
        if (client.destroyed) socket.destroy()
        else join(client, socket)
      },
      e => {
        console.error(String(e).slice(0, 150))
        client.resetAndDestroy()
      },
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    statuses: () => pool.statuses(),
    async stop() {
      server.close()
      for (const client of clients) client.destroy()
      await once(server, 'close')
      await pool.close()
    },
  }
}

/** Bytes both ways; a broken end breaks the other. */
function join(client: Socket, target: Duplex): void {
  client.pipe(target).pipe(client)
  client.once('close', () => target.destroy())
  target.on('error', () => {})
  target.once('close', () => {
    if (!target.readableEnded) client.resetAndDestroy()
  })
}
