import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { asHubError } from '../../kernel/error.ts'
import { MiB } from '../../kernel/size.ts'
import type { Clock } from '../../kernel/time.ts'
import { parseIdocs } from '../../protocols/idoc/read-idocs.ts'
import { escapeText } from '../../protocols/xml/write-xml.ts'
import { strike } from '../twin.ts'
import { changeMasterData } from './change-service.ts'
import type { AleFaults } from './faults.ts'
import { type InboundWorld, takeIdoc } from './inbound-idoc.ts'
import type { MasterData } from './master-data.ts'
import { plainId, type ReadXi, readXi, writeXiAnswer, writeXiFault } from './xi-message.ts'
import type { XiOutbound } from './xi-outbound.ts'

export const alePaths = {
  idoc: '/sap/bc/idoc_xml',
  soap: '/sap/bc/srt/idoc',
  xi: '/sap/xi/engine',
  /** Not of SAP: where people change master data from a terminal. */
  changes: '/twin/changes',
} as const

/** A message that came in through the XI port. */
export interface ReceivedProxyMessage {
  readonly id: string
  readonly interface: string
  readonly namespace: string
  readonly refersTo: string | undefined
  readonly payload: string
}

export interface AleHandlerParts {
  readonly inbound: InboundWorld
  readonly xi: XiOutbound
  readonly data: MasterData
  readonly users: Readonly<Record<string, string>>
  readonly clock: Clock
  faults(): AleFaults
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

const bodyBytesMax = 64 * MiB

/** The request listener: log-in, faults, and then the service behind the path. */
export function makeAleHandler(parts: AleHandlerParts) {
  const received: ReceivedProxyMessage[] = []
  const seenIds = new Set<string>()
  const answered: string[] = []

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const faults = parts.faults()
    if (strike(faults.dropBefore)) {
      response.destroy()
      return
    }
    const body = await readBody(request)
    if (faults.slowMs) await parts.clock.sleep(faults.slowMs)
    const answer = answerTo(request, body, faults)
    answered.push(`${request.method} ${request.url} ${answer.status}`)
    if (strike(faults.dropAfter)) {
      response.destroy()
      return
    }
    response.writeHead(answer.status, {
      'content-type': answer.type,
      'content-length': Buffer.byteLength(answer.body),
      ...answer.headers,
    })
    response.end(answer.body)
  }

  function answerTo(request: IncomingMessage, body: Buffer | undefined, faults: AleFaults): Answer {
    if (faults.busy && strike(faults.busy)) {
      return html(503, 'Service Unavailable', { 'retry-after': String(faults.busy.retryAfterS) })
    }
    if (strike(faults.fail)) return html(500, 'Internal Server Error')
    const path = (request.url ?? '/').split('?')[0]
    const isKnown = Object.values<string>(alePaths).includes(path ?? '')
    if (!isKnown) return html(404, 'Service cannot be reached')
    if (!isLoggedIn(request)) return html(401, 'Logon failed', { 'www-authenticate': 'Basic realm="SAP NetWeaver"' })
    if (request.method !== 'POST') return html(405, 'Method not allowed', { allow: 'POST' })
    if (!body) return html(413, 'Request Entity Too Large')
    const type = request.headers['content-type'] ?? ''
    if (path === alePaths.changes) return takeChange(body)
    if (path === alePaths.xi) return takeXi(type, body)
    return takeIdocs(path === alePaths.soap, type, body)
  }

  function takeChange(body: Buffer): Answer {
    const type = 'application/json'
    try {
      changeMasterData(parts.data, body.toString())
      return { status: 200, type, body: '{}' }
    } catch (thrown) {
      const { code, message, next } = asHubError(thrown)
      return { status: 400, type, body: JSON.stringify({ error: { code, message, next } }) }
    }
  }

  function isLoggedIn({ headers }: IncomingMessage): boolean {
    const [, value = ''] = /^Basic (\S+)$/i.exec(headers.authorization ?? '') ?? []
    const text = Buffer.from(value, 'base64').toString()
    const [user = '', ...password] = text.split(':')
    return user !== '' && parts.users[user] === password.join(':')
  }

  /** Kept first, checked and posted then: a number in the answer says no more than that it is kept. */
  function takeIdocs(isSoap: boolean, type: string, body: Buffer): Answer {
    const kind = type.split(';')[0]?.trim().toLowerCase()
    const isSingle = kind === 'application/x-sap.idoc'
    if (kind !== 'text/xml' && (isSoap || !isSingle)) return html(415, `Unsupported Media Type ${kind}`)
    try {
      const text = body.toString('utf8', 0, 2000)
      if (isSoap !== /<([\w-]+:)?Envelope[\s>]/.test(text)) throw new Error('the SOAP envelope is not as it should be')
      const idocs = parseIdocs(body)
      if (isSingle && idocs.length !== 1) throw new Error('application/x-sap.idoc is for one IDoc')
      const pairs = idocs.map(idoc => {
        const number = takeIdoc(parts.inbound, idoc)
        const transfer = idoc.control.get('DOCNUM') ?? ''
        return `<IDocAssign><TransferId>${escapeText(transfer)}</TransferId><DbId>${number}</DbId></IDocAssign>`
      })
      return { status: 200, type: 'text/xml; charset=utf-8', body: idocAnswer(isSoap, idocs[0]?.type ?? '', pairs) }
    } catch (thrown) {
      const said = thrown instanceof Error ? thrown.message : String(thrown)
      if (!isSoap) return html(500, `Error when parsing the XML document: ${said}`)
      return { status: 500, type: 'text/xml; charset=utf-8', body: soapFault(said) }
    }
  }

