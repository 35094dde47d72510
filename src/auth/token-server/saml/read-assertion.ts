import { tokenLimits } from '../token-limits.ts'
import type { TrustedIssuer } from '../trusted-issuers.ts'
import { signedBytes } from './check-signature.ts'
import { AssertionRefused } from './refused.ts'
import { childrenOf, onlyChild, parseStrictXml, type XmlElement } from './strict-xml.ts'

const saml = 'urn:oasis:names:tc:SAML:2.0:assertion'
const bearer = 'urn:oasis:names:tc:SAML:2.0:cm:bearer'
const subjectLettersMax = 255

interface Expected {
  readonly trusted: readonly TrustedIssuer[]
  /** Address of the token endpoint. */
  readonly recipient: string
  readonly audience: string
  readonly now: number
}

interface ReadAssertion {
  readonly id: string
  readonly subject: string
  readonly trustedIssuer: TrustedIssuer
  /** When it ends, in milliseconds since 1970. */
  readonly until: number
}

/**
 * Reads a bearer assertion (RFC 7522 section 3) from the bytes that its issuer signed. `encoded` is base64url. Throws
 * AssertionRefused with the reason. That it is used once is up to the caller.
 */
export function readAssertion(encoded: string, expected: Expected): ReadAssertion {
  const text = decode(encoded)
  const unproven = parseStrictXml(text)
  if (unproven.namespace !== saml || unproven.name !== 'Assertion') throw new AssertionRefused('it is no assertion')
  // Which certificates to try is all that is taken from what is not proven yet.
  const claimed = onlyChild(unproven, saml, 'Issuer').text.trim()
  const trustedIssuer = expected.trusted.find(({ issuer }) => issuer === claimed)
  if (!trustedIssuer || trustedIssuer.samlCertificates.length === 0) {
    throw new AssertionRefused('nobody trusts its issuer')
  }
  const assertion = parseStrictXml(signedBytes(text, unproven, trustedIssuer.samlCertificates))
  if (assertion.namespace !== saml || assertion.name !== 'Assertion') throw new AssertionRefused('it is no assertion')
  if (assertion.attributes.get('Version') !== '2.0') throw new AssertionRefused('its version is not 2.0')
  if (onlyChild(assertion, saml, 'Issuer').text.trim() !== trustedIssuer.issuer) {
    throw new AssertionRefused('its issuer is another one')
  }
  const issuedAt = readTime(assertion, 'IssueInstant')
  if (issuedAt === undefined || issuedAt > expected.now + tokenLimits.clockSkewMs) {
    throw new AssertionRefused('it was issued in the future')
  }
  const conditionsEnd = checkConditions(onlyChild(assertion, saml, 'Conditions'), expected)
  const { subject, end } = checkSubject(onlyChild(assertion, saml, 'Subject'), expected)
  const until = Math.min(conditionsEnd, end)
  if (until > expected.now + tokenLimits.assertionMsMax) throw new AssertionRefused('it is valid for too long')
  return { id: assertion.attributes.get('ID') ?? '', subject, trustedIssuer, until }
}

function decode(encoded: string): string {
  if (!/^[A-Za-z0-9_+/-]+={0,2}$/.test(encoded)) throw new AssertionRefused('it is not base64url')
  const bytes = Buffer.from(encoded, 'base64url')
  if (bytes.length > tokenLimits.assertionBytes) throw new AssertionRefused('it is too large')
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new AssertionRefused('it is not UTF-8', { cause })
  }
}

/** Returns when the conditions end. */
function checkConditions(conditions: XmlElement, { now, audience }: Expected): number {
  const known = new Set(['AudienceRestriction', 'OneTimeUse'])
  // A condition that nobody here understands makes the assertion indeterminate (SAML core section 2.5.1).
  const foreign = conditions.children.find(({ namespace, name }) => namespace !== saml || !known.has(name))
  if (foreign) throw new AssertionRefused(`its condition ${foreign.name} is not understood`)
  const from = readTime(conditions, 'NotBefore')
  if (from !== undefined && from > now + tokenLimits.clockSkewMs) throw new AssertionRefused('it is not valid yet')
  const restrictions = childrenOf(conditions, saml, 'AudienceRestriction')
  const isMeantForUs = restrictions.every(restriction =>
    childrenOf(restriction, saml, 'Audience').some(({ text }) => text.trim() === audience),
  )
  if (restrictions.length === 0 || !isMeantForUs) throw new AssertionRefused('it is meant for somebody else')
  return readEnd(conditions, now)
}

function checkSubject(
  subject: XmlElement,
  { now, recipient }: Expected,
): { readonly subject: string; readonly end: number } {
  const nameId = onlyChild(subject, saml, 'NameID')
  const name = nameId.text
  if (nameId.children.length > 0 || name.trim() !== name || name === '' || name.length > subjectLettersMax) {
    throw new AssertionRefused('its NameID is unusable')
  }
  const ends = childrenOf(subject, saml, 'SubjectConfirmation')
    .filter(({ attributes }) => attributes.get('Method') === bearer)
    .flatMap(confirmation => {
      const data = onlyChild(confirmation, saml, 'SubjectConfirmationData')
      if (data.attributes.get('Recipient') !== recipient) return []
      // RFC 7522 section 3 (5): a time before which a bearer must not show it makes no sense.
      if (data.attributes.has('NotBefore')) throw new AssertionRefused('its confirmation has a NotBefore')
      return [readEnd(data, now)]
    })
  if (ends.length !== 1) throw new AssertionRefused('no bearer confirmation names this token endpoint')
  return { subject: name, end: ends[0] ?? 0 }
}

function readEnd(element: XmlElement, now: number): number {
  const end = readTime(element, 'NotOnOrAfter')
  if (end === undefined) throw new AssertionRefused(`${element.name} has no end`)
  if (end + tokenLimits.clockSkewMs <= now) throw new AssertionRefused('it has expired')
  return end
}

/** SAML core section 1.3.3: UTC, written with Z. */
function readTime({ attributes }: XmlElement, name: string): number | undefined {
  const text = attributes.get(name)
  if (text === undefined) return undefined
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at)) throw new AssertionRefused(`${name} is no time in UTC`)
  return at
}
