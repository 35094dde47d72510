import type { IncomingMessage, ServerResponse } from 'node:http'
import { asHubError } from '../../kernel/error.ts'
import type { AccessTokens } from '../service/model.ts'
import { isTokenPath } from './paths.ts'
import type { TokenServer, TokenServerOptions } from './token-server.ts'

/**
 * The token server, opened when the first token is asked for or shown: its libraries take a third of a second and some
 * megabytes, which a hub without callers need not spend.
 */
export interface LateTokenServer extends AccessTokens {
  /** Answers the request when its path is one of the token server's; false: it is somebody else's. */
  handle(request: IncomingMessage, response: ServerResponse): boolean
  load(): Promise<TokenServer>
  close(): Promise<void>
}

export interface LateTokenServerOptions extends Omit<TokenServerOptions, 'issuer'> {
  /** Asked when it opens: without a configured one it is the address of the endpoints, which is known only then. */
  readonly issuer: () => string
}

export function createLateTokenServer(options: LateTokenServerOptions): LateTokenServer {
  const { log } = options
  let server: TokenServer | undefined
  let loading: Promise<TokenServer> | undefined

  function load(): Promise<TokenServer> {
    loading ??= open().catch((thrown: unknown) => {
      // The next one who needs it tries again.
      loading = undefined
      throw thrown
    })
    return loading
  }

  async function open(): Promise<TokenServer> {
    const { openTokenServer } = await import('./token-server.ts')
    server = await openTokenServer({ ...options, issuer: options.issuer() })
    return server
  }

  return {
    load,
    handle(request, response) {
      const [path = ''] = (request.url ?? '').split('?')
      if (!isTokenPath(path)) return false
      if (server) return server.handle(request, response)
      load().then(
        opened => void opened.handle(request, response),
        (thrown: unknown) => {
          const error = asHubError(thrown)
          log.error('token.not-opened', { code: error.code, text: error.message, next: error.next })
          response.writeHead(503, { 'content-type': 'application/json', connection: 'close' })
          response.end(JSON.stringify({ error: 'temporarily_unavailable' }))
        },
      )
      return true
    },
    verifyAccessToken: async token => (await load()).verifyAccessToken(token),
    hasExpired: async token => (await load()).hasExpired(token),
    // Nobody has claims that it did not make.
    isRevoked: claims => server?.isRevoked(claims) ?? true,
    async close() {
      const opened = await loading?.catch(() => undefined)
      await opened?.close()
    },
  }
}
