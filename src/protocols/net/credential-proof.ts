import type { CredentialValue } from '../../kernel/credential.ts'
import type { TlsWish } from '../../kernel/socket.ts'

/** How a credential shows itself in HTTP. */
export interface CredentialProof {
  /** Header name in lower case, and its value; undefined without one. */
  readonly header: readonly [name: string, value: string] | undefined
  /** The token that was used, so that a refused one can be replaced. */
  readonly token: string | undefined
  /** What is shown in the TLS handshake; undefined without one. */
  readonly certificate: Pick<TlsWish, 'cert' | 'key'> | undefined
}

export const noProof: CredentialProof = { header: undefined, token: undefined, certificate: undefined }

/** The proof of a credential, or undefined when its kind has none in HTTP. `refused`: a token just not taken. */
export async function proofOf(value: CredentialValue, refused?: string): Promise<CredentialProof | undefined> {
  switch (value.kind) {
    case 'basic': {
      const pair = Buffer.from(`${value.user}:${value.password}`).toString('base64')
      return { ...noProof, header: ['authorization', `Basic ${pair}`] }
    }
    case 'secret':
      return { ...noProof, header: ['authorization', `Bearer ${value.secret}`] }
    case 'oauth2': {
      const { value: token, boundTo } = await value.token(refused)
      const certificate = boundTo && { cert: boundTo.certificate, key: boundTo.privateKey }
      return { header: ['authorization', `Bearer ${token}`], token, certificate }
    }
    case 'certificate':
      return { ...noProof, certificate: { cert: value.certificate, key: value.privateKey } }
    case 'known-hosts':
      return undefined
  }
}
