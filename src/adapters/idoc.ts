import { isUtf8 } from 'node:buffer'
import { defineSender, type Incoming, type Sender, type SenderContext } from '../flow/adapter.ts'
import type { HttpRequest, HttpResponse, HttpRoute } from '../kernel/http-exchange.ts'
import type { Json, JsonObject } from '../kernel/json.ts'
import { idocErrors } from '../protocols/idoc/errors.ts'
import { type FlatLayouts, readFlatFile } from '../protocols/idoc/flat-file.ts'
import { readLines } from '../protocols/idoc/flat-lines.ts'
import type { Idoc } from '../protocols/idoc/idoc.ts'
import { parseIdocs, readIdocs } from '../protocols/idoc/read-idocs.ts'
import { keepRecent } from '../protocols/idoc/recent-idocs.ts'
import { writeIdocs } from '../protocols/idoc/write-idoc.ts'
import type { SoapVersion } from '../protocols/soap/soap.ts'
import { xmlErrors } from '../protocols/xml/errors.ts'
import { callerOf } from './caller.ts'
import { bodyBytesMaxOf, serveRoutes } from './endpoint.ts'
import { answerProblem } from './https-answer.ts'
import { answerTaken, answerUnreadable, type TakenIdoc } from './idoc-answer.ts'
import { idocAdapterErrors } from './idoc-errors.ts'
import { factsOf, identityOf, idocAttributes, type ObjectKeys, objectKeysOf } from './idoc-facts.ts'
import { readLayouts } from './idoc-layouts.ts'
import { IdocPacket, type ReadPacket } from './idoc-packet.ts'
import { answerQuestion } from './idoc-question.ts'
import { type IdocSenderConfig, idocSenderConfig } from './idoc-sender-config.ts'

export const idocSender = defineSender({
  id: 'idoc',
  title: 'IDocs',
  summary:
    'Takes IDocs that SAP sends over HTTP: one message per IDoc, once by its number, in order by object, and never an older one after a newer.',
  config: idocSenderConfig,
  examples: [
    { title: 'Materials and customers of an S/4HANA', config: { path: '/idoc', role: 'SAP_IDoc.send' } },
    {
      title: 'A type of your own',
      config: { path: '/idoc/stock', 'object-key': { ZCUSTSTOCK: 'Z1STOCK/MATNR + Z1STOCK/KUNNR' } },
    },
    {
      title: 'A question with its answer',
      config: { path: '/idoc/check-product', role: 'CRM_Product.check', answer: 'result', within: '20s' },
    },
    { title: 'Flat files', config: { path: '/idoc/flat', format: 'flat-file', layouts: './layouts.json' } },
  ],
  errors: { ...idocAdapterErrors, ...idocErrors, ...xmlErrors },
  attributes: idocAttributes,
  delivery: { 'order-by': 'message.orderKey', 'only-newer': 'message.docnum' },
  keepsResult: ({ answer }) => answer === 'result',
  sampleRequest({ format }, given) {
    if (given.type !== undefined) return undefined
    const type = format === 'xml' ? 'text/xml' : 'text/plain'
    return { type, body: given.body, filledIn: `the media type ${type}` }
  },
  async open(context) {
    const { config, folder } = context
    return new IdocSender(context, config.layouts === undefined ? {} : await readLayouts(folder, config.layouts))
  },
})

/** IDocs of one packet that become durable together. */
const acceptedAtOnce = 32

/** Segments without a layout of which the log tells. */
const toldSegments = 100

const oneIdocType = 'application/x-sap.idoc'
const xmlTypes: readonly string[] = [oneIdocType, 'text/xml', 'application/xml', 'application/soap+xml']
const flatTypes: readonly string[] = ['text/plain', 'application/octet-stream']

class IdocSender implements Sender {
  readonly #context: SenderContext<IdocSenderConfig>
  readonly #layouts: FlatLayouts
  readonly #objectKeys: ObjectKeys
  readonly #unknown = new Set<string>()

  constructor(context: SenderContext<IdocSenderConfig>, layouts: FlatLayouts) {
    this.#context = context
    this.#layouts = layouts
    const own = Object.entries(context.config['object-key'])
    this.#objectKeys = objectKeysOf(Object.fromEntries(own.map(([type, paths]) => [type, [paths].flat()])))
  }

