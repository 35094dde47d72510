import { randomUUID } from 'node:crypto'
import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2'
import type { Duplex } from 'node:stream'
import { asHubError, type HubError, hubErrors } from '../../kernel/error.ts'
import type { ConnectRequest } from '../../kernel/socket.ts'
import { netErrors } from '../../protocols/net/errors.ts'
import { refusals } from '../wire.ts'
import { locationErrors } from './errors.ts'
import { refusalOf } from './refusal-words.ts'
import type { Tunnel } from './tunnel.ts'
import { cut, type StreamTarget, TunnelStream } from './tunnel-stream.ts'

export type TunnelRequest = ConnectRequest & { readonly via: string }

export interface Opener {
  /** Tunnels that may carry it, the best first. */
  candidates(location: string, address: string): readonly Tunnel[]
  /** Waits a moment for a connector that was there just now; true: look again. */
  awaitTunnel(target: StreamTarget, waitMs: number, signal: AbortSignal): Promise<boolean>
  /** Why a location without a tunnel has none. */
  noTunnel(target: StreamTarget): HubError
  onOpened(target: StreamTarget, tunnel: Tunnel): void
  onRefused(target: StreamTarget, tunnel: Tunnel, error: HubError): void
}

/**
 * A connection to a virtual host:port through the connectors of a location. Resolves when a server has taken it; with
 * TLS inside at once, so that its first bytes travel with the request (one round trip less): then a refusal destroys
 * the stream with its error. One connector after the other is tried until one opens it. Throws LOCATION_…,
 * NET_CONNECT_TIMEOUT, HUB_STOPPING.
 */
export async function openStream(request: TunnelRequest, opener: Opener): Promise<Duplex> {
  const { via, host, port, signal, timeoutMs } = request
  const target = { via, host, port }
  if (signal?.aborted) throw hubErrors.STOPPING()
  const stream = new TunnelStream(target)
  const opening = open()
  if (!request.tls) return opening
  opening.catch(() => {
    // Told by the error of the stream.
  })
  return stream

  async function open(): Promise<Duplex> {
    const timeout = setTimeout(() => stream.destroy(netErrors.CONNECT_TIMEOUT({ host, port, timeoutMs })), timeoutMs)
    const onAbort = () => stream.destroy(hubErrors.STOPPING())
    signal?.addEventListener('abort', onAbort, { once: true })
    // Whoever waits for the promise is told by it, and not by the stream it never got.
    stream.on('error', () => {})
    try {
      await openSomewhere(stream, target, request, opener)
      return stream
    } catch (thrown) {
      stream.destroy(asHubError(thrown))
      throw thrown
    } finally {
      clearTimeout(timeout)
      signal?.removeEventListener('abort', onAbort)
    }
  }
}

async function openSomewhere(
  stream: TunnelStream,
  target: StreamTarget,
  { purpose, timeoutMs }: Pick<TunnelRequest, 'purpose' | 'timeoutMs'>,
  opener: Opener,
): Promise<void> {
  const gone = new AbortController()
  stream.once('close', () => gone.abort())
  const address = authorityOf(target.host, target.port)
  const tried = new Set<Tunnel>()
  const refusedBy = new Set<string>()
  let refusal: HubError | undefined
  /** A connector that goes on has answered. */
  let isHeard = false
  for (;;) {
    // Asked anew each time: while one connector was asked, another may have gone or come. One that does not list it is
    // asked only as the first: so it is refused, and audited, over there too.
    const next = opener
      .candidates(target.via, address)
      .find(
        tunnel => !tried.has(tunnel) && !refusedBy.has(tunnel.owner.connector) && (!isHeard || tunnel.lists(address)),
      )
    if (!next) {
      // Half of the time at most, so that what is told is the reason and not that time ran out.
      if (!isHeard && (await opener.awaitTunnel(target, timeoutMs / 2, gone.signal))) continue
      if (stream.destroyed) throw stream.errored ?? hubErrors.STOPPING()
      throw refusal ?? opener.noTunnel(target)
    }
    tried.add(next)
    const outcome = await tryTunnel(stream, next, target, purpose)
    if (outcome === undefined) {
      opener.onOpened(target, next)
      return
    }
    if (stream.destroyed) throw stream.errored ?? hubErrors.STOPPING()
    // What a connector itself answered says more than a tunnel that broke meanwhile.
    if (outcome.isAnswer) {
      refusedBy.add(next.owner.connector)
      opener.onRefused(target, next, outcome.error)
      refusal = isHeard ? refusal : outcome.error
      isHeard = true
    } else refusal ??= outcome.error
  }
}

interface Failure {
  readonly error: HubError
  /** True: the connector answered; false: it did not get to, or stops. */
  readonly isAnswer: boolean
}

/** Undefined: the stream is open. */
function tryTunnel(
  stream: TunnelStream,
  tunnel: Tunnel,
  target: StreamTarget,
  purpose: string | undefined,
): Promise<Failure | undefined> {
  const { connector, location } = tunnel.owner
  const lost = (): HubError | undefined => {
    const reason = tunnel.reasonOfLoss
    return reason === undefined ? undefined : locationErrors.TUNNEL_LOST({ ...target, connector, reason })
  }
  const notOpened = (reason: string): Failure => ({
    error: lost() ?? locationErrors.TUNNEL_LOST({ ...target, connector, reason }),
    isAnswer: false,
  })
  const name = randomUUID()
  let carrier: ClientHttp2Stream
  try {
    carrier = tunnel.connect(authorityOf(target.host, target.port), name, purpose)
  } catch (thrown) {
    return Promise.resolve(notOpened(asHubError(thrown).message))
  }
  return new Promise(resolve => {
    const onGone = () => {
      cut(carrier)
      resolve(notOpened('whoever asked has gone'))
    }
    const onClosed = () => {
      stream.off('close', onGone)
      resolve(notOpened(`the stream was closed with code ${carrier.rstCode}`))
    }
    stream.once('close', onGone)
    carrier.on('error', () => {
      // 'close' follows.
    })
    carrier.once('close', onClosed)
    carrier.once('response', (headers: IncomingHttpHeaders) => {
      stream.off('close', onGone)
      carrier.off('close', onClosed)
      if (Number(headers[':status']) === 200) {
        if (stream.destroyed) return onGone()
        stream.opened(tunnel.load, lost, { location, connector, stream: name })
        return resolve(undefined)
      }
      carrier.close(constants.NGHTTP2_CANCEL)
      // One that stops says nothing about the server: as with a tunnel that is lost, it may come back.
      const isAnswer = Number(headers[':status']) !== refusals.stopping
      resolve({ error: refusalOf(headers, connector, target), isAnswer })
    })
    stream.tryOn(carrier)
  })
}

/** host:port as it stands in an allow-list: lower case, an IPv6 address in brackets. */
export function authorityOf(host: string, port: number): string {
  const name = host.toLowerCase()
  return `${name.includes(':') ? `[${name}]` : name}:${port}`
}
