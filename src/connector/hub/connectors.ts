import type { Duplex } from 'node:stream'
import type { CertificateAuthority } from '../../auth/certificate-authority.ts'
import { asHubError, type HubError } from '../../kernel/error.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { Log } from '../../kernel/log.ts'
import type { Connect } from '../../kernel/socket.ts'
import type { Clock } from '../../kernel/time.ts'
import { netErrors } from '../../protocols/net/errors.ts'
import type { Records } from '../../store/port.ts'
import { type ConnectorStatus, connectorStatus, type DrainRequest, wirePaths } from '../wire.ts'
import { ConnectorBook } from './connector-book.ts'
import { createEnrolRequests } from './enrol-requests.ts'
import { EnrolTokens, type NewToken } from './enrol-token.ts'
import { createEnrolment } from './enrolment.ts'
import { enrolErrors, locationErrors } from './errors.ts'
import { askFate } from './fate.ts'
import { hubLimits } from './limits.ts'
import { createListener, type ListenAddress } from './listener.ts'
import { authorityOf, openStream, type TunnelRequest } from './open-stream.ts'
import { checkPath, type PathCheck } from './path-check.ts'
import { RefusalAudit } from './refusal-audit.ts'
import { TunnelRegistry } from './registry.ts'
import { type LocationTraffic, TrafficBook } from './traffic.ts'
import type { Tunnel } from './tunnel.ts'
import type { StreamTarget } from './tunnel-stream.ts'
import { type ConnectorView, viewConnector } from './views.ts'

export interface ConnectorListen extends ListenAddress {
  /** host:port of every node of the hub, as connectors dial it; the address it listens on where this is empty. */
  readonly nodes: readonly string[]
}

export interface ConnectorsOptions {
  readonly records: Pick<Records, 'read' | 'write' | 'list' | 'remove' | 'audit'>
  readonly authority: CertificateAuthority
  readonly clock: Clock
  readonly log: Log
  /** Undefined: this hub takes no connectors. */
  readonly listen: ConnectorListen | undefined
}

/** What a location looks like from here. */
export interface LocationView {
  readonly location: string
  readonly enrolled: number
  readonly connected: number
  readonly tunnels: number
  readonly openStreams: number
  /** Since when no connector is connected; undefined while one is. */
  readonly awaySince: number | undefined
}

/** The hub's side of on-premise connectors. */
export interface Connectors {
  /** The way of a connection with `via`. Throws LOCATION_…, NET_NO_CONNECTOR, NET_CONNECT_TIMEOUT. */
  tunnel(request: TunnelRequest): Promise<Duplex>
  /** What a connector knows of a mail whose connection is lost. */
  readonly fateOf: NonNullable<Connect['fateOf']>
  /** Begins to listen where it is configured; resolves with host:port. */
  start(): Promise<string | undefined>
  /** Throws LOCATION_LISTENER_OFF, LOCATION_LOCATION_INVALID. */
  makeToken(location: string, name: string | undefined): Promise<NewToken & { readonly nodes: readonly string[] }>
  list(): readonly ConnectorView[]
  /** Throws LOCATION_CONNECTOR_UNKNOWN, as everything below that names a connector. */
  get(id: string): ConnectorView
  /** Cuts its tunnels at once and refuses its certificates from now on. */
  revoke(id: string, reason: string, by: string): Promise<ConnectorView>
  /** Its virtual hosts and targets, asked now. Throws LOCATION_CONNECTOR_AWAY, LOCATION_CONNECTOR_SILENT. */
  status(id: string): Promise<ConnectorStatus>
  drain(id: string, request: DrainRequest): Promise<ConnectorStatus>
  /** Proves the way to a virtual host:port, or to all of a location, now. */
  check(location: string, virtualHost?: string): Promise<PathCheck>
  locations(): readonly LocationView[]
  /** Calls back when a location has a connected connector again, or for the first time, or lists what it did not list. */
  onReachable(listener: (location: string) => void): void
  traffic(): readonly LocationTraffic[]
  close(): Promise<void>
}

