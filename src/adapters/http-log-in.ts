import type { ReceiverContext } from '../flow/adapter.ts'
import { asHubError } from '../kernel/error.ts'
import type { CheckResult, TlsWish } from '../kernel/socket.ts'
import { SECOND } from '../kernel/time.ts'
import { type CredentialProof, noProof, proofOf } from '../protocols/net/credential-proof.ts'
import type { HttpConfig } from './http-config.ts'
import { httpErrors } from './http-errors.ts'

/** How long a connection to an HTTP server may take. */
export const connectTimeoutMs = 10 * SECOND

type LogInConfig = Pick<HttpConfig, 'auth'> & Partial<Pick<HttpConfig, 'auth-header'>>

/** What proves who the hub is. `refused`: a token that the other side has just not taken. */
export async function logIn(
  { config, credential }: Pick<ReceiverContext<LogInConfig>, 'config' | 'credential'>,
  refused?: string,
): Promise<CredentialProof> {
  const { auth, 'auth-header': authHeader } = config
  if (auth === undefined) return noProof
  const value = await credential(auth)
  if (authHeader !== undefined) {
    if (value.kind !== 'secret') {
      throw httpErrors.CREDENTIAL_UNFIT({ credential: auth, kind: value.kind, use: `header ${authHeader}` })
    }
    return { ...noProof, header: [authHeader.toLowerCase(), value.secret] }
  }
  const proof = await proofOf(value, refused)
  if (!proof) throw httpErrors.CREDENTIAL_UNFIT({ credential: auth, kind: value.kind, use: 'log-in' })
  return proof
}

/**
 * Gets a token and connects (TLS included) to where `url` says, if it says so before there is a message; a request could
 * change something at the other side.
 */
export async function checkConnection(
  context: Pick<ReceiverContext<LogInConfig & Pick<HttpConfig, 'via'>>, 'config' | 'connect' | 'credential'>,
  url: URL | undefined,
  tls: TlsWish,
): Promise<CheckResult> {
  try {
    const { certificate } = await logIn(context)
    if (!url) return { ok: true, detail: 'the host is known once a message comes; the credential is ready' }
    const { hostname, port, protocol, host } = url
    const isSecure = protocol === 'https:'
    const socket = await context.connect({
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: Number(port || (isSecure ? 443 : 80)),
      tls: isSecure ? { ...tls, ...certificate } : undefined,
      via: context.config.via,
      timeoutMs: connectTimeoutMs,
    })
    socket.destroy()
    return { ok: true, detail: `${host} takes connections` }
  } catch (thrown) {
    return { ok: false, error: asHubError(thrown) }
  }
}
