import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { callbackify } from 'node:util'
import type { Agent, buildConnector } from 'undici'
import { HubError } from '../../kernel/error.ts'
import type { Connect, TlsWish } from '../../kernel/socket.ts'
import { SECOND } from '../../kernel/time.ts'
import { asNetError, netErrors } from './errors.ts'

export interface HttpClientOptions {
  /** How a connection to an origin is opened (guarded or not). */
  readonly connect: (url: URL) => Connect
  readonly via?: string | undefined
  readonly tls?: TlsWish | undefined
  readonly connectTimeoutMs: number
  /** Connections kept per origin. */
  readonly connections?: number
  /** An answer larger than this ends in an error. */
  readonly answerBytesMax: number
}

const require = createRequire(import.meta.url)

// Shorter than the 5 s after which Node's own servers hang up, so that a request rarely meets a dying connection.
const idleConnectionMs = 4 * SECOND

/** A pool of kept-alive HTTP/1.1 connections, each opened by the hub's own `connect` (so through a connector too). */
export function makeHttpAgent(options: HttpClientOptions): Agent {
  const connector: buildConnector.connector = (target, callback) => {
    const url = new URL(`${target.protocol}//${target.host ?? target.hostname}`)
    const isSecure = target.protocol === 'https:'
    const open = callbackify(() =>
      options.connect(url)({
        host: target.hostname.replace(/^\[(.*)\]$/, '$1'),
        port: Number(target.port || (isSecure ? 443 : 80)),
        tls: isSecure ? (options.tls ?? {}) : undefined,
        via: options.via,
        timeoutMs: options.connectTimeoutMs,
      }),
    )
    // undici asks no more of a socket than a Duplex gives: it tests for `ref` and `unref` before it uses them.
    open((error, socket) => (error ? callback(error, null) : callback(null, socket as Socket)))
  }
  // Loaded with the first agent: a hub that only carries mail never needs the hundred files of it.
  const undici: typeof import('undici') = require('undici')
  return new undici.Agent({
    connect: connector,
    connections: options.connections ?? 16,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: idleConnectionMs,
    keepAliveMaxTimeout: 60 * SECOND,
    maxResponseSize: options.answerBytesMax,
    // The caller's signal ends a request; undici's own timers would only hide that.
    headersTimeout: 0,
    bodyTimeout: 0,
  })
}

/** Fetches as far as a token endpoint needs it: no redirects, no cookies, an answer of limited size. */
export type SmallFetch = (
  url: string,
  init: {
    readonly method?: string
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: URLSearchParams | null | undefined
    readonly signal?: AbortSignal | undefined
  },
) => Promise<Response>

/** A small fetch over an agent. Errors are of area NET; the signal's own reason is thrown as it is. */
export function makeFetch(agent: Agent, answerBytesMax: number): SmallFetch {
  return async (url, init) => {
    const { origin, pathname, search, hostname, port, protocol } = new URL(url)
    const target = { host: hostname, port: Number(port || (protocol === 'https:' ? 443 : 80)) }
    try {
      const answer = await agent.request({
        origin,
        path: pathname + search,
        method: init.method ?? 'GET',
        headers: { ...init.headers },
        ...(init.body && { body: init.body.toString() }),
        ...(init.signal && { signal: init.signal }),
      })
      const headers = new Headers()
      for (const [name, value] of Object.entries(answer.headers)) {
        if (value !== undefined) headers.set(name, typeof value === 'string' ? value : value.join(', '))
      }
      const body = await answer.body.bytes()
      const hasBody = answer.statusCode !== 204 && answer.statusCode !== 304
      return new Response(hasBody ? body : null, { status: answer.statusCode, headers })
    } catch (thrown) {
      if (init.signal?.aborted) throw thrown
      if (isAnswerTooLarge(thrown)) {
        throw netErrors.ANSWER_TOO_LARGE({ host: target.host, bytesMax: answerBytesMax }, { cause: thrown })
      }
      throw thrown instanceof HubError ? thrown : asNetError(thrown, target)
    }
  }
}

/** True for the error of an agent whose answer went beyond its limit. */
export function isAnswerTooLarge(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE'
}
