import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { asHubError, type HubError } from '../../kernel/error.ts'
import type { Log } from '../../kernel/log.ts'
import type { Connect } from '../../kernel/socket.ts'
import { type Clock, SECOND } from '../../kernel/time.ts'
import type { ConnectorStatus, Hello } from '../wire.ts'
import { type AuditLog, openAuditLog } from './audit-log.ts'
import { watchConfig } from './config-watch.ts'
import type { ConnectorConfig } from './connector-config.ts'
import { answerControl } from './control-paths.ts'
import { renewIdentity } from './enrolment.ts'
import { connectorErrors } from './errors.ts'
import { type Identity, identityFile, readIdentity } from './identity.ts'
import { readConnectorConfig } from './read-config.ts'
import { keepRenewed, renewalDueAt } from './renewal.ts'
import { serveStatus } from './status-socket.ts'
import { createStreams } from './streams.ts'
import type { CreateTargetPool, TargetPool } from './targets.ts'
import type { Tunnel } from './tunnel.ts'
import { createTunnelSet, type TunnelStatus } from './tunnel-set.ts'

export const agentLimits = {
  /** How long open streams may go on when the connector stops. */
  stopMs: 10 * SECOND,
} as const

export interface AgentOptions {
  /** Path of connector.yaml. */
  readonly configFile: string
  readonly version: string
  readonly clock: Clock
  readonly log: Log
  readonly connect: Connect
  readonly createTargetPool: CreateTargetPool
  readonly random?: () => number
}

/** What the running connector says of itself: what the hub hears, and how the hub is reached. */
export interface AgentStatus extends ConnectorStatus {
  readonly connector: string
  readonly location: string
  readonly name: string
  readonly renewsAt: number
  readonly isAuditing: boolean
  /** host:port of the proxy that leads to the hub. */
  readonly proxy?: string
  readonly streams: number
  readonly tunnels: readonly TunnelStatus[]
  /** Why the present file is not in force. */
  readonly configError?: string
}

export interface Agent {
  status(): AgentStatus
  /** Reads connector.yaml now if it has changed. */
  lookAtConfig(): Promise<void>
  /** Lets open streams end for a while, then ends them. */
  close(graceMs?: number): Promise<void>
}

