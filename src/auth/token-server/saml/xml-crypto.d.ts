import type { Element } from './xmldom.d.ts'

/** The little that is used of xml-crypto; its own types bring those of a browser into the whole program. */
export class SignedXml {
  constructor(options: { readonly publicCert: string; readonly getCertFromKeyInfo: () => null })
  idAttributes: string[]
  SignatureAlgorithms: Record<string, unknown>
  HashAlgorithms: Record<string, unknown>
  CanonicalizationAlgorithms: Record<string, unknown>
  loadSignature(signature: Element): void
  checkSignature(xml: string): boolean
  getSignedReferences(): readonly string[]
}
