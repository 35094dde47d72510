import { xiMessageErrors } from './errors.ts'

/** Names of the XI 3.0 protocol (SOAP 1.1 with attachments; headers of SAP in one namespace). */
export const xiNames = {
  soap: 'http://schemas.xmlsoap.org/soap/envelope/',
  xi: 'http://sap.com/xi/XI/Message/30',
  xlink: 'http://www.w3.org/1999/xlink',
} as const

export const xiMessageClasses = [
  'ApplicationMessage',
  'ApplicationResponse',
  'SystemAck',
  'ApplicationAck',
  'SystemError',
  'ApplicationError',
] as const
export type XiMessageClass = (typeof xiMessageClasses)[number]

export const xiQualities = ['BestEffort', 'ExactlyOnce', 'ExactlyOnceInOrder'] as const
export type XiQuality = (typeof xiQualities)[number]

/** Acknowledgements that a message asks for. */
export const xiAckKinds = ['System', 'SystemError', 'Application', 'ApplicationError'] as const
export type XiAckKind = (typeof xiAckKinds)[number]

/** Sender or receiver. */
export interface XiEnd {
  /** Undefined: none, as within one company. */
  readonly party?: { readonly name: string; readonly agency: string; readonly scheme: string } | undefined
  /** Communication component (business system). */
  readonly service: string
}

export interface XiInterface {
  readonly name: string
  readonly namespace: string
}

export interface XiAck {
  readonly status: string
  /** `permanent` or `transient`. */
  readonly category?: string | undefined
}

/** An error as SAP's monitors show it. */
export interface XiError {
  /** `XIProtocol`, `XIServer`, `XIAdapterFramework`, `XIProxy`, `Application`, … */
  readonly category: string
  readonly area: string
  readonly code: string
  /** The fault message type of an application's error, whose document is the payload. */
  readonly faultMessage?: { readonly name: string; readonly namespace: string } | undefined
  /** P1 to P4, as far as they are there. */
  readonly parameters: readonly string[]
  readonly text?: string | undefined
  readonly stack?: string | undefined
  /** `M` by hand, `A` by itself, `N` never. */
  readonly retry?: string | undefined
}

/** A record of DynamicConfiguration: what adapters and mappings tell each other. */
export interface XiRecord {
  readonly namespace: string
  readonly name: string
  readonly value: string
}

export interface XiHop {
  readonly timeStamp?: string | undefined
  readonly wasRead?: boolean | undefined
  readonly engine: string
  readonly engineType?: string | undefined
  readonly adapter?: string | undefined
  readonly adapterNamespace?: string | undefined
  readonly messageId?: string | undefined
  readonly info?: string | undefined
}

/** What the manifest says of a payload. */
export interface XiPayload {
  /** Content-ID without angle brackets. */
  readonly id: string
  /** `MainDocument` for the document of the interface. */
  readonly name: string
  readonly kind: string
}

/** The head of an XI message. Ids are 32 hexadecimal letters in lower case, however they were written. */
export interface XiHeader {
  readonly messageClass: XiMessageClass
  readonly isSynchronous: boolean
  readonly messageId: string
  readonly refToMessageId?: string | undefined
  /** As it stood there; ISO 8601 in UTC. */
  readonly timeSent?: string | undefined
  readonly sender: XiEnd
  readonly receiver: XiEnd
  readonly interface: XiInterface
  /** Undefined in acknowledgements and errors, which have none. */
  readonly quality?: XiQuality | undefined
  readonly queueId?: string | undefined
  readonly acksWanted: readonly XiAckKind[]
  readonly dynamic: readonly XiRecord[]
  readonly hops: readonly XiHop[]
  readonly ack?: XiAck | undefined
  readonly error?: XiError | undefined
}

/** A SOAP fault; XI errors of proxies and of Cloud Integration come in its detail. */
export interface XiFault {
  readonly code: string
  readonly text: string
  readonly error?: XiError | undefined
}

/** The envelope of a message or an answer. A fault has no header of XI. */
export interface XiEnvelope {
  readonly header?: XiHeader | undefined
  readonly payloads: readonly XiPayload[]
  readonly fault?: XiFault | undefined
}

/** Code of the answer that says: a message with this id was taken before. */
export const duplicateDetected = 'DUPLICATE_DETECTED'

/** A GUID in any of its spellings as 32 letters in lower case. Throws XIMESSAGE_SHAPE. */
export function normaliseMessageId(text: string, what = 'MessageId'): string {
  const letters = text
    .trim()
    .replace(/^(urn:)?uuid:/i, '')
    .replace(/^\{(.*)\}$/, '$1')
    .replaceAll('-', '')
    .toLowerCase()
  if (/^[0-9a-f]{32}$/.test(letters)) return letters
  throw xiMessageErrors.SHAPE({ text: `${what} "${text.trim().slice(0, 60)}" is no GUID` })
}

/** Id of messages that a trial makes up, the same each time. */
export const sampleMessageId = '0123456789ab4def8123456789abcdef'

/** The id as XI messages carry it: 8-4-4-4-12. */
export function hyphenate(id: string): string {
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
