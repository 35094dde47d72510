import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import type { ReceiverContext } from '../flow/adapter.ts'
import { asHubError, type HubError, type RetryClass } from '../kernel/error.ts'
import type { CheckResult, TlsWish } from '../kernel/socket.ts'
import { SECOND } from '../kernel/time.ts'
import { CertifiedAgents } from '../protocols/net/certified-agents.ts'
import { type CredentialProof, noProof, proofOf } from '../protocols/net/credential-proof.ts'
import { readAuthority } from './authority-file.ts'
import { ask, failureOf, type HttpAnswer } from './http-answer.ts'
import { httpErrors } from './http-errors.ts'
import type { PostConfig } from './post-config.ts'

/** A document on its way out; `stream` may be asked for more than once. */
export interface PostedDocument {
  readonly url: URL
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly bytes: number
  stream(): AsyncIterable<Uint8Array>
}

const connectTimeoutMs = 10 * SECOND
/** The engine's own limit of running deliveries is lower, so no request waits in the pool unseen. */
const connectionsMax = 256

/** Posts documents to the address of a receiver, logged in, and reads what is answered, whatever its status. */
export class Post {
  readonly #context: ReceiverContext<PostConfig>
  readonly #agents: CertifiedAgents
  readonly #tls: TlsWish

  private constructor(context: ReceiverContext<PostConfig>, ca: string | undefined) {
    const { config, connect } = context
    this.#context = context
    this.#tls = ca === undefined ? {} : { ca }
    this.#agents = new CertifiedAgents({
      connect: () => connect,
      via: config.via,
      tls: this.#tls,
      connectTimeoutMs: Math.min(connectTimeoutMs, config.timeout / 2),
      connections: connectionsMax,
      answerBytesMax: config['max-answer'],
    })
  }

  static async open(context: ReceiverContext<PostConfig>): Promise<Post> {
    const { config, folder } = context
    const file = config.ca === undefined ? undefined : resolve(folder, config.ca)
    return new Post(context, file && (await readAuthority(file, httpErrors.CA_UNREADABLE)))
  }

  get server(): string {
    return new URL(this.#context.config.url).host
  }

  /**
   * One exchange; a token that the other side does not take (any more) is renewed once. `onUnknown`: what becomes of a
   * delivery whose end nobody knows. Where it must not be sent again (`never`), `intend` is awaited before the first octet
   * goes out.
   */
  async send(
    document: PostedDocument,
    { signal, onUnknown, intend }: { signal: AbortSignal; onUnknown: RetryClass; intend(): Promise<void> },
  ): Promise<HttpAnswer> {
    const first = await this.#logIn()
    if (onUnknown === 'never') await intend()
    const answer = await this.#once(document, first, signal, onUnknown)
    if (answer.status !== 401 || first.token === undefined) return answer
    const second = await this.#logIn(first.token)
    return second.token === first.token ? answer : this.#once(document, second, signal, onUnknown)
  }

  /** An answer whose status says what went wrong. */
  failure(answer: HttpAnswer): HubError {
    const credential = this.#context.config.auth ?? 'the receiver (it has none)'
    return failureOf(answer, { server: this.server, credential, now: this.#context.clock.now() })
  }

  /** Connects (TLS included) and gets a token; a request of its own could change something at the other side. */
  async check(): Promise<CheckResult> {
    const { config, connect } = this.#context
    try {
      const { certificate } = await this.#logIn()
      const { hostname, port, protocol, host } = new URL(config.url)
      const isSecure = protocol === 'https:'
      const socket = await connect({
        host: hostname.replace(/^\[(.*)\]$/, '$1'),
        port: Number(port || (isSecure ? 443 : 80)),
        tls: isSecure ? { ...this.#tls, ...certificate } : undefined,
        via: config.via,
        timeoutMs: connectTimeoutMs,
      })
      socket.destroy()
      return { ok: true, detail: `${host} takes connections` }
    } catch (thrown) {
      return { ok: false, error: asHubError(thrown) }
    }
  }

  async close(): Promise<void> {
    await this.#agents.close()
  }

  async #logIn(refused?: string): Promise<CredentialProof> {
    const { config, credential } = this.#context
    if (config.auth === undefined) return noProof
    const value = await credential(config.auth)
    const proof = await proofOf(value, refused)
    if (proof) return proof
    throw httpErrors.CREDENTIAL_UNFIT({ credential: config.auth, kind: value.kind, use: 'log-in' })
  }

  #once(
    { url, headers, bytes, stream }: PostedDocument,
    { header, certificate }: CredentialProof,
    signal: AbortSignal,
    onUnknown: RetryClass,
  ): Promise<HttpAnswer> {
    const { config } = this.#context
    return ask(this.#agents.agentFor(certificate), {
      url,
      method: 'POST',
      headers: { ...headers, 'content-length': String(bytes), ...(header && { [header[0]]: header[1] }) },
      body: Readable.from(stream(), { objectMode: false }),
      signal,
      timeoutMs: config.timeout,
      answerBytesMax: config['max-answer'],
      onUnknown,
    })
  }
}
