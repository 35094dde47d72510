import { decodeJwt } from 'jose'
import type { AccessToken } from '../../kernel/credential.ts'
import type { ClientAuthentication } from './client-authentication.ts'
import { thumbprint } from './thumbprint.ts'

/**
 * What has to be shown beside a token: the certificate of its request, where the token names it (`cnf` with `x5t#S256`, RFC 8705
 * section 3.1). Undefined for a token that counts alone, and for one that is no JWT: it does not tell.
 */
export function boundTo(token: string, authentication: ClientAuthentication): AccessToken['boundTo'] {
  if (authentication.method !== 'tls') return undefined
  const { certificate, privateKey } = authentication
  return confirmationOf(token) === thumbprint(certificate) ? { certificate, privateKey } : undefined
}

function confirmationOf(token: string): unknown {
  try {
    return Object(decodeJwt(token)['cnf'])['x5t#S256']
  } catch {
    return undefined
  }
}
