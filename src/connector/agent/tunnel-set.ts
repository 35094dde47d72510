import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { asHubError, type HubError } from '../../kernel/error.ts'
import type { Log } from '../../kernel/log.ts'
import { type Clock, MINUTE, SECOND } from '../../kernel/time.ts'
import type { HttpProxy } from '../../protocols/net/http-proxy.ts'
import type { Identity } from './identity.ts'
import { openTunnel, type Tunnel } from './tunnel.ts'

export const reconnectLimits = {
  /** Full jitter: a random part of first × 2^attempt, never above upTo. */
  firstMs: 200,
  upToMs: 30 * SECOND,
  leastMs: 50,
  /** After the hub refused the certificate: only a person, or a renewal, can change that. */
  refusedMs: MINUTE,
  /** After a proxy refused user or password: tried more often, a wrong password locks the user at whoever keeps it. */
  proxySignInMs: 5 * MINUTE,
  /** A tunnel that stood so long was a good one; the next attempt begins anew. */
  goodMs: 5 * SECOND,
} as const

export interface TunnelSetParts {
  readonly clock: Clock
  readonly log: Log
  /** Asked for at each attempt; a certificate may have been renewed, or enrolled anew, meanwhile. */
  identity(): Promise<Identity>
  /** The same for the way out. */
  proxy(): HttpProxy | undefined
  onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, tunnel: Tunnel): void
  readonly random?: () => number
}

export interface TunnelStatus {
  readonly node: string
  readonly state: 'up' | 'opening' | 'waiting'
  /** Milliseconds since 1970 UTC. */
  readonly since: number
  readonly streams: number
  readonly roundTripMs?: number
  readonly error?: { readonly code: string; readonly message: string; readonly next: string }
}

/** So many tunnels to each node, opened again whenever one is lost. */
export interface TunnelSet {
  /** Opens what is missing, retires what is no longer wanted. */
  apply(nodes: readonly string[], tunnelsPerNode: number): void
  /** New tunnels in the place of the present ones, which go on until their streams have ended. */
  replace(): void
  statuses(): readonly TunnelStatus[]
  /** Ends all of them at once. */
  close(): Promise<void>
}

interface Slot {
  readonly node: string
  readonly stop: AbortController
  /** Ends a tunnel orderly, or a wait early. */
  wake: () => void
  status: TunnelStatus
  /** The one that stands, also while its successor is opened. */
  tunnel?: Tunnel | undefined
  /** A successor is wanted. */
  isStale: boolean
  attempt: number
  done: Promise<void>
}

