import type { Registry } from 'prom-client'
import { Counter, Gauge } from './meters.ts'
import type { WatchedConnectors } from './watched.ts'

/** Meters of on-premise connectors; they are read when Prometheus asks. */
export function addConnectorMeters(registry: Registry, connectors: WatchedConnectors): () => void {
  const gauge = (name: string, help: string) =>
    new Gauge({ name: `isthmus_${name}`, help, labelNames: ['location'], registers: [registry] })
  const counter = <const Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name: `isthmus_${name}`, help, labelNames, registers: [registry] })
  const connected = gauge('connector_connected', 'Connectors that are connected to this node.')
  const enrolled = gauge('connector_enrolled', 'Connectors that are enrolled and not revoked.')
  const tunnels = gauge('connector_tunnels', 'Tunnels to this node.')
  const streams = gauge('connector_streams', 'Connections through tunnels that are open.')
  const opened = counter('connector_opened_total', 'Connections opened through a location.', ['location'])
  const refused = counter('connector_refused_total', 'Connections not opened, by error code.', ['location', 'code'])
  const lost = counter('connector_tunnels_lost_total', 'Tunnels that ended.', ['location'])
  const bytes = counter('connector_bytes_total', 'Bytes carried, seen from the hub.', ['location', 'direction'])

  return () => {
    for (const each of [connected, enrolled, tunnels, streams, opened, refused, lost, bytes]) each.reset()
    for (const each of connectors.locations()) {
      const { location } = each
      connected.set({ location }, each.connected)
      enrolled.set({ location }, each.enrolled)
      tunnels.set({ location }, each.tunnels)
      streams.set({ location }, each.openStreams)
    }
    for (const each of connectors.traffic()) {
      const { location } = each
      opened.inc({ location }, each.opened)
      lost.inc({ location }, each.tunnelsLost)
      bytes.inc({ location, direction: 'out' }, each.sentBytes)
      bytes.inc({ location, direction: 'in' }, each.receivedBytes)
      for (const [code, count] of Object.entries(each.refused)) refused.inc({ location, code }, count)
    }
  }
}
