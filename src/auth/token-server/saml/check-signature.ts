import { DOMParser } from '@xmldom/xmldom'
import { SignedXml } from 'xml-crypto'
import { AssertionRefused } from './refused.ts'
import { childrenOf, everyElement, onlyChild, type XmlElement } from './strict-xml.ts'

const ds = 'http://www.w3.org/2000/09/xmldsig#'
const exclusiveC14n = 'http://www.w3.org/2001/10/xml-exc-c14n#'
const enveloped = `${ds}enveloped-signature`
const signatureMethods = new Set([
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512',
])
const digestMethods = new Set(['http://www.w3.org/2001/04/xmlenc#sha256', 'http://www.w3.org/2001/04/xmlenc#sha512'])

/**
 * The bytes that one of the certificates signed: the whole root element without its signature, in canonical form. Who
 * reads anything else than these reads what somebody may have put beside them. Throws AssertionRefused.
 *
 * The shape is checked first, against the ways to make a verifier and a reader look at different elements (signature
 * wrapping): one signature, directly in the root; one reference, to the root; ids that are unique.
 */
export function signedBytes(text: string, root: XmlElement, certificates: readonly string[]): string {
  checkShape(root)
  for (const certificate of certificates) {
    const signed = verify(text, certificate)
    if (signed !== undefined) return signed
  }
  throw new AssertionRefused('no certificate of its issuer made its signature')
}

function checkShape(root: XmlElement): void {
  const id = root.attributes.get('ID') ?? ''
  if (!/^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/.test(id)) throw new AssertionRefused('its ID is no name')
  const all = [...everyElement(root)]
  const ids = all.flatMap(({ attributes }) => [...attributes].filter(([name]) => /(^|\})id$/i.test(name)))
  if (new Set(ids.map(([, value]) => value)).size < ids.length) throw new AssertionRefused('an ID stands in it twice')
  const signatures = all.filter(each => each.name === 'Signature')
  const [signature] = childrenOf(root, ds, 'Signature')
  if (!signature || signatures.length !== 1) throw new AssertionRefused('it does not have one signature of its own')
  expectChildren(signature, ['SignedInfo', 'SignatureValue'], ['KeyInfo'])
  const signedInfo = onlyChild(signature, ds, 'SignedInfo')
  expectChildren(signedInfo, ['CanonicalizationMethod', 'SignatureMethod', 'Reference'])
  const reference = onlyChild(signedInfo, ds, 'Reference')
  expectChildren(reference, ['Transforms', 'DigestMethod', 'DigestValue'])
  if (reference.attributes.get('URI') !== `#${id}`) throw new AssertionRefused('its signature is about something else')
  const transforms = onlyChild(reference, ds, 'Transforms')
  expectChildren(transforms, ['Transform', 'Transform'])
  const steps = transforms.children.map(algorithmOf)
  if (steps[0] !== enveloped || steps[1] !== exclusiveC14n) throw new AssertionRefused('its transforms are unusual')
  const canonical = algorithmOf(onlyChild(signedInfo, ds, 'CanonicalizationMethod'))
  if (canonical !== exclusiveC14n) throw new AssertionRefused('its canonical form is unusual')
  if (!signatureMethods.has(algorithmOf(onlyChild(signedInfo, ds, 'SignatureMethod')))) {
    throw new AssertionRefused('its signature method is not accepted')
  }
  if (!digestMethods.has(algorithmOf(onlyChild(reference, ds, 'DigestMethod')))) {
    throw new AssertionRefused('its digest method is not accepted')
  }
}

/** These children in this order, then at most the optional ones, all of XML Signature. */
function expectChildren(element: XmlElement, names: readonly string[], optional: readonly string[] = []): void {
  const found = element.children.map(({ namespace, name }) => (namespace === ds ? name : 'foreign'))
  const rest = found.slice(names.length)
  const isAsExpected =
    names.every((name, index) => found[index] === name) &&
    rest.length <= optional.length &&
    rest.every(name => optional.includes(name))
  if (!isAsExpected) throw new AssertionRefused(`${element.name} in its signature has an unusual shape`)
}

function algorithmOf(element: XmlElement): string {
  return element.attributes.get('Algorithm') ?? ''
}

/** Undefined when this certificate did not make the signature. */
function verify(text: string, certificate: string): string | undefined {
  const errorHandler = (level: string, problem: string) => {
    throw new AssertionRefused(`its XML is broken (${level}): ${problem}`)
  }
  const { documentElement } = new DOMParser({ errorHandler }).parseFromString(text, 'text/xml')
  const { childNodes } = documentElement
  const children = Array.from({ length: childNodes.length }, (_none, index) => childNodes.item(index))
  const signature = children.find(child => child.localName === 'Signature' && child.namespaceURI === ds)
  if (!signature) throw new AssertionRefused('it does not have one signature of its own')
  // The key comes from the configuration; what the document says in KeyInfo is the word of whoever wrote it.
  const signed = new SignedXml({ publicCert: certificate, getCertFromKeyInfo: () => null })
  signed.idAttributes = ['ID']
  signed.SignatureAlgorithms = only(signed.SignatureAlgorithms, signatureMethods)
  signed.HashAlgorithms = only(signed.HashAlgorithms, digestMethods)
  signed.CanonicalizationAlgorithms = only(signed.CanonicalizationAlgorithms, new Set([enveloped, exclusiveC14n]))
  try {
    signed.loadSignature(signature)
    if (!signed.checkSignature(text)) return undefined
  } catch (thrown) {
    // xml-crypto throws for a wrong signature and for one that it cannot read: neither is one of this certificate.
    if (thrown instanceof Error) return undefined
    throw thrown
  }
  const references = signed.getSignedReferences()
  return references.length === 1 ? references[0] : undefined
}

function only(algorithms: Record<string, unknown>, allowed: ReadonlySet<string>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(algorithms).filter(([name]) => allowed.has(name)))
}
