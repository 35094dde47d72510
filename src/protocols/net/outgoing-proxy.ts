import type { Socket } from 'node:net'
import type { CredentialLookup } from '../../kernel/credential.ts'
import { HubError } from '../../kernel/error.ts'
import type { ConnectRequest } from '../../kernel/socket.ts'
import { MINUTE } from '../../kernel/time.ts'
import { isInNetwork, isNetwork, matchesName } from './address.ts'
import { netErrors } from './errors.ts'
import type { HttpProxy } from './http-proxy.ts'

export interface OutgoingProxy {
  readonly host: string
  readonly port: number
  /** Credential of kind basic that is shown to it. */
  readonly auth?: string | undefined
  /** Hosts that are reached without it: names, `*.domain`, addresses and networks. */
  readonly except: readonly string[]
}

/** Opens a connection to the proxy itself. */
type Dial = (host: string, port: number) => Socket

/** The way to a host through the hub's proxy; undefined where none is needed. */
export type WayOut = (request: ConnectRequest, dial: Dial) => Promise<Socket> | undefined

/** How long a password that was refused is not shown again: often enough, it locks its user at whoever keeps it. */
const refusedMs = 5 * MINUTE

const setting = 'outgoing-proxy in isthmus.yaml'

/** Undefined where there is no proxy. */
export function wayOutThrough(proxy: OutgoingProxy | undefined, credential: CredentialLookup): WayOut | undefined {
  if (!proxy) return undefined
  const { host, port, auth, except } = proxy
  let refused: { readonly by: string; readonly until: number; readonly error: HubError } | undefined

  async function open(request: ConnectRequest, dial: Dial): Promise<Socket> {
    const logIn = auth === undefined ? undefined : await logInOf(auth)
    const by = logIn && JSON.stringify(logIn)
    if (refused && refused.by === by && performance.now() < refused.until) throw refused.error
    try {
      // Loaded with the first connection that goes this way.
      const { connectThroughProxy } = await import('./http-proxy.ts')
      const socket = await connectThroughProxy({ host, port, logIn, setting }, request, dial)
      refused = undefined
      return socket
    } catch (thrown) {
      const isRefusal = thrown instanceof HubError && thrown.code === netErrors.PROXY_SIGN_IN.code
      if (isRefusal && by !== undefined) refused = { by, until: performance.now() + refusedMs, error: thrown }
      throw thrown
    }
  }

  async function logInOf(name: string): Promise<HttpProxy['logIn']> {
    const value = await credential(name)
    if (value.kind === 'basic') return value
    throw netErrors.PROXY_CREDENTIAL({ proxy: `${host}:${port}`, credential: name, kind: value.kind })
  }

  return (request, dial) => (leadsTo(request, except) ? open(request, dial) : undefined)
}

/** What is on this machine never lies behind a proxy. */
const loopback = ['localhost', '*.localhost', '127.0.0.0/8', '::1']

function leadsTo({ host, name = host }: ConnectRequest, except: readonly string[]): boolean {
  const isListed = (entry: string) =>
    isNetwork(entry) ? isInNetwork(host, entry) : matchesName(host, entry) || matchesName(name, entry)
  return ![...loopback, ...except].some(isListed)
}
