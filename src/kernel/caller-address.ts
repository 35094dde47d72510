import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

const noted = new WeakMap<IncomingMessage, string>()

/** Where a request comes from: the address of the connection, or what a proxy that is believed says of it. */
export function callerAddress(request: IncomingMessage): string {
  return noted.get(request) ?? connectionAddress(request)
}

/**
 * Believes these proxies (addresses and CIDR networks) what X-Forwarded-For says: the last address there that is none of
 * them is the caller's. The result looks at each new request. Who is near is another question: a connection of this
 * machine stays the only proof of that.
 */
export function believeProxies(proxies: readonly string[]): (request: IncomingMessage) => void {
  const believed = new BlockList()
  for (const proxy of proxies) {
    const [address = '', bits] = proxy.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) believed.addAddress(address, family)
    else believed.addSubnet(address, Number(bits), family)
  }
  const isBelieved = (address: string) => {
    const family = isIP(address)
    return family !== 0 && believed.check(address, family === 6 ? 'ipv6' : 'ipv4')
  }
  return request => {
    let address = connectionAddress(request)
    // Before the list is read: most callers come without a proxy.
    if (proxies.length === 0 || !isBelieved(address)) return
    for (const said of listOf(request).toReversed()) {
      // "unknown", or a name that hides the caller (RFC 7239): the proxy stands for whoever it was.
      if (isIP(said) === 0) break
      address = said
      if (!isBelieved(said)) break
    }
    noted.set(request, address)
  }
}

function connectionAddress(request: IncomingMessage): string {
  return request.socket.remoteAddress ?? ''
}

/** Addresses of the header, the nearest last. Some proxies write a port behind, and brackets around IPv6. */
function listOf(request: IncomingMessage): readonly string[] {
  const header = request.headers['x-forwarded-for']
  const parts = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',')
  return parts.map(part => {
    const [, inBrackets, plain] = /^\[([^\]]*)\](?::\d{1,5})?$|^([^:]*):\d{1,5}$/.exec(part.trim()) ?? []
    return inBrackets ?? plain ?? part.trim()
  })
}
