import { createPrivateKey, type webcrypto, X509Certificate } from 'node:crypto'
import {
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  modifyAssertion,
  None,
  PrivateKeyJwt,
  TlsClientAuth,
} from 'oauth4webapi'
import { thumbprint } from './thumbprint.ts'

/** How the hub proves to a token endpoint which application it is. */
export type ClientAuthentication =
  | { readonly method: 'none' }
  | { readonly method: 'body'; readonly secret: string }
  /** HTTP Basic with both parts form-encoded (RFC 6749 section 2.3.1). */
  | { readonly method: 'header'; readonly secret: string }
  /** HTTP Basic with both parts as they are, for servers that do not decode (Cloud Foundry UAA by default). */
  | { readonly method: 'header-as-is'; readonly secret: string }
  /** RFC 7523 section 2.2 with PS256 and `x5t#S256`, as Entra wants it. PEM texts. */
  | {
      readonly method: 'certificate'
      readonly certificate: string
      readonly privateKey: string
      /** `aud` of the assertion; the token URL where it is left out. */
      readonly audience?: string | undefined
    }
  /** RFC 8705 section 2: shown in the TLS handshake, and only the client id is in the body. PEM texts. */
  | { readonly method: 'tls'; readonly certificate: string; readonly privateKey: string }

/** The function that adds client authentication to a request. */
export async function clientAuth(authentication: ClientAuthentication, tokenUrl: string): Promise<ClientAuth> {
  if (authentication.method === 'none') return None()
  if (authentication.method === 'tls') return TlsClientAuth()
  if (authentication.method === 'body') return ClientSecretPost(authentication.secret)
  if (authentication.method === 'header') return ClientSecretBasic(authentication.secret)
  if (authentication.method === 'header-as-is') {
    return (_server, client, _body, headers) => {
      const pair = Buffer.from(`${client.client_id}:${authentication.secret}`).toString('base64')
      headers.set('authorization', `Basic ${pair}`)
    }
  }
  return PrivateKeyJwt(await importKey(authentication.privateKey), {
    [modifyAssertion](header, payload) {
      header['typ'] = 'JWT'
      header['x5t#S256'] = thumbprint(authentication.certificate)
      payload['aud'] = authentication.audience ?? tokenUrl
    },
  })
}

/** Why a certificate and a key cannot be used for signing in; undefined when they can. */
export function certificateProblem(certificate: string, privateKey: string): string | undefined {
  try {
    const key = createPrivateKey(privateKey)
    if (key.asymmetricKeyType !== 'rsa') return 'the private key is not an RSA key'
    return new X509Certificate(certificate).checkPrivateKey(key)
      ? undefined
      : 'the private key is of another certificate'
  } catch (thrown) {
    return `certificate or private key is not PEM (${thrown instanceof Error ? thrown.message : String(thrown)})`
  }
}

function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(pem).export({ format: 'der', type: 'pkcs8' })
  return crypto.subtle.importKey('pkcs8', der, { name: 'RSA-PSS', hash: 'SHA-256' }, false, ['sign'])
}
