import { createHash, type X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { KeyCertificate } from './model.ts'

/** The client certificate of the connection in DER form, where one was shown; the handshake proved its key. */
export function clientCertificateOf(incoming: IncomingMessage): Uint8Array | undefined {
  const { socket } = incoming
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.raw : undefined
}

/** `x5t#S256`: base64url of the SHA-256 of the DER form (RFC 8705 section 3.1). */
export function thumbprintOf(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('base64url')
}

/** What is kept of a certificate. */
export function certificateFacts(x509: X509Certificate, isPinned: boolean): KeyCertificate {
  return {
    subject: x509.subject,
    issuer: x509.issuer,
    serialNumber: x509.serialNumber,
    notBefore: x509.validFromDate.getTime(),
    notAfter: x509.validToDate.getTime(),
    thumbprint: thumbprintOf(x509.raw),
    rsaBits: x509.publicKey.asymmetricKeyDetails?.modulusLength,
    isPinned,
  }
}
