import { createServer, type IncomingMessage, type Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../kernel/time.ts'

/** A clock that jumps over every wait at once and remembers how long they were. For tests. */
export class JumpingClock implements Clock {
  readonly waits: number[] = []
  #now = Date.now()

  now = () => this.#now
  advance(ms: number): void {
    this.#now += ms
  }
  async sleep(ms: number): Promise<void> {
    this.waits.push(ms)
    this.#now += ms
  }
  after(ms: number, callback: () => void): () => void {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  }
}

export interface TokenRequest {
  readonly path: string
  readonly authorization: string | undefined
  readonly form: Readonly<Record<string, string>>
}

export interface TokenReply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  /** Milliseconds of real time before the answer, or what it waits for; `never` leaves the request open. */
  readonly after?: number | Promise<unknown> | 'never' | 'cut'
}

/** A token endpoint on a real socket that answers as each test says. For tests. */
export class TokenServer {
  readonly requests: TokenRequest[] = []
  /** Answers in this order; the last one stays. */
  replies: TokenReply[] = []
  readonly #server: Server
  url = ''

  constructor() {
    this.#server = createServer((request, response) => {
      void this.#take(request).then(reply => {
        const { after = 0 } = reply
        if (after === 'cut') request.socket.destroy()
        if (typeof after === 'string') return
        const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body ?? {})
        const due = typeof after === 'number' ? sleep(after) : after
        void due.then(() =>
          response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...reply.headers }).end(text),
        )
      })
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

  async #take(request: IncomingMessage): Promise<TokenReply> {
    const chunks: Uint8Array[] = []
    for await (const chunk of request) chunks.push(chunk as Uint8Array)
    this.requests.push({
      path: request.url ?? '',
      authorization: request.headers.authorization,
      form: Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString())),
    })
    const [next] = this.replies
    if (this.replies.length > 1) this.replies.shift()
    return next ?? { status: 500 }
  }
}

/** A token answer; what is given goes before. */
export function tokenReply(value: string, more: Readonly<Record<string, unknown>> = {}): TokenReply {
  return { body: { access_token: value, token_type: 'Bearer', expires_in: 3600, ...more } }
}

export function refusedReply(error: string, description: string, status = 400): TokenReply {
  return { status, body: { error, error_description: description } }
}

/** An id token as it looks; nobody here checks its signature. */
export function idToken(claims: Readonly<Record<string, unknown>>): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'RS256' })}.${part(claims)}.${Buffer.from('signature').toString('base64url')}`
}
