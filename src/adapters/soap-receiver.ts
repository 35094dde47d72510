import { z } from 'zod'
import { defineReceiver, type Effect, type Receipt, type Receiver, type ReceiverContext } from '../flow/adapter.ts'
import { templateSchema } from '../flow/expression-schema.ts'
import { readBody } from '../kernel/body.ts'
import { HubError } from '../kernel/error.ts'
import type { Message } from '../kernel/message.ts'
import { openSoap } from '../protocols/soap/read-soap.ts'
import { type SoapFault, soapTypes } from '../protocols/soap/soap.ts'
import { writeSoap } from '../protocols/soap/write-soap.ts'
import { hyphenate } from '../protocols/xi/xi.ts'
import { effectGuid } from './effect-guid.ts'
import type { HttpAnswer } from './http-answer.ts'
import { httpErrors } from './http-errors.ts'
import { Post } from './post.ts'
import { checkCleartext, postFields, postUrl } from './post-config.ts'
import { soapReceiverErrors } from './soap-errors.ts'
import { messageTerms } from './xi-intake.ts'

const config = z
  .strictObject({
    url: postUrl.meta({ description: 'The service.', examples: ['https://s4.example/sap/bc/srt/xip/sap/invoice_in'] }),
    version: z.enum(['1.1', '1.2']).default('1.1').meta({ description: 'Version of SOAP that the service speaks.' }),
    action: templateSchema.optional().meta({
      description: 'SOAPAction of the operation; empty when left out.',
      examples: ['http://sap.com/xi/WebService/soap1.1'],
    }),
    protocol: z.enum(['plain', 'sap-rm']).default('plain').meta({
      description:
        'sap-rm: the url carries a MessageId that stays the same over all attempts, so that the other side takes the message once; and QueueId.',
    }),
    queue: templateSchema.optional().meta({
      description:
        'QueueId, for messages that keep their order (sap-rm); delivery.order-by keeps them in order until they are sent.',
      examples: ['INVOICE'],
    }),
    body: z.enum(['document', 'envelope']).default('document').meta({
      description:
        'document: the body of the message is one XML document, and is put into an envelope. envelope: it is an envelope already and goes as it is.',
    }),
    'on-unknown': z.enum(['set-aside', 'send-again']).optional().meta({
      description:
        'When the connection was lost after the request and before the answer: let a person look, or send it again. Default: send-again with sap-rm, else set-aside.',
    }),
    ...postFields,
  })
  .superRefine((given, context) => {
    checkCleartext(given, context)
    if (given.queue === undefined || given.protocol === 'sap-rm') return
    context.addIssue({ code: 'custom', path: ['queue'], message: 'only sap-rm has queues' })
  })

type SoapReceiverConfig = z.output<typeof config>

export const soapReceiver = defineReceiver({
  id: 'soap',
  title: 'SOAP service',
  summary: 'Sends the message in a SOAP request, and takes the answer as receipt.',
  answers: true,
  config,
  examples: [
    {
      title: 'A one-way message to a proxy of S/4HANA, once',
      config: {
        url: 'https://s4.example:44300/sap/bc/srt/xip/sap/invoice_in/100/invoice/basic',
        auth: 's4-technical-user',
        protocol: 'sap-rm',
      },
    },
    {
      title: 'A service with an answer, through a connector',
      config: {
        url: 'http://prices.virtual:8080/PriceService',
        via: 'dc-frankfurt',
        version: '1.2',
        action: 'urn:prices:quote',
        'on-unknown': 'send-again',
      },
    },
  ],
  errors: soapReceiverErrors,
  orderedBy: ({ queue }) => (queue === undefined ? undefined : 'queue'),
  open: async context => new SoapReceiver(context, await Post.open(context)),
})

class SoapReceiver implements Receiver {
  readonly #context: ReceiverContext<SoapReceiverConfig>
  readonly #post: Post

  constructor(context: ReceiverContext<SoapReceiverConfig>, post: Post) {
    this.#context = context
    this.#post = post
  }

