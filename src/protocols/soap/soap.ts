import { MiB } from '../../kernel/size.ts'
import type { XmlElement } from '../xml/xml-element.ts'

export type SoapVersion = '1.1' | '1.2'

export const soapNamespaces: Readonly<Record<SoapVersion, string>> = {
  '1.1': 'http://schemas.xmlsoap.org/soap/envelope/',
  '1.2': 'http://www.w3.org/2003/05/soap-envelope',
}

/** Media types of envelopes (SOAP 1.1 section 6.1, RFC 3902). */
export const soapTypes: Readonly<Record<SoapVersion, string>> = {
  '1.1': 'text/xml; charset=utf-8',
  '1.2': 'application/soap+xml; charset=utf-8',
}

/** WS-Addressing 1.0 and the submission before it, which systems of SAP still send. */
export const addressingNamespaces: ReadonlySet<string> = new Set([
  'http://www.w3.org/2005/08/addressing',
  'http://schemas.xmlsoap.org/ws/2004/08/addressing',
])

/** Those who read a header beside whoever it names: the next one on the way, and the last one. */
const ownRoles: ReadonlySet<string> = new Set([
  '',
  'http://schemas.xmlsoap.org/soap/actor/next',
  'http://www.w3.org/2003/05/soap-envelope/role/next',
  'http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver',
])

/** A header that makes a message refused where it is not understood; one for somebody else on the way is not ours (SOAP 1.1 section 4.2.2). */
export function mustBeUnderstood({ attributes }: Pick<XmlElement, 'attributes'>): boolean {
  const must = attributes.get('mustUnderstand')
  const role = attributes.get('actor') ?? attributes.get('role') ?? ''
  return (must === '1' || must === 'true') && ownRoles.has(role.trim())
}

export const soapLimits = {
  /** Letters of an envelope before its payload begins. */
  headerLength: 1 * MiB,
} as const

export interface SoapFault {
  /** `Client`, `Server`, `MustUnderstand`, … as SOAP 1.1 calls them; those of 1.2 are translated. */
  readonly code: string
  readonly text: string
  readonly detail: XmlElement | undefined
}

/** A SOAP message whose header was read; its payload is still on its way. */
export interface SoapMessage {
  readonly version: SoapVersion
  readonly headers: readonly XmlElement[]
  /** The element in the body; undefined for an empty body, and for a fault. */
  readonly payload: { readonly name: string; readonly namespace: string } | undefined
  readonly fault: SoapFault | undefined
  /**
   * The payload as a document of its own in UTF-8, with the namespaces of the envelope around it. Reads the message to
   * its end and throws when it is broken there. To be read once.
   */
  document(): AsyncIterable<Uint8Array>
}
