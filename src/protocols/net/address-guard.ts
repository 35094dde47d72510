import type { LookupAddress } from 'node:dns'
import dns from 'node:dns'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import type { HubError } from '../../kernel/error.ts'
import type { Connect, ConnectRequest } from '../../kernel/socket.ts'
import { isInNetwork, isNetwork, matchesName, notPublicBecause } from './address.ts'
import { asNetError, netErrors } from './errors.ts'

export type ResolveName = (host: string) => Promise<readonly LookupAddress[]>

export interface GuardOptions {
  /**
   * What may be called: host names (`api.example.com`, `*.example.com`) and networks (`10.1.0.0/16`). Names narrow the
   * choice to themselves; networks add addresses that are not public. Empty: any public address.
   */
  readonly allow: readonly string[]
  readonly resolve?: ResolveName | undefined
}

/**
 * A connect for hosts that a message has chosen. It resolves the name itself, refuses when any of its addresses is
 * forbidden, and connects to one of the addresses it judged, so that a name server which answers differently the
 * second time gains nothing. Throws NET_ADDRESS_FORBIDDEN.
 */
export function guardConnect(connect: Connect, options: GuardOptions): Connect {
  const resolve = options.resolve ?? resolveName

  async function open(request: ConnectRequest): Promise<Duplex> {
    const reason = hostReason(request.host, options.allow)
    if (reason) throw netErrors.ADDRESS_FORBIDDEN({ host: request.host, address: 'no address asked for', reason })
    // A connector resolves on its side, and its list of virtual hosts has the last word there.
    if (request.via !== undefined) return connect(request)
    const addresses = await judgedAddresses(request)
    const endsAt = performance.now() + request.timeoutMs
    let failure: HubError = netErrors.NAME_UNKNOWN({ host: request.host, reason: 'no address' })
    for (const [index, address] of addresses.entries()) {
      const restMs = endsAt - performance.now()
      if (restMs <= 0) break
      // Each address gets a fair share of the time, so that a dead first one leaves some for the others.
      const timeoutMs = Math.max(1, restMs / (addresses.length - index))
      try {
        return await connect({ ...request, host: address, name: request.host, timeoutMs, tls: tlsFor(request) })
      } catch (thrown) {
        failure = asNetError(thrown, request)
      }
    }
    throw failure
  }

  async function judgedAddresses(request: ConnectRequest): Promise<readonly string[]> {
    const { host } = request
    const addresses = net.isIP(host)
      ? [host]
      : await resolve(host).then(
          found => found.map(entry => entry.address),
          (thrown: unknown) => Promise.reject(asNetError(thrown, request)),
        )
    for (const address of addresses) {
      const because = addressReason(address, options.allow)
      if (because) throw netErrors.ADDRESS_FORBIDDEN({ host, address, reason: because })
    }
    return addresses
  }

  return Object.assign(open, connect)
}

const resolveName: ResolveName = host => dns.promises.lookup(host, { all: true })

function hostReason(host: string, allow: readonly string[]): string | undefined {
  const names = allow.filter(entry => !isNetwork(entry))
  if (names.length === 0 || names.some(name => matchesName(host, name))) return undefined
  if (net.isIP(host) !== 0 && allow.some(entry => isInNetwork(host, entry))) return undefined
  return 'it is not in the allow list'
}

function addressReason(address: string, allow: readonly string[]): string | undefined {
  const because = notPublicBecause(address)
  return because === undefined || allow.some(network => isInNetwork(address, network)) ? undefined : because
}

function tlsFor(request: ConnectRequest): ConnectRequest['tls'] {
  return request.tls && { servername: request.host, ...request.tls }
}
