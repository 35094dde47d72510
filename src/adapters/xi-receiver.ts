import { z } from 'zod'
import { defineReceiver, type Effect, type Receipt, type Receiver, type ReceiverContext } from '../flow/adapter.ts'
import type { Template } from '../flow/expression.ts'
import { templateSchema } from '../flow/expression-schema.ts'
import type { Message } from '../kernel/message.ts'
import type { WrittenXi } from '../protocols/xi/write-message.ts'
import { writeXiEnvelope, writeXiMessage } from '../protocols/xi/write-message.ts'
import { normaliseMessageId, type XiEnd, type XiHeader, type XiQuality } from '../protocols/xi/xi.ts'
import { effectGuid } from './effect-guid.ts'
import { httpErrors } from './http-errors.ts'
import { Post } from './post.ts'
import { checkCleartext, postFields, postUrl } from './post-config.ts'
import { acknowledgementFor } from './xi-acknowledgement.ts'
import { timeOf } from './xi-answer.ts'
import { xiReceiverErrors } from './xi-errors.ts'
import { messageTerms } from './xi-intake.ts'
import { readXiAnswer } from './xi-receipt.ts'

const end = (what: string, example: string) =>
  z.strictObject({
    service: templateSchema.meta({ description: `Communication component of the ${what}.`, examples: [example] }),
    party: templateSchema.optional().meta({ description: 'Party, between companies only.' }),
  })

const ackNames = {
  system: 'System',
  'system-error': 'SystemError',
  application: 'Application',
  'application-error': 'ApplicationError',
} as const

const config = z
  .strictObject({
    url: postUrl.meta({
      description: 'Where messages of the XI protocol are taken.',
      examples: ['https://s4.example:44300/sap/xi/engine?type=entry&sap-client=100'],
    }),
    sender: end('sender', 'ISTHMUS').optional(),
    receiver: end('receiver', 'S4H100').optional(),
    interface: templateSchema.optional().meta({
      description: 'Name of the interface; the receiving system finds its proxy by it.',
      examples: ['SI_CreditAnswer_In'],
    }),
    namespace: templateSchema.optional().meta({
      description: 'Namespace of the interface.',
      examples: ['urn:contoso:crm'],
    }),
    qos: z.enum(['EO', 'EOIO', 'BE']).default('EO').meta({
      description:
        'EO: once. EOIO: once and in the order of its queue. BE: a query, whose answer a call or enrich step can use.',
    }),
    queue: templateSchema.optional().meta({
      description:
        'Queue of EOIO: capital letters, digits and underscore, 16 at most. It keeps the order in which messages come; delivery.order-by keeps them in order until then.',
      examples: ['CREDIT_${message.customer}'],
    }),
    'ref-to': templateSchema.optional().meta({
      description: 'Message id of the message that this one answers (RefToMessageId).',
      examples: ['${message.messageId}'],
    }),
    dynamic: z
      .array(
        z.strictObject({
          namespace: z.string().min(1).max(255),
          name: z.string().min(1).max(120),
          value: templateSchema,
        }),
      )
      .max(50)
      .default([])
      .meta({
        description: 'Records of DynamicConfiguration, which adapters and mappings of Process Orchestration read.',
        examples: [[{ namespace: 'urn:contoso:crm', name: 'Company', value: '${message.company}' }]],
      }),
    acks: z
      .array(z.enum(Object.keys(ackNames) as (keyof typeof ackNames)[]))
      .default([])
      .meta({
        description:
          'Acknowledgements to ask for; they come later, to a flow whose xi sender takes acknowledgements, and are found by the message id.',
        examples: [['system', 'application', 'application-error']],
      }),
    acknowledge: z.enum(['asked', 'application', 'system']).optional().meta({
      description:
        'Sends no document but what became of a message that an xi sender took in; for flows whose sender is answers. asked: those acknowledgements that its sender asked for.',
    }),
    'on-unknown': z.enum(['set-aside', 'send-again']).optional().meta({
      description:
        'When the connection was lost after a query and before its answer: let a person look, or ask again. Default: set-aside. EO and EOIO are sent again with the same message id, which systems of SAP take once.',
    }),
    take: z.enum(['document', 'message']).optional().meta({
      description:
        'What of the answer to a query is handed on. document: its main document. message: the XI message as it came, with envelope and attachments. Default: document.',
    }),
    attachments: z.enum(['refuse', 'drop']).optional().meta({
      description:
        'What happens when the answer to a query has attachments and only its document is taken. Default: refuse, which sets the message aside.',
    }),
    ...postFields,
  })
  .superRefine((given, context) => {
    checkCleartext(given, context)
    const wanted = ['sender', 'receiver', 'interface', 'namespace'] as const
    for (const name of given.acknowledge ? [] : wanted) {
      if (given[name] !== undefined) continue
      context.addIssue({ code: 'custom', path: [name], message: `a message needs ${name}` })
    }
    if ((given.qos === 'EOIO') !== (given.queue !== undefined)) {
      const message = given.queue === undefined ? 'EOIO needs a queue' : 'only EOIO has a queue'
      context.addIssue({ code: 'custom', path: ['queue'], message })
    }
    if (given.qos === 'BE' && given.acks.length > 0) {
      context.addIssue({ code: 'custom', path: ['acks'], message: 'a query is answered at once, not acknowledged' })
    }
    for (const name of ['take', 'attachments'] as const) {
      if (given[name] === undefined || given.qos === 'BE') continue
      context.addIssue({ code: 'custom', path: [name], message: 'only a query (qos: BE) has an answer to take from' })
    }
  })

