import { randomBytes, X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { errors, type KoaContext, Provider } from 'oidc-provider'
import { callerAddress } from '../../kernel/caller-address.ts'
import type { GrantType, RefusalReason, ServiceInstance, ServiceKey } from '../service/model.ts'
import type { TokenParts } from './token-server.ts'

/**
 * Service instances as oidc-provider knows clients. An instance has many keys, so the proof of a caller is checked
 * against all of them, and the key that it belongs to is kept with the request.
 */
export class ClientSource {
  readonly #parts: TokenParts
  readonly #proofs = new WeakMap<IncomingMessage, ServiceKey>()

  constructor(parts: TokenParts) {
    this.#parts = parts
  }

  /** What oidc-provider reads instead of a stored client; undefined for one that is not there or is disabled. */
  find(clientId: string): object | undefined {
    const { users, keys } = this.#parts
    const instance = users.instanceOfClient(clientId)
    const context = Provider.ctx
    if (!instance || instance.disabledAt !== undefined) {
      // Costs what a known client would cost.
      const check = users.checkSecret(clientId, 'unknown')
      const isProof = context && authenticatedRoutes.has(context.oidc.route) && !this.#proofs.has(context.req)
      if (isProof && !check.ok) this.#noteRefusal(context, clientId, check.reason)
      return undefined
    }
    const isByCertificate = context !== undefined && this.#isByCertificate(context)
    const redirectUris = instance.grantTypes.includes('authorization_code') ? instance.redirectUris : []
    return {
      client_id: clientId,
      client_name: instance.name,
      redirect_uris: redirectUris,
      response_types: redirectUris.length > 0 ? ['code'] : [],
      grant_types: grantTypesOf(instance, isByCertificate, redirectUris.length > 0),
      id_token_signed_response_alg: keys.active().algorithm,
      ...(isByCertificate
        ? {
            token_endpoint_auth_method: 'tls_client_auth',
            tls_client_auth_subject_dn: 'checked by the hub',
            tls_client_certificate_bound_access_tokens: true,
          }
        : { token_endpoint_auth_method: 'client_secret_basic', client_secret: placeholder }),
    }
  }

  /** Whether the secret belongs to a key of the client. Throws an error with status 429 after too many wrong ones. */
  isSecretOf(clientId: string, secret: string): boolean {
    const context = contextNow()
    const check = this.#parts.users.checkSecret(clientId, secret)
    // A certificate is the only way in for an instance that asks for one.
    const isAllowed = check.ok && !check.instance.grantTypes.includes('client_x509')
    if (isAllowed) this.#prove(context, check.key)
    // Only wrong secrets are counted and slowed down: nobody can lock a client out by guessing.
    else this.#noteRefusal(context, clientId, check.ok ? 'certificate-wanted' : check.reason)
    return isAllowed
  }

  /** Whether the connection's certificate belongs to a key of the client that the request names. */
  isCertificateOfClient(context: KoaContext): boolean {
    const { users, log } = this.#parts
    const certificate = this.#certificateOf(context)
    if (!certificate) return false
    const check = users.checkCertificate(certificate)
    const clientId = context.oidc.params['client_id']
    if (check.ok && check.instance.clientId === clientId) {
      this.#prove(context, check.key)
      return true
    }
    const reason = check.ok ? 'key-of-other-instance' : check.reason
    log.info('token.client-refused', { client: clientId, address: callerAddress(context.req), reason })
    return false
  }

  certificate(context: KoaContext): X509Certificate | undefined {
    const der = this.#certificateOf(context)
    return der && new X509Certificate(der)
  }

  /** The key by which the caller of this request proved who it is. */
  keyOf(context: KoaContext): ServiceKey {
    const key = this.#proofs.get(context.req)
    if (!key) throw new errors.InvalidClientAuth()
    return key
  }

  instanceOf(clientId: string): ServiceInstance {
    const instance = this.#parts.users.instanceOfClient(clientId)
    if (!instance) throw new errors.InvalidClientAuth()
    return instance
  }

  /** Throws an error with status 429 after too many from one address; the log tells of the first of these. */
  #noteRefusal(context: KoaContext, client: string, reason: RefusalReason | 'certificate-wanted'): void {
    const { callerFailures, users, log } = this.#parts
    const address = callerAddress(context.req)
    const often = callerFailures.note(address, users.instanceOfClient(client)?.clientId)
    const fields = { client, address, reason }
    if (!often) {
      log.info('token.client-refused', fields)
      return
    }
    if (often.isFirst) log.error('token.client-refused-often', { ...fields, waitMs: often.waitMs })
    throw tooMany(context, often.waitMs, quietly)
  }

  #prove(context: KoaContext, key: ServiceKey): void {
    this.#proofs.set(context.req, key)
    dropOfflineAccess(context)
    this.#parts.users.noteUse(key.id, callerAddress(context.req))
  }

  #isByCertificate(context: KoaContext): boolean {
    if (!authenticatedRoutes.has(context.oidc.route)) return false
    const hasSecret = context.headers.authorization !== undefined || context.oidc.params['client_secret'] !== undefined
    return !hasSecret && this.#certificateOf(context) !== undefined
  }

  #certificateOf(context: KoaContext): Uint8Array | undefined {
    const given = this.#parts.certificateOf
    if (given) return given(context.req)
    const { socket } = context.req
    return socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.raw : undefined
  }
}

/**
 * MSAL asks for offline_access again with each refresh. OpenID Connect has it granted only where somebody is asked for
 * consent, so oidc-provider may have left it out at the log-in and would refuse it here; a refresh token is what it means.
 */
function dropOfflineAccess({ oidc: { params } }: KoaContext): void {
  if (params['grant_type'] !== 'refresh_token' || params['scope'] === undefined) return
  const rest = params['scope'].split(' ').filter(scope => scope !== 'offline_access')
  params['scope'] = rest.length > 0 ? rest.join(' ') : undefined
}

/** Routes where a client proves who it is. */
const authenticatedRoutes = new Set(['token', 'introspection', 'revocation'])

// oidc-provider wants a secret of a client; what counts is `isSecretOf`. Nothing is ever signed with it.
const placeholder = randomBytes(32).toString('base64url')

/** What the instance lists, in oidc-provider's words. */
function grantTypesOf(instance: ServiceInstance, isByCertificate: boolean, hasRedirects: boolean): readonly string[] {
  if (instance.grantTypes.includes('client_x509')) return isByCertificate ? ['client_credentials'] : []
  const isUsable = (grant: GrantType) => grant !== 'authorization_code' || hasRedirects
  return instance.grantTypes.filter(isUsable)
}

/** Where the request that is answered now comes from. */
export function addressNow(): string {
  return callerAddress(contextNow().req)
}

function contextNow(): KoaContext {
  const context = Provider.ctx
  if (!context) throw new Error('oidc-provider asked outside of a request')
  return context
}

/** Detail of errors that the log tells in another way, and not one by one. */
export const quietly = 'told already'

/** 429 with Retry-After in the shape of an OAuth error. */
export function tooMany(context: KoaContext, waitMs: number, detail?: string): Error {
  const error = new errors.CustomOIDCProviderError('temporarily_unavailable', 'too many failures, come back later')
  if (detail !== undefined) error.error_detail = detail
  error.statusCode = 429
  error.status = 429
  context.set('retry-after', String(Math.ceil(waitMs / 1000)))
  return error
}
