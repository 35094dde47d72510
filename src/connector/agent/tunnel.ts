import http2 from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { HubError } from '../../kernel/error.ts'
import { type Clock, SECOND, steadyClock } from '../../kernel/time.ts'
import type { HttpProxy } from '../../protocols/net/http-proxy.ts'
import { missesUntilDead, tunnelAlpn, wireLimits } from '../wire.ts'
import { connectorErrors } from './errors.ts'
import { dialHub, explainHubFailure } from './hub-node.ts'
import type { Identity } from './identity.ts'

export const tunnelLimits = {
  /** Until the TLS connection to the hub stands, with the way through a proxy. */
  dialMs: 15 * SECOND,
  /** From the handshake to the first question of the hub. */
  helloMs: 15 * SECOND,
  pingBusyMs: SECOND,
  pingIdleMs: 10 * SECOND,
  /** What nghttp2 itself may hold for one tunnel; streams above it would be refused. */
  sessionMegabytes: 1000,
  /** Resets of the hub at once and in a second; nghttp2 alone ends a tunnel after 1000, and 33 in a second. */
  resetBurst: 100_000,
  resetsPerSecond: 10_000,
} as const

/** One HTTP/2 session on a socket that we dialled. */
export interface Tunnel {
  readonly node: string
  readonly session: http2.ServerHttp2Session
  /** When the hub asked its first question. */
  readonly upSince: () => number | undefined
  /** Round trip of the last PING, ms. */
  readonly roundTripMs: () => number | undefined
  readonly streamCount: () => number
  /** Resolves with what ended it; undefined for an orderly end. */
  readonly ended: Promise<HubError | undefined>
  /** Tells the hub to open nothing more here; ends when the open streams have. */
  retire(): void
  destroy(error?: HubError): void
}

export interface TunnelParts {
  readonly clock: Clock
  readonly identity: Identity
  readonly proxy: HttpProxy | undefined
  /** Every stream of the hub, CONNECT or not. */
  onStream(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, tunnel: Tunnel): void
}

/** Dials a node of the hub and serves its streams. Throws as `dialHub` does. */
export async function openTunnel(node: string, parts: TunnelParts, signal: AbortSignal): Promise<Tunnel> {
  const { identity, proxy } = parts
  const { authorities } = identity
  const clock = steadyClock(parts.clock)
  const socket = await dialHub(node, {
    alpn: tunnelAlpn,
    authorities,
    identity,
    proxy,
    timeoutMs: tunnelLimits.dialMs,
    signal,
  })
  let failure: HubError | undefined
  let upSince: number | undefined
  const streams = new Set<http2.ServerHttp2Stream>()
  // With TLS 1.3 a refusal of our certificate comes after our handshake is over: as a failure of this socket.
  socket.on('error', error => (failure ??= asFailure(error)))

  const session = http2.performServerHandshake(socket, {
    maxSessionMemory: tunnelLimits.sessionMegabytes,
    // The hub is nobody's browser: whoever destroys a connection there resets its stream, and that is no attack.
    streamResetBurst: tunnelLimits.resetBurst,
    streamResetRate: tunnelLimits.resetsPerSecond,
    settings: {
      initialWindowSize: wireLimits.streamWindowBytes,
      maxConcurrentStreams: wireLimits.streams,
      enablePush: false,
    },
  })
  // The window of a stream is a setting; the one of the connection is not, and stays 64 KiB unless it is raised here.
  session.setLocalWindowSize(wireLimits.connectionWindowBytes)
  session.on('error', error => (failure ??= asFailure(error)))
  session.on('goaway', (code, _lastStream, words) => {
    const text = printable(words)
    if (code === http2.constants.NGHTTP2_INADEQUATE_SECURITY) {
      destroy(connectorErrors.CERTIFICATE_REFUSED({ node, text: text || 'it gives no reason.' }))
    } else if (code !== http2.constants.NGHTTP2_NO_ERROR) {
      destroy(connectorErrors.TUNNEL_LOST({ node, text: `${text || `the hub ended it with HTTP/2 code ${code}`}.` }))
    }
  })
  session.on('stream', (stream, headers) => {
    upSince ??= clock.now()
    streams.add(stream)
    stream.once('close', () => streams.delete(stream))
    parts.onStream(stream, headers, tunnel)
  })
  const ended = new Promise<HubError | undefined>(resolve => {
    session.once('close', () => {
      endHeartbeat()
      signal.removeEventListener('abort', onAbort)
      resolve(failure ?? (upSince === undefined ? neverUp() : undefined))
    })
  })

  function asFailure(error: unknown): HubError {
    const explained = explainHubFailure(error, node)
    return explained.code === 'CONNECTOR_HUB_UNREACHABLE' && upSince !== undefined
      ? connectorErrors.TUNNEL_LOST({ node, text: explained.message }, { cause: error })
      : explained
  }

  function neverUp(): HubError {
    return connectorErrors.TUNNEL_LOST({ node, text: 'the hub ended it before it asked anything.' })
  }

  function destroy(error?: HubError): void {
    if (error) failure ??= error
    session.destroy()
    // A session waits for its last bytes to be taken; a dead link never takes them.
    socket.destroy()
  }

  const heartbeat = watchLife({
    session,
    socket,
    clock,
    streamCount: () => streams.size,
    isUp: () => upSince !== undefined,
  })
  const endHeartbeat = heartbeat.start(text => destroy(connectorErrors.TUNNEL_LOST({ node, text })))
  const onAbort = () => destroy()
  signal.addEventListener('abort', onAbort, { once: true })

  const tunnel: Tunnel = {
    node,
    session,
    upSince: () => upSince,
    roundTripMs: heartbeat.roundTripMs,
    streamCount: () => streams.size,
    ended,
    retire() {
      if (!session.closed && !session.destroyed) session.close()
    },
    destroy,
  }
  return tunnel
}

