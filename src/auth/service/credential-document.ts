import type { CredentialDocument, KeyCertificate, ServiceInstance, ServiceKey } from './model.ts'

/** Where callers reach the hub. */
export interface HubAddresses {
  /** Base of the flow endpoints, without a slash at the end. */
  readonly url: string
  readonly tokenUrl: string
}

export interface Proof {
  readonly secret?: string
  /** PEM */
  readonly certificate?: string
  /** PEM; only where the hub made the key. */
  readonly privateKey?: string
}

/** What the caller gets, member for member as SAP's service keys have it, so that tools made for those read it. */
export function credentialDocument(
  instance: ServiceInstance,
  key: ServiceKey,
  proof: Proof,
  { url, tokenUrl }: HubAddresses,
): CredentialDocument {
  return {
    oauth: {
      clientid: instance.clientId,
      ...(proof.secret !== undefined && { clientsecret: proof.secret }),
      url,
      tokenurl: tokenUrl,
      createdate: withoutFraction(key.createdAt),
      ...(proof.certificate !== undefined && { certificate: proof.certificate }),
      ...(proof.privateKey !== undefined && { key: proof.privateKey }),
      ...(key.expiresAt !== undefined && { expirationdate: withoutFraction(key.expiresAt) }),
      ...(key.certificate && { certificatedetails: detailsOf(key.certificate) }),
    },
    keyId: key.id,
    ...(key.expiresAt !== undefined && { expiresAt: new Date(key.expiresAt).toISOString() }),
  }
}

function detailsOf({ issuer, subject, notAfter, serialNumber }: KeyCertificate) {
  return {
    issuerdn: inOneLine(issuer),
    subjectdn: inOneLine(subject),
    validuntil: new Date(notAfter).toISOString(),
    serialnumber: `0x${serialNumber}`,
  }
}

/** Node prints one attribute a line, the outermost first; a distinguished name begins with the innermost (RFC 4514). */
export function inOneLine(name: string): string {
  return name.split('\n').toReversed().join(',')
}

function withoutFraction(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')
}
