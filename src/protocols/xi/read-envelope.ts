import { mustBeUnderstood } from '../soap/soap.ts'
import { childOf, parseXmlElement, textOf, type XmlElement } from '../xml/xml-element.ts'
import type { XmlLimits } from '../xml/xml-reader.ts'
import { xiMessageErrors } from './errors.ts'
import { xiLimits } from './limits.ts'
import {
  normaliseMessageId,
  type XiAckKind,
  type XiEnd,
  type XiEnvelope,
  type XiError,
  type XiFault,
  type XiHeader,
  type XiHop,
  type XiPayload,
  type XiRecord,
  xiAckKinds,
  xiMessageClasses,
  xiNames,
  xiQualities,
} from './xi.ts'

const envelopeLimits: Partial<XmlLimits> = { depth: 40, elements: 20_000, attributes: 50 }

/**
 * The SOAP envelope of an XI message. Prefixes and the order of the header elements are the sender's choice; headers of
 * SAP that steer nothing here (Passport, Diagnostic, RunTime, …) are passed over. Throws XIMESSAGE_… and XML_… errors.
 */
export function readXiEnvelope(bytes: Uint8Array, charset?: string): XiEnvelope {
  const envelope = parseXmlElement(bytes, envelopeLimits, charset)
  if (envelope.name !== 'Envelope' || envelope.namespace !== xiNames.soap) {
    throw shape(`its root is <${envelope.name}>, not an Envelope of SOAP 1.1`)
  }
  const body = childOf(envelope, 'Body', xiNames.soap)
  if (!body) throw shape('it has no Body')
  const head = childOf(envelope, 'Header', xiNames.soap)
  const fault = childOf(body, 'Fault', xiNames.soap)
  const main = childOf(head, 'Main', xiNames.xi)
  if (head && !fault) refuseUnknown(head)
  if (!main && !fault) throw shape('its header has no Main')
  return {
    ...(head && main && { header: readHeader(head, main) }),
    payloads: readManifest(childOf(body, 'Manifest', xiNames.xi)),
    ...(fault && { fault: readFault(fault) }),
  }
}

function readHeader(head: XmlElement, main: XmlElement): XiHeader {
  const reliable = childOf(head, 'ReliableMessaging', xiNames.xi)
  const reference = textOf(main, 'RefToMessageId')
  const error = childOf(head, 'Error', xiNames.xi)
  const ack = childOf(head, 'Ack', xiNames.xi)
  const interfaceElement = childOf(main, 'Interface')
  const mode = wanted(main, 'ProcessingMode').toLowerCase()
  if (mode !== 'synchronous' && mode !== 'asynchronous') throw shape(`ProcessingMode ${mode} is not known`)
  const quality = textOf(reliable, 'QualityOfService')
  const queueId = textOf(reliable, 'QueueId')
  if (queueId !== undefined && !/^[\x21-\x7e]{1,32}$/.test(queueId)) throw shape('its QueueId is no name of a queue')
  return {
    messageClass: oneOf(xiMessageClasses, wanted(main, 'MessageClass'), 'MessageClass'),
    isSynchronous: mode === 'synchronous',
    messageId: normaliseMessageId(wanted(main, 'MessageId')),
    ...(reference !== undefined && { refToMessageId: normaliseMessageId(reference, 'RefToMessageId') }),
    timeSent: short(main, 'TimeSent'),
    sender: readEnd(childOf(main, 'Sender')),
    receiver: readEnd(childOf(main, 'Receiver')),
    interface: {
      name: limited(interfaceElement?.text.trim() ?? ''),
      namespace: limited(interfaceElement?.attributes.get('namespace') ?? ''),
    },
    ...(quality !== undefined && { quality: oneOf(xiQualities, quality, 'QualityOfService') }),
    ...(queueId !== undefined && { queueId }),
    acksWanted: xiAckKinds.filter(kind => isAckWanted(reliable, kind)),
    dynamic: records(childOf(head, 'DynamicConfiguration', xiNames.xi)),
    hops: hops(childOf(head, 'HopList', xiNames.xi)),
    ...(ack && { ack: { status: wanted(ack, 'Status'), category: short(ack, 'Category') } }),
    ...(error && { error: readError(error) }),
  }
}

function readManifest(manifest: XmlElement | undefined): readonly XiPayload[] {
  const entries = manifest?.children.filter(({ name }) => name === 'Payload') ?? []
  if (entries.length > xiLimits.payloads) {
    throw xiMessageErrors.TOO_LARGE({ limit: 'payloads', max: xiLimits.payloads })
  }
  return entries.map(entry => {
    const href = entry.attributes.get('href') ?? ''
    if (!/^cid:/i.test(href)) throw shape(`a payload is at "${href.slice(0, 60)}", outside of the message`)
    return {
      id: contentIdOf(href),
      name: short(entry, 'Name') ?? '',
      kind: short(entry, 'Type') ?? 'Application',
    }
  })
}

