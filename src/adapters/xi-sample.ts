import type { GivenDocument, SampleRequest } from '../flow/adapter.ts'
import { heldBody } from '../kernel/body.ts'
import { isBareDocument } from '../protocols/soap/bare-document.ts'
import { writeXiMessage } from '../protocols/xi/write-message.ts'
import { sampleMessageId, type XiHeader } from '../protocols/xi/xi.ts'

export interface XiSampleWish {
  readonly takes: 'messages' | 'acknowledgements'
  readonly interfaces?: readonly { readonly name: string; readonly namespace?: string | undefined }[] | undefined
}

/** The message that a proxy makes of a document; undefined for what is a message already. */
export async function sampleXiRequest(
  { takes, interfaces = [] }: XiSampleWish,
  { body, type = 'application/xml', headers, isQuestion }: GivenDocument,
): Promise<SampleRequest | undefined> {
  if (takes === 'acknowledgements' || !isBareDocument(body)) return undefined
  const name = headers['interface'] ?? interfaces[0]?.name ?? 'SI_Sample_Out'
  const namespace = interfaces.find(known => known.name === name)?.namespace ?? 'urn:sample'
  const header: XiHeader = {
    messageClass: 'ApplicationMessage',
    isSynchronous: isQuestion,
    messageId: sampleMessageId,
    timeSent: '2026-01-05T08:00:00Z',
    sender: { service: 'S4HCLNT100' },
    receiver: { service: 'ISTHMUS' },
    interface: { name, namespace },
    quality: isQuestion ? 'BestEffort' : 'ExactlyOnce',
    acksWanted: [],
    dynamic: [],
    hops: [],
  }
  const { bytes, stream } = heldBody(body, type)
  const written = writeXiMessage(header, [{ name: 'MainDocument', kind: 'Application', type, bytes, stream }])
  const quality = isQuestion ? 'BE' : 'EO'
  return {
    type: written.type,
    body: Buffer.concat(await Array.fromAsync(written.stream())),
    filledIn: `an XI message around the document: ${name} (${namespace}), ${quality}, from S4HCLNT100 to ISTHMUS, id ${sampleMessageId}`,
  }
}