  function takeXi(type: string, body: Buffer): Answer {
    const xml = (status: number, text: string): Answer => ({ status, type: 'text/xml; charset=utf-8', body: text })
    let message: ReadXi
    try {
      message = readXi(type, body)
      if (message.id === '') throw new Error('MessageId is missing')
    } catch (thrown) {
      return xml(500, writeXiFault('GENERAL', thrown instanceof Error ? thrown.message : String(thrown)))
    }
    const about = {
      id: randomUUID(),
      refersTo: message.id,
      at: parts.clock.now(),
      service: parts.inbound.system.logicalSystem,
    }
    const ack = (error?: { readonly category: string; readonly code: string; readonly text: string }) => {
      const wrong = error && { error: { ...error, p1: plainId(message.id).toUpperCase() } }
      return xml(200, writeXiAnswer({ messageClass: 'SystemAck', ...about, ...wrong }))
    }
    const isAck = /^(Application|System)(Ack|Error)$/.test(message.messageClass)
    if (!isAck && message.messageClass !== 'ApplicationMessage') {
      return xml(500, writeXiFault('GENERAL', `Message class ${message.messageClass} is not expected here`))
    }
    if (seenIds.has(message.id)) {
      const text = `Message ${message.id} for pipeline RECEIVER exists already`
      return ack({ category: 'XIProtocol', code: 'DUPLICATE_DETECTED', text })
    }
    if (isAck) {
      const isError = message.messageClass.endsWith('Error') || message.ack?.status === 'Error'
      const text = message.error ? `${message.error.code}: ${message.error.text}` : ''
      if (message.refersTo === undefined || !parts.xi.acknowledge(message.refersTo, isError, text)) {
        return xml(500, writeXiFault('GENERAL', `No message ${message.refersTo ?? ''} was sent`))
      }
      seenIds.add(message.id)
      return ack()
    }
    if (message.quality !== 'ExactlyOnce' && message.quality !== 'ExactlyOnceInOrder') {
      return xml(500, writeXiFault('GENERAL', `Quality of service ${message.quality} is not offered here`))
    }
    if (message.payload === undefined) return xml(500, writeXiFault('GENERAL', 'The message has no MainDocument'))
    seenIds.add(message.id)
    const { id, namespace, refersTo, payload } = message
    received.push({ id, interface: message.interface, namespace, refersTo, payload })
    return ack()
  }

  return {
    received: received as readonly ReceivedProxyMessage[],
    /** Method, path and status of what was asked here, oldest first. */
    answered: answered as readonly string[],
    handle(request: IncomingMessage, response: ServerResponse) {
      respond(request, response).catch(() => {
        // The client is gone: nobody is left to be told.
        response.destroy()
      })
    },
  }
}

function idocAnswer(isSoap: boolean, type: string, pairs: readonly string[]): string {
  const name = `n0:${type}.Response`
  const inside = `<${name} xmlns:n0="urn:sap-com:document:sap:idoc:soap:messages">${pairs.join('')}</${name}>`
  if (!isSoap) return `<?xml version="1.0" encoding="utf-8"?>${inside}`
  return `<soap-env:Envelope xmlns:soap-env="http://schemas.xmlsoap.org/soap/envelope/"><soap-env:Header/><soap-env:Body>${inside}</soap-env:Body></soap-env:Envelope>`
}

function soapFault(text: string): string {
  return `<soap-env:Envelope xmlns:soap-env="http://schemas.xmlsoap.org/soap/envelope/"><soap-env:Body><soap-env:Fault><faultcode>soap-env:Client</faultcode><faultstring>${escapeText(text)}</faultstring></soap-env:Fault></soap-env:Body></soap-env:Envelope>`
}

function html(status: number, text: string, headers: Readonly<Record<string, string>> = {}): Answer {
  const body = `<html><head><title>${escapeText(text)}</title></head><body><h1>${escapeText(text)}</h1></body></html>`
  return { status, type: 'text/html; charset=utf-8', body, headers }
}

/** Undefined for a body beyond the limit. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes <= bodyBytesMax) chunks.push(chunk)
  }
  return bytes > bodyBytesMax ? undefined : Buffer.concat(chunks)
}
