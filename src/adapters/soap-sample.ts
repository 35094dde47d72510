import type { GivenDocument, SampleRequest } from '../flow/adapter.ts'
import { isBareDocument } from '../protocols/soap/bare-document.ts'
import { soapTypes } from '../protocols/soap/soap.ts'
import { writeSoap } from '../protocols/soap/write-soap.ts'
import { hyphenate, sampleMessageId } from '../protocols/xi/xi.ts'

export interface SoapSampleWish {
  readonly protocol: 'plain' | 'sap-rm'
  readonly 'once-by': 'nothing' | 'addressing'
}

/** The request that a SOAP client makes of a document; undefined for what is an envelope already. */
export function sampleSoapRequest(
  { protocol, 'once-by': onceBy }: SoapSampleWish,
  { body }: GivenDocument,
): SampleRequest | undefined {
  if (!isBareDocument(body)) return undefined
  const id = hyphenate(sampleMessageId)
  const isReliable = protocol === 'sap-rm'
  const head =
    onceBy === 'addressing'
      ? `<a:MessageID xmlns:a="http://www.w3.org/2005/08/addressing">urn:uuid:${id}</a:MessageID>`
      : ''
  return {
    type: soapTypes['1.1'],
    body: Buffer.from(writeSoap('1.1', body, head)),
    ...(isReliable && { query: { MessageId: id } }),
    filledIn: `an envelope of SOAP 1.1 around the document${isReliable || head !== '' ? `, id ${id}` : ''}`,
  }
}
