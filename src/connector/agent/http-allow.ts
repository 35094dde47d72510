import type { VirtualHost } from './connector-config.ts'
import { type HttpHead, HttpWrong, valuesOf } from './http-reader.ts'

/** What may be asked of a virtual host. */
export interface AllowList {
  /** Virtual host:port, in lower case. */
  readonly address: string
  readonly paths: NonNullable<VirtualHost['allow']>
}

export interface HttpAsk {
  readonly method: string
  /** Path with the query, as written. */
  readonly target: string
}

/** Method and path of a request; throws HttpWrong for forms of RFC 9112 section 3.2 that a server behind us never needs. */
export function readAsk({ start, headers }: HttpHead): HttpAsk {
  const match = /^([A-Z]{1,20}) (\/[!-~]*) HTTP\/1\.1$/.exec(start)
  if (!match) throw new HttpWrong('the request line is not METHOD /path HTTP/1.1')
  if (headers.filter(([name]) => name === 'host').length !== 1) throw new HttpWrong('there is not one Host')
  return { method: match[1] ?? '', target: match[2] ?? '' }
}

/** Why the list does not let a request through, or undefined where it does. */
export function refuseAsk(
  { method, target }: HttpAsk,
  headers: HttpHead['headers'],
  { address, paths }: AllowList,
): string | undefined {
  const path = /^[^?]*/.exec(target)?.[0] ?? ''
  const unclear = explainUnclear(path)
  if (unclear !== undefined) return unclear
  // One server may answer for many systems (a web dispatcher, a proxy) and choose by this name.
  const [host = ''] = valuesOf(headers, 'host')
  if (![address, address.slice(0, address.lastIndexOf(':'))].includes(host.toLowerCase()))
    return `the Host is not ${address}`
  const turned = headers.find(([name]) => pathHeaders.has(name))
  if (turned) return `the header ${turned[0]} asks for another path`
  if (headers.some(([name]) => name === 'upgrade')) return 'another protocol is asked for'
  const fitting = paths.filter(each => (each.path.endsWith('/') ? path.startsWith(each.path) : path === each.path))
  if (fitting.length === 0) return 'the path is not on the list'
  const asked = [method, ...headers.flatMap(([name, value]) => (methodHeaders.has(name) ? [value.toUpperCase()] : []))]
  const isAllowed = (wanted: string) => fitting.some(({ methods }) => methods.includes(wanted))
  const refused = asked.find(wanted => !isAllowed(wanted))
  return refused === undefined ? undefined : `the method ${refused} is not on the list`
}

/** SAP Gateway, Microsoft and many frameworks take the method from here (tunnelled through POST). */
const methodHeaders = new Set(['x-http-method', 'x-http-method-override', 'x-method-override'])
/** Some servers take the path from here instead of the request line. */
const pathHeaders = new Set(['x-original-url', 'x-rewrite-url', 'x-forwarded-prefix', '~request_uri'])

/** A path that a server behind us may read as another one than we do. */
function explainUnclear(path: string): string | undefined {
  if (/[\\#]/.test(path)) return 'the path holds a letter that paths have not'
  // Twice: a proxy before the server may unescape once more.
  for (const text of [path, decode(path), decode(decode(path))]) {
    if (/[\0-\x1f]/.test(text)) return 'the path holds a control character'
    const segments = text.replaceAll('\\', '/').split('/')
    if (segments.some(segment => /^\.{1,2}(?:;.*)?$/.test(segment))) return 'the path climbs with . or ..'
  }
  return path.startsWith('//') ? 'the path begins with two slashes' : undefined
}

function decode(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_whole, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
