import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { z } from 'zod'
import { defineSender, type Outcome, type Sender, type SenderContext } from '../flow/adapter.ts'
import { readBody } from '../kernel/body.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import type { HttpRequest, HttpResponse, HttpRoute } from '../kernel/http-exchange.ts'
import type { JsonObject } from '../kernel/json.ts'
import { size, someTime } from '../kernel/schema.ts'
import { formatDuration } from '../kernel/time.ts'
import { parseContentType } from '../protocols/mime/content-type.ts'
import { addressingOf, openSoap, refuseUnknownHeaders } from '../protocols/soap/read-soap.ts'
import { type SoapMessage, type SoapVersion, soapTypes } from '../protocols/soap/soap.ts'
import { writeSoap, writeSoapFault } from '../protocols/soap/write-soap.ts'
import { normaliseMessageId } from '../protocols/xi/xi.ts'
import { xmlWords } from '../protocols/xml/write-xml.ts'
import { callerOf } from './caller.ts'
import { bodyBytesMaxOf, endWithin, serveRoutes } from './endpoint.ts'
import { endpointPath, endpointRole, isForPeopleOfHub, tellErrors } from './endpoint-config.ts'
import { soapSenderErrors } from './soap-errors.ts'
import { sampleSoapRequest } from './soap-sample.ts'
import { messageTerms } from './xi-intake.ts'

const config = z
  .strictObject({
    path: endpointPath.meta({ description: 'Path below /flows.', examples: ['/soap/orders'] }),
    role: endpointRole,
    protocol: z.enum(['plain', 'sap-rm']).default('plain').meta({
      description:
        'sap-rm: the url of each request carries MessageId, and QueueId where order counts, as systems of SAP send them: taken once, and in the order of the queue.',
    }),
    'once-by': z.enum(['nothing', 'addressing']).default('nothing').meta({
      description: 'addressing: MessageID of WS-Addressing says which request repeats an earlier one (plain only).',
    }),
    answer: z.enum(['accepted', 'result']).default('accepted').meta({
      description:
        'accepted: 202 without content as soon as the message is safe. result: waits for the end and answers with the body that the flow made of the message.',
    }),
    within: someTime.prefault('60s').meta({
      description:
        'How long `result` waits; then the answer is a fault, the message goes on, and the same request with the same id gets the answer that is kept.',
    }),
    'tell-errors': tellErrors,
    wsdl: z
      .string()
      .min(1)
      .optional()
      .meta({
        description: 'Description of the service, beside the flow; callers get it with ?wsdl.',
        examples: ['./orders.wsdl'],
      }),
    'max-size': size
      .optional()
      .meta({ description: 'The largest message that is taken. Default: the limit of the hub.' }),
  })
  .superRefine((given, context) => {
    if (given.protocol === 'plain' || given['once-by'] === 'nothing') return
    context.addIssue({ code: 'custom', path: ['once-by'], message: 'sap-rm has the id in the url' })
  })

type SoapSenderConfig = z.output<typeof config>

export const soapSender = defineSender({
  id: 'soap',
  title: 'SOAP endpoint',
  summary: 'Takes SOAP requests (1.1 and 1.2), plain or with the reliable messaging of SAP (SAP RM).',
  config,
  examples: [
    {
      title: 'Messages of proxies over SAP RM',
      config: { path: '/soap/invoices', role: 'ESBMessaging.send', protocol: 'sap-rm' },
    },
    {
      title: 'A service that answers',
      config: {
        path: '/soap/prices',
        role: 'ESBMessaging.send',
        answer: 'result',
        within: '20s',
        wsdl: './prices.wsdl',
      },
    },
  ],
  errors: soapSenderErrors,
  attributes: [
    'messageId',
    'queueId',
    'qos',
    'serialisation',
    'operation',
    'namespace',
    'action',
    'soapVersion',
    'relatesTo',
    'path',
    'query',
    'caller',
  ],
  delivery: { 'order-by': 'message.serialisation' },
  keepsResult: ({ answer }, { messageId }) => answer === 'result' && messageId !== '',
  sampleRequest: sampleSoapRequest,
  open: async context => new SoapSender(context, await readWsdl(context)),
})

