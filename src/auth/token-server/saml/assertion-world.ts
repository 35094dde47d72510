import { createHash, createSign, randomBytes } from 'node:crypto'

const ds = 'http://www.w3.org/2000/09/xmldsig#'
const saml = 'urn:oasis:names:tc:SAML:2.0:assertion'
const exclusive = 'http://www.w3.org/2001/10/xml-exc-c14n#'

/** What an assertion says; each default makes it a good one for the token server at `issuer`. */
export interface AssertionParts {
  readonly id?: string
  readonly idp?: string
  readonly subject?: string
  readonly recipient?: string
  readonly audience?: string
  /** Milliseconds since 1970. */
  readonly now?: number
  readonly until?: number
  readonly notBefore?: number
  /** XML instead of the ordinary. */
  readonly subjectXml?: string
  readonly conditionsXml?: string
  readonly moreXml?: string
}

const time = (at: number) => new Date(at).toISOString()

/**
 * An assertion without signature, spelled as exclusive canonicalization would write it: attributes in order, no empty
 * elements. So its digest can be worked out with a hash alone, without the library that the product checks it with.
 */
export function assertionXml(issuer: string, parts: AssertionParts = {}, signature = ''): string {
  const now = parts.now ?? Date.now()
  const until = time(parts.until ?? now + 300_000)
  const recipient = parts.recipient ?? `${issuer}/oauth/token`
  const notBefore = parts.notBefore === undefined ? '' : ` NotBefore="${time(parts.notBefore)}"`
  const subject =
    parts.subjectXml ??
    `<saml:NameID>${parts.subject ?? 'anna@corp'}</saml:NameID>` +
      '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">' +
      `<saml:SubjectConfirmationData NotOnOrAfter="${until}" Recipient="${recipient}"></saml:SubjectConfirmationData>` +
      '</saml:SubjectConfirmation>'
  const conditions =
    parts.conditionsXml ??
    `<saml:Conditions${notBefore} NotOnOrAfter="${until}"><saml:AudienceRestriction>` +
      `<saml:Audience>${parts.audience ?? issuer}</saml:Audience></saml:AudienceRestriction></saml:Conditions>`
  return (
    `<saml:Assertion xmlns:saml="${saml}" ID="${parts.id ?? '_a1'}" IssueInstant="${time(now)}" Version="2.0">` +
    `<saml:Issuer>${parts.idp ?? 'https://idp.example'}</saml:Issuer>${signature}` +
    `<saml:Subject>${subject}</saml:Subject>${conditions}${parts.moreXml ?? ''}` +
    `<saml:AuthnStatement AuthnInstant="${time(now)}"></saml:AuthnStatement></saml:Assertion>`
  )
}

export interface SignOptions {
  readonly uri?: string
  readonly digest?: 'sha1' | 'sha256' | 'sha512'
  readonly method?: string
  readonly keyInfo?: string
  readonly transforms?: readonly string[]
  /** Changed after the signature was made. */
  readonly tamper?: (signedInfo: string) => string
  readonly signatureValue?: (signedInfo: string) => string
}

const digestNames = {
  sha1: `${ds}sha1`,
  sha256: 'http://www.w3.org/2001/04/xmlenc#sha256',
  sha512: 'http://www.w3.org/2001/04/xmlenc#sha512',
}

/** An enveloped signature over the canonical text. */
export function signatureXml(privateKey: string, id: string, canonical: string, options: SignOptions = {}): string {
  const { digest = 'sha256', transforms = [`${ds}enveloped-signature`, exclusive] } = options
  const method = options.method ?? 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'
  const body =
    `<ds:CanonicalizationMethod Algorithm="${exclusive}"></ds:CanonicalizationMethod>` +
    `<ds:SignatureMethod Algorithm="${method}"></ds:SignatureMethod>` +
    `<ds:Reference URI="${options.uri ?? `#${id}`}"><ds:Transforms>` +
    transforms.map(each => `<ds:Transform Algorithm="${each}"></ds:Transform>`).join('') +
    `</ds:Transforms><ds:DigestMethod Algorithm="${digestNames[digest]}"></ds:DigestMethod>` +
    `<ds:DigestValue>${createHash(digest).update(canonical).digest('base64')}</ds:DigestValue></ds:Reference>`
  const signedInfo = `<ds:SignedInfo xmlns:ds="${ds}">${body}</ds:SignedInfo>`
  const hash = method.endsWith('sha1') ? 'RSA-SHA1' : method.endsWith('sha512') ? 'RSA-SHA512' : 'RSA-SHA256'
  const value = options.signatureValue?.(signedInfo) ?? createSign(hash).update(signedInfo).sign(privateKey, 'base64')
  const shown = options.tamper?.(signedInfo) ?? signedInfo
  return (
    `<ds:Signature xmlns:ds="${ds}">${shown}<ds:SignatureValue>${value}</ds:SignatureValue>` +
    `${options.keyInfo ?? ''}</ds:Signature>`
  )
}

/** A signed assertion as text. */
export function signedAssertion(
  privateKey: string,
  issuer: string,
  parts: AssertionParts = {},
  options: SignOptions = {},
): string {
  const named = { id: `_${randomBytes(8).toString('hex')}`, now: Date.now(), ...parts }
  return assertionXml(issuer, named, signatureXml(privateKey, named.id, assertionXml(issuer, named), options))
}
