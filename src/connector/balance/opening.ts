import type { Duplex } from 'node:stream'
import type { Connect, ConnectRequest, TlsWish } from '../../kernel/socket.ts'
import type { Clock } from '../../kernel/time.ts'
import type { VirtualHost } from '../agent/connector-config.ts'
import { readGreeting } from './greeting.ts'
import { balanceLimits } from './limits.ts'
import type { ServiceReport } from './service.ts'
import { SmtpStream } from './smtp-stream.ts'
import { SmtpWatch } from './smtp-watch.ts'

export interface OpeningOptions {
  readonly connect: Connect
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

/** How a target of this virtual host is connected to. The name is resolved now, and each of its addresses is tried. */
export function requestFor(host: VirtualHost, address: string, options: OpeningOptions): ConnectRequest {
  const at = address.lastIndexOf(':')
  const needsTls = host.protocol === 'tcp-tls' || (host.protocol === 'http' && host.tls !== undefined)
  const tls: TlsWish = host.tls ?? {}
  return {
    host: address.slice(0, at).replace(/^\[(.*)\]$/, '$1'),
    port: Number(address.slice(at + 1)),
    timeoutMs: options.timeoutMs,
    signal: options.signal,
    ...(needsTls && { tls }),
  }
}

/**
 * A connection to a target that is fit to carry bytes: TLS stands where the virtual host asks for it, a mail server has
 * greeted with 220. `report` hears how it goes on. Throws NET_… and SMTP_… errors, never later than `timeoutMs`.
 */
export async function openTarget(
  host: VirtualHost,
  address: string,
  options: OpeningOptions,
  report: ServiceReport,
): Promise<Duplex> {
  const since = performance.now()
  const socket = await options.connect(requestFor(host, address, options))
  if (host.protocol !== 'smtp') return watchPlain(socket, host.protocol === 'http', report, options.clock)
  const timeoutMs = Math.max(1, Math.ceil(options.timeoutMs - (performance.now() - since)))
  const { bytes } = await readGreeting(socket, { ...options, server: address, timeoutMs })
  return new SmtpStream(socket, bytes, new SmtpWatch(report, () => performance.now()))
}

/**
 * Of other protocols only the end is seen: a reset is a failure, and for HTTP an end before any answer as well, by the
 * server or by a hub that has waited in vain. What its answers say of an HTTP server, who reads them tells.
 */
function watchPlain(socket: Duplex, needsAnswer: boolean, report: ServiceReport, clock: Pick<Clock, 'now'>): Duplex {
  const since = clock.now()
  let reason: string | undefined
  let hasEnded = false
  const hasAnswered = () => bytesOf(socket, 'bytesRead') > 0
  const isAsked = () => bytesOf(socket, 'bytesWritten') > 0
  socket.once('end', () => {
    hasEnded = true
    if (needsAnswer && isAsked() && !hasAnswered()) reason ??= 'it closed the connection without an answer'
  })
  socket.on('error', (error: Error) => {
    // What is written to a server that has ended already comes back as a reset.
    if (!hasEnded) reason ??= `it broke the connection: ${error.message}`
  })
  socket.once('close', () => {
    const waitedMs = clock.now() - since
    const isInVain = needsAnswer && isAsked() && waitedMs >= balanceLimits.inVainMs
    if (reason !== undefined) report.failed(reason)
    else if (!needsAnswer) report.served()
    else if (isInVain && !hasAnswered()) report.failed(`it was silent for ${Math.round(waitedMs / 1000)} s`)
  })
  return socket
}

function bytesOf(socket: Duplex, counter: 'bytesRead' | 'bytesWritten'): number {
  const value: unknown = Reflect.get(socket, counter)
  return typeof value === 'number' ? value : 0
}