/** RFC 2392: a cid URL is the Content-ID, percent-encoded. */
function contentIdOf(href: string): string {
  try {
    return limited(decodeURIComponent(href.slice('cid:'.length)))
  } catch {
    // A stray percent sign: senders that do not encode at all mean the letters as they stand.
    return limited(href.slice('cid:'.length))
  }
}

function readFault(fault: XmlElement): XiFault {
  const error = childOf(childOf(fault, 'detail'), 'Error', xiNames.xi)
  return {
    code: short(fault, 'faultcode') ?? '',
    text: short(fault, 'faultstring') ?? '',
    ...(error && { error: readError(error) }),
  }
}

function readError(error: XmlElement): XiError {
  const code = childOf(error, 'Code')
  const fault = childOf(error, 'ApplicationFaultMessage')
  const faultName = fault?.text.trim() ?? ''
  return {
    category: short(error, 'Category') ?? '',
    area: limited(code?.attributes.get('area') ?? ''),
    code: limited(code?.text.trim() ?? ''),
    ...(faultName !== '' && {
      faultMessage: { name: limited(faultName), namespace: limited(fault?.attributes.get('namespace') ?? '') },
    }),
    parameters: ['P1', 'P2', 'P3', 'P4'].flatMap(name => short(error, name) ?? []),
    text: short(error, 'AdditionalText'),
    stack: short(error, 'Stack'),
    retry: short(error, 'Retry'),
  }
}

function readEnd(end: XmlElement | undefined): XiEnd {
  const party = childOf(end, 'Party')
  const name = party?.text.trim() ?? ''
  const [agency, scheme] = [party?.attributes.get('agency') ?? '', party?.attributes.get('scheme') ?? '']
  return {
    // Systems write an empty Party where there is none, with or without agency and scheme.
    ...(name !== '' && { party: { name: limited(name), agency: limited(agency), scheme: limited(scheme) } }),
    service: short(end, 'Service') ?? '',
  }
}

function records(element: XmlElement | undefined): readonly XiRecord[] {
  const found = element?.children.filter(({ name }) => name === 'Record') ?? []
  return found.map(({ attributes, text }) => ({
    namespace: limited(attributes.get('namespace') ?? ''),
    name: limited(attributes.get('name') ?? ''),
    value: limited(text),
  }))
}

function hops(element: XmlElement | undefined): readonly XiHop[] {
  const found = element?.children.filter(({ name }) => name === 'Hop') ?? []
  return found.map(hop => {
    const adapter = childOf(hop, 'Adapter')
    const wasRead = hop.attributes.get('wasRead')
    return {
      timeStamp: hop.attributes.get('timeStamp'),
      wasRead: wasRead === undefined ? undefined : wasRead === 'true',
      engine: short(hop, 'Engine') ?? '',
      engineType: childOf(hop, 'Engine')?.attributes.get('type'),
      adapter: adapter?.text.trim(),
      adapterNamespace: adapter?.attributes.get('namespace'),
      messageId: short(hop, 'MessageId'),
      info: short(hop, 'Info'),
    }
  })
}

function isAckWanted(reliable: XmlElement | undefined, kind: XiAckKind): boolean {
  const value = reliable?.attributes.get(`${kind}AckRequested`)?.trim().toLowerCase()
  return value === 'true' || value === '1'
}

/** SOAP 1.1 section 4.2.3: what must be understood and is not, makes the message refused. */
function refuseUnknown(head: XmlElement): void {
  const unknown = head.children.find(header => header.namespace !== xiNames.xi && mustBeUnderstood(header))
  if (unknown) throw xiMessageErrors.NOT_UNDERSTOOD({ header: `{${unknown.namespace}}${unknown.name}` })
}

function wanted(element: XmlElement, name: string): string {
  const text = textOf(element, name)
  if (text === undefined) throw shape(`its ${element.name} has no ${name}`)
  return limited(text)
}

function short(element: XmlElement | undefined, name: string): string | undefined {
  const text = textOf(element, name)
  return text === undefined ? undefined : limited(text)
}

function limited(text: string): string {
  if (text.length <= xiLimits.textLetters) return text
  throw xiMessageErrors.TOO_LARGE({ limit: 'textLetters', max: xiLimits.textLetters })
}

function oneOf<const T extends string>(known: readonly T[], text: string, what: string): T {
  const found = known.find(value => value === text)
  if (found === undefined) throw shape(`${what} ${text.slice(0, 60)} is not known`)
  return found
}

function shape(text: string) {
  return xiMessageErrors.SHAPE({ text })
}