export async function createConnectors(options: ConnectorsOptions): Promise<Connectors> {
  const { records, authority, clock, log } = options
  const audit = (who: string, action: string, detail: JsonObject) =>
    records.audit({ at: clock.now(), who, action, detail })
  const book = new ConnectorBook(records, authority, clock)
  const tokens = new EnrolTokens(records, clock)
  const registry = new TunnelRegistry()
  const traffic = new TrafficBook()
  const refusals = new RefusalAudit(clock, audit, log)
  const awaySince = new Map<string, number>()
  const pending = new Set<Promise<void>>()
  const reachableListeners: ((location: string) => void)[] = []
  const startedAt = clock.now()
  let nodes: readonly string[] = options.listen?.nodes ?? []
  const closing = new AbortController()
  const unset = { now: () => performance.now(), after: (ms: number, call: () => void) => clock.after(ms, call) }
  const unsetStartedAt = unset.now()
  const cameSinceStart = new Set<string>()
  let cancelRound = () => {}

  await book.refresh()
  const enrolment = createEnrolment({ tokens, book, authority, clock, log, audit, nodes: () => nodes })
  const listener = createListener({
    authority,
    enrolment,
    requests: createEnrolRequests({ enrolment, clock, log, audit }),
    clock,
    log,
    hosts: hostsOf(options.listen),
    onTunnel: takeIn,
    // A stranger could put another name into each certificate; he gets one entry a minute.
    onRefused: (error, address, isOurs) => noteRefused(error, address, isOurs ? error.message : address),
  })
  const endWatch = authority.onRevoked(serial => {
    for (const tunnel of registry.all()) {
      if (tunnel.owner.serial === serial) tunnel.destroy('its certificate was revoked')
    }
  })

  function noteRefused({ code, message: text }: HubError, address: string, kind: string): void {
    log.warn('connector.refused', { address, code, text })
    refusals.note(`certificate\n${kind}`, `unknown@${address}`, 'connector.certificate-refused', { code, text })
  }

  function takeIn(tunnel: Tunnel): void {
    const { connector, location, serial } = tunnel.owner
    const replacement = registry.replacementOf(tunnel)
    // It may have been revoked while it said hello.
    if (authority.isRevoked(serial)) tunnel.destroy('its certificate was revoked')
    else if (replacement) {
      const error = enrolErrors.IDENTITY_TWICE({ connector, other: replacement.address })
      noteRefused(error, tunnel.address, `${connector} twice`)
      tunnel.turnAway(`${error.message} ${error.next}`)
      return
    } else registry.add(tunnel)
    if (!tunnel.isAlive) return
    cameSinceStart.add(connector)
    awaySince.delete(location)
    // Without those that it has just taken the place of.
    const others = registry.ofLocation(location).filter(other => other !== tunnel)
    const isNew = (address: string) => !others.some(other => other.lists(address))
    if (others.length === 0 || tunnel.hello.virtualHosts.some(isNew)) {
      for (const listener of reachableListeners) listener(location)
    }
    const { version, mode } = tunnel.hello
    log.info('connector.connected', { connector, location, address: tunnel.address, version, mode })
    noteSeen(tunnel)
    void tunnel.closed().then(() => {
      traffic.gone(tunnel)
      log.info('connector.disconnected', { connector, location, reason: tunnel.reasonOfLoss })
      if (closing.signal.aborted) return
      if (registry.ofConnector(connector).length === 0) noteSeen(tunnel)
      if (registry.ofLocation(location).length === 0) awaySince.set(location, clock.now())
    })
  }

  function noteSeen({ owner, hello }: Tunnel): void {
    const seen = { lastSeenAt: clock.now(), version: hello.version, mode: hello.mode }
    inBackground('connector.not-noted', () => book.noteSeen(owner.connector, seen))
  }

  function inBackground(event: string, work: () => Promise<void>): void {
    const running: Promise<void> = work()
      .catch((thrown: unknown) => {
        const error = asHubError(thrown)
        if (!closing.signal.aborted) log.warn(event, { code: error.code, text: error.message })
      })
      .finally(() => pending.delete(running))
    pending.add(running)
  }

  /** What time brings: lists that changed, certificates that ended, what other nodes wrote. */
  async function lookAround(): Promise<void> {
    await authority.refresh()
    await book.refresh()
    const now = clock.now()
    for (const tunnel of registry.all()) {
      if (tunnel.certificateEndsAt <= now) tunnel.destroy('its certificate has ended')
      else if (book.find(tunnel.owner.connector)?.revoked) tunnel.destroy('the connector was revoked')
      else if (now - tunnel.helloAt >= hubLimits.helloMs) refreshHello(tunnel)
    }
  }

  function refreshHello(tunnel: Tunnel): void {
    inBackground('connector.silent', async () => void (await tunnel.greet()))
  }

  function scheduleRound(): void {
    cancelRound = clock.after(hubLimits.refreshMs, () => {
      inBackground('connector.look-failed', lookAround)
      if (!closing.signal.aborted) scheduleRound()
    })
  }

  function noTunnel(target: StreamTarget): HubError {
    const enrolled = book.list().filter(each => each.location === target.via && !each.revoked)
    if (enrolled.length === 0) return netErrors.NO_CONNECTOR({ ...target })
    const seen = Math.max(0, ...enrolled.map(each => each.lastSeenAt ?? 0))
    const lastSeen = seen === 0 ? 'never' : new Date(seen).toISOString()
    return locationErrors.NOT_CONNECTED({ ...target, enrolled: enrolled.length, lastSeen })
  }

  /** Since when nobody is there; now, while tunnels stand or are just ending. */
  function leftAt(location: string): number {
    if (registry.all().some(tunnel => tunnel.owner.location === location)) return clock.now()
    return awaySince.get(location) ?? startedAt
  }

  function viewOf(id: string): ConnectorView {
    return viewConnector(book.get(id), registry.ofConnector(id), clock.now())
  }

  function tunnelTo(id: string): Tunnel {
    const { id: connector } = book.get(id)
    const tunnel = registry.bestOf(id)
    if (!tunnel) throw locationErrors.CONNECTOR_AWAY({ connector })
    return tunnel
  }

  return {
    fateOf: (trace, mail, signal) =>
      askFate(trace, mail, {
        registry,
        clock: unset,
        // One that was here already has lost nothing by the start.
        startedAt: cameSinceStart.has(trace.connector) ? Number.NEGATIVE_INFINITY : unsetStartedAt,
        signal: AbortSignal.any([closing.signal, signal]),
      }),
    tunnel: request =>
      openStream(request, {
        candidates: (location, address) => registry.candidates(location, address),
        awaitTunnel: async ({ via }, waitMs, signal) => {
          // Tunnels that stand and still did not do are those of a connector that is stopping.
          const since = leftAt(via)
          const isEnrolled = book.list().some(each => each.location === via && !each.revoked)
          if (closing.signal.aborted || !isEnrolled || clock.now() - since > hubLimits.recentlyMs) return false
          return registry.awaitTunnel(via, clock, Math.min(waitMs, hubLimits.comingBackMs), signal)
        },
        noTunnel: target => {
          const error = noTunnel(target)
          traffic.refused(target.via, error.code)
          return error
        },
        onOpened(target, tunnel) {
          tunnel.openedCount++
          traffic.opened(target.via)
          if (!tunnel.lists(authorityOf(target.host, target.port))) refreshHello(tunnel)
        },
        onRefused(target, tunnel, error) {
          const address = authorityOf(target.host, target.port)
          const { connector, location } = tunnel.owner
          traffic.refused(location, error.code)
          const words = { connector, location, virtualHost: address, code: error.code, text: error.message }
          log.warn('connector.refused-stream', { ...words, flow: request.purpose })
          if (error.code !== locationErrors.NOT_ALLOWED.code) return
          if (tunnel.lists(address)) refreshHello(tunnel)
          const who = `flow:${request.purpose ?? 'unknown'}`
          refusals.note(`${who}\n${connector}\n${address}`, who, 'connector.refused-stream', words)
        },
      }),
    async start() {
      if (!options.listen) return undefined
      const { host, port } = await listener.listen(options.listen)
      const address = authorityOf(host, port)
      if (nodes.length === 0) nodes = [address]
      scheduleRound()
      log.info('connector.listening', { address, nodes })
      return address
    },
    async makeToken(location, name) {
      if (!options.listen) throw locationErrors.LISTENER_OFF()
      return { ...(await enrolment.makeToken(location, name)), nodes }
    },
    list: () => book.list().map(({ id }) => viewOf(id)),
    get: viewOf,
    async revoke(id, reason, by) {
      await book.revoke(id, reason, by)
      for (const tunnel of registry.ofConnector(id)) tunnel.destroy('the connector was revoked')
      return viewOf(id)
    },
    status: async id => tunnelTo(id).ask(wirePaths.status, connectorStatus),
    drain: async (id, body) => tunnelTo(id).ask(wirePaths.drain, connectorStatus, { body }),
    check(location, virtualHost) {
      const connectors = book.list().filter(each => each.location === location)
      const tunnels = registry.candidates(location, virtualHost?.toLowerCase() ?? '')
      return checkPath({ location, connectors: connectors.map(({ id }) => viewOf(id)), tunnels }, virtualHost)
    },
    locations() {
      const enrolled = book.list().filter(({ revoked }) => !revoked)
      return [...new Set(enrolled.map(({ location }) => location))].map(location => {
        const tunnels = registry.ofLocation(location)
        const connected = new Set(tunnels.map(({ owner }) => owner.connector)).size
        return {
          location,
          enrolled: enrolled.filter(each => each.location === location).length,
          connected,
          tunnels: tunnels.length,
          openStreams: tunnels.reduce((sum, { openCount }) => sum + openCount, 0),
          awaySince: connected > 0 ? undefined : leftAt(location),
        }
      })
    },
    onReachable: listener => void reachableListeners.push(listener),
    traffic: () => traffic.list(registry.all()),
    async close() {
      closing.abort()
      cancelRound()
      endWatch()
      for (const tunnel of registry.all()) tunnel.destroy('the hub is stopping')
      await listener.close()
      await refusals.close()
      await Promise.all(pending)
    },
  }
}

/** Names and addresses that connectors may dial, for the certificate of the listener. */
function hostsOf(listen: ConnectorListen | undefined): readonly string[] {
  const dialled = (listen?.nodes ?? []).map(node => node.slice(0, node.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1'))
  const own = listen && !['0.0.0.0', '::'].includes(listen.host) ? [listen.host] : []
  return [...new Set([...dialled, ...own, 'localhost', '127.0.0.1', '::1'])]
}
