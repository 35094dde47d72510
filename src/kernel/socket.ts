import type { Duplex } from 'node:stream'
import type { HubError } from './error.ts'

export interface TlsWish {
  /** Name in the certificate; the host's name where it is left out. */
  readonly servername?: string
  /** PEM certificates that are trusted instead of the system's, for servers with an own CA. */
  readonly ca?: string | readonly string[]
  readonly cert?: string
  readonly key?: string
}

export interface ConnectRequest {
  readonly host: string
  readonly port: number
  /** TLS from the first byte; undefined for plain TCP (STARTTLS is asked for later with `upgrade`). */
  readonly tls?: TlsWish | undefined
  /** Location of the on-premise connector that opens the connection; undefined opens it from here. */
  readonly via?: string | undefined
  /** What it is for (the name of a flow), for the audit log of the on-premise connector. */
  readonly purpose?: string | undefined
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** A connection whose bytes travel through somebody who can be asked for them. */
export interface Traced {
  /**
   * After the end of the connection: how many of the bytes written to it the server may have; it gets no more of them.
   * Undefined: nobody knows, or none could be asked until the signal.
   */
  passedOn(signal: AbortSignal): Promise<number | undefined>
}

export function isTraced(socket: object): socket is Traced {
  return 'passedOn' in socket && typeof socket.passedOn === 'function'
}

/** Opens a byte stream to a server. An adapter knows no other way to the outside. */
export interface Connect {
  (request: ConnectRequest): Promise<Duplex>
  /** TLS on a connection that stands already (STARTTLS). */
  upgrade(socket: Duplex, request: ConnectRequest & { readonly tls: TlsWish }): Promise<Duplex>
}

/** The same way to the outside, with the purpose on each request. */
export function connectFor(purpose: string, connect: Connect): Connect {
  const { upgrade } = connect
  return Object.assign((request: ConnectRequest) => connect({ purpose, ...request }), { upgrade })
}

/** What a check found: the link works now (with what the other side said), or the error that explains why not. */
export type CheckResult =
  | { readonly ok: true; readonly detail: string }
  | { readonly ok: false; readonly error: HubError }
