import { randomUUID } from 'node:crypto'
import { escapeText } from '../../protocols/xml/write-xml.ts'
import { parseXmlTree, type XmlNode } from '../../protocols/xml/xml-tree.ts'

export type Quality = 'ExactlyOnce' | 'ExactlyOnceInOrder' | 'BestEffort'

/** An application message as the proxy runtime sends it. */
export interface ProxyRequest {
  /** GUID with hyphens. */
  readonly id: string
  readonly interface: string
  readonly namespace: string
  readonly quality: Quality
  readonly queue: string | undefined
  /** Acknowledgements that are asked for. */
  readonly wantsAcks: boolean
  readonly sentAt: number
  readonly sender: string
  readonly receiver: string
  readonly payload: string
}

const xi = 'http://sap.com/xi/XI/Message/30'
const soap = 'http://schemas.xmlsoap.org/soap/envelope/'

/** The request as the ABAP proxy runtime writes it: multipart/related with the payload as MainDocument. */
export function writeProxyRequest(message: ProxyRequest): { readonly type: string; readonly body: Buffer } {
  const { id, quality, queue, wantsAcks, sentAt, sender, receiver, payload } = message
  const payloadId = `payload-${id.replaceAll('-', '').toUpperCase()}@sap.com`
  const rootId = `soap-${id.replaceAll('-', '').toUpperCase()}@sap.com`
  const boundary = `SAP_${randomUUID().replaceAll('-', '').toUpperCase()}_END`
  const acks = `SAP:ApplicationAckRequested="${wantsAcks}" SAP:ApplicationErrorAckRequested="${wantsAcks}" SAP:SystemAckRequested="false" SAP:SystemErrorAckRequested="${wantsAcks}"`
  const reliable =
    quality === 'BestEffort'
      ? `<SAP:ReliableMessaging SOAP:mustUnderstand="1"><SAP:QualityOfService>BestEffort</SAP:QualityOfService></SAP:ReliableMessaging>`
      : `<SAP:ReliableMessaging ${acks} SOAP:mustUnderstand="1"><SAP:QualityOfService>${quality}</SAP:QualityOfService>${
          queue === undefined ? '' : `<SAP:QueueId>${escapeText(queue)}</SAP:QueueId>`
        }</SAP:ReliableMessaging>`
  const envelope = `<SOAP:Envelope xmlns:SOAP="${soap}" xmlns:SAP="${xi}"><SOAP:Header>
<SAP:Main versionMajor="003" versionMinor="000" SOAP:mustUnderstand="1"><SAP:MessageClass>ApplicationMessage</SAP:MessageClass><SAP:ProcessingMode>${
    quality === 'BestEffort' ? 'synchronous' : 'asynchronous'
  }</SAP:ProcessingMode><SAP:MessageId>${id.toUpperCase()}</SAP:MessageId><SAP:TimeSent>${new Date(sentAt)
    .toISOString()
    .replace(
      /\.\d+/,
      '',
    )}</SAP:TimeSent><SAP:Sender><SAP:Party agency="" scheme=""/><SAP:Service>${escapeText(sender)}</SAP:Service></SAP:Sender><SAP:Receiver><SAP:Party agency="http://sap.com/xi/XI" scheme="XIParty"/><SAP:Service>${escapeText(receiver)}</SAP:Service></SAP:Receiver><SAP:Interface namespace="${message.namespace}">${message.interface}</SAP:Interface></SAP:Main>
${reliable}
<SAP:HopList SOAP:mustUnderstand="1"><SAP:Hop timeStamp="${new Date(sentAt).toISOString()}" wasRead="false"><SAP:Engine type="BS">${escapeText(sender)}</SAP:Engine><SAP:Adapter namespace="http://sap.com/xi/XI/System">XI</SAP:Adapter><SAP:MessageId>${id.toUpperCase()}</SAP:MessageId><SAP:Info>3.0</SAP:Info></SAP:Hop></SAP:HopList>
</SOAP:Header><SOAP:Body><SAP:Manifest xmlns:xlink="http://www.w3.org/1999/xlink"><SAP:Payload xlink:type="simple" xlink:href="cid:${payloadId}"><SAP:Name>MainDocument</SAP:Name><SAP:Description/><SAP:Type>Application</SAP:Type></SAP:Payload></SAP:Manifest></SOAP:Body></SOAP:Envelope>`
  const body = [
    `--${boundary}`,
    `Content-ID: <${rootId}>`,
    'Content-Disposition: attachment;filename="soap-message.xml"',
    'Content-Type: text/xml; charset=utf-8',
    'Content-Description: SOAP',
    '',
    envelope,
    `--${boundary}`,
    `Content-ID: <${payloadId}>`,
    'Content-Disposition: attachment;filename="MainDocument.xml"',
    'Content-Type: application/xml',
    'Content-Description: MainDocument',
    '',
    payload,
    `--${boundary}--`,
    '',
  ].join('\r\n')
  const type = `multipart/related; boundary=${boundary}; type="text/xml"; start="<${rootId}>"`
  return { type, body: Buffer.from(body) }
}

