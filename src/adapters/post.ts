import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import type { ReceiverContext } from '../flow/adapter.ts'
import type { HubError, RetryClass } from '../kernel/error.ts'
import type { CheckResult, TlsWish } from '../kernel/socket.ts'
import { CertifiedAgents } from '../protocols/net/certified-agents.ts'
import type { CredentialProof } from '../protocols/net/credential-proof.ts'
import { readAuthority } from './authority-file.ts'
import { ask, failureOf, type HttpAnswer } from './http-answer.ts'
import { httpErrors } from './http-errors.ts'
import { checkConnection, connectTimeoutMs, logIn } from './http-log-in.ts'
import type { PostConfig } from './post-config.ts'

/** A document on its way out; `stream` may be asked for more than once. */
export interface PostedDocument {
  readonly url: URL
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly bytes: number
  stream(): AsyncIterable<Uint8Array>
}

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
    const first = await logIn(this.#context)
    if (onUnknown === 'never') await intend()
    const answer = await this.#once(document, first, signal, onUnknown)
    if (answer.status !== 401 || first.token === undefined) return answer
    const second = await logIn(this.#context, first.token)
    return second.token === first.token ? answer : this.#once(document, second, signal, onUnknown)
  }

  /** An answer whose status says what went wrong. */
  failure(answer: HttpAnswer): HubError {
    const credential = this.#context.config.auth ?? 'the receiver (it has none)'
    return failureOf(answer, { server: this.server, credential, now: this.#context.clock.now() })
  }

  check(): Promise<CheckResult> {
    return checkConnection(this.#context, new URL(this.#context.config.url), this.#tls)
  }

  async close(): Promise<void> {
    await this.#agents.close()
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
