import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { makeConnect } from '../net/connect.ts'
import { makeHttpAgent } from '../net/http-client.ts'
import { ODataClient, type ODataClientOptions } from './client.ts'
import type { ODataVersion } from './edm.ts'

export type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** A service on a real socket that answers as each test says. For tests. */
export class ScriptedService {
  readonly urls: string[] = []
  answer: Answer = (_request, response) => response.writeHead(500).end()
  readonly #server: Server
  #origin = ''

  constructor() {
    this.#server = createServer((request, response) => {
      this.urls.push(`${request.method} ${request.url}`)
      request.resume()
      this.answer(request, response)
    })
  }

  get root(): string {
    return `${this.#origin}/service/`
  }

  async start(): Promise<this> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    this.#origin = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
    return this
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  /** Answers everything with this. */
  says(body: string | Buffer, type = 'application/json', status = 200): void {
    this.answer = (_request, response) => response.writeHead(status, { 'content-type': type }).end(body)
  }
}

/** A client of a service for a test; close it at the end. */
export function clientOf(root: string, version: ODataVersion, more: Partial<ODataClientOptions> = {}) {
  const agent = makeHttpAgent({ connect: () => makeConnect(), connectTimeoutMs: 5000, answerBytesMax: -1 })
  const client = new ODataClient({
    root: new URL(root),
    version,
    logIn: async () => ({ dispatcher: () => agent, identity: '', header: undefined, token: undefined }),
    credential: 'nobody',
    timeoutMs: 10_000,
    now: () => Date.now(),
    ...more,
  })
  return { client, close: () => agent.destroy() }
}
