import type { IncomingMessage } from 'node:http'
import type { HubError } from '../kernel/error.ts'
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

/** A browser on this machine is near too, but the page that drives it may come from anywhere. */
function isFromOtherSite(headers: IncomingMessage['headers']): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true
  const { origin, host } = headers
  if (origin !== undefined && origin !== `http://${host}`) return true
  // A foreign name that resolves to this machine (DNS rebinding) stands in the Host header.
  return !isLoopbackHost(host ?? '')
}

function isLoopbackHost(host: string): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  return name === 'localhost' || isLoopback(name)
}