export function createTunnelSet(parts: TunnelSetParts): TunnelSet {
  const { clock, log, random = Math.random } = parts
  const stop = new AbortController()
  const slots = new Set<Slot>()
  const retiring = new Set<Tunnel>()

  function addSlot(node: string): void {
    const status: TunnelStatus = { node, state: 'opening', since: clock.now(), streams: 0 }
    const begin = { isStale: false, attempt: 0, wake: () => {}, done: Promise.resolve() }
    const slot: Slot = { node, stop: new AbortController(), status, ...begin }
    slots.add(slot)
    slot.done = keepOpen(slot).catch((thrown: unknown) => {
      const error = asHubError(thrown)
      log.error('tunnel.failed', { node, code: error.code, text: error.message })
    })
  }

  async function keepOpen(slot: Slot): Promise<void> {
    while (!slot.stop.signal.aborted) {
      const failure = await openOnce(slot).catch(asHubError)
      if (slot.stop.signal.aborted) break
      if (failure === 'replace') continue
      const waitMs = waitBefore(slot.attempt++, failure)
      // A successor that could not be opened leaves the present one in its place.
      if (!slot.tunnel || isOver(slot.tunnel)) {
        slot.tunnel = undefined
        setStatus(slot, 'waiting', failure)
      }
      // What was changed while it was being opened may be what it lacked.
      const retryInMs = slot.isStale ? 0 : Math.round(waitMs)
      log.warn('tunnel.lost', { node: slot.node, ...wordsOf(failure), retryInMs })
      await waitOrWake(slot, retryInMs)
    }
    if (slot.tunnel) retire(slot.tunnel)
  }

  /** Opens a tunnel and stays with it until it is lost (why), or is to be replaced. Throws when it cannot be opened. */
  async function openOnce(slot: Slot): Promise<HubError | undefined | 'replace'> {
    const previous = slot.tunnel
    if (!previous) setStatus(slot, 'opening', undefined)
    slot.isStale = false
    let tellUp = () => {}
    const up = new Promise<void>(resolve => (tellUp = resolve))
    const identity = await parts.identity()
    const onStream: TunnelSetParts['onStream'] = (stream, headers, of) => {
      tellUp()
      parts.onStream(stream, headers, of)
    }
    const tunnel = await openTunnel(slot.node, { clock, identity, proxy: parts.proxy(), onStream }, stop.signal)
    await Promise.race([up, tunnel.ended])
    const upSince = tunnel.upSince()
    // One that the hub did not take is no successor.
    if (previous && upSince === undefined) return tunnel.ended
    if (previous) retire(previous)
    slot.tunnel = tunnel
    if (upSince !== undefined) {
      setStatus(slot, 'up', undefined)
      log.info('tunnel.opened', { node: slot.node })
    }
    const woken = new Promise<'replace'>(resolve => (slot.wake = () => resolve('replace')))
    if (slot.isStale || slot.stop.signal.aborted) return 'replace'
    const end = await Promise.race([tunnel.ended, woken])
    slot.wake = () => {}
    if (upSince !== undefined && clock.now() - upSince >= reconnectLimits.goodMs) slot.attempt = 0
    return end
  }

  function retire(tunnel: Tunnel): void {
    retiring.add(tunnel)
    tunnel.ended.then(() => retiring.delete(tunnel)).catch(() => {})
    tunnel.retire()
  }

  function waitBefore(attempt: number, failure: HubError | undefined): number {
    const { firstMs, upToMs, leastMs, refusedMs, proxySignInMs } = reconnectLimits
    if (failure?.code === 'CONNECTOR_CERTIFICATE_REFUSED') return refusedMs * (0.5 + random())
    if (failure?.code === 'NET_PROXY_SIGN_IN') return proxySignInMs * (0.5 + random())
    return Math.max(leastMs, random() * Math.min(upToMs, firstMs * 2 ** Math.min(attempt, 20)))
  }

  async function waitOrWake(slot: Slot, ms: number): Promise<void> {
    const woken = new AbortController()
    slot.wake = () => woken.abort()
    await clock.sleep(ms, AbortSignal.any([woken.signal, stop.signal]))
    slot.wake = () => {}
  }

  function setStatus(slot: Slot, state: TunnelStatus['state'], failure: HubError | undefined): void {
    const error = failure ? { code: failure.code, message: failure.message, next: failure.next } : undefined
    const kept = error ?? (state === 'opening' ? slot.status.error : undefined)
    slot.status = { node: slot.node, state, since: clock.now(), streams: 0, ...(kept && { error: kept }) }
  }

  return {
    apply(nodes, tunnelsPerNode) {
      const wanted = [...new Set(nodes)]
      for (const slot of Array.from(slots)) {
        const ofNode = [...slots].filter(({ node }) => node === slot.node)
        if (wanted.includes(slot.node) && ofNode.length <= tunnelsPerNode) continue
        slots.delete(slot)
        slot.stop.abort()
        slot.wake()
      }
      for (const node of wanted) {
        const present = [...slots].filter(slot => slot.node === node).length
        for (let missing = tunnelsPerNode - present; missing > 0; missing--) addSlot(node)
      }
    },
    replace() {
      for (const slot of slots) {
        slot.isStale = true
        slot.wake()
      }
    },
    statuses: () =>
      [...slots].map(({ status, tunnel }) => {
        if (status.state !== 'up' || !tunnel) return status
        // Lost while its slot waits to open a successor.
        if (isOver(tunnel)) return { ...status, state: 'waiting' }
        const roundTripMs = tunnel.roundTripMs()
        return { ...status, streams: tunnel.streamCount(), ...(roundTripMs !== undefined && { roundTripMs }) }
      }),
    async close() {
      const all = [...slots]
      slots.clear()
      for (const slot of all) slot.stop.abort()
      stop.abort()
      for (const slot of all) slot.wake()
      const tunnels = [...retiring, ...all.flatMap(({ tunnel }) => (tunnel ? [tunnel] : []))]
      await Promise.all([...all.map(({ done }) => done), ...tunnels.map(({ ended }) => ended)])
    },
  }
}

function isOver({ session }: Tunnel): boolean {
  return session.closed || session.destroyed
}

function wordsOf(failure: HubError | undefined): Record<string, string> {
  return failure ? { code: failure.code, text: failure.message, next: failure.next } : { text: 'The hub ended it.' }
}
