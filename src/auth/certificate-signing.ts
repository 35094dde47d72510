import { randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from './x509.ts'

/** What a certificate is shown for: `client` when its holder connects to the hub, `server` when the hub listens. */
export type CertificateUsage = 'client' | 'server'

export interface CertificateSubject {
  /** CN */
  readonly name: string
  /** OU */
  readonly unit?: string | undefined
}

interface Validity {
  readonly notBefore: Date
  readonly notAfter: Date
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** A self-signed authority (P-256) that may sign leaves only. PEM texts. */
export async function makeAuthority(
  subject: CertificateSubject,
  validity: Validity,
): Promise<{ certificate: string; key: string }> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: makeSerial(),
    name: nameOf(subject),
    keys,
    signingAlgorithm: algorithm,
    ...validity,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return { certificate: pemOf(certificate.rawData), key: PemConverter.encode(pkcs8, 'PRIVATE KEY') }
}

export interface SigningRequest extends Validity {
  readonly serial: string
  readonly subject: CertificateSubject
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array<ArrayBuffer>
  readonly usage: CertificateUsage
  /** DNS names and addresses of a server. */
  readonly hosts: readonly string[]
}

/** Signs with an authority (its certificate and key as PEM) and returns the certificate as PEM. */
export async function signCertificate(
  authority: { readonly certificate: string; readonly key: string },
  { serial, subject, publicKey, usage, hosts, notBefore, notAfter }: SigningRequest,
): Promise<string> {
  const issuer = new X509Certificate(authority.certificate)
  const issuerSpki = new Uint8Array(issuer.publicKey.export({ type: 'spki', format: 'der' }))
  const pkcs8 = PemConverter.decodeFirst(authority.key)
  const signingKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign'])
  const { serverAuth, clientAuth } = ExtendedKeyUsage
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serial,
    subject: nameOf(subject),
    issuer: nameOf(subjectOf(issuer)),
    publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    notBefore,
    notAfter,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([usage === 'server' ? serverAuth : clientAuth]),
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(issuerSpki),
      ...(hosts.length > 0 ? [alternativeNames(hosts)] : []),
    ],
  })
  return pemOf(certificate.rawData)
}

/** 127 random bits as 32 hexadecimal digits, positive and never with a leading zero (RFC 5280 section 4.1.2.2). */
export function makeSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return bytes.toString('hex')
}

/** CN and OU of a certificate as node shows them: one `key=value` a line. */
export function subjectOf(certificate: X509Certificate): CertificateSubject {
  const find = (key: string) =>
    certificate.subject
      .split('\n')
      .find(line => line.startsWith(`${key}=`))
      ?.slice(key.length + 1)
  return { name: find('CN') ?? '', unit: find('OU') }
}

function nameOf({ name, unit }: CertificateSubject): Name {
  // As values, not as text: a comma or a # in a name is part of the name.
  return new Name([...(unit === undefined ? [] : [{ OU: [{ utf8String: unit }] }]), { CN: [{ utf8String: name }] }])
}

function alternativeNames(hosts: readonly string[]): SubjectAlternativeNameExtension {
  return new SubjectAlternativeNameExtension(hosts.map(value => ({ type: isIP(value) ? 'ip' : 'dns', value })))
}

function pemOf(der: ArrayBuffer): string {
  return `${PemConverter.encode(der, 'CERTIFICATE').trim()}\n`
}
