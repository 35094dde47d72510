import type { StoredConnector } from './connector-book.ts'
import type { Tunnel } from './tunnel.ts'

/** One tunnel to this node, as people see it. Times are milliseconds since 1970 UTC. */
export interface TunnelView {
  readonly address: string
  readonly connectedAt: number
  readonly openStreams: number
  readonly opened: number
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly roundTripMs: number | undefined
}

/** A connector as people see it. */
export interface ConnectorView {
  readonly id: string
  readonly location: string
  readonly name: string
  readonly state: 'connected' | 'away' | 'revoked'
  readonly version: string | undefined
  readonly mode: 'active' | 'shadow' | undefined
  readonly enrolledAt: number
  /** Since when it is connected; undefined while it is not. */
  readonly connectedAt: number | undefined
  readonly lastSeenAt: number | undefined
  readonly certificateEndsAt: number
  readonly openStreams: number
  readonly roundTripMs: number | undefined
  readonly tunnels: readonly TunnelView[]
  readonly virtualHosts: readonly string[]
  readonly revoked: StoredConnector['revoked']
}

export function viewConnector(connector: StoredConnector, tunnels: readonly Tunnel[], now: number): ConnectorView {
  const { id, location, name, enrolledAt, certificateEndsAt, revoked } = connector
  const newest = tunnels.toSorted((a, b) => b.helloAt - a.helloAt)[0]
  const roundTrips = tunnels.flatMap(tunnel => tunnel.roundTripMs ?? [])
  return {
    id,
    location,
    name,
    state: revoked ? 'revoked' : tunnels.length > 0 ? 'connected' : 'away',
    version: newest?.hello.version ?? connector.version,
    mode: newest?.hello.mode ?? connector.mode,
    enrolledAt,
    connectedAt: newest && Math.min(...tunnels.map(tunnel => tunnel.connectedAt)),
    lastSeenAt: newest ? now : connector.lastSeenAt,
    certificateEndsAt,
    openStreams: tunnels.reduce((sum, tunnel) => sum + tunnel.openCount, 0),
    roundTripMs: roundTrips.length > 0 ? Math.min(...roundTrips) : undefined,
    tunnels: tunnels.map(viewTunnel),
    virtualHosts: newest?.hello.virtualHosts ?? [],
    revoked,
  }
}

function viewTunnel(tunnel: Tunnel): TunnelView {
  const { address, connectedAt, load, roundTripMs } = tunnel
  return {
    address,
    connectedAt,
    openStreams: tunnel.openCount,
    opened: tunnel.openedCount,
    sentBytes: load.sentBytes,
    receivedBytes: load.receivedBytes,
    roundTripMs,
  }
}
