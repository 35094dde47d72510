import { createHash } from 'node:crypto'
import { defineReceiver, type Effect, type Receipt, type Receiver, type ReceiverContext } from '../flow/adapter.ts'
import { readBody } from '../kernel/body.ts'
import type { Message } from '../kernel/message.ts'
import type { CheckResult } from '../kernel/socket.ts'
import { idocErrors } from '../protocols/idoc/errors.ts'
import { type FlatLayouts, writeFlatFile } from '../protocols/idoc/flat-file.ts'
import { writeIdocs } from '../protocols/idoc/write-idoc.ts'
import { xmlErrors } from '../protocols/xml/errors.ts'
import { httpErrors } from './http-errors.ts'
import { idocAdapterErrors } from './idoc-errors.ts'
import { readLayouts } from './idoc-layouts.ts'
import { acknowledgementIdoc, type OutgoingIdoc, outgoingIdocs } from './idoc-outgoing.ts'
import { faultOf, pageOf, receiptOf } from './idoc-receipt.ts'
import { type IdocReceiverConfig, idocReceiverConfig } from './idoc-receiver-config.ts'
import { Post } from './post.ts'

export const idocReceiver = defineReceiver({
  id: 'idoc',
  title: 'IDocs to SAP',
  summary:
    'Posts IDocs to an SAP system, and takes the numbers it gives them as receipt; or tells SAP what became of its own.',
  answers: true,
  config: idocReceiverConfig,
  examples: [
    {
      title: 'Orders that a step has described as JSON',
      config: {
        url: 'https://s4.contoso.com:44300/sap/bc/srt/idoc?sap-client=400',
        shape: 'soap',
        auth: 's4-idoc',
        control: {
          IDOCTYP: 'ORDERS05',
          MESTYP: 'ORDERS',
          SNDPOR: 'ISTHMUS',
          SNDPRT: 'LS',
          SNDPRN: 'CRM',
          RCVPOR: 'SAPPS1',
          RCVPRT: 'LS',
          RCVPRN: 'S4CLNT400',
        },
      },
    },
    {
      title: 'What became of IDocs of SAP, through a connector',
      config: {
        via: 'dc-frankfurt',
        url: 'http://s4.virtual:8000/sap/bc/idoc_xml?sap-client=400',
        auth: 's4-idoc',
        acknowledge: 'SYSTAT01',
      },
    },
  ],
  errors: { ...idocAdapterErrors, ...idocErrors, ...xmlErrors, ...httpErrors },
  async open(context) {
    const { layouts } = context.config
    const [post, read] = await Promise.all([
      Post.open(context),
      layouts === undefined ? {} : readLayouts(context.folder, layouts),
    ])
    return new IdocReceiver(context, post, read)
  },
})

const soapNamespace = 'http://schemas.xmlsoap.org/soap/envelope/'
const idocSoapNamespace = 'urn:sap-com:document:sap:idoc:soap:messages'

class IdocReceiver implements Receiver {
  readonly #context: ReceiverContext<IdocReceiverConfig>
  readonly #post: Post
  readonly #layouts: FlatLayouts
  readonly #onUnknown: 'set-aside' | 'send-again'

  constructor(context: ReceiverContext<IdocReceiverConfig>, post: Post, layouts: FlatLayouts) {
    const { acknowledge, shape, 'on-unknown': onUnknown } = context.config
    this.#context = context
    this.#post = post
    this.#layouts = layouts
    // A status that SAP hears twice is the same status.
    const isRepeatable = shape === 'soap' || acknowledge !== undefined
    this.#onUnknown = onUnknown ?? (isRepeatable ? 'send-again' : 'set-aside')
  }

  async deliver(message: Message, effect: Effect): Promise<Receipt> {
    const { server } = this.#post
    const idocs = await this.#idocsOf(message, effect)
    if (idocs.length === 0) return { summary: 'nothing to acknowledge: the IDoc had no number' }
    const { bytes, type, url } = this.#write(idocs, effect)
    if (effect.isUnknown && this.#onUnknown === 'set-aside') {
      throw httpErrors.OUTCOME_UNKNOWN({ server, reason: 'an earlier attempt ended without an answer' })
    }
    const onUnknown = this.#onUnknown === 'send-again' ? 'soon' : 'never'
    const soapHeaders = this.#context.config.shape === 'soap' ? { soapaction: '""' } : {}
    const answer = await this.#post.send(
      {
        url,
        headers: { 'content-type': type, accept: 'text/xml, application/xml;q=0.9, */*;q=0.1', ...soapHeaders },
        bytes: bytes.length,
        async *stream() {
          yield bytes
        },
      },
      {
        signal: effect.signal,
        onUnknown,
        intend: () => effect.intend(),
      },
    )
    const fault = faultOf(answer, server)
    if (fault) throw fault
    if (answer.status < 200 || answer.status > 299) throw this.#post.failure(answer)
    const text = pageOf(answer)
    if (text !== undefined) {
      throw idocAdapterErrors.ANSWER_UNCLEAR({ server, status: answer.status, text }, { retry: onUnknown })
    }
    return receiptOf(answer, server)
  }

  check(): Promise<CheckResult> {
    return this.#post.check()
  }

  close(): Promise<void> {
    return this.#post.close()
  }

  async #idocsOf(message: Message, effect: Effect): Promise<readonly OutgoingIdoc[]> {
    const { config, limits } = this.#context
    const bytes = await readBody(message.body, limits.parseBytes, 'writing an IDoc (parseBytes)')
    const defaults = new Map<string, string>()
    for (const [name, template] of Object.entries(config.control)) {
      const value = await template.render(effect.scope)
      if (value !== null && value !== '') defaults.set(name, typeof value === 'string' ? value : JSON.stringify(value))
    }
    if (config.acknowledge === undefined) return outgoingIdocs(bytes, message.body.type, defaults)
    const idoc = acknowledgementIdoc(config.acknowledge, message, bytes)
    return idoc ? [{ ...idoc, control: new Map([...idoc.control, ...defaults]) }] : []
  }

  #write(idocs: readonly OutgoingIdoc[], { key }: Effect) {
    const { config } = this.#context
    const url = new URL(config.url)
    if (config.format === 'flat-file') {
      const lines = idocs.flatMap(idoc => [...writeFlatFile(idoc, this.#layouts)])
      return { url, type: 'text/plain; charset=utf-8', bytes: Buffer.from(`${lines.join('\r\n')}\r\n`) }
    }
    const document = writeIdocs(idocs)
    if (config.shape === 'soap') url.searchParams.set('MessageId', messageIdOf(key))
    const text = config.shape === 'soap' ? inSoap(document) : document
    return { url, type: 'text/xml; charset=utf-8', bytes: Buffer.from(text) }
  }
}

/** The document as body of a SOAP 1.1 envelope; its root moves into the namespace of SAP's IDoc service. */
function inSoap(document: string): string {
  const root = document.slice(document.indexOf('?>') + 2)
  const inside = root
    .replace(/^<([^\s>]+)>/, `<n0:$1 xmlns:n0="${idocSoapNamespace}">`)
    .replace(/<\/([^>]+)>$/, '</n0:$1>')
  return (
    `<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="${soapNamespace}"><soap:Header/>` +
    `<soap:Body>${inside}</soap:Body></soap:Envelope>`
  )
}

/** A GUID that stays the same over all attempts of one effect. */
function messageIdOf(key: string): string {
  const hex = createHash('sha256').update(key).digest('hex').slice(0, 32)
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