async function readWsdl({
  config: { wsdl },
  folder,
}: Pick<SenderContext<SoapSenderConfig>, 'config' | 'folder'>): Promise<Buffer | undefined> {
  if (wsdl === undefined) return undefined
  const file = resolve(folder, wsdl)
  try {
    return await readFile(file)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw soapSenderErrors.WSDL_UNREADABLE({ file, reason }, { cause })
  }
}

interface RequestId {
  readonly messageId: string
  readonly queueId: string
}

class SoapSender implements Sender {
  readonly #context: SenderContext<SoapSenderConfig>
  readonly #wsdl: Buffer | undefined

  constructor(context: SenderContext<SoapSenderConfig>, wsdl: Buffer | undefined) {
    this.#context = context
    this.#wsdl = wsdl
  }

  async receive(): Promise<void> {
    const { config, flow } = this.#context
    const { path, role } = config
    const route: HttpRoute = {
      flow,
      path,
      role,
      methods: this.#wsdl ? ['POST', 'GET', 'HEAD'] : ['POST'],
      bodyBytesMax: bodyBytesMaxOf(this.#context),
      handle: request => (request.method === 'POST' ? this.#answer(request) : this.#describe()),
    }
    await serveRoutes(this.#context, route)
  }

  /** The route stands as long as the flow runs; there is nothing behind it that could be down. */
  async check() {
    return { ok: true as const, detail: `POST /flows${this.#context.config.path}` }
  }

  async close(): Promise<void> {}

  async #describe(): Promise<HttpResponse> {
    return { status: 200, headers: { 'content-type': 'text/xml; charset=utf-8' }, body: this.#wsdl ?? '' }
  }

  /** SOAP clients read faults, not problem documents. */
  async #answer(request: HttpRequest): Promise<HttpResponse> {
    // Until the envelope is read the Content-Type says which version the caller understands.
    const { type } = parseContentType(request.headers['content-type'] ?? '')
    let version: SoapVersion = type === 'application/soap+xml' ? '1.2' : '1.1'
    try {
      return await this.#take(request, known => {
        version = known
      })
    } catch (thrown) {
      const error = asHubError(thrown)
      if (error.code === 'ENDPOINT_CALLER_LEFT' || error.code === 'HUB_UNEXPECTED') throw error
      this.#context.log.info('soap.refused', { code: error.code, text: error.message })
      return refuse(version, error)
    }
  }

