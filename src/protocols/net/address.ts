import net from 'node:net'

/**
 * Why an address is not a public unicast address, in words; undefined when it is one. Addresses that carry an IPv4
 * address (mapped, compatible, NAT64, 6to4) are judged by the one inside (RFC 4291, 6052, 3056).
 */
export function notPublicBecause(address: string): string | undefined {
  const bytes = parseAddress(address)
  if (!bytes) return 'this is not an address'
  if (bytes.length === 4) return firstMatch(bytes, notPublic4)
  const inner = carriedIpv4(bytes)
  if (inner) return firstMatch(inner, notPublic4)
  return firstMatch(bytes, notPublic6) ?? (matches(bytes, globalUnicast) ? undefined : 'it is not a public address')
}

/** True when the address lies in the network `10.1.0.0/16` (or is the one address named). */
export function isInNetwork(address: string, network: string): boolean {
  const bytes = parseAddress(address)
  const parsed = parseNetwork(network)
  if (!bytes || !parsed) return false
  const mapped = bytes.length === 16 && parsed.bytes.length === 4 ? carriedIpv4(bytes) : bytes
  return mapped !== undefined && matches(mapped, parsed)
}

/** True when a text names a network or an address, and not a host. */
export function isNetwork(text: string): boolean {
  return parseNetwork(text) !== undefined
}

/** True for what lists of hosts may hold: a name, `*.domain`, an address or a network. */
export function isHostEntry(text: string): boolean {
  return isNetwork(text) || /^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text)
}

/** True when a host is the one named, or lies below `*.domain`. */
export function matchesName(host: string, entry: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '')
  const wanted = entry.toLowerCase()
  return wanted.startsWith('*.') ? name.endsWith(wanted.slice(1)) : name === wanted
}

interface Network {
  readonly bytes: readonly number[]
  readonly bits: number
}

function parseNetwork(text: string): Network | undefined {
  const [address = '', prefix] = text.split('/')
  const bytes = parseAddress(address)
  if (!bytes) return undefined
  const bits = prefix === undefined ? bytes.length * 8 : Number(prefix)
  return Number.isInteger(bits) && bits >= 0 && bits <= bytes.length * 8 ? { bytes, bits } : undefined
}

/** The 4 or 16 bytes of an address, or undefined when it is none. */
function parseAddress(text: string): readonly number[] | undefined {
  const address = text.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '')
  if (net.isIPv4(address)) return address.split('.').map(Number)
  if (!net.isIPv6(address)) return undefined
  const tail4 = /(?:^|:)(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1]
  const hex = tail4 ? address.slice(0, -tail4.length) + asHexGroups(tail4) : address
  const [left = '', right] = hex.split('::')
  const head = groupBytes(left)
  const tail = right === undefined ? [] : groupBytes(right)
  return [...head, ...Array.from({ length: 16 - head.length - tail.length }, () => 0), ...tail]
}

function asHexGroups(ipv4: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = ipv4.split('.').map(Number)
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
}

function groupBytes(groups: string): number[] {
  if (groups === '') return []
  return groups.split(':').flatMap(group => {
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 255]
  })
}

function matches(address: readonly number[], network: Network): boolean {
  if (address.length !== network.bytes.length) return false
  for (let bit = 0; bit < network.bits; bit += 8) {
    const mask = network.bits - bit >= 8 ? 255 : (255 << (8 - (network.bits - bit))) & 255
    const index = bit / 8
    if (((address[index] ?? 0) & mask) !== ((network.bytes[index] ?? 0) & mask)) return false
  }
  return true
}

type Ruled = readonly { readonly network: Network; readonly because: string }[]

function firstMatch(address: readonly number[], rules: Ruled): string | undefined {
  return rules.find(rule => matches(address, rule.network))?.because
}

function rules(table: Readonly<Record<string, string>>): Ruled {
  return Object.entries(table).map(([text, because]) => ({ network: networkOf(text), because }))
}

function networkOf(text: string): Network {
  const network = parseNetwork(text)
  if (!network) throw new TypeError(`${text} is not a network`)
  return network
}

/** The IPv4 address inside an IPv6 one, and how many bytes come before it. */
const carriers: readonly { readonly network: Network; readonly at: number }[] = [
  { network: networkOf('::ffff:0:0/96'), at: 12 },
  { network: networkOf('::ffff:0:0:0/96'), at: 12 },
  { network: networkOf('64:ff9b::/96'), at: 12 },
  { network: networkOf('2002::/16'), at: 2 },
  { network: networkOf('::/96'), at: 12 },
]

function carriedIpv4(address: readonly number[]): readonly number[] | undefined {
  const carrier = carriers.find(({ network }) => matches(address, network))
  return carrier && address.slice(carrier.at, carrier.at + 4)
}

// IANA special-purpose registries (RFC 6890), and the platform addresses of clouds that lie in public space.
const notPublic4 = rules({
  '0.0.0.0/8': 'it means this machine',
  '10.0.0.0/8': 'it is a private address',
  '100.64.0.0/10': 'it is a private address of a provider',
  '127.0.0.0/8': 'it is this machine itself',
  '169.254.169.254/32': 'it gives out the secrets of a cloud machine',
  '169.254.0.0/16': 'it is an address of the local link',
  '172.16.0.0/12': 'it is a private address',
  '192.0.0.0/24': 'it is reserved',
  '192.0.2.0/24': 'it is for documentation',
  '192.88.99.0/24': 'it is reserved',
  '192.168.0.0/16': 'it is a private address',
  '198.18.0.0/15': 'it is for measurements',
  '198.51.100.0/24': 'it is for documentation',
  '203.0.113.0/24': 'it is for documentation',
  '224.0.0.0/4': 'it is a multicast address',
  '240.0.0.0/4': 'it is reserved',
  '168.63.129.16/32': 'it is the platform address of Azure',
})

const globalUnicast = networkOf('2000::/3')
const notPublic6 = rules({
  '::1/128': 'it is this machine itself',
  '64:ff9b:1::/48': 'it is a private address',
  '2001::/23': 'it is reserved',
  '2001:db8::/32': 'it is for documentation',
  '3fff::/20': 'it is for documentation',
  'fc00::/7': 'it is a private address',
  'fe80::/10': 'it is an address of the local link',
  'ff00::/8': 'it is a multicast address',
})
