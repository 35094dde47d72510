import { readFileSync } from 'node:fs'
import { createFlowEndpoints, type FlowEndpoints } from '../api/flow-endpoints.ts'
import type { Incoming, Intake, Outcome, SenderContext } from '../flow/adapter.ts'
import { hubErrors } from '../kernel/error.ts'
import { defaultLimits, type Limits } from '../kernel/limit.ts'
import { silentLog } from '../kernel/log.ts'
import { systemClock } from '../kernel/time.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { idocSender } from './idoc.ts'
import type { IdocSenderConfig } from './idoc-sender-config.ts'

export interface TakenMessage {
  readonly incoming: Incoming
  readonly body: string
}

/** The idoc sender behind a real endpoint, with an intake that remembers what it was given. For tests. */
export class IdocWorld {
  readonly messages: TakenMessage[] = []
  readonly warnings: object[] = []
  /** Called before each acceptance; may throw or wait. */
  onAccept: (incoming: Incoming, index: number) => void | Promise<void> = () => {}
  /** How messages ended; one that is not here goes on. */
  readonly outcomes = new Map<string, Outcome>()
  readonly #endpoints: FlowEndpoints
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #asked = 0
  url = ''

  constructor() {
    this.#endpoints = createFlowEndpoints({ log: silentLog })
  }

  async start(
    config: object = {},
    { folder = '.', limits = {} }: { folder?: string; limits?: Partial<Limits> } = {},
  ): Promise<this> {
    const base = await this.#endpoints.listen({ host: '127.0.0.1', port: 0 })
    const parsed = idocSender.config.parse(config)
    const context: SenderContext<IdocSenderConfig> = {
      config: parsed,
      flow: 'materials',
      folder,
      log: { ...silentLog, warn: (event, fields) => void this.warnings.push({ event, ...fields }) },
      signal: this.#stop.signal,
      clock: systemClock,
      limits: { ...defaultLimits, ...limits },
      connect: makeConnect(),
      credential: () => Promise.reject(hubErrors.STOPPING()),
      intake: this.#intake(),
      serve: this.#endpoints.serve,
      memory: { get: async () => undefined, set: async () => {} },
      supervise: () => Promise.resolve(),
    }
    const sender = await idocSender.open(context)
    this.#running = sender.receive()
    this.url = `${base}${parsed.path}`
    return this
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
    await this.#endpoints.close(100)
  }

  async post(
    body: string | Uint8Array,
    {
      type = 'text/xml',
      headers = {},
      query = '',
    }: { type?: string; headers?: Record<string, string>; query?: string } = {},
  ): Promise<Response> {
    const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body)
    return fetch(`${this.url}${query}`, { method: 'POST', headers: { 'content-type': type, ...headers }, body: bytes })
  }

  attributes(name: string): unknown[] {
    return this.messages.map(({ incoming }) => incoming.attributes[name])
  }

  #intake(): Intake {
    const intake: Intake = {
      accept: async incoming => {
        const index = this.#asked
        this.#asked += 1
        const chunks: Uint8Array[] = []
        if (incoming.body instanceof Uint8Array) chunks.push(incoming.body)
        else for await (const chunk of incoming.body) chunks.push(chunk)
        const before = this.messages.findIndex(
          message => incoming.sourceKey !== undefined && message.incoming.sourceKey === incoming.sourceKey,
        )
        await this.onAccept(incoming, index)
        if (before >= 0) return { id: `M${before}`, duplicate: true }
        this.messages.push({ incoming, body: Buffer.concat(chunks).toString() })
        return { id: `M${this.messages.length - 1}`, duplicate: false }
      },
      acceptAll: async all => {
        const { length } = this.messages
        const accepted = []
        try {
          for (const incoming of all) accepted.push(await intake.accept(incoming))
        } catch (thrown) {
          this.messages.length = length
          throw thrown
        }
        return accepted
      },
      known: async () => new Map(),
      attributes: async id => this.messages[Number(id.slice(1))]?.incoming.attributes,
      outcome: async (id, signal) => {
        const known = this.outcomes.get(id)
        if (known || signal?.aborted) return known
        return new Promise(resolve => signal?.addEventListener('abort', () => resolve(undefined)))
      },
    }
    return intake
  }
}

/** A document of the corpus. */
export function idocSample(name: string): Buffer {
  return readFileSync(new URL(`../../test/corpus/idoc/${name}`, import.meta.url))
}

export interface SmallIdoc {
  readonly docnum: string
  readonly matnr?: string
  readonly text?: string
  readonly control?: string
}

/** `<IDOC>` of a MATMAS05 with a material and its text. */
export function materialIdoc({ docnum, matnr = '4711', text = 'Pump', control = '' }: SmallIdoc): string {
  return (
    `<IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><TABNAM>EDI_DC40</TABNAM><MANDT>400</MANDT><DOCNUM>${docnum}</DOCNUM>` +
    '<DIRECT>1</DIRECT><IDOCTYP>MATMAS05</IDOCTYP><MESTYP>MATMAS</MESTYP><SNDPOR>SAPPS1</SNDPOR><SNDPRT>LS</SNDPRT>' +
    `<SNDPRN>S4CLNT400</SNDPRN><RCVPOR>ISTHMUS</RCVPOR><RCVPRT>LS</RCVPRT><RCVPRN>CRM</RCVPRN>${control}</EDI_DC40>` +
    `<E1MARAM SEGMENT="1"><MSGFN>005</MSGFN><MATNR>${matnr.padStart(18, '0')}</MATNR>` +
    `<E1MAKTM SEGMENT="1"><MSGFN>005</MSGFN><SPRAS>E</SPRAS><MAKTX>${text}</MAKTX><SPRAS_ISO>EN</SPRAS_ISO></E1MAKTM>` +
    '</E1MARAM></IDOC>'
  )
}

/** A packet of them, as the HTTP-XML port sends it. */
export function materialPacket(...idocs: readonly SmallIdoc[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?><MATMAS05>${idocs.map(materialIdoc).join('')}</MATMAS05>`
}
