import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { asHubError } from '../../kernel/error.ts'
import { exchangeUserToken } from './grants/user-token.ts'
import { bearerOf, checkUrlParameters, isLegacyRequest, readLegacyForm, replaceForm } from './legacy-request.ts'
import { LogIn } from './log-in/log-in.ts'
import { isOAuthError } from './oauth-error.ts'
import { methodsOf, paths } from './paths.ts'
import type { BuiltProvider } from './provider.ts'
import type { TokenParts } from './token-server.ts'

/** Takes what is for the token server, and makes every request say the same of where the hub is. */
export class FrontDoor {
  readonly #parts: TokenParts
  readonly #host: string
  readonly #scheme: string
  #built: BuiltProvider
  #listener: RequestListener
  #logIn: LogIn

  constructor(parts: TokenParts, build: () => BuiltProvider) {
    this.#parts = parts
    const { host, protocol } = new URL(parts.issuer)
    this.#host = host
    this.#scheme = protocol.slice(0, -1)
    this.#built = build()
    this.#listener = this.#built.provider.callback()
    this.#logIn = new LogIn(parts, this.#built)
    parts.keys.onChange(() => {
      this.#built = build()
      this.#listener = this.#built.provider.callback()
      this.#logIn = new LogIn(parts, this.#built)
    })
  }

  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const [path = ''] = (request.url ?? '').split('?')
    const methods = methodsOf(path)
    if (!methods) return false
    this.#answer(path, methods, request, response).catch((thrown: unknown) => {
      const error = asHubError(thrown)
      this.#parts.log.error('token.failed', { path, error })
      if (response.headersSent) response.destroy()
      else sendError(request, response, 500, 'server_error', 'the token server could not answer')
    })
    return true
  }

  async #answer(
    path: string,
    methods: readonly string[],
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    response.setHeader('x-content-type-options', 'nosniff')
    response.setHeader('referrer-policy', 'same-origin')
    if (this.#scheme === 'https') response.setHeader('strict-transport-security', 'max-age=31536000')
    const { method = '' } = request
    if (!methods.includes(method)) {
      const allowed = methods.join(', ')
      // RFC 9110 section 15.5.6.
      response.setHeader('allow', allowed)
      return sendError(request, response, 405, 'invalid_request', `${path} takes ${allowed}, not ${method}`)
    }
    // RFC 9110 section 10.1.1: whoever speaks HTTP/1.0 would take it for the answer.
    if (request.headers.expect !== undefined && request.httpVersion !== '1.0') response.writeContinue()
    if (path.startsWith(`${paths.signIn}/`)) {
      this.#placeAtIssuer(request)
      await this.#logIn.answer(path.slice(paths.signIn.length + 1), request, response)
      return
    }
    if (method === 'POST') {
      const refusal = checkUrlParameters(request)
      if (refusal) return sendError(request, response, 400, 'invalid_request', refusal)
      if (path === paths.token && isLegacyRequest(request)) {
        const form = await readLegacyForm(request)
        if (!form) return sendError(request, response, 400, 'invalid_request', 'the form is too large or not complete')
        if (form.get('grant_type') === 'user_token' && bearerOf(request)) {
          return this.#exchange(request, form, response)
        }
        replaceForm(request, form)
      }
    }
    // No page of another origin has business here, so nothing is ever allowed to one.
    delete request.headers.origin
    this.#placeAtIssuer(request)
    this.#listener(request, response)
  }

  /** The grant user_token in the spelling of the UAA: the user's token stands where clients prove themselves. */
  async #exchange(request: IncomingMessage, form: URLSearchParams, response: ServerResponse): Promise<void> {
    const token = bearerOf(request)
    const { provider, clients, scopes } = this.#built
    const wish = { token, otherId: form.get('client_id') ?? undefined, scope: form.get('scope') ?? undefined }
    try {
      const answer = await exchangeUserToken(provider, { ...this.#parts, clients, scopes }, wish)
      sendJson(response, 200, answer)
    } catch (thrown) {
      if (!isOAuthError(thrown)) throw thrown
      sendError(request, response, thrown.statusCode, thrown.error, thrown.error_description ?? '')
    }
  }

  /** What a caller or proxy claims of host, scheme and address is replaced by what is configured. */
  #placeAtIssuer(request: IncomingMessage): void {
    delete request.headers['x-forwarded-for']
    request.headers['x-forwarded-proto'] = this.#scheme
    request.headers['x-forwarded-host'] = this.#host
    request.headers.host = this.#host
  }
}

/** An error in the shape of RFC 6749 section 5.2. */
function sendError(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  error: string,
  text: string,
): void {
  // Whoever still writes its body would find the connection broken instead of the answer (RFC 9112 section 9.6).
  request.resume()
  sendJson(response, status, { error, error_description: text })
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}
