import { HubError } from '../../kernel/error.ts'
import { decodeXmlBytes } from '../xml/decode-xml.ts'
import { escapeText } from '../xml/write-xml.ts'
import { createXmlReader } from '../xml/xml-reader.ts'
import { soapMessageErrors } from './errors.ts'
import { type SoapVersion, soapNamespaces } from './soap.ts'

/** What stands before and behind the payload of an envelope. */
export function soapFrame(version: SoapVersion, head = ''): { readonly before: string; readonly after: string } {
  const header = head === '' ? '' : `<soap:Header>${head}</soap:Header>`
  return {
    before: `<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="${soapNamespaces[version]}">${header}<soap:Body>`,
    after: '</soap:Body></soap:Envelope>',
  }
}

/**
 * An envelope around one XML document (or nothing); `head`: header blocks as XML. Throws SOAPMESSAGE_CANNOT_WRITE for
 * anything else.
 */
export function writeSoap(version: SoapVersion, document: Uint8Array, head?: string): string {
  const { before, after } = soapFrame(version, head)
  return `${before}${document.length === 0 ? '' : embeddable(document)}${after}`
}

export interface FaultToWrite {
  /** As SOAP 1.1 calls them; those of 1.2 are derived. */
  readonly code: 'Client' | 'Server' | 'MustUnderstand'
  readonly text: string
  /** Code of the hub's error, for programs. */
  readonly errorCode: string
}

/** SOAP 1.1 section 4.4; SOAP 1.2 part 1 section 5.4. */
export function writeSoapFault(version: SoapVersion, { code, text, errorCode }: FaultToWrite): string {
  const { before, after } = soapFrame(version)
  const words = escapeText(text)
  const detail = `<code xmlns="urn:isthmus:error">${escapeText(errorCode)}</code>`
  if (version === '1.1') {
    return `${before}<soap:Fault><faultcode>soap:${code}</faultcode><faultstring>${words}</faultstring><detail>${detail}</detail></soap:Fault>${after}`
  }
  const value = { Client: 'Sender', Server: 'Receiver', MustUnderstand: 'MustUnderstand' }[code]
  return `${before}<soap:Fault><soap:Code><soap:Value>soap:${value}</soap:Value></soap:Code><soap:Reason><soap:Text xml:lang="en">${words}</soap:Text></soap:Reason><soap:Detail>${detail}</soap:Detail></soap:Fault>${after}`
}

/** The document without its declaration, once it is known to be one: half of one would break the envelope. */
function embeddable(document: Uint8Array): string {
  try {
    const text = decodeXmlBytes(document).replace(/^\s*<\?xml\s[^>]*\?>\s*/, '')
    const reader = createXmlReader({ open() {}, text() {}, close() {} })
    reader.write(text)
    reader.end()
    return text
  } catch (thrown) {
    if (!(thrown instanceof HubError)) throw thrown
    throw soapMessageErrors.CANNOT_WRITE({ text: thrown.message.replace(/\.$/, '') }, { cause: thrown })
  }
}