  async deliver(message: Message, effect: Effect): Promise<Receipt> {
    const { config, flow } = this.#context
    const isReliable = config.protocol === 'sap-rm'
    const mayRepeat = (config['on-unknown'] ?? (isReliable ? 'send-again' : 'set-aside')) === 'send-again'
    if (effect.isUnknown && !mayRepeat) {
      const reason = 'an earlier attempt ended without an answer'
      throw httpErrors.OUTCOME_UNKNOWN({ server: this.#post.server, reason })
    }
    const url = new URL(config.url)
    const messageId = isReliable ? effectGuid(flow, effect) : undefined
    if (messageId !== undefined) url.searchParams.set('MessageId', hyphenate(messageId))
    if (config.queue) url.searchParams.set('QueueId', await textOf(config.queue, effect))
    const action = headerText(config.action ? await textOf(config.action, effect) : '')
    const envelope = await this.#envelopeOf(message)
    const answer = await this.#post.send(
      {
        url,
        headers: headersFor(config.version, action),
        bytes: envelope.length,
        async *stream() {
          yield envelope
        },
      },
      { signal: effect.signal, onUnknown: mayRepeat ? 'soon' : 'never', intend: () => effect.intend() },
    )
    const document = await this.#read(answer)
    return {
      summary: `${answer.status} from ${this.#post.server}${messageId === undefined ? '' : `, message ${messageId}`} (${document.length} bytes)`,
      fields: { status: answer.status, ...(messageId !== undefined && { messageId }) },
      ...(messageId !== undefined && { terms: messageTerms(messageId) }),
      ...(document.length > 0 && {
        answer: { headers: answer.headers, type: 'application/xml; charset=utf-8', body: document },
      }),
    }
  }

  check() {
    return this.#post.check()
  }

  close() {
    return this.#post.close()
  }

  async #envelopeOf({ body }: Message): Promise<Uint8Array> {
    const { config, limits } = this.#context
    const bytes = await readBody(body, limits.parseBytes, 'putting a body into an envelope (parseBytes)')
    return config.body === 'envelope' ? bytes : Buffer.from(writeSoap(config.version, bytes))
  }

  /** The document of the answer; throws when it is a fault, or none at all. */
  async #read(answer: HttpAnswer): Promise<Uint8Array> {
    const { server } = this.#post
    const { status, headers, body } = answer
    if (body.length === 0 && status < 300) return body
    const chunks: Uint8Array[] = []
    let fault: SoapFault | undefined
    try {
      const message = await openSoap(one(body), headers['content-type'] ?? '')
      fault = message.fault
      for await (const chunk of message.document()) chunks.push(chunk)
    } catch (thrown) {
      // A proxy, a log-in page, a gateway: what stands between speaks by its status.
      if (!(thrown instanceof HubError) || status >= 300) throw this.#post.failure(answer)
      throw soapReceiverErrors.ANSWER_UNCLEAR({ server, status, text: thrown.message }, { cause: thrown })
    }
    if (fault) throw faultError(server, status, fault)
    if (status >= 300) throw this.#post.failure(answer)
    return Buffer.concat(chunks)
  }
}

/** Whose fault it is says whether the same request may succeed later. */
function faultError(server: string, status: number, { code, text }: SoapFault): HubError {
  const fields = { server, code, text: text.slice(0, 300) || 'no words' }
  const isServers = code.startsWith('Server') || status === 503 || status === 429
  return isServers ? soapReceiverErrors.SERVER_FAULT(fields) : soapReceiverErrors.FAULT(fields)
}

function headersFor(version: SoapReceiverConfig['version'], action: string): Readonly<Record<string, string>> {
  const accept = { accept: 'text/xml, application/soap+xml, multipart/related' }
  if (version === '1.1') return { ...accept, 'content-type': soapTypes['1.1'], soapaction: `"${action}"` }
  const type = soapTypes['1.2']
  return { ...accept, 'content-type': action === '' ? type : `${type}; action="${action}"` }
}

/** RFC 9110 section 5.5, and no quote, since one stands on either side. */
function headerText(text: string): string {
  if (/^[\t !#-~]*$/.test(text)) return text
  throw httpErrors.HEADER_REFUSED({ header: 'SOAPAction', reason: 'it has letters that cannot stand there' })
}

async function textOf(template: z.output<typeof templateSchema>, { scope }: Effect): Promise<string> {
  const value = await template.render(scope)
  return typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value)
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
