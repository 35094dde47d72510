import { createHash, createSign, randomBytes, X509Certificate } from 'node:crypto'
import { SECOND } from '../../kernel/time.ts'

/** What an assertion says, and who signs it. PEM texts; the key is RSA. */
export interface AssertionWish {
  readonly issuer: string
  readonly subject: string
  readonly nameIdFormat: string
  readonly audience: string
  /** The token endpoint that may take it. */
  readonly recipient: string
  readonly lifeMs: number
  readonly attributes: Readonly<Record<string, string>>
  readonly certificate: string
  readonly privateKey: string
}

const saml = 'urn:oasis:names:tc:SAML:2.0:assertion'
const ds = 'http://www.w3.org/2000/09/xmldsig#'
const exclusive = 'http://www.w3.org/2001/10/xml-exc-c14n#'
const rsaSha256 = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'
const sha256 = 'http://www.w3.org/2001/04/xmlenc#sha256'
/** Clocks differ; an assertion that is not valid yet is refused for good. */
const earlierMs = 30 * SECOND

/**
 * A signed bearer assertion (SAML 2.0; RFC 7522 section 3), used once. It is written right away as exclusive
 * canonicalisation (RFC 3741) would write it: attributes in order, no empty tags, its own escapes. What is hashed and
 * signed are then the very bytes that are sent, and nothing has to parse or rewrite them.
 */
export function signAssertion(wish: AssertionWish, now: number): string {
  const id = `_${randomBytes(20).toString('hex')}`
  const bare = assertionText(wish, id, now, '')
  const signedInfo = (declaration: string) =>
    tag(`ds:SignedInfo${declaration}`, [
      tag(`ds:CanonicalizationMethod Algorithm="${exclusive}"`),
      tag(`ds:SignatureMethod Algorithm="${rsaSha256}"`),
      tag(`ds:Reference URI="#${id}"`, [
        tag('ds:Transforms', [
          tag(`ds:Transform Algorithm="${ds}enveloped-signature"`),
          tag(`ds:Transform Algorithm="${exclusive}"`),
        ]),
        tag(`ds:DigestMethod Algorithm="${sha256}"`),
        tag('ds:DigestValue', [createHash('sha256').update(bare).digest('base64')]),
      ]),
    ])
  // Cut out of the signature, SignedInfo declares the prefix itself (RFC 3741 section 3).
  const value = createSign('RSA-SHA256')
    .update(signedInfo(` xmlns:ds="${ds}"`))
    .sign(wish.privateKey, 'base64')
  const certificate = new X509Certificate(wish.certificate).raw.toString('base64')
  const signature = tag(`ds:Signature xmlns:ds="${ds}"`, [
    signedInfo(''),
    tag('ds:SignatureValue', [value]),
    tag('ds:KeyInfo', [tag('ds:X509Data', [tag('ds:X509Certificate', [certificate])])]),
  ])
  return assertionText(wish, id, now, signature)
}

function assertionText(wish: AssertionWish, id: string, now: number, signature: string): string {
  const issuedAt = time(now)
  const until = time(now + wish.lifeMs)
  const attributes = Object.entries(wish.attributes).map(([name, value]) =>
    tag(`saml:Attribute Name="${quoted(name)}"`, [tag('saml:AttributeValue', [escaped(value)])]),
  )
  return tag(`saml:Assertion xmlns:saml="${saml}" ID="${id}" IssueInstant="${issuedAt}" Version="2.0"`, [
    tag('saml:Issuer', [escaped(wish.issuer)]),
    signature,
    tag('saml:Subject', [
      tag(`saml:NameID Format="${quoted(wish.nameIdFormat)}"`, [escaped(wish.subject)]),
      tag('saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"', [
        tag(`saml:SubjectConfirmationData NotOnOrAfter="${until}" Recipient="${quoted(wish.recipient)}"`),
      ]),
    ]),
    tag(`saml:Conditions NotBefore="${time(now - earlierMs)}" NotOnOrAfter="${until}"`, [
      tag('saml:AudienceRestriction', [tag('saml:Audience', [escaped(wish.audience)])]),
    ]),
    tag(`saml:AuthnStatement AuthnInstant="${issuedAt}"`, [
      tag('saml:AuthnContext', [
        tag('saml:AuthnContextClassRef', ['urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified']),
      ]),
    ]),
    ...(attributes.length > 0 ? [tag('saml:AttributeStatement', attributes)] : []),
  ])
}

function tag(head: string, inside: readonly string[] = []): string {
  const [name = ''] = head.split(' ', 1)
  return `<${head}>${inside.join('')}</${name}>`
}

function time(at: number): string {
  return new Date(at).toISOString()
}

// RFC 3741 by way of Canonical XML 1.0 section 2.3: what is escaped in texts, and what in attributes.
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('\r', '&#xD;')
}

function quoted(text: string): string {
  const inText = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
  return inText.replaceAll('\t', '&#x9;').replaceAll('\n', '&#xA;').replaceAll('\r', '&#xD;')
}
