import { z } from 'zod'
import { defineSender, type Outcome, type Sender, type SenderContext } from '../flow/adapter.ts'
import { asHubError } from '../kernel/error.ts'
import type { HttpRequest, HttpResponse, HttpRoute } from '../kernel/http-exchange.ts'
import { size, someTime } from '../kernel/schema.ts'
import { formatDuration } from '../kernel/time.ts'
import { openXiMessage, type XiMessageReader } from '../protocols/xi/read-message.ts'
import type { XiHeader, XiMessageClass } from '../protocols/xi/xi.ts'
import { callerOf } from './caller.ts'
import { bodyBytesMaxOf, endWithin, serveRoutes } from './endpoint.ts'
import { endpointPath, endpointRole, isForPeopleOfHub, tellErrors } from './endpoint-config.ts'
import { acknowledge, refuse, respond } from './xi-answer.ts'
import { xiSenderErrors } from './xi-errors.ts'
import { acknowledgementOf, attributesOf, documentOf, messageTerms, Recording, xiAttributes } from './xi-intake.ts'
import { sampleXiRequest } from './xi-sample.ts'

const config = z.strictObject({
  path: endpointPath.meta({ description: 'Path below /flows.', examples: ['/xi'] }),
  role: endpointRole,
  takes: z.enum(['messages', 'acknowledgements']).default('messages').meta({
    description:
      'messages: what applications send, asynchronous or as queries. acknowledgements: what comes back later for messages that the xi receiver sent.',
  }),
  interfaces: z
    .array(z.strictObject({ name: z.string().min(1).max(120), namespace: z.string().min(1).max(255).optional() }))
    .min(1)
    .optional()
    .meta({
      description:
        'Interfaces that this flow takes, as a sender agreement names them; all of them when left out. Flows can share a path (with the same role and max-size): the one that names the interface most exactly takes the message. EOIO keeps its order within a flow, so interfaces that share a queue belong into one.',
      examples: [[{ name: 'SI_Credit_Out', namespace: 'urn:contoso:crm' }]],
    }),
  within: someTime.prefault('60s').meta({
    description:
      'How long a query (BestEffort) waits for its answer; then it is refused, the message goes on, and a query with the same message id gets the answer that is kept.',
  }),
  'tell-errors': tellErrors,
  take: z.enum(['document', 'message']).default('document').meta({
    description:
      'document: the body is the main document. message: the body is the XI message as it came, with envelope and attachments.',
  }),
  attachments: z.enum(['refuse', 'drop']).default('refuse').meta({
    description: 'What happens to a message with attachments when only its document is taken.',
  }),
  'max-size': size
    .optional()
    .meta({ description: 'The largest message that is taken. Default: the limit of the hub.' }),
})

type XiSenderConfig = z.output<typeof config>

export const xiSender = defineSender({
  id: 'xi',
  title: 'XI proxy messages',
  summary:
    'Takes messages of the XI 3.0 protocol, as ABAP proxies and Process Orchestration send them: once, in order by queue, or as queries that are answered in the same call.',
  config,
  examples: [
    {
      title: 'One of many interfaces at the one url that an S/4HANA knows; other flows have the others',
      config: { path: '/xi', role: 'ESBMessaging.send', interfaces: [{ name: 'SI_Invoice_Out' }] },
    },
    { title: 'Every proxy message of an S/4HANA', config: { path: '/xi', role: 'ESBMessaging.send' } },
    {
      title: 'A query with its answer',
      config: {
        path: '/xi/check-user',
        role: 'CRM_User.check',
        interfaces: [{ name: 'SI_CheckUser_Out', namespace: 'urn:contoso:crm' }],
        within: '20s',
      },
    },
    {
      title: 'Acknowledgements for messages that were sent',
      config: { path: '/xi/acks', role: 'ESBMessaging.send', takes: 'acknowledgements' },
    },
  ],
  errors: xiSenderErrors,
  attributes: xiAttributes,
  delivery: { 'order-by': 'message.serialisation' },
  keepsResult: (_, { qos }) => qos === 'BE',
  sampleRequest: sampleXiRequest,
  open: async context => new XiSender(context),
})

const acknowledgements: ReadonlySet<XiMessageClass> = new Set([
  'SystemAck',
  'ApplicationAck',
  'SystemError',
  'ApplicationError',
])

/** Who stands behind a route, for senders that share a path. */
const senders = new WeakMap<HttpRoute, XiSender>()

function isOfClass(takes: XiSenderConfig['takes'], messageClass: XiMessageClass | 'Fault'): boolean {
  if (takes === 'messages') return messageClass === 'ApplicationMessage'
  return messageClass !== 'Fault' && acknowledgements.has(messageClass)
}

/** What of a path is a sender's. */
function partsOf({ takes, interfaces }: XiSenderConfig): readonly string[] {
  if (takes === 'acknowledgements') return [takes]
  return interfaces?.map(({ name, namespace = '*' }) => `${name} ${namespace}`) ?? ['*']
}

/** How exactly a sender names the interface of a message: 0 not at all, 1 as any, 2 by name, 3 by name and namespace. */
function fitOf({ takes, interfaces }: XiSenderConfig, { interface: { name, namespace } }: XiHeader): number {
  // Acknowledgements carry the interface of the message, or one of their own.
  if (!interfaces || takes === 'acknowledgements') return 1
  const fits = interfaces.map(known => {
    if (known.name !== name) return 0
    return known.namespace === undefined ? 2 : known.namespace === namespace ? 3 : 0
  })
  return Math.max(...fits)
}

