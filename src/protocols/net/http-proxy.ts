import http, { type IncomingMessage } from 'node:http'
import net from 'node:net'
import { type HubError, hubErrors } from '../../kernel/error.ts'
import { KiB } from '../../kernel/size.ts'
import type { ConnectRequest } from '../../kernel/socket.ts'
import { netErrors } from './errors.ts'

export const proxyLimits = {
  /** Status line and headers of a proxy's answer. */
  answerBytes: 16 * KiB,
} as const

/** An HTTP proxy that leads out of a company's network: it is asked with CONNECT, and then carries bytes as they are. */
export interface HttpProxy {
  readonly host: string
  readonly port: number
  /** Shown as Basic (RFC 7617). */
  readonly logIn?: { readonly user: string; readonly password: string } | undefined
  /** Where people set it, as errors name the place. */
  readonly setting: string
}

type Wish = Pick<ConnectRequest, 'host' | 'port' | 'timeoutMs' | 'signal'>

/**
 * Asks a proxy, on a connection that `open` makes to it, for the way to a server (RFC 9110 section 9.3.6). The proxy looks
 * the name up. Throws NET_PROXY_… errors; `timeoutMs` covers the connection to the proxy and its answer.
 */
export async function connectThroughProxy(
  proxy: HttpProxy,
  wish: Wish,
  open: (host: string, port: number) => net.Socket = connectTo,
): Promise<net.Socket> {
  const { timeoutMs, signal } = wish
  if (signal?.aborted) throw hubErrors.STOPPING()
  const named = { proxy: nameOf(proxy.host, proxy.port), host: wish.host, port: wish.port, setting: proxy.setting }
  const socket = open(proxy.host, proxy.port)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () =>
        fail(
          socket.connecting
            ? netErrors.PROXY_UNREACHABLE({ ...named, reason: `no connection within ${timeoutMs} ms` })
            : netErrors.PROXY_TIMEOUT({ ...named, timeoutMs }),
        ),
      timeoutMs,
    )
    const onAbort = () => fail(hubErrors.STOPPING())
    signal?.addEventListener('abort', onAbort, { once: true })
    function stopListening() {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
    function fail(error: Error) {
      stopListening()
      socket.destroy()
      reject(error)
    }
    // What comes after somebody gave up must not end the process.
    socket.on('error', () => {})
    const asked = ask(socket, proxy, wish)
    asked.on('error', error => fail(explain(error, named)))
    asked.once('connect', (answer, _socket, behind) => {
      const refusal = refusalOf(answer, proxy, named)
      if (refusal) return fail(refusal)
      stopListening()
      // A server that speaks first may already have spoken.
      if (behind.length > 0) socket.unshift(behind)
      resolve(socket)
    })
  })
}

function connectTo(host: string, port: number): net.Socket {
  return net.connect({ host, port, noDelay: true })
}

function ask(socket: net.Socket, { logIn }: HttpProxy, { host, port }: Wish): http.ClientRequest {
  const authority = nameOf(host, port)
  const pair = logIn && Buffer.from(`${logIn.user}:${logIn.password}`).toString('base64')
  const request = http.request({
    createConnection: () => socket,
    method: 'CONNECT',
    path: authority,
    headers: {
      host: authority,
      // Without an agent Node would ask for the end of the connection that is to stay.
      connection: 'keep-alive',
      ...(pair !== undefined && { 'proxy-authorization': `Basic ${pair}` }),
    },
    maxHeaderSize: proxyLimits.answerBytes,
  })
  request.end()
  return request
}

interface Named extends Record<string, string | number> {
  readonly proxy: string
  readonly host: string
  readonly port: number
  readonly setting: string
}

/** What a proxy answered, as an error that says whose turn it is; undefined when the way is open. */
function refusalOf(answer: IncomingMessage, { logIn }: HttpProxy, named: Named): HubError | undefined {
  const { statusCode: status = 0, headers } = answer
  if (status >= 200 && status < 300) return undefined
  if (status === 407) {
    const challenges = headers['proxy-authenticate'] ?? ''
    const offered = schemes.filter(scheme => new RegExp(`(?:^|,) *${scheme}(?:[ ,]|$)`, 'i').test(challenges))
    return offered.includes('Basic') ? wrongSignIn(status, logIn?.user, named) : otherSignIn(offered, named)
  }
  // Not what RFC 9110 asks for, but what tinyproxy says of a wrong password.
  if (status === 401) return wrongSignIn(status, logIn?.user, named)
  if (status >= 500 || status === 408 || status === 429) return netErrors.PROXY_NO_WAY({ ...named, status })
  if (status >= 400) return netErrors.PROXY_REFUSED({ ...named, status })
  return netErrors.PROXY_ANSWER_ODD({ ...named, reason: `it answers CONNECT with ${status}` })
}

const schemes = ['Basic', 'Negotiate', 'NTLM', 'Kerberos', 'Digest', 'Bearer'] as const

function otherSignIn(offered: readonly string[], named: Named): HubError {
  const { setting } = named
  return netErrors.PROXY_SIGN_IN({
    ...named,
    status: 407,
    reason: `wants a sign-in that is not spoken here (${offered.join(', ') || 'it names none'}); only Basic is`,
    step: `Have it let this machine through by its address, or take Basic for a service user. Otherwise run a proxy on this machine that signs in to it (Cntlm, Px), and name that one (${setting}).`,
  })
}

function wrongSignIn(status: number, user: string | undefined, named: Named): HubError {
  const { setting } = named
  return user === undefined
    ? netErrors.PROXY_SIGN_IN({
        ...named,
        status,
        reason: 'wants a user and a password',
        step: `Name both (${setting}), or have it let this machine through by its address.`,
      })
    : netErrors.PROXY_SIGN_IN({
        ...named,
        status,
        reason: `does not take user ${user} with this password`,
        step: `Correct user and password (${setting}), and ask whether the user is locked.`,
      })
}

function explain(error: Error, named: Named): HubError {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const options = { cause: error }
  if (code === 'HPE_HEADER_OVERFLOW') {
    const reason = `its answer has more than ${proxyLimits.answerBytes} bytes of headers`
    return netErrors.PROXY_ANSWER_ODD({ ...named, reason }, options)
  }
  if (code.startsWith('HPE_')) {
    return netErrors.PROXY_ANSWER_ODD({ ...named, reason: 'its answer is not HTTP' }, options)
  }
  return netErrors.PROXY_UNREACHABLE({ ...named, reason: code || error.message }, options)
}

/** host:port, with an IPv6 address in brackets. */
function nameOf(host: string, port: number): string {
  return `${net.isIPv6(host) ? `[${host}]` : host}:${port}`
}
