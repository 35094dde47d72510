import { randomUUID } from 'node:crypto'
import { escapeAttribute, escapeText, isXmlText } from '../xml/write-xml.ts'
import { xiMessageErrors } from './errors.ts'
import { hyphenate, type XiEnd, type XiError, type XiFault, type XiHeader, xiAckKinds, xiNames } from './xi.ts'

/** A payload on its way out. */
export interface XiPayloadOut {
  readonly name: string
  readonly kind: 'Application' | 'ApplicationAttachment'
  readonly type: string
  readonly bytes: number
  stream(): AsyncIterable<Uint8Array>
}

/** A message ready to be sent: its Content-Type, how long it is, and its bytes. */
export interface WrittenXi {
  readonly type: string
  readonly bytes: number
  stream(): AsyncIterable<Uint8Array>
}

const xmlType = 'text/xml; charset=utf-8'

/** An acknowledgement, an error or a message without payloads: the envelope alone. */
export function writeXiEnvelope(header: XiHeader): { readonly type: string; readonly text: string } {
  return { type: xmlType, text: envelope(headerXml(header), manifest([])) }
}

/** A message with payloads (multipart/related, RFC 2387), as systems of SAP write it. Throws XIMESSAGE_CANNOT_WRITE. */
export function writeXiMessage(header: XiHeader, payloads: readonly XiPayloadOut[]): WrittenXi {
  const mark = randomUUID().replaceAll('-', '')
  const boundary = `SAP_${mark}_END`
  const rootId = `soap-${mark}@sap.com`
  const named = payloads.map((payload, index) => ({ payload, id: `payload-${mark}-${index}@sap.com` }))
  const text = envelope(headerXml(header), manifest(named.map(({ id, payload }) => ({ ...payload, id }))))
  const pieces: (Buffer | XiPayloadOut)[] = [
    Buffer.from(`--${boundary}\r\nContent-ID: <${rootId}>\r\nContent-Type: ${xmlType}\r\n\r\n${text}`),
  ]
  for (const { payload, id } of named) {
    const kind = payload.kind === 'Application' ? '' : `Content-Disposition: attachment\r\n`
    pieces.push(
      Buffer.from(
        `\r\n--${boundary}\r\nContent-ID: <${id}>\r\nContent-Type: ${headerValue(payload.type)}\r\n${kind}Content-Transfer-Encoding: binary\r\n\r\n`,
      ),
      payload,
    )
  }
  pieces.push(Buffer.from(`\r\n--${boundary}--\r\n`))
  return {
    type: `multipart/related; boundary="${boundary}"; type="text/xml"; start="<${rootId}>"`,
    bytes: pieces.reduce((sum, piece) => sum + ('stream' in piece ? piece.bytes : piece.length), 0),
    async *stream() {
      for (const piece of pieces) {
        if ('stream' in piece) yield* piece.stream()
        else yield piece
      }
    },
  }
}

/** A fault with SAP's error in its detail, as Process Orchestration and Cloud Integration answer what they cannot take. */
export function writeXiFault(fault: XiFault): { readonly type: string; readonly text: string } {
  const detail = fault.error ? `<detail>${errorXml(fault.error, ` xmlns:SAP="${xiNames.xi}"`)}</detail>` : ''
  const content = `<faultcode>SOAP:${text(fault.code)}</faultcode><faultstring>${text(fault.text)}</faultstring><faultactor>${xiNames.xi}</faultactor>${detail}`
  return { type: xmlType, text: envelope('', `<SOAP:Fault>${content}</SOAP:Fault>`) }
}

