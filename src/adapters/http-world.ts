import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server } from 'node:http'
import type { Effect, ReceiverContext } from '../flow/adapter.ts'
import { type Body, heldBody } from '../kernel/body.ts'
import type { CredentialLookup } from '../kernel/credential.ts'
import { defaultLimits } from '../kernel/limit.ts'
import { silentLog } from '../kernel/log.ts'
import type { Message } from '../kernel/message.ts'
import { systemClock } from '../kernel/time.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { type HttpConfig, httpConfig } from './http-config.ts'

export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface Reply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  /** `never`: no answer; `cut`: the connection ends after the request was read. */
  readonly end?: 'never' | 'cut'
}

/** A web service on a real socket. For tests. */
export class WebService {
  readonly requests: SeenRequest[] = []
  connections = 0
  /** Answers in this order; the last one stays. */
  replies: Reply[] = []
  readonly #server: Server
  url = ''

  constructor() {
    this.#server = createServer((request, response) => {
      void this.#take(request).then(({ status = 200, headers = {}, body = '', end }) => {
        if (end === 'cut') request.socket.destroy()
        else if (end === undefined) response.writeHead(status, headers).end(body)
      })
    })
    this.#server.on('connection', () => {
      this.connections += 1
    })
  }

  async start(): Promise<this> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    this.url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
    return this
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  async #take(request: IncomingMessage): Promise<Reply> {
    const chunks: Uint8Array[] = []
    for await (const chunk of request) chunks.push(chunk as Uint8Array)
    const { method = '', url = '', headers } = request
    this.requests.push({ method, url, headers, body: Buffer.concat(chunks) })
    const [reply] = this.replies
    if (this.replies.length > 1) this.replies.shift()
    return reply ?? {}
  }
}

/** The surroundings of a receiver in a test. */
export function httpContext(
  config: object,
  credential: CredentialLookup = () => Promise.reject(new Error('no credential here')),
): ReceiverContext<HttpConfig> {
  return {
    config: httpConfig.parse(config),
    flow: 'orders',
    folder: '.',
    log: silentLog,
    signal: new AbortController().signal,
    clock: systemClock,
    limits: defaultLimits,
    connect: makeConnect(),
    credential,
  }
}

export function messageOf(
  body: string | Body,
  { headers = {}, attributes = {} }: Partial<Pick<Message, 'headers' | 'attributes'>> = {},
): Message {
  const held = typeof body === 'string' ? heldBody(body, 'application/json') : body
  return { id: '0ABCDEFGHJK', headers, attributes, body: held, acceptedAt: 0 }
}

/** An effect that writes down its intents. */
export function effectOf(message: Message, more: Partial<Effect> = {}): Effect & { readonly intents: string[] } {
  const intents: string[] = []
  return {
    key: `${message.id}/to[0]`,
    attempt: 1,
    isUnknown: false,
    scope: { message, params: { base: 'api' }, flow: { name: 'orders', stage: 'test' } },
    signal: new AbortController().signal,
    intend: async () => void intents.push('intended'),
    isFirst: async () => true,
    unlearn: () => {},
    ...more,
    intents,
  }
}