  async receive(): Promise<void> {
    const { config, flow } = this.#context
    const { path, role } = config
    const route: HttpRoute = {
      flow,
      path,
      methods: ['POST'],
      role,
      bodyBytesMax: bodyBytesMaxOf(this.#context),
      handle: request => this.#take(request),
    }
    await serveRoutes(this.#context, route)
  }

  /** The route stands as long as the flow runs; there is nothing behind it that could be down. */
  async check() {
    return { ok: true as const, detail: `POST /flows${this.#context.config.path}` }
  }

  async close(): Promise<void> {}

  async #take(request: HttpRequest): Promise<HttpResponse> {
    const { config } = this.#context
    const { type, charset } = contentTypeOf(request.headers['content-type'] ?? '')
    const wanted = config.format === 'xml' ? xmlTypes : flatTypes
    if (!wanted.includes(type)) {
      const shown = type === '' ? 'none' : type.slice(0, 100)
      return answerProblem(idocAdapterErrors.MEDIA_TYPE({ type: shown, wanted: wanted.join(', ') }), 415)
    }
    const version: SoapVersion = type === 'application/soap+xml' ? '1.2' : '1.1'
    const isQuestion = config.answer === 'result'
    const countMax = type === oneIdocType || isQuestion ? 1 : Number.POSITIVE_INFINITY
    const packet = await IdocPacket.receive(request.body, this.#reader(charset), countMax)
    try {
      if (packet.fault) {
        const isSoap = 'soapaction' in request.headers || version === '1.2'
        return answerUnreadable(packet.fault, await this.#keepUnreadable(packet, request), isSoap ? version : undefined)
      }
      const { type: idocType, taken } = await this.#acceptAll(packet, request, charset)
      const { soapNamespace } = packet
      const [first] = taken
      if (isQuestion && first) {
        const soap = soapNamespace === undefined ? undefined : version
        return await answerQuestion(this.#context, { id: first.id, soap, signal: request.signal })
      }
      return answerTaken(
        idocType,
        taken,
        soapNamespace === undefined ? undefined : { version, namespace: soapNamespace },
      )
    } finally {
      await packet.close()
    }
  }

  #reader(charset: string | undefined): ReadPacket {
    const { format, 'invalid-characters': invalid } = this.#context.config
    const mend = invalid === 'error' ? undefined : invalid
    if (format === 'flat-file') {
      const onUnknown = (segment: string) => this.#tellUnknown(segment)
      return { stream: source => readFlatFile(readLines(source, charset), this.#layouts, mend, onUnknown) }
    }
    const options = { charset, mend }
    return { stream: source => readIdocs(source, options), whole: bytes => parseIdocs(bytes, options) }
  }

  /** Once for each segment while the flow runs; a file of them must not fill the log. */
  #tellUnknown(segment: string): void {
    if (this.#unknown.has(segment) || this.#unknown.size >= toldSegments) return
    this.#unknown.add(segment)
    this.#context.log.warn('idoc.segment-unknown', {
      segment,
      layouts: this.#context.config.layouts,
      next: 'It is kept with its data in the field SDATA. Where a mapping reads it, add its layout (transaction WE60) to that file.',
    })
  }

  /** Resolves when every IDoc is durable. A failure leaves open which were taken: whoever sends all again doubles none. */
  async #acceptAll(packet: IdocPacket, request: HttpRequest, charset: string | undefined) {
    const { intake, limits } = this.#context
    const caller = request.caller && callerOf(request.caller)
    const messageId = messageIdOf(request.query)
    const taken: TakenIdoc[] = []
    let group: Incoming[] = []
    let type = ''
    // Together or not at all: a newer one of an object must not be in when the older one is not, which would be too old
    // when it comes again.
    const acceptGroup = async () => {
      if (group.length === 0) return
      const accepted = await intake.acceptAll(group)
      for (const [index, { id, duplicate }] of accepted.entries()) {
        const { attributes = {} } = group[index] ?? {}
        if (duplicate) await this.#tellReuse(id, attributes)
        taken.push({ docnum: String(attributes['docnum']), id })
      }
      group = []
    }
    for await (const idoc of packet.idocs()) {
      type = idoc.type
      const incoming = this.#incoming(idoc, caller, this.#bytesOf(idoc, packet, charset))
      if (incoming.sourceKey === undefined && messageId !== undefined) {
        incoming.sourceKey = `idoc-message/${messageId}/${taken.length + group.length}`
      }
      // Large ones are not held beside others.
      const isLarge = incoming.body.length > limits.inlineBytes
      if (isLarge || group.length >= acceptedAtOnce) await acceptGroup()
      group.push(incoming)
      if (isLarge) await acceptGroup()
    }
    await acceptGroup()
    return { type, taken }
  }

  /** An IDoc that comes again was created when it was; another time tells that its number begins anew. */
  async #tellReuse(id: string, attributes: JsonObject): Promise<void> {
    const { intake, log } = this.#context
    const earlier = await intake.attributes(id)
    if (!earlier || createdAt(earlier) === createdAt(attributes)) return
    log.warn('idoc.number-reused', {
      docnum: attributes['docnum'],
      delivery: id,
      created: createdAt(attributes),
      createdBefore: createdAt(earlier),
      next: 'It passes for a repeat of that message, and is not delivered. Where numbers begin anew, put CREDAT and CRETIM into identity.',
    })
  }

  #incoming(idoc: Idoc, caller: Json | undefined, body: Uint8Array) {
    const facts = factsOf(idoc, this.#objectKeys)
    // Questions change nothing: none waits for another, and none is too old.
    if (this.#context.config.answer === 'result') facts.orderKey = ''
    const sourceKey = identityOf(idoc, this.#context.config.identity)
    const incoming: Incoming & { sourceKey?: string; readonly body: Uint8Array } = {
      headers: {},
      attributes: caller === undefined ? facts : { ...facts, caller },
      type: 'application/xml',
      body,
      terms: [facts.docnum, facts.objectKey].filter(word => word !== ''),
      ...(sourceKey !== undefined && { sourceKey }),
    }
    return incoming
  }

  /** The document as it came where it is one plain IDoc in UTF-8; else the IDoc written anew, as a document of its own. */
  #bytesOf(idoc: Idoc, packet: IdocPacket, charset: string | undefined): Uint8Array {
    const { format, 'invalid-characters': invalid } = this.#context.config
    const isPlain = packet.count === 1 && idoc.soapNamespace === undefined && format === 'xml' && invalid === 'error'
    const held = isPlain ? packet.heldBytes : undefined
    const bytes = held && isUtf8Document(held, charset) ? held : Buffer.from(writeIdocs([idoc]))
    keepRecent(bytes, idoc)
    return bytes
  }

  async #keepUnreadable(packet: IdocPacket, request: HttpRequest): Promise<string> {
    const empty = Object.fromEntries(idocAttributes.map(name => [name, '']))
    const { id } = await this.#context.intake.accept({
      headers: {},
      attributes: { ...empty, ...(request.caller && { caller: callerOf(request.caller) }) },
      type: request.headers['content-type'] ?? 'application/octet-stream',
      body: packet.bytes(),
      sourceKey: `idoc-unreadable/${await packet.checksum()}`,
      ...(packet.fault && { unreadable: packet.fault }),
    })
    return id
  }
}

