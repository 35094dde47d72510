import net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { hubErrors } from '../../kernel/error.ts'
import type { Connect, ConnectRequest, TlsWish } from '../../kernel/socket.ts'
import { SECOND } from '../../kernel/time.ts'
import { asNetError, netErrors } from './errors.ts'
import type { WayOut } from './outgoing-proxy.ts'
import { certificateRefusal } from './tls-failure.ts'

/** Opens a byte stream through an on-premise connector; TLS is spoken by the hub itself, inside it. */
type Tunnel = (request: ConnectRequest & { readonly via: string }) => Promise<Duplex>

export interface ConnectOptions {
  /** The way through on-premise connectors; without it a request with `via` fails with NET_NO_CONNECTOR. */
  readonly tunnel?: Tunnel | undefined
  /** What on-premise connectors know of mails whose connections are lost. */
  readonly fateOf?: Connect['fateOf']
  /** The way through the HTTP proxy of a company; undefined: the hub reaches all hosts without one. */
  readonly wayOut?: WayOut | undefined
  /** Resolves names instead of the system's name servers. */
  readonly lookup?: net.LookupFunction | undefined
}

// NAT boxes and load balancers forget silent connections after some minutes; a probe a minute keeps them known.
const keepAliveMs = 60 * SECOND

/**
 * The hub's way to the outside: TCP or TLS (1.2 and up, name in the certificate always checked), from here, through the
 * proxy of the company or through a connector. Fails with the errors of area NET. `timeoutMs` covers name, connection and handshake together.
 */
export function makeConnect(options: ConnectOptions = {}): Connect {
  async function open(request: ConnectRequest): Promise<Duplex> {
    const { via } = request
    const endsAt = performance.now() + request.timeoutMs
    const socket = via === undefined ? await openFromHere(request) : await openTunnel({ ...request, via })
    if (!request.tls) return socket
    const restMs = Math.max(1, endsAt - performance.now())
    return startTls(socket, request, request.tls, restMs)
  }

  function openFromHere(request: ConnectRequest): Promise<Duplex> {
    const dial = (host: string, port: number) => dialTcp(host, port, options.lookup)
    return options.wayOut?.(request, dial) ?? openDirect(request, dial)
  }

  async function openTunnel(request: ConnectRequest & { readonly via: string }): Promise<Duplex> {
    if (!options.tunnel) throw netErrors.NO_CONNECTOR({ via: request.via, host: request.host, port: request.port })
    return calm(await options.tunnel(request))
  }

  return Object.assign(open, {
    upgrade: (socket: Duplex, request: ConnectRequest & { readonly tls: TlsWish }) =>
      startTls(socket, request, request.tls, request.timeoutMs),
    ...(options.fateOf && { fateOf: options.fateOf }),
  })
}

function openDirect(request: ConnectRequest, dial: (host: string, port: number) => net.Socket): Promise<Duplex> {
  if (request.signal?.aborted) return Promise.reject(hubErrors.STOPPING())
  return established(dial(request.host, request.port), 'connect', request, request.timeoutMs)
}

function dialTcp(host: string, port: number, lookup: net.LookupFunction | undefined): net.Socket {
  return net.connect({
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
    ...(lookup && { lookup }),
  })
}

function startTls(socket: Duplex, request: ConnectRequest, wish: TlsWish, timeoutMs: number): Promise<Duplex> {
  if (request.signal?.aborted) {
    socket.destroy()
    return Promise.reject(hubErrors.STOPPING())
  }
  const name = wish.servername ?? request.host
  const secure = tls.connect({
    socket,
    host: name,
    // RFC 6066 section 3: an address is not allowed as server name.
    ...(net.isIP(name) === 0 && { servername: name }),
    ...(wish.ca !== undefined && { ca: typeof wish.ca === 'string' ? wish.ca : [...wish.ca] }),
    ...(wish.cert !== undefined && { cert: wish.cert }),
    ...(wish.key !== undefined && { key: wish.key }),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
  })
  // With TLS 1.3 a server says only after the handshake what it thinks of the client certificate. Node tells that alert and
  // then ends the stream as if in peace, by which whoever uses it would go.
  secure.once('error', error => {
    if (certificateRefusal(error) !== undefined) secure.destroy(error)
  })
  // Some streams below (a tunnel) end in the handshake without a word to TLS. Only then: later, bytes that were not
  // read yet would be lost with them.
  // What a tunnel says of its end (the connector refused) is the error, not that TLS was cut.
  const hangUp = (error?: Error) => secure.destroy(error)
  const onClose = () => hangUp()
  socket.prependOnceListener('error', hangUp)
  socket.once('close', onClose)
  return established(secure, 'secureConnect', request, timeoutMs).finally(() => {
    socket.off('error', hangUp)
    socket.off('close', onClose)
  })
}

function established(
  socket: net.Socket | tls.TLSSocket,
  ready: 'connect' | 'secureConnect',
  request: ConnectRequest,
  timeoutMs: number,
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const { signal } = request
    const timer = setTimeout(() => fail(netErrors.CONNECT_TIMEOUT({ ...targetOf(request) })), timeoutMs)
    const onError = (error: Error) => fail(asNetError(error, request))
    const onClose = () => fail(netErrors.CONNECTION_LOST({ ...targetOf(request), reason: 'closed in the handshake' }))
    const onAbort = () => fail(hubErrors.STOPPING())
    function stopListening() {
      clearTimeout(timer)
      socket.off('error', onError)
      socket.off('close', onClose)
      signal?.removeEventListener('abort', onAbort)
    }
    function fail(error: Error) {
      stopListening()
      calm(socket).destroy()
      reject(error)
    }
    socket.once('error', onError)
    socket.once('close', onClose)
    socket.once(ready, () => {
      stopListening()
      resolve(calm(socket))
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

function targetOf(request: ConnectRequest): { host: string; port: number; timeoutMs: number } {
  return { host: request.host, port: request.port, timeoutMs: request.timeoutMs }
}

// A connection that fails while nobody listens (between two uses) must not end the process; whoever holds it is told
// by 'close' and by a `destroyed` that is true.
function calm<S extends Duplex>(socket: S): S {
  return socket.on('error', () => {})
}
