import type { IncomingMessage, ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import { clientCertificateOf } from '../auth/service/client-certificate.ts'
import type { Admission, Caller, Guard, Refusal } from '../auth/service/model.ts'
import { callerAddress } from '../kernel/caller-address.ts'
import type { HubError } from '../kernel/error.ts'
import { formatDuration } from '../kernel/time.ts'
import { flowEndpointErrors } from './flow-endpoint-errors.ts'
import { isLoopback } from './request-guard.ts'

/** Headers by which a proxy says that the caller is somebody else. */
const proxyHeaders = [
  'x-forwarded-for',
  'x-forwarded-host',
  'x-real-ip',
  'forwarded',
  'via',
  'x-client-ip',
  'true-client-ip',
]

/**
 * Why a caller that proved nothing is not let in: only programs on this very machine are. What a proxy says of the
 * caller is never believed, but that there is a proxy is.
 */
export function findOutsider(incoming: IncomingMessage): HubError | undefined {
  const { headers } = incoming
  const isNear = isLoopback(incoming.socket.remoteAddress) && !proxyHeaders.some(name => name in headers)
  if (!isNear) return flowEndpointErrors.NOT_LOOPBACK()
  return isFromOtherSite(headers) ? flowEndpointErrors.CROSS_SITE() : undefined
}

export interface CallerCheck {
  readonly guard?: Guard
  readonly isBehindTls?: boolean
}

/**
 * Lets a caller in that proves to have the role; throws the refusal, whose headers stand in the response by then. The
 * answer says no more than that: why, and which key it was, goes to the log under the correlation id.
 */
export function admitCaller(
  incoming: IncomingMessage,
  response: ServerResponse,
  role: string,
  { guard, isBehindTls = false }: CallerCheck,
): Caller | Promise<Caller> {
  if (!guard) throw flowEndpointErrors.NO_GUARD({ role })
  const { authorization } = incoming.headers
  if (!isBehindTls) refusePlainHttp(incoming)
  // A browser sends passwords and certificates along whatever page asks for it; a token only the page that has it.
  const isAmbient = !/^bearer /i.test(authorization ?? '')
  if (isAmbient && isDrivenByOtherSite(incoming.headers)) throw flowEndpointErrors.CROSS_SITE()
  const admission = guard.admit(
    {
      authorization,
      certificate: () => clientCertificateOf(incoming),
      address: callerAddress(incoming),
      path: incoming.url?.split('?')[0] ?? '',
    },
    role,
  )
  return admission instanceof Promise
    ? admission.then(decided => callerOf(decided, response))
    : callerOf(admission, response)
}

function callerOf(admission: Admission, response: ServerResponse): Caller {
  if (!('refusal' in admission)) return admission
  const { refusal } = admission
  response.setHeader('x-correlation-id', refusal.correlationId)
  if (refusal.challenges.length > 0) response.setHeader('www-authenticate', refusal.challenges)
  throw errorOf(refusal)
}

function errorOf({ status, correlationId: correlation, retryAfterMs = 0 }: Refusal): HubError {
  if (status === 401) return flowEndpointErrors.UNAUTHORISED({ correlation })
  if (status === 403) return flowEndpointErrors.FORBIDDEN({ correlation })
  const wait = formatDuration(retryAfterMs)
  return flowEndpointErrors.TOO_MANY_FAILURES({ wait, correlation }, { retryAfterMs })
}

/** Throws where somebody on the way could read along. */
export function refusePlainHttp(incoming: IncomingMessage): void {
  if (!isPrivate(incoming)) throw flowEndpointErrors.PLAIN_HTTP()
}

/** Nobody on the way can read along: the connection is encrypted, or does not leave this machine. */
function isPrivate(incoming: IncomingMessage): boolean {
  if (incoming.socket instanceof TLSSocket) return true
  // A proxy on this machine may say that its own caller came over plain HTTP.
  return isLoopback(incoming.socket.remoteAddress) && incoming.headers['x-forwarded-proto'] !== 'http'
}

function isDrivenByOtherSite(headers: IncomingMessage['headers']): boolean {
  const site = headers['sec-fetch-site']
  return site !== undefined && site !== 'same-origin' && site !== 'none'
}

/** A browser on this machine is near too, but the page that drives it may come from anywhere. */
function isFromOtherSite(headers: IncomingMessage['headers']): boolean {
  if (isDrivenByOtherSite(headers)) return true
  const { origin, host } = headers
  if (origin !== undefined && origin !== `http://${host}`) return true
  // A foreign name that resolves to this machine (DNS rebinding) stands in the Host header.
  return !isLoopbackHost(host ?? '')
}

function isLoopbackHost(host: string): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  return name === 'localhost' || isLoopback(name)
}
