import { asHubError } from '../../kernel/error.ts'
import { silentLog } from '../../kernel/log.ts'
import type { Connect } from '../../kernel/socket.ts'
import { type Clock, DAY, formatDuration, SECOND } from '../../kernel/time.ts'
import { connectThroughProxy, type HttpProxy } from '../../protocols/net/http-proxy.ts'
import { findAuditBreak, proveAuditWritable } from './audit-log.ts'
import type { ConnectorConfig } from './connector-config.ts'
import { connectorErrors } from './errors.ts'
import { dialHub, splitAddress } from './hub-node.ts'
import { type Identity, identityFile, readIdentity } from './identity.ts'
import type { CreateTargetPool } from './targets.ts'

const dialMs = 10 * SECOND

export interface CheckLine {
  readonly what: string
  readonly ok: boolean
  readonly detail: string
  readonly ms?: number
}

export interface CheckOptions {
  readonly config: ConnectorConfig
  /** Only this one; undefined: the whole connector. */
  readonly virtualHost: string | undefined
  readonly clock: Clock
  readonly connect: Connect
  readonly createTargetPool: CreateTargetPool
  readonly signal: AbortSignal
}

/** What stands between the hub and each target, proven now from this machine, one line a step. */
export async function checkConnector(options: CheckOptions): Promise<readonly CheckLine[]> {
  const { config, virtualHost } = options
  const lines: CheckLine[] = []
  if (virtualHost === undefined) {
    const count = config.virtualHosts.length
    lines.push({ what: 'configuration', ok: true, detail: `${count} virtual host${count === 1 ? '' : 's'}` })
    lines.push(...(await checkHub(options)))
    lines.push(checkAudit(config.dataFolder))
  }
  lines.push(...(await checkTargets(options)))
  return lines
}

async function checkHub({ config, clock, signal }: CheckOptions): Promise<readonly CheckLine[]> {
  let identity: Identity | undefined
  try {
    identity = await readIdentity(config.dataFolder)
    if (!identity) throw connectorErrors.NOT_ENROLLED({ file: identityFile(config.dataFolder) })
  } catch (thrown) {
    return [failed('certificate', thrown)]
  }
  const restMs = identity.endsAt - clock.now()
  const certificate: CheckLine =
    restMs > 0
      ? {
          what: 'certificate',
          ok: true,
          detail: `${identity.connector} of ${identity.location}, ends in ${daysOf(restMs)}`,
        }
      : { what: 'certificate', ok: false, detail: 'it has ended; enrol again with a new token' }
  const nodes = config.hub.nodes ?? identity.nodes
  const ofNodes = await Promise.all(nodes.map(node => checkNode(node, identity, config.hub.proxy, signal)))
  return [certificate, ...ofNodes.flat()]
}

async function checkNode(
  node: string,
  identity: Identity,
  proxy: HttpProxy | undefined,
  signal: AbortSignal,
): Promise<readonly CheckLine[]> {
  const opened = proxy && (await checkProxy(proxy, node, signal))
  if (opened?.ok === false) return [opened]
  const dialled = await checkDial(node, identity, proxy, signal)
  return opened ? [opened, dialled] : [dialled]
}

async function checkProxy(proxy: HttpProxy, node: string, signal: AbortSignal): Promise<CheckLine> {
  const what = `proxy ${proxy.host}:${proxy.port}`
  const begun = performance.now()
  try {
    const socket = await connectThroughProxy(proxy, { ...splitAddress(node), timeoutMs: dialMs, signal })
    socket.destroy()
    const who = proxy.logIn ? ` for user ${proxy.logIn.user}` : ''
    return { what, ok: true, detail: `it opens the way to ${node}${who}`, ms: msSince(begun) }
  } catch (thrown) {
    return { ...failed(what, thrown), ms: msSince(begun) }
  }
}

/** The hub's certificate and ours; whether the hub has revoked ours shows only in the status of a tunnel. */
async function checkDial(
  node: string,
  identity: Identity,
  proxy: HttpProxy | undefined,
  signal: AbortSignal,
): Promise<CheckLine> {
  const what = `hub ${node}`
  const begun = performance.now()
  const { authorities } = identity
  try {
    const socket = await dialHub(node, { alpn: 'http/1.1', authorities, identity, proxy, timeoutMs: dialMs, signal })
    const ends = new Date(socket.getPeerCertificate().valid_to).toISOString()
    const protocol = socket.getProtocol() ?? 'TLS'
    socket.destroy()
    const detail = `reached over ${protocol}; its certificate is of the pinned authority, until ${ends}`
    return { what, ok: true, detail, ms: msSince(begun) }
  } catch (thrown) {
    return { ...failed(what, thrown), ms: msSince(begun) }
  }
}

function checkAudit(dataFolder: string): CheckLine {
  const what = 'audit log'
  try {
    const { entries, brokenAt } = findAuditBreak(dataFolder)
    if (brokenAt !== undefined) return { what, ok: false, detail: `entry ${brokenAt} does not fit the one before it` }
    proveAuditWritable(dataFolder)
    return { what, ok: true, detail: `${entries} entries, the chain holds` }
  } catch (thrown) {
    return failed(what, thrown)
  }
}

async function checkTargets(options: CheckOptions): Promise<readonly CheckLine[]> {
  const { config, virtualHost, connect, clock, signal } = options
  const wanted = config.virtualHosts.filter(({ address }) => virtualHost === undefined || address === virtualHost)
  if (wanted.length === 0 && virtualHost !== undefined) throw connectorErrors.NOT_ALLOWED({ virtualHost })
  const pool = options.createTargetPool({ virtualHosts: wanted, connect, clock, log: silentLog })
  const lines: CheckLine[] = []
  try {
    for (const { address } of wanted) {
      const { targets } = await pool.check(address, signal)
      for (const each of targets) {
        lines.push({ what: `${address} > ${each.address}`, ok: each.ok, detail: each.detail, ms: Math.round(each.ms) })
      }
    }
  } finally {
    await pool.close()
  }
  return lines
}

function failed(what: string, thrown: unknown): CheckLine {
  const { message, next } = asHubError(thrown)
  return { what, ok: false, detail: `${message} ${next}` }
}

function daysOf(ms: number): string {
  return ms > DAY ? `${Math.floor(ms / DAY)} days` : formatDuration(ms)
}

function msSince(begun: number): number {
  return Math.round(performance.now() - begun)
}