function createdAt({ credat, cretim }: JsonObject): string {
  return `${String(credat)} ${String(cretim)}`
}

function contentTypeOf(header: string): { readonly type: string; readonly charset: string | undefined } {
  const charset = /;\s*charset\s*=\s*"?([A-Za-z0-9._-]+)/i.exec(header)?.[1]
  return { type: (header.split(';')[0] ?? '').trim().toLowerCase(), charset }
}

/** SAP RM names the message in the query, a GUID with or without hyphens; the same for each repeat. */
function messageIdOf(query: Readonly<Record<string, string>>): string | undefined {
  const given = Object.entries(query).find(([name]) => name.toLowerCase() === 'messageid')?.[1]
  const hex = given?.replaceAll('-', '').toLowerCase()
  return hex !== undefined && /^[0-9a-f]{32}$/.test(hex) ? hex : undefined
}

/** Whoever reads the body later knows nothing of the charset in the header of the request. */
function isUtf8Document(bytes: Uint8Array, charset: string | undefined): boolean {
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) return false
  const declared = /^[^>]*\sencoding\s*=\s*["']([^"']*)/.exec(
    Buffer.from(bytes.subarray(0, 200)).toString('latin1'),
  )?.[1]
  return (declared === undefined || /^utf-?8$/i.test(declared)) && isUtf8(bytes)
}