/** The reason a hub gives with GOAWAY, as one line. */
function printable(words: NodeJS.ArrayBufferView | undefined): string {
  if (!words) return ''
  const text = Buffer.from(words.buffer, words.byteOffset, words.byteLength).toString('utf8')
  return text.replace(/\p{C}/gu, ' ').slice(0, 500)
}

interface LifeParts {
  readonly session: http2.Http2Session
  readonly socket: TLSSocket
  readonly clock: Clock
  readonly streamCount: () => number
  readonly isUp: () => boolean
}

/**
 * PING at once, every second while streams are open, and every 10 s otherwise. Two or more (`missesUntilDead`) that bring
 * no answer, and no other byte either (a slow line may hold an answer back behind data), and the link is dead.
 */
function watchLife({ session, socket, clock, streamCount, isUp }: LifeParts) {
  let roundTripMs: number | undefined
  let sentAt = clock.now()
  let missed = 0
  let isAwaiting = false
  /** After a pause of this machine the link is as likely gone as not: it is asked as often as a busy one until it answers. */
  let isDoubtful = false
  let readBytes = socket.bytesRead
  let lookedAt = clock.now()
  const begunAt = lookedAt

  /** Why the link is dead, or undefined while it lives. */
  function look(): string | undefined {
    const now = clock.now()
    // A machine that stood still itself has not read what came meanwhile.
    const wasAsleep = now - lookedAt > 2 * tunnelLimits.pingBusyMs
    lookedAt = now
    isDoubtful ||= wasAsleep
    if (!isUp() && now - begunAt >= tunnelLimits.helloMs) return 'the hub took the tunnel and then asked nothing.'
    const everyMs = streamCount() > 0 || isDoubtful ? tunnelLimits.pingBusyMs : tunnelLimits.pingIdleMs
    // A timer may come a little early.
    if (now - sentAt < everyMs - 50) return undefined
    if (isAwaiting) missed++
    if (wasAsleep || socket.bytesRead !== readBytes) missed = 0
    readBytes = socket.bytesRead
    if (missed >= missesUntilDead(everyMs, roundTripMs)) return `no answer to ${missed} pings, ${everyMs} ms apart.`
    ask(now)
    return undefined
  }

  function ask(now: number): void {
    sentAt = now
    isAwaiting = true
    if (session.destroyed) return
    session.ping((error, durationMs) => {
      if (error) return
      missed = 0
      isAwaiting = false
      isDoubtful = false
      roundTripMs = durationMs
    })
  }

  return {
    roundTripMs: () => roundTripMs,
    start(onDead: (text: string) => void): () => void {
      let end = () => {}
      const again = () => {
        const dead = look()
        if (dead !== undefined) return onDead(dead)
        end = clock.after(tunnelLimits.pingBusyMs, again)
      }
      ask(begunAt)
      end = clock.after(tunnelLimits.pingBusyMs, again)
      return () => end()
    },
  }
}
