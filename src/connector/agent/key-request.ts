import { webcrypto } from 'node:crypto'
import { PemConverter, Pkcs10CertificateRequestGenerator } from '../../auth/x509.ts'

export interface KeyRequest {
  /** PKCS #8, PEM. */
  readonly key: string
  /** PKCS #10, PEM. */
  readonly csr: string
}

/** A fresh P-256 key and the request for its certificate; the name in it is for people, the hub gives its own. */
export async function makeKeyRequest(name: string): Promise<KeyRequest> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys,
    signingAlgorithm: algorithm,
  })
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return { key: PemConverter.encode(pkcs8, 'PRIVATE KEY'), csr: request.toString('pem') }
}
