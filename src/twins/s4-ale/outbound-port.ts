import { writeIdocs } from '../../protocols/idoc/write-idoc.ts'
import { strike } from '../twin.ts'
import { type Destination, postTo } from './destination.ts'
import { aleTwinErrors } from './errors.ts'
import type { AleFaults } from './faults.ts'
import type { IdocDatabase, StoredIdoc } from './idoc-database.ts'

/** A port of type "XML HTTP" (transaction WE21) with its destination. */
export interface IdocPort {
  readonly destination: Destination
  /** `application/x-sap.idoc`: one IDoc per request; `text/xml`: packets. */
  readonly contentType: 'application/x-sap.idoc' | 'text/xml'
  /** IDocs of one packet (partner profile, WE20). */
  readonly packetSize: number
}

export interface DispatchResult {
  readonly passed: number
  readonly failed: number
}

/**
 * RSEOUT00 (status 30) and RBDAGAIN (status 02): passes IDocs to their port, oldest first, one request after the other.
 * A packet is passed as a whole or not at all: SAP reads the status of the answer and no more.
 */
export async function dispatchIdocs(
  database: IdocDatabase,
  wanted: readonly StoredIdoc[],
  portOf: (messageType: string) => IdocPort | undefined,
  faults: () => AleFaults,
): Promise<DispatchResult> {
  const ordered = wanted.toSorted((a, b) => (a.docnum < b.docnum ? -1 : 1))
  if (strike(faults().reversed)) ordered.reverse()
  let passed = 0
  let failed = 0
  for (const packet of packetsOf(ordered, portOf)) {
    const port = portOf(packet[0]?.messageType ?? '')
    const text = port ? await passPacket(packet, port, faults()) : `No port is defined for ${packet[0]?.messageType}`
    for (const { docnum } of packet) {
      database.addStatus(docnum, text === undefined ? '03' : '02', text)
      // RBDMOIND: what the port took is dispatched.
      if (text === undefined) database.addStatus(docnum, '12')
    }
    if (text === undefined) passed += packet.length
    else failed += packet.length
  }
  return { passed, failed }
}

/** Packets: neighbours of the same message type, as many as the port takes at once. */
function* packetsOf(
  idocs: readonly StoredIdoc[],
  portOf: (messageType: string) => IdocPort | undefined,
): Generator<readonly StoredIdoc[]> {
  let packet: StoredIdoc[] = []
  for (const idoc of idocs) {
    const [first] = packet
    const port = first && portOf(first.messageType)
    const sizeMax = port?.contentType === 'text/xml' ? port.packetSize : 1
    if (first && (first.messageType !== idoc.messageType || packet.length >= sizeMax)) {
      yield packet
      packet = []
    }
    packet.push(idoc)
  }
  if (packet.length > 0) yield packet
}

/** Undefined when the port took it, else what went wrong. */
async function passPacket(
  packet: readonly StoredIdoc[],
  port: IdocPort,
  faults: AleFaults,
): Promise<string | undefined> {
  let xml = writeIdocs(packet.map(({ idoc }) => idoc))
  if (strike(faults.malformed)) xml = xml.replace('</IDOC>', '&</IDOC>')
  const request = { type: contentTypeOf(port), body: Buffer.from(xml) }
  const count = strike(faults.sendTwice) ? 2 : 1
  let text: string | undefined
  for (let time = 0; time < count; time++) {
    try {
      const { status } = await postTo(port.destination, request, faults)
      text = status >= 200 && status < 300 ? undefined : `HTTP status code ${status}`
    } catch (thrown) {
      text = thrown instanceof Error ? thrown.message : String(thrown)
    }
  }
  return text
}

/** A question by IDoc whose answer comes in the same call. Throws TWINALE_ODD_ANSWER for anything but 200 with XML. */
export async function askByIdoc(port: IdocPort, idoc: StoredIdoc, faults: AleFaults): Promise<Buffer> {
  const request = { type: contentTypeOf(port), body: Buffer.from(writeIdocs([idoc.idoc])) }
  const { status, type, body } = await postTo(port.destination, request, faults)
  if (status === 200 && /^(text\/xml|application\/xml|application\/x-sap\.idoc)\b/.test(type)) return body
  const text = `${status} ${type}: ${body.toString('utf8', 0, 300)}`
  throw aleTwinErrors.ODD_ANSWER({ url: port.destination.url, text })
}

function contentTypeOf({ contentType }: IdocPort): string {
  return contentType === 'text/xml' ? 'text/xml; charset=utf-8' : contentType
}