class XiSender implements Sender {
  readonly #context: SenderContext<XiSenderConfig>

  constructor(context: SenderContext<XiSenderConfig>) {
    this.#context = context
  }

  async receive(): Promise<void> {
    const { config, flow } = this.#context
    const { path, role } = config
    const route: HttpRoute = {
      flow,
      path,
      role,
      methods: ['POST'],
      bodyBytesMax: bodyBytesMaxOf(this.#context),
      shared: { kind: 'xi', parts: partsOf(config) },
      handle: (request, others) => this.#answer(request, others),
    }
    senders.set(route, this)
    await serveRoutes(this.#context, route)
  }

  /** The route stands as long as the flow runs; there is nothing behind it that could be down. */
  async check() {
    return { ok: true as const, detail: `POST /flows${this.#context.config.path}` }
  }

  async close(): Promise<void> {}

  /** Systems that speak XI read faults, not problem documents. */
  async #answer(request: HttpRequest, others: readonly HttpRoute[]): Promise<HttpResponse> {
    try {
      // Whether the message is wanted as it came is known once its envelope is read.
      const recording = new Recording(request.body)
      const reader = await openXiMessage(recording, request.headers['content-type'] ?? '')
      const taker = this.#takerOf(reader.envelope.header, others)
      return await taker.#take(request, reader, recording)
    } catch (thrown) {
      const error = asHubError(thrown)
      if (error.code === 'ENDPOINT_CALLER_LEFT' || error.code === 'HUB_UNEXPECTED') throw error
      this.#context.log.info('xi.refused', { code: error.code, text: error.message })
      return refuse(error)
    }
  }

  /** The sender at this path whose agreement fits best. Throws XI_CLASS_REFUSED, XI_INTERFACE_REFUSED. */
  #takerOf(header: XiHeader | undefined, others: readonly HttpRoute[]): XiSender {
    const atPath = [this, ...others.flatMap(other => senders.get(other) ?? [])]
    const messageClass = header?.messageClass ?? 'Fault'
    const ofClass = atPath.filter(sender => isOfClass(sender.#context.config.takes, messageClass))
    if (!header || ofClass.length === 0) {
      throw xiSenderErrors.CLASS_REFUSED({ takes: this.#context.config.takes, class: messageClass })
    }
    const fits = ofClass.map(sender => ({ sender, fit: fitOf(sender.#context.config, header) }))
    const [best] = fits.toSorted((one, other) => other.fit - one.fit)
    if (best && best.fit > 0) return best.sender
    const { name, namespace } = header.interface
    throw xiSenderErrors.INTERFACE_REFUSED({ interface: name, namespace })
  }

  async #take(request: HttpRequest, reader: XiMessageReader, recording: Recording): Promise<HttpResponse> {
    const { clock, config, intake } = this.#context
    const { header, payloads } = reader.envelope
    if (!header) throw xiSenderErrors.CLASS_REFUSED({ takes: config.takes, class: 'Fault' })
    const isWhole = config.take === 'message'
    if (!isWhole) recording.stop()
    const content = isWhole
      ? { type: request.headers['content-type'] ?? '', body: recording.wholeMessage(reader) }
      : await this.#contentOf(header, reader)
    const { id } = await intake.accept({
      headers: { 'content-type': content.type },
      attributes: { ...attributesOf(header, payloads), ...(request.caller && { caller: callerOf(request.caller) }) },
      ...content,
      sourceKey: `xi/${header.messageId}`,
      terms: [...messageTerms(header.messageId), ...(header.refToMessageId ? messageTerms(header.refToMessageId) : [])],
    })
    if (!header.isSynchronous || acknowledgements.has(header.messageClass)) return acknowledge(header, clock.now())
    const outcome = await endWithin(this.#context, id, request.signal)
    return this.#answerTo(header, id, outcome)
  }

  async #contentOf(header: XiHeader, reader: XiMessageReader) {
    if (header.messageClass === 'ApplicationMessage') {
      return documentOf(reader, this.#context.config.attachments, {
        attachments: count => xiSenderErrors.ATTACHMENTS_REFUSED({ count }),
        unclear: count => xiSenderErrors.PAYLOAD_UNCLEAR({ count }),
      })
    }
    for (let part = await reader.nextPart(); part; part = await reader.nextPart());
    return acknowledgementOf(header)
  }

  #answerTo(header: XiHeader, id: string, outcome: Outcome | undefined): HttpResponse {
    const { clock, config } = this.#context
    if (!outcome) throw xiSenderErrors.LATE({ id, within: formatDuration(config.within) })
    const { state, summary, result, error } = outcome
    if (state === 'delivered' && result) return respond(header, result, clock.now())
    if (state === 'delivered') throw xiSenderErrors.ANSWER_GONE({ id })
    if (state === 'rejected') throw xiSenderErrors.REJECTED({ id, summary })
    if (error && isForPeopleOfHub(error, config['tell-errors'])) throw xiSenderErrors.FAILED({ id, code: error.code })
    throw xiSenderErrors.NOT_ANSWERED({ id, summary: error?.message ?? summary })
  }
}
