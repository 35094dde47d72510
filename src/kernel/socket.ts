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
  /** What host was looked up from, where it is an address that was judged. */
  readonly name?: string | undefined
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

/** A connection through a connector, by which it can be asked for later, also by another process of the hub. */
export interface Trace {
  readonly location: string
  readonly connector: string
  /** Name of the stream in the tunnel. */
  readonly stream: string
}

/** A connection whose bytes pass a connector as they are. */
export interface Traced {
  readonly trace: Trace
}

export function traceOf(socket: object): Trace | undefined {
  return isTraced(socket) ? socket.trace : undefined
}

function isTraced(socket: object): socket is Traced {
  return 'trace' in socket && socket.trace !== undefined
}

/** A mail by the bytes that were written to a connection. */
export interface SentOctets {
  /** Before its command MAIL. */
  readonly mailAt: number
  /** At least so many up to its end. */
  readonly written: number
}

/** What a connector knows of a mail whose connection is lost. */
export interface Fate {
  /** So many of the bytes written the server may have; it gets no more of them. */
  readonly passedOn: number
  /** The lines with which the server answered the end of the mail; undefined: nobody knows. */
  readonly reply: Uint8Array | undefined
}

/** Opens a byte stream to a server. An adapter knows no other way to the outside. */
export interface Connect {
  (request: ConnectRequest): Promise<Duplex>
  /** TLS on a connection that stands already (STARTTLS). */
  upgrade(socket: Duplex, request: ConnectRequest & { readonly tls: TlsWish }): Promise<Duplex>
  /**
   * What became of a mail on a connection that has ended; where the server has all of it, its reply is waited for.
   * Undefined: the connector does not know, or none could be asked in time or until the signal.
   */
  fateOf?(trace: Trace, mail: SentOctets, signal: AbortSignal): Promise<Fate | undefined>
}

/** The same way to the outside, with the purpose on each request. */
export function connectFor(purpose: string, connect: Connect): Connect {
  return Object.assign((request: ConnectRequest) => connect({ purpose, ...request }), connect)
}

/** What a check found: the link works now (with what the other side said), or the error that explains why not. */
export type CheckResult =
  | { readonly ok: true; readonly detail: string }
  | { readonly ok: false; readonly error: HubError }
