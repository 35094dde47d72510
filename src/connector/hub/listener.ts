import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import tls, { type TLSSocket } from 'node:tls'
import type { CertificateAuthority } from '../../auth/certificate-authority.ts'
import { certificateErrors } from '../../auth/certificate-errors.ts'
import { asHubError, HubError } from '../../kernel/error.ts'
import type { Log } from '../../kernel/log.ts'
import { type Clock, DAY } from '../../kernel/time.ts'
import { tunnelAlpn } from '../wire.ts'
import type { EnrolRequests } from './enrol-requests.ts'
import type { Enrolment } from './enrolment.ts'
import { hubLimits } from './limits.ts'
import { Tunnel, turnAway } from './tunnel.ts'

export interface ListenAddress {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
}

export interface ListenerOptions {
  readonly authority: CertificateAuthority
  readonly enrolment: Enrolment
  readonly requests: EnrolRequests
  readonly clock: Clock
  readonly log: Log
  /** Names and addresses in the certificate of this server. */
  readonly hosts: readonly string[]
  /** A tunnel whose connector has said who it is. */
  readonly onTunnel: (tunnel: Tunnel) => void
  /** `isOurs`: an authority of this hub signed the certificate, so what it says is no stranger's text. */
  readonly onRefused: (error: HubError, address: string, isOurs: boolean) => void
}

/** The one port for connectors: TLS 1.3, and ALPN says whether it is an enrolment or a tunnel. */
export interface Listener {
  listen(address: ListenAddress): Promise<{ readonly host: string; readonly port: number }>
  close(): Promise<void>
}

/** The certificate of the listener is made anew at each start and at two thirds of its life. */
const serverDays = 90

export function createListener(options: ListenerOptions): Listener {
  const { authority, enrolment, requests, clock, log } = options
  const strangers = new Set<TLSSocket>()
  const open = new Set<TLSSocket>()
  let server: tls.Server | undefined
  let cancelRenewal = () => {}

  async function makeContext(): Promise<tls.SecureContextOptions> {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    const { certificate } = await authority.issue({
      key: { publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() },
      subject: { name: 'isthmus hub' },
      days: serverDays,
      usage: 'server',
      hosts: options.hosts,
    })
    const authorities = authority.authorities().map(each => each.certificate)
    return {
      // With its authority, since a connector that enrols knows that one by its hash alone.
      cert: `${certificate}${authorities[0] ?? ''}`,
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      ca: authorities,
      minVersion: 'TLSv1.3',
    }
  }

  function renewLater(): void {
    cancelRenewal = clock.after((serverDays / 3) * DAY, () => {
      makeContext()
        .then(context => server?.setSecureContext(context))
        .catch((thrown: unknown) => log.error('connector.certificate-not-renewed', { error: asHubError(thrown) }))
        .finally(renewLater)
    })
  }

  function onConnection(socket: TLSSocket): void {
    socket.on('error', () => socket.destroy())
    open.add(socket)
    const isKnown = showsOurs(socket)
    if (!isKnown) strangers.add(socket)
    socket.once('close', () => {
      open.delete(socket)
      strangers.delete(socket)
    })
    if (!isKnown && strangers.size > hubLimits.unprovenConnections) {
      socket.destroy()
      return
    }
    socket.setNoDelay(true)
    if (socket.alpnProtocol === 'http/1.1') requests.take(socket)
    else if (socket.alpnProtocol === tunnelAlpn) takeTunnel(socket).catch((thrown: unknown) => refuse(socket, thrown))
    else socket.destroy()
  }

  /** One that shows a certificate of ours, which still counts, comes in however many strangers knock. */
  function showsOurs(socket: TLSSocket): boolean {
    const shown = socket.getPeerX509Certificate()
    return socket.authorized && shown !== undefined && !authority.isRevoked(shown.serialNumber)
  }

  async function takeTunnel(socket: TLSSocket): Promise<void> {
    const { connector, serial } = await enrolment.admit(socket.getPeerX509Certificate())
    if (socket.destroyed) return
    const { id, location } = connector
    const tunnel = new Tunnel({ socket, clock, connector: id, location, serial })
    try {
      await tunnel.greet()
    } catch (thrown) {
      const error = asHubError(thrown)
      tunnel.destroy(error.message)
      log.warn('connector.not-greeted', { connector: id, location, code: error.code, text: error.message })
      return
    }
    if (tunnel.isAlive) options.onTunnel(tunnel)
  }

  function refuse(socket: TLSSocket, thrown: unknown): void {
    const error = asHubError(thrown)
    const isOurs = socket.authorized || hasEnded(error)
    options.onRefused(error, socket.remoteAddress ?? '', isOurs)
    // Only to one whose certificate comes from us: with others no further word is spoken.
    if (isOurs && !socket.destroyed) turnAway(socket, error.message)
    else socket.destroy()
  }

  return {
    async listen(address) {
      const listening = tls.createServer(
        {
          ...(await makeContext()),
          ALPNProtocols: [tunnelAlpn, 'http/1.1'],
          requestCert: true,
          // An enrolment has none yet; a tunnel without a good one is refused below, with words.
          rejectUnauthorized: false,
          handshakeTimeout: hubLimits.handshakeMs,
        },
        onConnection,
      )
      server = listening
      listening.maxConnections = hubLimits.connections
      listening.on('tlsClientError', (error, socket) => {
        log.debug('connector.handshake-failed', { address: socket.remoteAddress, text: error.message })
      })
      listening.listen(address.port, address.host)
      await once(listening, 'listening')
      renewLater()
      const bound = listening.address() as AddressInfo
      return { host: bound.address, port: bound.port }
    },
    async close() {
      cancelRenewal()
      const listening = server
      if (!listening) return
      const closed = new Promise<void>(resolve => listening.close(() => resolve()))
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

/** To TLS a certificate of ours that has ended is none; our own check looks at who signed it before it looks at the date. */
function hasEnded({ cause }: HubError): boolean {
  return cause instanceof HubError && cause.code === certificateErrors.NOT_VALID_NOW.code
}
