import type { Agent } from 'undici'
import type { TlsWish } from '../../kernel/socket.ts'
import { type HttpClientOptions, makeHttpAgent } from './http-client.ts'

type Certificate = Pick<TlsWish, 'cert' | 'key'>

/**
 * One pool of connections for the client certificate in use. Another certificate (or none any more) gets connections of
 * its own, and those of the old one end with the requests that are under way: a connection keeps speaking for whoever
 * opened it.
 */
export class CertifiedAgents {
  readonly #options: HttpClientOptions
  readonly #ending = new Set<Agent>()
  #current: { readonly certificate: Certificate | undefined; readonly agent: Agent } | undefined

  constructor(options: HttpClientOptions) {
    this.#options = options
  }

  agentFor(certificate: Certificate | undefined): Agent {
    const current = this.#current
    if (current && isSame(current.certificate, certificate)) return current.agent
    const tls = { ...this.#options.tls, ...certificate }
    const agent = makeHttpAgent({ ...this.#options, tls })
    this.#current = { certificate, agent }
    if (current) this.#end(current.agent)
    return agent
  }

  async close(): Promise<void> {
    const agents = [...this.#ending, ...(this.#current ? [this.#current.agent] : [])]
    await Promise.all(agents.map(agent => agent.destroy()))
  }

  #end(agent: Agent): void {
    this.#ending.add(agent)
    const forget = () => this.#ending.delete(agent)
    agent.close().then(forget, forget)
  }
}

function isSame(one: Certificate | undefined, other: Certificate | undefined): boolean {
  return one?.cert === other?.cert && one?.key === other?.key
}