type XiReceiverConfig = z.output<typeof config>

export const xiReceiver = defineReceiver({
  id: 'xi',
  title: 'XI proxy messages',
  summary:
    'Sends the message to a system of SAP by the XI 3.0 protocol: as a one-way message, in the order of a queue, or as a query.',
  answers: true,
  config,
  examples: [
    {
      title: 'A response message for the proxy that asked',
      config: {
        url: 'https://s4.example:44300/sap/xi/engine?type=entry',
        auth: 's4-technical-user',
        sender: { service: 'ISTHMUS' },
        receiver: { service: 'S4H100' },
        interface: 'SI_CreditAnswer_In',
        namespace: 'urn:contoso:crm',
        'ref-to': '${message.messageId}',
      },
    },
    {
      title: 'In the order of a queue, through a connector',
      config: {
        url: 'http://s4.virtual:8000/sap/xi/engine?type=entry',
        via: 'dc-frankfurt',
        auth: 's4-technical-user',
        sender: { service: 'ISTHMUS' },
        receiver: { service: 'S4H100' },
        interface: 'SI_Customer_In',
        namespace: 'urn:contoso:crm',
        qos: 'EOIO',
        queue: 'CUSTOMER',
        acks: ['application', 'application-error'],
      },
    },
    {
      title: 'The acknowledgements that a sender asked for, from a flow of answers',
      config: { url: 'https://s4.example:44300/sap/xi/engine?type=entry', auth: 's4-user', acknowledge: 'asked' },
    },
  ],
  errors: xiReceiverErrors,
  orderedBy: ({ queue }) => (queue === undefined ? undefined : 'queue'),
  open: async context => new XiReceiver(context, await Post.open(context)),
})

const qualities: Readonly<Record<XiReceiverConfig['qos'], XiQuality>> = {
  BE: 'BestEffort',
  EO: 'ExactlyOnce',
  EOIO: 'ExactlyOnceInOrder',
}

class XiReceiver implements Receiver {
  readonly #context: ReceiverContext<XiReceiverConfig>
  readonly #post: Post

  constructor(context: ReceiverContext<XiReceiverConfig>, post: Post) {
    this.#context = context
    this.#post = post
  }

