import { X509Certificate } from 'node:crypto'
import type { Clock } from '../../kernel/time.ts'
import type { CertificateAuthority } from '../certificate-authority.ts'
import { certificateFacts, thumbprintOf } from './client-certificate.ts'
import type { Check, KeyCertificate, RefusalReason } from './model.ts'
import type { ServiceBook } from './service-book.ts'

export interface CertificateCheckParts {
  readonly book: ServiceBook
  readonly authority: Pick<CertificateAuthority, 'isRevoked'>
  /** Authorities (PEM) whose certificates count where a key names only subject and issuer. */
  readonly externalAuthorities: readonly string[]
  readonly clock: Pick<Clock, 'now'>
  readonly checkKey: (clientId: string, keyId: string) => Check
  /** A newer certificate of the same names came: from now on the older ones count no more. */
  readonly takeNewer: (keyId: string, certificate: KeyCertificate) => void
}

/** Makes the check of client certificates: whose key it is, and whether it counts now. */
export function makeCertificateCheck(parts: CertificateCheckParts): (der: Uint8Array) => Check {
  const { book, clock } = parts
  const authorities = parts.externalAuthorities.map(pem => new X509Certificate(pem))

  return der => {
    const pinned = book.byThumbprint(thumbprintOf(der))
    if (pinned) return countPinned(pinned.id, pinned.certificate)
    const x509 = read(der)
    if (!x509) return refused('malformed')
    const key = book.byNames(x509.subject, x509.issuer)
    if (!key?.certificate) return refused('unknown-certificate')
    return countNamed(key.id, key.certificate, x509)
  }

  function countPinned(keyId: string, certificate: KeyCertificate | undefined): Check {
    const kept = book.byKey(keyId)
    if (!kept || !certificate) return refused('unknown-certificate')
    const late = whyNotNow(certificate)
    if (late) return refused(late, keyId)
    if (kept.key.kind === 'certificate' && parts.authority.isRevoked(certificate.serialNumber)) {
      return refused('certificate-revoked', keyId)
    }
    return parts.checkKey(kept.entry.instance.clientId, keyId)
  }

  function countNamed(keyId: string, accepted: KeyCertificate, x509: X509Certificate): Check {
    const given = certificateFacts(x509, false)
    // Names alone prove nothing: whoever issued it must be one that this hub was told to trust, and have signed it.
    const issuer = authorities.find(each => x509.checkIssued(each) && x509.verify(each.publicKey))
    if (!issuer?.ca || whyNotNow(certificateFacts(issuer, false)) || !mayBeClient(x509)) {
      return refused('certificate-untrusted', keyId)
    }
    const late = whyNotNow(given)
    if (late) return refused(late, keyId)
    if (given.notBefore < accepted.notBefore) return refused('certificate-replaced', keyId)
    const kept = book.byKey(keyId)
    if (!kept) return refused('unknown-certificate')
    // The end of such a key is the end of its newest certificate, which this one may be.
    if (given.notBefore > accepted.notBefore && kept.key.revokedAt === undefined) parts.takeNewer(keyId, given)
    else if (given.thumbprint !== accepted.thumbprint && given.notBefore === accepted.notBefore) {
      return refused('certificate-ambiguous', keyId)
    }
    return parts.checkKey(kept.entry.instance.clientId, keyId)
  }

  function whyNotNow({ notBefore, notAfter }: KeyCertificate): RefusalReason | undefined {
    const now = clock.now()
    if (now < notBefore) return 'certificate-not-yet-valid'
    return now > notAfter ? 'certificate-expired' : undefined
  }
}

// RFC 5280 section 4.2.1.12: without the extension any use is allowed.
const clientAuth = '1.3.6.1.5.5.7.3.2'

function mayBeClient(x509: X509Certificate): boolean {
  return !x509.ca && (x509.keyUsage === undefined || x509.keyUsage.includes(clientAuth))
}

function read(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der)
  } catch {
    // It came out of a handshake, so it is one; a caller of the model may pass anything.
    return undefined
  }
}

function refused(reason: RefusalReason, keyId?: string): Check {
  return { ok: false, reason, ...(keyId !== undefined && { keyId }) }
}