/** A message of the other side, read by rules of the twin's own. */
export interface ReadXi {
  readonly messageClass: string
  /** 32 hex digits, lower case. */
  readonly id: string
  readonly refersTo: string | undefined
  readonly interface: string
  readonly namespace: string
  readonly quality: string
  readonly ack: { readonly status: string; readonly category: string } | undefined
  readonly error: { readonly category: string; readonly code: string; readonly text: string } | undefined
  /** MainDocument; undefined when the message has none. */
  readonly payload: string | undefined
}

/** Reads a message or throws an Error that says what is wrong. */
export function readXi(type: string, body: Buffer): ReadXi {
  const parts = partsOf(type, body)
  const root = parts[0]
  if (!root) throw new Error('the message has no SOAP part')
  const envelope = parseXmlTree(root.content)
  if (envelope.name !== 'Envelope') throw new Error(`<${envelope.name}> stands where the SOAP envelope is wanted`)
  const fault = find(envelope, 'Body', 'Fault')
  const header = find(envelope, 'Header')
  if (!header && !fault) throw new Error('the envelope has no header')
  const main = find(header, 'Main')
  const error = find(header, 'Error') ?? find(fault, 'detail', 'Error')
  if (!main && !error && fault) {
    throw new Error(`SOAP fault ${fault.fields.get('faultcode') ?? ''}: ${fault.fields.get('faultstring') ?? ''}`)
  }
  const of = (name: string) => main?.fields.get(name) ?? ''
  const ack = find(header, 'Ack')
  return {
    messageClass: main ? of('MessageClass') : 'Fault',
    id: plainId(of('MessageId')),
    refersTo: of('RefToMessageId') === '' ? undefined : plainId(of('RefToMessageId')),
    interface: of('Interface'),
    namespace: of('Interface@namespace'),
    quality: find(header, 'ReliableMessaging')?.fields.get('QualityOfService') ?? '',
    ack: ack && { status: ack.fields.get('Status') ?? '', category: ack.fields.get('Category') ?? '' },
    error: error && {
      category: error.fields.get('Category') ?? '',
      code: error.fields.get('Code') ?? '',
      text: error.fields.get('AdditionalText') ?? error.fields.get('Stack') ?? '',
    },
    payload: payloadOf(find(envelope, 'Body', 'Manifest'), parts),
  }
}

/** An answer or an acknowledgement of S/4HANA. */
export function writeXiAnswer(answer: {
  readonly messageClass: 'SystemAck' | 'SystemError'
  readonly id: string
  readonly refersTo: string
  readonly at: number
  readonly service: string
  readonly error?: { readonly category: string; readonly code: string; readonly p1: string; readonly text: string }
}): string {
  const { messageClass, id, refersTo, at, service, error } = answer
  const ack =
    messageClass === 'SystemAck'
      ? `<SAP:Ack SOAP:mustUnderstand="1"><SAP:Status>${error ? 'Error' : 'OK'}</SAP:Status><SAP:Category>permanent</SAP:Category></SAP:Ack>`
      : ''
  const wrong = error
    ? `<SAP:Error SOAP:mustUnderstand="1"><SAP:Category>${error.category}</SAP:Category><SAP:Code area="MESSAGE">${error.code}</SAP:Code><SAP:P1>${error.p1}</SAP:P1><SAP:P2/><SAP:P3/><SAP:P4/><SAP:AdditionalText/><SAP:Stack>${escapeText(error.text)}</SAP:Stack></SAP:Error>`
    : ''
  return `<SOAP:Envelope xmlns:SOAP="${soap}"><SOAP:Header xmlns:SAP="${xi}"><SAP:Main versionMajor="003" versionMinor="000" SOAP:mustUnderstand="1"><SAP:MessageClass>${messageClass}</SAP:MessageClass><SAP:ProcessingMode>asynchronous</SAP:ProcessingMode><SAP:MessageId>${id.toUpperCase()}</SAP:MessageId><SAP:RefToMessageId>${hyphened(refersTo)}</SAP:RefToMessageId><SAP:TimeSent>${new Date(at).toISOString()}</SAP:TimeSent><SAP:Sender><SAP:Service>${escapeText(service)}</SAP:Service></SAP:Sender><SAP:Receiver><SAP:Service/></SAP:Receiver><SAP:Interface namespace="http://sap.com/xi/XI">Acknowledgment</SAP:Interface></SAP:Main>${ack}${wrong}</SOAP:Header><SOAP:Body><SAP:Manifest xmlns:SAP="${xi}"/></SOAP:Body></SOAP:Envelope>`
}