function envelope(head: string, body: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?><SOAP:Envelope xmlns:SOAP="${xiNames.soap}">${head}<SOAP:Body>${body}</SOAP:Body></SOAP:Envelope>`
}

const must = ' SOAP:mustUnderstand="1"'

function headerXml(header: XiHeader): string {
  const { messageId, refToMessageId, timeSent, ack, error, quality, queueId, acksWanted, dynamic, hops } = header
  const main = [
    element('MessageClass', header.messageClass),
    element('ProcessingMode', header.isSynchronous ? 'synchronous' : 'asynchronous'),
    element('MessageId', hyphenate(messageId)),
    refToMessageId === undefined ? '' : element('RefToMessageId', hyphenate(refToMessageId)),
    timeSent === undefined ? '' : element('TimeSent', timeSent),
    `<SAP:Sender>${endXml(header.sender)}</SAP:Sender><SAP:Receiver>${endXml(header.receiver)}</SAP:Receiver>`,
    `<SAP:Interface namespace="${attribute(header.interface.namespace)}">${text(header.interface.name)}</SAP:Interface>`,
  ].join('')
  const acks = xiAckKinds.map(kind => ` SAP:${kind}AckRequested="${acksWanted.includes(kind)}"`).join('')
  const parts = [`<SAP:Main versionMajor="3" versionMinor="1"${must}>${main}</SAP:Main>`]
  if (quality !== undefined) {
    const queue = queueId === undefined ? '' : element('QueueId', queueId)
    const wishes = acksWanted.length > 0 ? acks : ''
    parts.push(
      `<SAP:ReliableMessaging${wishes}${must}>${element('QualityOfService', quality)}${queue}</SAP:ReliableMessaging>`,
    )
  }
  if (dynamic.length > 0) {
    const records = dynamic.map(
      ({ namespace, name, value }) =>
        `<SAP:Record namespace="${attribute(namespace)}" name="${attribute(name)}">${text(value)}</SAP:Record>`,
    )
    parts.push(`<SAP:DynamicConfiguration${must}>${records.join('')}</SAP:DynamicConfiguration>`)
  }
  if (hops.length > 0) parts.push(`<SAP:HopList${must}>${hops.map(hopXml).join('')}</SAP:HopList>`)
  if (ack) {
    const category = ack.category === undefined ? '' : element('Category', ack.category)
    parts.push(`<SAP:Ack${must}>${element('Status', ack.status)}${category}</SAP:Ack>`)
  }
  if (error) parts.push(errorXml(error, must))
  return `<SOAP:Header xmlns:SAP="${xiNames.xi}">${parts.join('')}</SOAP:Header>`
}

function endXml({ party, service }: XiEnd): string {
  const { name, agency, scheme } = party ?? { name: '', agency: '', scheme: '' }
  return `<SAP:Party agency="${attribute(agency)}" scheme="${attribute(scheme)}">${text(name)}</SAP:Party>${element('Service', service)}`
}

function hopXml(hop: XiHeader['hops'][number]): string {
  const time = hop.timeStamp === undefined ? '' : ` timeStamp="${attribute(hop.timeStamp)}"`
  const read = hop.wasRead === undefined ? '' : ` wasRead="${hop.wasRead}"`
  const type = hop.engineType === undefined ? '' : ` type="${attribute(hop.engineType)}"`
  const space = hop.adapterNamespace === undefined ? '' : ` namespace="${attribute(hop.adapterNamespace)}"`
  const adapter = hop.adapter === undefined ? '' : `<SAP:Adapter${space}>${text(hop.adapter)}</SAP:Adapter>`
  const id = hop.messageId === undefined ? '' : element('MessageId', hop.messageId)
  const info = hop.info === undefined ? '' : element('Info', hop.info)
  return `<SAP:Hop${time}${read}><SAP:Engine${type}>${text(hop.engine)}</SAP:Engine>${adapter}${id}${info}</SAP:Hop>`
}

function errorXml(error: XiError, attributes: string): string {
  const parameters = error.parameters.slice(0, 4).map((value, index) => element(`P${index + 1}`, value))
  const { faultMessage } = error
  const more = [
    faultMessage === undefined
      ? ''
      : `<SAP:ApplicationFaultMessage namespace="${attribute(faultMessage.namespace)}">${text(faultMessage.name)}</SAP:ApplicationFaultMessage>`,
    error.text === undefined ? '' : element('AdditionalText', error.text),
    error.stack === undefined ? '' : element('Stack', error.stack),
    error.retry === undefined ? '' : element('Retry', error.retry),
  ]
  const code = `<SAP:Code area="${attribute(error.area)}">${text(error.code)}</SAP:Code>`
  return `<SAP:Error${attributes}>${element('Category', error.category)}${code}${parameters.join('')}${more.join('')}</SAP:Error>`
}

function manifest(payloads: readonly { readonly id: string; readonly name: string; readonly kind: string }[]): string {
  const entries = payloads.map(
    ({ id, name, kind }) =>
      `<SAP:Payload xlink:type="simple" xlink:href="cid:${attribute(encodeURIComponent(id).replace('%40', '@'))}">${element('Name', name)}${element('Type', kind)}</SAP:Payload>`,
  )
  return `<SAP:Manifest xmlns:SAP="${xiNames.xi}" xmlns:xlink="${xiNames.xlink}">${entries.join('')}</SAP:Manifest>`
}

function element(name: string, value: string): string {
  return `<SAP:${name}>${text(value)}</SAP:${name}>`
}

function text(value: string): string {
  return escapeText(legal(value))
}

function attribute(value: string): string {
  return escapeAttribute(legal(value))
}

function legal(value: string): string {
  if (isXmlText(value)) return value
  throw xiMessageErrors.CANNOT_WRITE({ text: `"${value.slice(0, 40)}" has a character that XML cannot hold` })
}

function headerValue(value: string): string {
  if (/^[\t -~]*$/.test(value)) return value
  throw xiMessageErrors.CANNOT_WRITE({ text: 'a Content-Type has letters outside of ASCII' })
}
