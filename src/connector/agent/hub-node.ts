import net from 'node:net'
import tls from 'node:tls'
import { HubError } from '../../kernel/error.ts'
import { connectThroughProxy, type HttpProxy } from '../../protocols/net/http-proxy.ts'
import { explainTlsFailure, tlsAlertIn } from '../../protocols/net/tls-failure.ts'
import type { tunnelAlpn } from '../wire.ts'
import { connectorErrors } from './errors.ts'
import type { Identity } from './identity.ts'

/** host:port in its parts; an IPv6 address stands in brackets. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(colon + 1)) }
}

export interface DialOptions {
  readonly alpn: typeof tunnelAlpn | 'http/1.1'
  /** PEM; only these are trusted. */
  readonly authorities: readonly string[]
  /** Own certificate and key, where there are any. */
  readonly identity?: Pick<Identity, 'certificate' | 'key'> | undefined
  readonly proxy: HttpProxy | undefined
  /** Way through the proxy, connection and handshake together. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * TLS 1.3 to a node of the hub; throws CONNECTOR_HUB_…, NET_PROXY_… and CONNECTOR_CERTIFICATE_REFUSED. That the hub refuses the own
 * certificate shows only after the handshake (TLS 1.3): as a failure of the first use, see `explainHubFailure`.
 */
export function dialHub(node: string, options: DialOptions): Promise<tls.TLSSocket> {
  const { host, port } = splitAddress(node)
  return connectTls(node, {
    ...options,
    tls: {
      host,
      port,
      ...(net.isIP(host) === 0 && { servername: host }),
      ca: [...options.authorities],
      ...(options.identity && { cert: options.identity.certificate, key: options.identity.key }),
      ALPNProtocols: [options.alpn],
      minVersion: 'TLSv1.3',
      rejectUnauthorized: true,
    },
  }).then(socket => {
    if (socket.alpnProtocol === options.alpn) return socket
    socket.destroy()
    throw connectorErrors.HUB_NOT_TRUSTED({ node, text: `it does not speak ${options.alpn} there.` })
  })
}

/**
 * The hub's CA certificate (PEM) by its hash: looked for in what the node shows in a handshake that carries nothing
 * else. Whatever is then sent goes over a connection of its own that trusts this certificate alone.
 */
export async function fetchAuthority(
  node: string,
  authorityHash: string,
  options: Pick<DialOptions, 'proxy' | 'timeoutMs' | 'signal'>,
): Promise<string> {
  const { host, port } = splitAddress(node)
  const socket = await connectTls(node, {
    ...options,
    tls: {
      host,
      port,
      ...(net.isIP(host) === 0 && { servername: host }),
      ALPNProtocols: ['http/1.1'],
      minVersion: 'TLSv1.3',
      // Nothing is sent over this connection; the certificate that is taken from it is known by its hash.
      rejectUnauthorized: false,
    },
  })
  const shown = chainOf(socket.getPeerCertificate(true))
  socket.destroy()
  const authority = shown.find(each => each.fingerprint256.replaceAll(':', '').toLowerCase() === authorityHash)
  if (authority) return pemOf(authority.raw)
  throw connectorErrors.HUB_NOT_TRUSTED({
    node,
    text: 'none of the certificates it shows is the one the token names. The token is of another hub, or somebody sits between.',
  })
}

/** Any failure on the way to a node as an error that says whose turn it is. */
export function explainHubFailure(thrown: unknown, node: string): HubError {
  if (thrown instanceof HubError) return thrown
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const refused = certificateAlerts[tlsAlertIn(error) ?? '']
  if (refused !== undefined) return connectorErrors.CERTIFICATE_REFUSED({ node, text: refused }, { cause: thrown })
  const untimely = untimelyCertificates[code]
  if (untimely !== undefined) {
    const now = new Date().toISOString()
    return connectorErrors.CLOCKS_DIFFER({ node, text: untimely, now }, { cause: thrown })
  }
  const tlsWords = explainTlsFailure(error, splitAddress(node).host)
  if (tlsWords) return connectorErrors.HUB_NOT_TRUSTED({ node, text: `${tlsWords.reason}.` }, { cause: thrown })
  return connectorErrors.HUB_UNREACHABLE({ node, text: code || error.message }, { cause: thrown })
}

/** The hub's own is made at its start and renewed after a third of its life: when it does not fit, a clock is wrong. */
const untimelyCertificates: Readonly<Record<string, string>> = {
  CERT_NOT_YET_VALID: 'begins later',
  CERT_HAS_EXPIRED: 'has ended',
}

/** Alerts of RFC 8446 section 6.2 that speak of the certificate we showed. */
const certificateAlerts: Readonly<Record<string, string>> = {
  BAD_CERTIFICATE: 'it calls it broken.',
  UNSUPPORTED_CERTIFICATE: 'it does not take certificates of this kind.',
  CERTIFICATE_REVOKED: 'it was revoked.',
  CERTIFICATE_EXPIRED: 'it has ended.',
  CERTIFICATE_UNKNOWN: 'it is not known there.',
  UNKNOWN_CA: 'it was issued by an authority that the hub does not know.',
  ACCESS_DENIED: 'the connector may not come in.',
  CERTIFICATE_REQUIRED: 'it saw none.',
}

interface ConnectTls extends Pick<DialOptions, 'proxy' | 'timeoutMs' | 'signal'> {
  readonly tls: tls.ConnectionOptions
}

async function connectTls(node: string, options: ConnectTls): Promise<tls.TLSSocket> {
  const { signal, timeoutMs, proxy } = options
  const begunAt = performance.now()
  const way = proxy && (await connectThroughProxy(proxy, { ...splitAddress(node), timeoutMs, signal }))
  const restMs = Math.max(1, timeoutMs - (performance.now() - begunAt))
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      way?.destroy()
      return reject(connectorErrors.STOPPING())
    }
    const socket = tls.connect({ ...options.tls, ...(way && { socket: way }) })
    const timer = setTimeout(() => {
      const text = socket.connecting
        ? `no answer within ${timeoutMs} ms.`
        : `it takes the connection and does not end the TLS handshake within ${timeoutMs} ms; it hangs, or large packets are lost on the way (MTU).`
      fail(connectorErrors.HUB_UNREACHABLE({ node, text }))
    }, restMs)
    const onError = (error: Error) => fail(explainHubFailure(error, node))
    const onClose = () => fail(connectorErrors.HUB_UNREACHABLE({ node, text: 'it closed in the handshake.' }))
    const onAbort = () => fail(connectorErrors.STOPPING())
    function stopListening() {
      clearTimeout(timer)
      socket.off('error', onError).off('close', onClose)
      signal?.removeEventListener('abort', onAbort)
    }
    function fail(error: Error) {
      stopListening()
      socket.on('error', () => {}).destroy()
      reject(error)
    }
    socket.once('error', onError)
    socket.once('close', onClose)
    signal?.addEventListener('abort', onAbort, { once: true })
    socket.once('secureConnect', () => {
      stopListening()
      socket.setNoDelay(true)
      // A failure between two uses shows in 'close' and `destroyed`; unheard it would end the process.
      socket.on('error', () => {})
      resolve(socket)
    })
  })
}

function chainOf(leaf: tls.DetailedPeerCertificate): readonly tls.DetailedPeerCertificate[] {
  const chain: tls.DetailedPeerCertificate[] = []
  for (
    let next: tls.DetailedPeerCertificate | undefined = leaf;
    next?.raw && !chain.includes(next) && chain.length < 10;
  ) {
    chain.push(next)
    next = next.issuerCertificate
  }
  return chain
}

function pemOf(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