export function writeXiFault(code: string, text: string): string {
  return `<SOAP:Envelope xmlns:SOAP="${soap}"><SOAP:Header/><SOAP:Body><SOAP:Fault><faultcode>SOAP:Client</faultcode><faultstring>${escapeText(text)}</faultstring><faultactor>${xi}</faultactor><detail><SAP:Error xmlns:SAP="${xi}" SOAP:mustUnderstand=""><SAP:Category>XIProtocol</SAP:Category><SAP:Code area="PARSING">${code}</SAP:Code><SAP:P1/><SAP:P2/><SAP:P3/><SAP:P4/><SAP:AdditionalText>${escapeText(text)}</SAP:AdditionalText></SAP:Error></detail></SOAP:Fault></SOAP:Body></SOAP:Envelope>`
}

/** A GUID as 32 hex digits in lower case. */
export function plainId(id: string): string {
  const plain = id.replaceAll('-', '').toLowerCase()
  if (plain !== '' && !/^[0-9a-f]{32}$/.test(plain)) throw new Error(`"${id}" is no message id`)
  return plain
}

function hyphened(id: string): string {
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5').toUpperCase()
}

function find(node: XmlNode | undefined, ...path: readonly string[]): XmlNode | undefined {
  let at = node
  for (const name of path) at = at?.children.find(child => child.name === name)
  return at
}

interface Part {
  readonly id: string
  readonly content: Buffer
}

function partsOf(type: string, body: Buffer): readonly Part[] {
  if (/^text\/xml\b/i.test(type)) return [{ id: '', content: body }]
  const boundary = /^multipart\/related\b.*;\s*boundary=(?:"([^"]+)"|([^;\s]+))/is.exec(type)
  const start = /;\s*start="?<?([^>"]+)>?"?/i.exec(type)?.[1]
  const mark = boundary?.[1] ?? boundary?.[2]
  if (mark === undefined) throw new Error(`Content-Type ${type} is none of XI`)
  const text = body.toString('latin1')
  const [, ...pieces] = `\r\n${text}`.split(`\r\n--${mark}`)
  if (pieces.length === 0 || !pieces.at(-1)?.startsWith('--')) throw new Error('the last boundary is missing')
  const parts = pieces.slice(0, -1).map((piece): Part => {
    const at = piece.indexOf('\r\n\r\n')
    if (at < 0) throw new Error('a part has no blank line behind its headers')
    const id = /^content-id:\s*<?([^>\r\n]+)>?/im.exec(piece.slice(0, at))?.[1] ?? ''
    return { id, content: Buffer.from(piece.slice(at + 4), 'latin1') }
  })
  const root = start === undefined ? parts[0] : parts.find(({ id }) => id === start)
  if (!root) throw new Error(`there is no part <${start}>`)
  return [root, ...parts.filter(part => part !== root)]
}

function payloadOf(manifest: XmlNode | undefined, parts: readonly Part[]): string | undefined {
  const entry = manifest?.children.find(
    ({ name, fields }) => name === 'Payload' && fields.get('Name') === 'MainDocument',
  )
  if (!entry) return undefined
  const wanted = entry.fields.get('@href')?.replace(/^cid:/, '')
  const part = parts.find(({ id }) => id === wanted)
  if (!part) throw new Error(`the manifest names a part ${wanted} that is not there`)
  return part.content.toString('utf8')
}
