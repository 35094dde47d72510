import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { HttpResponse } from '../../src/kernel/http-exchange.ts'
import { openXiMessage } from '../../src/protocols/xi/read-message.ts'
import { writeXiEnvelope, writeXiMessage, type XiPayloadOut } from '../../src/protocols/xi/write-message.ts'
import { hyphenate, type XiEnvelope, type XiHeader } from '../../src/protocols/xi/xi.ts'

/** An XI message that came somewhere, with its document. */
export interface SeenXi extends XiEnvelope {
  readonly status: number
  readonly contentType: string
  readonly document: string
}

export const xiRequest: XiHeader = {
  messageClass: 'ApplicationMessage',
  isSynchronous: false,
  messageId: '005056bf38e01eddb58c9b5814a5e450',
  timeSent: '2023-04-06T10:22:01Z',
  sender: { service: 'S4H100' },
  receiver: { service: 'ISTHMUS' },
  interface: { name: 'SI_Credit_Out', namespace: 'urn:example:crm' },
  quality: 'ExactlyOnce',
  acksWanted: [],
  dynamic: [],
  hops: [],
}

/** A different message id for each number, in the spelling of messages. */
export function messageId(number: number): string {
  return hyphenate(number.toString(16).padStart(32, '0'))
}

export function document(content: string, kind: XiPayloadOut['kind'] = 'Application'): XiPayloadOut {
  const bytes = Buffer.from(content)
  return {
    name: kind === 'Application' ? 'MainDocument' : 'attachment',
    kind,
    type: 'application/xml',
    bytes: bytes.length,
    async *stream() {
      yield bytes
    },
  }
}

/** Sends a message as a system of SAP does, and reads what is answered. */
export async function sendXi(
  url: string,
  header: Partial<XiHeader>,
  payloads: readonly XiPayloadOut[] = [document('<Credit/>')],
  headers: Readonly<Record<string, string>> = {},
): Promise<SeenXi> {
  const { messageId: id = xiRequest.messageId } = header
  const written = writeXiMessage({ ...xiRequest, ...header, messageId: id.replaceAll('-', '').toLowerCase() }, payloads)
  const chunks: Uint8Array[] = []
  for await (const chunk of written.stream()) chunks.push(chunk)
  return sendBytes(url, written.type, Buffer.concat(chunks), headers)
}

export async function sendBytes(
  url: string,
  type: string,
  body: string | Buffer<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = {},
): Promise<SeenXi> {
  const answer = await fetch(url, { method: 'POST', headers: { ...headers, 'content-type': type }, body })
  return readXi(answer.status, answer.headers.get('content-type') ?? '', Buffer.from(await answer.arrayBuffer()))
}

async function readXi(status: number, contentType: string, bytes: Buffer): Promise<SeenXi> {
  const reader = await openXiMessage(
    (async function* () {
      yield bytes
    })(),
    contentType,
  )
  let text = ''
  for (let part = await reader.nextPart(); part; part = await reader.nextPart()) {
    for await (const chunk of part.body) text += Buffer.from(chunk).toString()
  }
  return { ...reader.envelope, status, contentType, document: text }
}

type Reply = HttpResponse | 'cut'

/** A port of an Integration Engine: keeps what comes, answers SystemAck or what a test says. */
export async function integrationEngine() {
  const seen: SeenXi[] = []
  const replies: ((message: SeenXi) => Reply)[] = []
  async function take(request: IncomingMessage): Promise<Reply> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const message = await readXi(200, request.headers['content-type'] ?? '', Buffer.concat(chunks))
    seen.push(message)
    return (replies.shift() ?? systemAck)(message)
  }
  const server = createServer((request, response) => {
    take(request).then(
      reply => {
        if (reply === 'cut') return request.socket.destroy()
        response.writeHead(reply.status, { ...reply.headers })
        const { body } = reply
        return typeof body === 'string' ? response.end(body) : Readable.from(body).pipe(response)
      },
      (error: unknown) => response.writeHead(400).end(String(error)),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/sap/xi/engine?type=entry`,
    seen,
    /** The next answers, in this order; then SystemAck again. */
    replies,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

export function answerHeader({ header }: XiEnvelope): XiHeader {
  return {
    ...xiRequest,
    messageClass: 'SystemAck',
    messageId: 'f'.repeat(32),
    refToMessageId: header?.messageId,
    interface: { name: 'Acknowledgment', namespace: 'http://sap.com/xi/XI/Message/30' },
    quality: undefined,
    ack: { status: 'OK', category: 'permanent' },
  }
}

export function xiAnswer(header: XiHeader): HttpResponse {
  const { type, text } = writeXiEnvelope(header)
  return { status: 200, headers: { 'content-type': type }, body: text }
}

function systemAck(message: SeenXi): HttpResponse {
  return xiAnswer(answerHeader(message))
}
