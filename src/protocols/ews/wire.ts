import type { Agent } from 'undici'
import type { CredentialValue } from '../../kernel/credential.ts'
import type { Connect, TlsWish } from '../../kernel/socket.ts'
import type { Clock } from '../../kernel/time.ts'
import { type HttpClientOptions, makeHttpAgent } from '../net/http-client.ts'
import { ewsErrors } from './errors.ts'
import { NtlmLines, type WireAnswer, type WireRequest } from './ntlm-lines.ts'

export type EwsAuth = 'basic' | 'ntlm' | 'oauth'

export interface WireOptions {
  readonly auth: EwsAuth
  /** Name of the credential for people, and its value, asked at each use. */
  readonly credential: string
  readonly lookUp: () => Promise<CredentialValue>
  readonly connect: (url: URL) => Connect
  readonly via?: string | undefined
  readonly tls?: TlsWish | undefined
  readonly clock: Clock
  /** For one request from its first byte to the last of its answer. */
  readonly timeoutMs: number
  /** Connections of the account at the same time; Exchange allows 27. */
  readonly connections?: number
}

/** HTTP requests with the log-in of the service account, by Basic, NTLM or OAuth. */
export class EwsWire {
  readonly #options: WireOptions
  readonly #http: HttpClientOptions
  #agent: Agent | undefined
  #lines: NtlmLines | undefined

  constructor(options: WireOptions) {
    this.#options = options
    const { connect, via, tls, timeoutMs, connections } = options
    // Answers are limited where they are read.
    this.#http = { connect, via, tls, connectTimeoutMs: timeoutMs, connections: connections ?? 10, answerBytesMax: -1 }
  }

  /** Sends a request as the account. A token that is refused is replaced once. */
  async send(request: WireRequest): Promise<WireAnswer> {
    const { auth, clock } = this.#options
    const credential = await this.#options.lookUp()
    if (auth === 'ntlm' && credential.kind === 'basic') {
      this.#lines ??= new NtlmLines(this.#http, () => clock.now())
      return this.#lines.send(request, credential)
    }
    if (auth === 'basic' && credential.kind === 'basic') {
      const proof = Buffer.from(`${credential.user}:${credential.password}`).toString('base64')
      return this.ask(request, `Basic ${proof}`)
    }
    if (auth === 'oauth' && credential.kind === 'oauth2') {
      const { value } = await credential.token()
      const answer = await this.ask(request, `Bearer ${value}`)
      if (answer.status !== 401) return answer
      const renewed = await credential.token(value)
      if (renewed.value === value) return answer
      await answer.body.dump()
      answer.release()
      return this.ask(request, `Bearer ${renewed.value}`)
    }
    throw ewsErrors.CREDENTIAL_UNFIT({ credential: this.#options.credential, kind: credential.kind, wanted: auth })
  }

  /** Sends a request as nobody, or with a proof of one's own. */
  async ask(request: WireRequest, authorization?: string): Promise<WireAnswer> {
    this.#agent ??= makeHttpAgent(this.#http)
    const { body, ...rest } = request
    const headers = { ...rest.headers, ...(authorization !== undefined && { authorization }) }
    const answer = await this.#agent.request({ ...rest, headers, ...(body !== undefined && { body }) })
    return { status: answer.statusCode, headers: answer.headers, body: answer.body, release() {} }
  }

  async close(): Promise<void> {
    await Promise.all([this.#agent?.destroy(), this.#lines?.close()])
  }
}
