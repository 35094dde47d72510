import { createHash, X509Certificate } from 'node:crypto'

/** base64url of the SHA-256 over the DER form of a PEM certificate. */
export function thumbprint(certificate: string): string {
  return createHash('sha256').update(new X509Certificate(certificate).raw).digest('base64url')
}
