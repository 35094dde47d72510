import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CredentialLookup } from '../../kernel/credential.ts'
import { HubError } from '../../kernel/error.ts'
import type { ConnectRequest } from '../../kernel/socket.ts'
import { MINUTE, SECOND } from '../../kernel/time.ts'
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

/** How long others wait for the one that shows a password first: what a proxy says of it comes at once. */
const firstMs = 2 * SECOND

const setting = 'outgoing-proxy in isthmus.yaml'

/** Undefined where there is no proxy. */
export function wayOutThrough(proxy: OutgoingProxy | undefined, credential: CredentialLookup): WayOut | undefined {
  if (!proxy) return undefined
  const { host, port, auth, except } = proxy
  let refused: { readonly by: string; readonly until: number; readonly error: HubError } | undefined
  let taken: string | undefined
  /** What it has not taken yet is shown by one connection, and others wait for what it says to that. */
  let first: { readonly by: string; readonly hasSaid: Promise<unknown> } | undefined

  async function open(request: ConnectRequest, dial: Dial): Promise<Socket> {
    const logIn = auth === undefined ? undefined : await logInOf(auth)
    const by = logIn && JSON.stringify(logIn)
    if (first && first.by === by) await first.hasSaid
    if (refused && refused.by === by && performance.now() < refused.until) throw refused.error
    const asked = ask(logIn, by, request, dial)
    if (by !== undefined && by !== taken && first?.by !== by) {
      const patience = sleep(firstMs, undefined, { ref: false })
      const mine = { by, hasSaid: Promise.race([asked.catch(() => {}), patience]) }
      first = mine
      void mine.hasSaid.then(() => {
        if (first === mine) first = undefined
      })
    }
    return asked
  }

  async function ask(logIn: HttpProxy['logIn'], by: string | undefined, request: ConnectRequest, dial: Dial) {
    try {
      // Loaded with the first connection that goes this way.
      const { connectThroughProxy } = await import('./http-proxy.ts')
      const socket = await connectThroughProxy({ host, port, logIn, setting }, request, dial)
      refused = undefined
      taken = by
      return socket
    } catch (thrown) {
      const isRefusal = thrown instanceof HubError && thrown.code === netErrors.PROXY_SIGN_IN.code
      if (isRefusal && by !== undefined) {
        refused = { by, until: performance.now() + refusedMs, error: thrown }
        taken = undefined
      }
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