  async #take(request: HttpRequest, onVersion: (version: SoapVersion) => void): Promise<HttpResponse> {
    const { config, intake } = this.#context
    const contentType = request.headers['content-type'] ?? ''
    const message = await openSoap(request.body, contentType)
    onVersion(message.version)
    refuseUnknownHeaders(message)
    if (message.fault) throw soapSenderErrors.FAULT_SENT()
    const key = this.#idOf(request, message)
    const type = 'application/xml; charset=utf-8'
    const { id } = await intake.accept({
      headers: { 'content-type': type },
      attributes: attributesOf(request, message, key),
      type,
      body: message.document(),
      ...(key.messageId !== '' && {
        sourceKey: `soap/${key.messageId}`,
        terms: config.protocol === 'sap-rm' ? messageTerms(key.messageId) : [key.messageId],
      }),
    })
    if (config.answer === 'accepted') return { status: 202, headers: {}, body: '' }
    return this.#resultOf(message.version, id, await endWithin(this.#context, id, request.signal))
  }

  #idOf(request: HttpRequest, message: SoapMessage): RequestId {
    const { config } = this.#context
    if (config.protocol === 'sap-rm') {
      const text = queryField(request, 'messageid')
      if (text === undefined) throw soapSenderErrors.ID_MISSING({ where: 'MessageId in the url' })
      return { messageId: normaliseMessageId(text), queueId: queryField(request, 'queueid') ?? '' }
    }
    if (config['once-by'] === 'nothing') return { messageId: '', queueId: '' }
    const messageId = addressingOf(message, 'MessageID')?.slice(0, idLetters)
    if (messageId === undefined) throw soapSenderErrors.ID_MISSING({ where: 'MessageID of WS-Addressing' })
    return { messageId, queueId: '' }
  }

  async #resultOf(version: SoapVersion, id: string, outcome: Outcome | undefined): Promise<HttpResponse> {
    const { config, limits } = this.#context
    if (!outcome) throw soapSenderErrors.LATE({ id, within: formatDuration(config.within) })
    const { state, summary, result, error } = outcome
    if (state === 'delivered' && result) {
      const document = await readBody(result.body, limits.parseBytes, 'answering by SOAP (parseBytes)')
      return { status: 200, headers: { 'content-type': soapTypes[version] }, body: writeSoap(version, document) }
    }
    if (state === 'rejected') throw soapSenderErrors.REJECTED({ id, summary })
    if (error && isForPeopleOfHub(error, config['tell-errors'])) throw soapSenderErrors.FAILED({ id, code: error.code })
    throw soapSenderErrors.NOT_ANSWERED({ id, summary: error?.message ?? summary })
  }
}

/** Letters of a message id that are kept. */
const idLetters = 256

function attributesOf(request: HttpRequest, message: SoapMessage, { messageId, queueId }: RequestId): JsonObject {
  const { payload, version } = message
  const qos = messageId === '' ? '' : queueId === '' ? 'EO' : 'EOIO'
  return {
    messageId,
    queueId,
    qos,
    serialisation: queueId,
    operation: payload?.name ?? '',
    namespace: payload?.namespace ?? '',
    action: actionOf(request) ?? addressingOf(message, 'Action') ?? '',
    soapVersion: version,
    relatesTo: addressingOf(message, 'RelatesTo') ?? '',
    path: request.path.replace(/^\/flows/, ''),
    query: request.query,
    ...(request.caller && { caller: callerOf(request.caller) }),
  }
}

/** SOAP 1.1 has a header for it, SOAP 1.2 a parameter of the type. */
function actionOf({ headers }: HttpRequest): string | undefined {
  const action = headers['soapaction'] ?? parseContentType(headers['content-type'] ?? '').parameters.get('action')
  return action?.trim().replace(/^"(.*)"$/, '$1') || undefined
}

function queryField({ query }: HttpRequest, name: string): string | undefined {
  const found = Object.entries(query).find(([field]) => field.toLowerCase() === name)
  return found?.[1] || undefined
}

/** SOAP 1.1 section 6.2 has 500 for every fault, SOAP 1.2 part 2 table 20 has 400 for the caller's; 503: try again. */
function refuse(version: SoapVersion, error: HubError): HttpResponse {
  const isCallers = error.side === 'sender' || error.side === 'caller'
  // Who waits for an answer wants to read why there is none; clients look at the content of 503 rarely.
  const isTemporary = error.retry === 'soon' && error.code !== soapSenderErrors.LATE.code
  const code = error.code === 'SOAPMESSAGE_NOT_UNDERSTOOD' ? 'MustUnderstand' : isCallers ? 'Client' : 'Server'
  const text = xmlWords(error.message, 2000)
  const waitMs = error.retryAfterMs
  return {
    status: isTemporary ? 503 : version === '1.2' && code === 'Client' ? 400 : 500,
    headers: {
      'content-type': soapTypes[version],
      ...(isTemporary && waitMs !== undefined && { 'retry-after': String(Math.ceil(waitMs / 1000)) }),
    },
    body: writeSoapFault(version, { code, text, errorCode: error.code }),
  }
}
