import { createPrivateKey, X509Certificate } from 'node:crypto'
import { thumbprint } from '../protocols/oauth/thumbprint.ts'

/** What people want to know of a certificate. Times are milliseconds since 1970 UTC. */
export interface CertificateFacts {
  readonly subject: string
  readonly issuer: string
  readonly notBefore: number
  readonly endsAt: number
  /** base64url of the SHA-256 of its DER form. */
  readonly thumbprint: string
}

const certificatesMax = 10

/** The facts of the first certificate of a PEM text; undefined for a text that was kept before such were checked. */
export function certificateFacts(pem: string): CertificateFacts | undefined {
  try {
    const certificate = new X509Certificate(pem)
    return {
      subject: inOneLine(certificate.subject),
      issuer: inOneLine(certificate.issuer),
      notBefore: certificate.validFromDate.getTime(),
      endsAt: certificate.validToDate.getTime(),
      thumbprint: thumbprint(pem),
    }
  } catch {
    // The first use of the credential says what is wrong with it.
    return undefined
  }
}

/** Why a certificate (with those that lead to its authority) and a key are no pair; undefined when they are one. */
export function keyPairProblem(pem: string, privateKey: string): string | undefined {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(privateKey)) {
    return 'the private key is encrypted; give it without its passphrase, the hub seals it'
  }
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) return 'the certificate is not PEM'
  if (blocks.length > certificatesMax) return `more than ${certificatesMax} certificates stand one after the other`
  try {
    const chain = blocks.map(block => new X509Certificate(block))
    const [own] = chain
    if (!own?.checkPrivateKey(createPrivateKey(privateKey))) return 'the private key is of another certificate'
    const gap = chain.findIndex((certificate, index) => {
      const issuer = chain[index + 1]
      return issuer !== undefined && !certificate.checkIssued(issuer)
    })
    return gap < 0 ? undefined : `certificate ${gap + 2} did not issue the one before it`
  } catch (thrown) {
    return `certificate or private key is not PEM (${thrown instanceof Error ? thrown.message : String(thrown)})`
  }
}

function inOneLine(name: string): string {
  return name.split('\n').join(', ')
}
