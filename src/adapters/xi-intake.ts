import type { Incoming } from '../flow/adapter.ts'
import { heldBody } from '../kernel/body.ts'
import type { HubError } from '../kernel/error.ts'
import type { JsonObject } from '../kernel/json.ts'
import type { XiMessageReader, XiPart } from '../protocols/xi/read-message.ts'
import { hyphenate, type XiHeader, type XiPayload, type XiQuality } from '../protocols/xi/xi.ts'

/** Attributes of messages that come by XI. */
export const xiAttributes = [
  'messageClass',
  'messageId',
  'refToMessageId',
  'qos',
  'queueId',
  'serialisation',
  'interface',
  'namespace',
  'senderService',
  'senderParty',
  'receiverService',
  'receiverParty',
  'timeSent',
  'acksWanted',
  'dynamic',
  'payloads',
  'ackStatus',
  'caller',
] as const

const shortQuality: Readonly<Record<XiQuality, string>> = {
  BestEffort: 'BE',
  ExactlyOnce: 'EO',
  ExactlyOnceInOrder: 'EOIO',
}

/** The head of a message as flows see it. What is not there is empty, so that expressions need not ask. */
export function attributesOf(header: XiHeader, payloads: readonly XiPayload[]): JsonObject {
  const { messageClass, messageId, refToMessageId, queueId, sender, receiver, timeSent, acksWanted, dynamic } = header
  const qos = shortQuality[header.quality ?? (header.isSynchronous ? 'BestEffort' : 'ExactlyOnce')]
  return {
    messageClass,
    messageId,
    refToMessageId: refToMessageId ?? '',
    qos,
    queueId: queueId ?? '',
    serialisation: qos === 'EOIO' ? serialisationOf(header) : '',
    interface: header.interface.name,
    namespace: header.interface.namespace,
    senderService: sender.service,
    senderParty: sender.party?.name ?? '',
    receiverService: receiver.service,
    receiverParty: receiver.party?.name ?? '',
    timeSent: timeSent ?? '',
    acksWanted,
    dynamic: dynamic.map(({ namespace, name, value }) => ({ namespace, name, value })),
    payloads: payloads.map(({ name, kind }) => ({ name, kind })),
    ackStatus: header.ack?.status ?? '',
  }
}

/** What messages in order go in order by: the queue, for one sender and one receiver. */
function serialisationOf({ queueId = '', sender, receiver }: XiHeader): string {
  const ends = [sender, receiver].map(({ party, service }) => `${party?.name ?? ''}|${service}`)
  return [queueId, ...ends].join('/')
}

/** The id as people may know it: as the hub writes it, as SXMB_MONI shows it, as messages carry it. */
export function messageTerms(id: string): readonly string[] {
  return [id, id.toUpperCase(), hyphenate(id)]
}

/** An acknowledgement or an error that came for a message sent earlier: its facts as JSON. */
export function acknowledgementOf(header: XiHeader): Pick<Incoming, 'type' | 'body'> {
  const { messageClass, messageId, refToMessageId, ack, error } = header
  const facts = {
    messageClass,
    messageId,
    refToMessageId,
    status: ack?.status ?? (error ? 'Error' : ''),
    category: ack?.category ?? '',
    error: error ?? null,
  }
  return { type: 'application/json', body: Buffer.from(JSON.stringify(facts)) }
}

/** What a message is refused with whose document alone is wanted. */
export interface PayloadRefusals {
  readonly attachments: (count: number) => HubError
  readonly unclear: (count: number) => HubError
}

/**
 * The document of a message as body. The rest is read behind it, so that a message counts as taken only when it came
 * whole. Throws one of the refusals.
 */
export async function documentOf(
  { envelope, nextPart }: XiMessageReader,
  attachments: 'refuse' | 'drop',
  refusals: PayloadRefusals,
): Promise<{ readonly type: string; readonly body: AsyncIterable<Uint8Array> }> {
  const { payloads } = envelope
  const main = mainOf(payloads)
  if (!main && payloads.length > 1) throw refusals.unclear(payloads.length)
  if (payloads.length > 1 && attachments === 'refuse') throw refusals.attachments(payloads.length - 1)
  // The manifest need not name all that comes.
  let strangerCount = 0
  const nextWanted = async () => {
    for (;;) {
      const part = await nextPart()
      if (!part && strangerCount > 0 && attachments === 'refuse') {
        throw refusals.attachments(strangerCount)
      }
      if (!part || part.payload) return part
      strangerCount += 1
    }
  }
  for (let part = await nextWanted(); part; part = await nextWanted()) {
    if (part.payload === main) return { type: typeOf(part), body: restAfter(part, nextWanted) }
  }
  return { type: 'application/xml', body: heldBody(new Uint8Array(), '').stream() }
}

/** Documents of interfaces are XML, also where systems call them octets or leave the type of another message on them. */
function typeOf({ payload, type }: XiPart): string {
  const isMisnamed = /^\s*(application\/octet-stream|multipart\/)/i.test(type)
  return payload?.kind === 'Application' && isMisnamed ? 'application/xml' : type
}

async function* restAfter(part: XiPart, nextPart: XiMessageReader['nextPart']): AsyncGenerator<Uint8Array> {
  yield* part.body
  for (let more = await nextPart(); more; more = await nextPart());
}

/** The document of the interface; an attachment that comes alone takes its place. */
function mainOf(payloads: readonly XiPayload[]): XiPayload | undefined {
  const documents = payloads.filter(({ kind }) => kind === 'Application')
  const named = documents.find(({ name }) => name === 'MainDocument')
  return named ?? documents[0] ?? (payloads.length === 1 ? payloads[0] : undefined)
}

/** Keeps the bytes that a reader takes from a source, so that the message can be handed on as it came. */
export class Recording {
  #kept: Uint8Array[] = []
  #isStopped = false
  readonly #source: AsyncIterable<Uint8Array>

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#source) {
      if (!this.#isStopped) this.#kept.push(Buffer.from(chunk))
      yield chunk
    }
  }

  /** Nobody wants the bytes: what comes from now on is not kept, nor what came. */
  stop(): void {
    this.#isStopped = true
    this.#kept = []
  }

  /** What was read since it was last taken. */
  *#take(): Generator<Uint8Array> {
    const kept = this.#kept
    this.#kept = []
    yield* kept
  }

  /** All bytes, those read already first; ends with an error when the message did not come whole. */
  async *wholeMessage({ nextPart }: XiMessageReader): AsyncGenerator<Uint8Array> {
    for (let part = await nextPart(); part; part = await nextPart()) {
      yield* this.#take()
      for await (const _ of part.body) yield* this.#take()
    }
    yield* this.#take()
  }
}
