import { X509Certificate } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { Agent, Dispatcher } from 'undici'
import type { BasicCredential } from '../../kernel/credential.ts'
import type { Connect } from '../../kernel/socket.ts'
import type { HttpClientOptions } from '../net/http-client.ts'
import { makeHttpAgent } from '../net/http-client.ts'
import { ewsErrors } from './errors.ts'
import { channelBinding, ntlmAuthenticate, ntlmNegotiate, readNtlmChallenge, splitUser } from './ntlm.ts'

export interface WireRequest {
  readonly origin: string
  readonly path: string
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  readonly signal: AbortSignal
}

export interface WireAnswer {
  readonly status: number
  readonly headers: Dispatcher.ResponseData['headers']
  readonly body: Dispatcher.ResponseData['body']
  /** The connection may be used by others; called once, when the body is read or given up. */
  readonly release: () => void
}

interface Line {
  readonly agent: Agent
  socket: Duplex | undefined
  /** Whose connection it is by now: NTLM proves the user of a connection, not of a request. */
  provenSocket: Duplex | undefined
  provenUser: string | undefined
}

/**
 * Connections on which NTLM has proven who speaks. Each request has one to itself from its first byte to the last of its
 * answer; a connection that was closed and opened anew is proven again.
 */
export class NtlmLines {
  readonly #options: HttpClientOptions
  readonly #now: () => number
  readonly #lines: Line[] = []
  readonly #idle: Line[] = []
  readonly #waiting: ((line: Line) => void)[] = []

  constructor(options: HttpClientOptions, now: () => number) {
    this.#options = options
    this.#now = now
  }

  async send(request: WireRequest, credential: BasicCredential): Promise<WireAnswer> {
    const line = await this.#take()
    let isOurs = true
    const release = () => {
      if (!isOurs) return
      isOurs = false
      const next = this.#waiting.shift()
      if (next) next(line)
      else this.#idle.push(line)
    }
    try {
      return { ...(await this.#sendOn(line, request, credential)), release }
    } catch (thrown) {
      release()
      throw thrown
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#lines.map(line => line.agent.destroy()))
  }

  async #take(): Promise<Line> {
    const idle = this.#idle.pop()
    if (idle) return idle
    if (this.#lines.length < (this.#options.connections ?? 16)) return this.#open()
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  #open(): Line {
    const { connect } = this.#options
    const agent = makeHttpAgent({
      ...this.#options,
      connections: 1,
      connect: url => {
        const open = connect(url)
        const watched = async (request: Parameters<Connect>[0]) => {
          line.socket = await open(request)
          return line.socket
        }
        return Object.assign(watched, { upgrade: open.upgrade })
      },
    })
    const line: Line = { agent, socket: undefined, provenSocket: undefined, provenUser: undefined }
    this.#lines.push(line)
    return line
  }

  async #sendOn(line: Line, request: WireRequest, credential: BasicCredential): Promise<Omit<WireAnswer, 'release'>> {
    const user = `${credential.user}\n${credential.password}`
    const isProven =
      line.socket !== undefined &&
      !line.socket.destroyed &&
      line.provenSocket === line.socket &&
      line.provenUser === user
    if (isProven) {
      const answer = await ask(line, request)
      if (answer.status !== 401) return answer
      await answer.body.dump()
    }
    // A connection may end between two messages of the handshake: once more, on a new one.
    const first = await this.#prove(line, request, credential, user)
    if (first) return first
    const second = await this.#prove(line, request, credential, user)
    if (second) return second
    throw ewsErrors.NTLM_REFUSED({
      server: hostOf(request),
      reason: 'the server closes the connection in the handshake',
    })
  }

  async #prove(line: Line, request: WireRequest, credential: BasicCredential, user: string) {
    const negotiate = ntlmNegotiate()
    const asked = await ask(line, {
      ...request,
      headers: { ...request.headers, authorization: `NTLM ${negotiate.toString('base64')}` },
      ...(request.method === 'POST' && { body: '' }),
    })
    const socket = line.socket
    if (asked.status !== 401) {
      // 503 and the like, before anybody asked who we are.
      if (asked.status >= 300) return asked
      await asked.body.dump()
      throw ewsErrors.NTLM_REFUSED({
        server: hostOf(request),
        reason: `it answers ${asked.status} to the first message`,
      })
    }
    await asked.body.dump()
    const offered = [asked.headers['www-authenticate'] ?? []].flat().join(', ')
    const encoded = /(?:^|[,\s])NTLM\s+([A-Za-z0-9+/=]+)/i.exec(offered)?.[1]
    if (encoded === undefined) {
      if (/(?:^|[,\s])NTLM(?:$|[,\s])/i.test(offered))
        throw ewsErrors.NTLM_REFUSED({ server: hostOf(request), reason: 'it gives no challenge' })
      throw ewsErrors.LOGIN_NOT_OFFERED({ server: hostOf(request), kind: 'NTLM', offered: schemesIn(offered) })
    }
    const challengeMessage = Buffer.from(encoded, 'base64')
    const challenge = readNtlmChallenge(challengeMessage)
    if (!challenge) throw ewsErrors.NTLM_REFUSED({ server: hostOf(request), reason: 'its challenge cannot be read' })
    const proof = ntlmAuthenticate({
      user: { ...splitUser(credential.user), password: credential.password },
      negotiate,
      challengeMessage,
      challenge,
      channel: channelOf(socket),
      target: `HTTP/${new URL(request.origin).hostname}`,
      now: this.#now(),
    })
    const answer = await ask(line, {
      ...request,
      headers: { ...request.headers, authorization: `NTLM ${proof.toString('base64')}` },
    })
    if (line.socket !== socket && answer.status === 401) {
      await answer.body.dump()
      return undefined
    }
    if (answer.status !== 401) {
      line.provenSocket = line.socket
      line.provenUser = user
    }
    return answer
  }
}

/** Names of the schemes that a server offers, for people. */
export function schemesIn(offered: string): string {
  const names = [...offered.matchAll(/(?:^|,\s*)([A-Za-z]+)(?=$|[\s,])/g)].map(found => found[1] ?? '')
  return [...new Set(names)].join(', ') || 'none'
}

async function ask(line: Line, request: WireRequest): Promise<Omit<WireAnswer, 'release'>> {
  const { body, ...rest } = request
  const answer = await line.agent.request({
    ...rest,
    headers: { ...rest.headers },
    ...(body !== undefined && { body }),
  })
  return { status: answer.statusCode, headers: answer.headers, body: answer.body }
}

function hostOf(request: WireRequest): string {
  return new URL(request.origin).host
}

/** RFC 5929 section 4.1: the hash of the certificate's own signature, SHA-256 where that is MD5 or SHA-1. */
function channelOf(socket: Duplex | undefined): Buffer | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  const { raw } = socket.getPeerCertificate()
  if (!raw) return undefined
  const algorithm = new X509Certificate(raw).signatureAlgorithm?.toLowerCase() ?? ''
  const hash = /sha-?(384|512)/.exec(algorithm)?.[1]
  return channelBinding(raw, hash === undefined ? 'sha256' : `sha${hash}`)
}