/** Runs a connector: tunnels to each node of the hub, and streams to what connector.yaml lists. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { configFile, clock, log } = options
  const first = await readConnectorConfig(configFile)
  let { config } = first
  const { dataFolder } = config
  let identity = await enrolledIdentity(dataFolder)
  let configError: HubError | undefined
  const startedAt = clock.now()
  const run = randomUUID()

  const statusSocket = await serveStatus(dataFolder, () => status())
  const audit = await openAudit()
  const { virtualHosts } = config
  const pool: TargetPool = options.createTargetPool({ virtualHosts, connect: options.connect, clock, log })
  const streams = createStreams({ pool, audit, clock, log, config: () => config })
  const tunnels = createTunnelSet({
    clock,
    log,
    identity: reloadIdentity,
    proxy: () => config.hub.proxy,
    onStream,
    ...(options.random && { random: options.random }),
  })
  const renewal = keepRenewed({ clock, identity: () => identity, renew, onFailure: tellRenewalFailure })
  const watch = await watchConfig({
    file: configFile,
    present: first,
    clock,
    onChange: applyConfig,
    onWrong: keepConfig,
  })
  audit.write('connector.started', { version: options.version, run, virtualHosts: addressesOf(config) })
  log.info('connector.started', { connector: identity.connector, location: identity.location, mode: config.mode })
  tunnels.apply(nodesNow(), config.hub.tunnels)

  async function openAudit(): Promise<AuditLog> {
    try {
      return openAuditLog({ dataFolder, clock, log, limits: () => config.limits })
    } catch (cause) {
      await statusSocket.close()
      throw connectorErrors.AUDIT_UNWRITABLE({ text: asHubError(cause).message }, { cause })
    }
  }

  function onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, { node }: Tunnel): void {
    if (headers[':method'] === 'CONNECT') {
      streams.take(stream, headers, node)
      return
    }
    const isListed = (address: string) => addressesOf(config).includes(address.toLowerCase())
    answerControl(stream, headers, {
      hello,
      status: wireStatus,
      pool,
      audit,
      isListed,
      passedOn: streams.passedOn,
    }).catch((thrown: unknown) => {
      // The tunnel broke while it was answered: nobody is left to hear it.
      log.debug('question.not-answered', { text: asHubError(thrown).message })
    })
  }

  function hello(): Hello {
    return { version: options.version, mode: config.mode, run, virtualHosts: addressesOf(config) }
  }

  function wireStatus(): ConnectorStatus {
    const virtualHosts = [...pool.statuses()]
    return { ...hello(), startedAt, certificateEndsAt: identity.endsAt, virtualHosts }
  }

  function status(): AgentStatus {
    const { connector, location, name } = identity
    return {
      ...wireStatus(),
      connector,
      location,
      name,
      renewsAt: renewalDueAt(identity),
      isAuditing: audit.isWriting(),
      ...(config.hub.proxy && { proxy: `${config.hub.proxy.host}:${config.hub.proxy.port}` }),
      streams: streams.openCount(),
      tunnels: tunnels.statuses(),
      ...(configError && { configError: configError.message }),
    }
  }

  function nodesNow(): readonly string[] {
    return config.hub.nodes ?? identity.nodes
  }

  /** The file may have been written by an enrolment beside us. */
  async function reloadIdentity(): Promise<Identity> {
    const stored = await enrolledIdentity(dataFolder)
    if (stored.certificate !== identity.certificate) takeIdentity(stored)
    return identity
  }

  function takeIdentity(next: Identity): void {
    identity = next
    const { connector, location, nodes } = next
    audit.write('certificate.changed', { connector, location, endsAt: new Date(next.endsAt).toISOString(), nodes })
    log.info('certificate.changed', { connector, location, endsAt: new Date(next.endsAt).toISOString() })
    tunnels.apply(nodesNow(), config.hub.tunnels)
  }

  async function renew(signal: AbortSignal): Promise<void> {
    takeIdentity(await renewIdentity(identity, nodesNow(), { dataFolder, proxy: config.hub.proxy, signal }))
    // The tunnels that stand were opened with the old certificate.
    tunnels.replace()
  }

  function tellRenewalFailure(error: HubError, retryInMs: number): void {
    const { code, message: text, next } = error
    const endsAt = new Date(identity.endsAt).toISOString()
    log.error('certificate.not-renewed', { code, text, next, endsAt, retryInMs })
    audit.write('certificate.not-renewed', { code, text })
  }

  function applyConfig(next: ConnectorConfig): void {
    const before = config
    if (next.dataFolder !== dataFolder) log.warn('config.needs-restart', { key: 'data' })
    if (JSON.stringify(next.log) !== JSON.stringify(before.log)) log.warn('config.needs-restart', { key: 'log' })
    config = { ...next, dataFolder, log: before.log }
    configError = undefined
    const added = addressesOf(next).filter(address => !addressesOf(before).includes(address))
    const removed = addressesOf(before).filter(address => !addressesOf(next).includes(address))
    audit.write('config.changed', { added, removed, mode: next.mode, targets: targetsOf(next) })
    log.info('config.changed', { added, removed, mode: next.mode })
    pool.apply(next.virtualHosts)
    streams.enforce()
    tunnels.apply(nodesNow(), next.hub.tunnels)
    // The hub asks for the list when a tunnel begins.
    const isAnotherWay = JSON.stringify(next.hub.proxy) !== JSON.stringify(before.hub.proxy)
    if (added.length + removed.length > 0 || next.mode !== before.mode || isAnotherWay) tunnels.replace()
  }

  function keepConfig(error: HubError): void {
    configError = error
    log.error('config.refused', { code: error.code, text: error.message, next: error.next })
    audit.write('config.refused', { code: error.code, text: error.message })
  }

  return {
    status,
    lookAtConfig: watch.look,
    async close(graceMs = agentLimits.stopMs) {
      await watch.close()
      await renewal.close()
      await streams.close(graceMs)
      await tunnels.close()
      await pool.close()
      await statusSocket.close()
      audit.write('connector.stopped', { run })
      audit.close()
      log.info('connector.stopped')
    },
  }
}

async function enrolledIdentity(dataFolder: string): Promise<Identity> {
  const identity = await readIdentity(dataFolder)
  if (!identity) throw connectorErrors.NOT_ENROLLED({ file: identityFile(dataFolder) })
  return identity
}

function addressesOf(config: ConnectorConfig): string[] {
  return config.virtualHosts.map(({ address }) => address)
}

/** Which internal servers the list opens, for the audit log. */
function targetsOf(config: ConnectorConfig): Record<string, string> {
  return Object.fromEntries(
    config.virtualHosts.map(({ address, targets }) => [address, targets.map(each => each.address).join(' ')]),
  )
}