  async deliver(message: Message, effect: Effect): Promise<Receipt> {
    const { config } = this.#context
    const messageId = effectGuid(this.#context.flow, effect)
    const written = config.acknowledge
      ? this.#acknowledgement(config.acknowledge, message, messageId)
      : await this.#message(message, effect, messageId)
    if (!written) return { summary: 'no acknowledgement was asked for' }
    const isQuery = config.qos === 'BE' && !config.acknowledge
    const mustAsk = isQuery && (config['on-unknown'] ?? 'set-aside') === 'set-aside'
    if (mustAsk && effect.isUnknown) {
      const reason = 'an earlier attempt ended without an answer'
      throw httpErrors.OUTCOME_UNKNOWN({ server: this.#post.server, reason })
    }
    const onUnknown = mustAsk ? 'never' : 'soon'
    const answer = await this.#post.send(
      {
        url: new URL(config.url),
        headers: { 'content-type': written.type, accept: 'text/xml, multipart/related', soapaction: soapAction },
        bytes: written.bytes,
        stream: written.stream,
      },
      { signal: effect.signal, onUnknown, intend: () => effect.intend() },
    )
    const { take = 'document', attachments = 'refuse' } = config
    const context = { post: this.#post, messageId, isQuery, onUnknown, take, attachments } as const
    const { summary, answer: taken } = await readXiAnswer(answer, context)
    return {
      summary,
      fields: { messageId, status: answer.status },
      terms: messageTerms(messageId),
      ...(taken && { answer: taken }),
    }
  }

  check() {
    return this.#post.check()
  }

  close() {
    return this.#post.close()
  }

  #acknowledgement(
    acknowledge: NonNullable<XiReceiverConfig['acknowledge']>,
    message: Message,
    messageId: string,
  ): WrittenXi | undefined {
    const header = acknowledgementFor(message, { acknowledge, messageId, now: this.#context.clock.now() })
    if (!header) return undefined
    const { type, text } = writeXiEnvelope(header)
    const bytes = Buffer.from(text)
    return {
      type,
      bytes: bytes.length,
      async *stream() {
        yield bytes
      },
    }
  }

  async #message(message: Message, effect: Effect, messageId: string): Promise<WrittenXi> {
    const { config } = this.#context
    const render = async (template: Template | undefined) =>
      template === undefined ? '' : textOf(await template.render(effect.scope))
    const reference = await render(config['ref-to'])
    const header: XiHeader = {
      messageClass: 'ApplicationMessage',
      isSynchronous: config.qos === 'BE',
      messageId,
      ...(reference !== '' && { refToMessageId: normaliseMessageId(reference, 'ref-to') }),
      // Of the message, not of the attempt: a repeat is the same to the letter.
      timeSent: timeOf(message.acceptedAt),
      sender: await endOf(config.sender, render),
      receiver: await endOf(config.receiver, render),
      interface: { name: await render(config.interface), namespace: await render(config.namespace) },
      quality: qualities[config.qos],
      ...(config.queue && { queueId: queueOf(await render(config.queue)) }),
      acksWanted: config.acks.map(name => ackNames[name]),
      dynamic: await Promise.all(
        config.dynamic.map(async record => ({ ...record, value: await render(record.value) })),
      ),
      hops: [],
    }
    const { body } = message
    return writeXiMessage(header, [
      { name: 'MainDocument', kind: 'Application', type: body.type, bytes: body.bytes, stream: () => body.stream() },
    ])
  }
}

/** Systems of SAP route by it when several services share a port. */
const soapAction = 'http://sap.com/xi/WebService/soap1.1'

async function endOf(
  end: XiReceiverConfig['sender'],
  render: (template: Template | undefined) => Promise<string>,
): Promise<XiEnd> {
  const party = await render(end?.party)
  return {
    ...(party !== '' && { party: { name: party, agency: 'http://sap.com/xi/XI', scheme: 'XIParty' } }),
    service: await render(end?.service),
  }
}

/** SAP takes 16 letters of few kinds; a key of a message may have others. */
function queueOf(text: string): string {
  return text
    .toUpperCase()
    .replace(/[^A-Z0-9_]/g, '_')
    .slice(0, queueLetters)
}

const queueLetters = 16

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : value === null || value === undefined ? '' : JSON.stringify(value)
}
