import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { errors, type Interaction, type OIDCProviderError } from 'oidc-provider'
import { callerAddress } from '../../../kernel/caller-address.ts'

import { isOAuthError } from '../oauth-error.ts'
import { checkPassword } from '../password-check.ts'
import { paths } from '../paths.ts'
import type { BuiltProvider } from '../provider.ts'
import { readForm } from '../read-form.ts'
import { openidScopes } from '../scope.ts'
import { tokenLimits } from '../token-limits.ts'
import type { TokenParts } from '../token-server.ts'
import { consentPage, errorPage, logInPage, type Page, sendPage } from './pages.ts'

/** The pages on which a person signs in and allows a client to act for them. */
export class LogIn {
  readonly #parts: TokenParts
  readonly #built: BuiltProvider

  constructor(parts: TokenParts, built: BuiltProvider) {
    this.#parts = parts
    this.#built = built
  }

  /** Answers GET, HEAD and POST. */
  async answer(uid: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const interaction = await this.#built.provider.interactionDetails(request, response)
      if (interaction.uid !== uid) throw new errors.InvalidRequest('this log-in was begun elsewhere')
      if (request.method === 'POST') await this.#take(interaction, request, response)
      else sendPage(response, 200, await this.#page(interaction))
    } catch (thrown) {
      // What oidc-provider says here is for the person at the browser: too late, another browser, no cookie.
      if (!isOAuthError(thrown)) throw thrown
      sendPage(response, thrown.statusCode, errorPage(sentenceOf(thrown)))
    }
  }

  async #page(interaction: Interaction, problem?: string, user?: string): Promise<Page> {
    const { params, prompt, session } = interaction
    const client = await this.#built.provider.Client.find(params['client_id'] ?? '')
    const about = {
      action: `${paths.signIn}/${interaction.uid}`,
      csrf: this.#csrfOf(interaction),
      clientName: client?.clientName ?? params['client_id'] ?? '',
      sendsTo: originOf(params['redirect_uri']),
    }
    if (prompt.name === 'login') return logInPage({ ...about, user: user ?? params['login_hint'] ?? '', problem })
    const accountId = session?.accountId ?? ''
    const wishes = this.#possible(interaction, accountId).map(scope => this.#word(scope))
    return consentPage({ ...about, user: accountId, wishes })
  }

  async #take(interaction: Interaction, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = await readForm(request, tokenLimits.pageFormBytes)
    if (!form || !this.#isFromOurPage(interaction, request, form)) {
      sendPage(response, 403, errorPage('This form did not come from the page of the hub. Begin again.'))
      return
    }
    if (form.get('answer') !== 'go') {
      const refused = { error: 'access_denied', error_description: 'the person did not go on' }
      return this.#finish(request, response, refused)
    }
    if (interaction.prompt.name === 'login') return this.#logIn(interaction, form, request, response)
    const accountId = interaction.session?.accountId
    const { client_id: clientId = '', scope = '' } = interaction.params
    if (accountId === undefined) throw new errors.InvalidRequest('nobody is signed in')
    const { provider, consents, scopes } = this.#built
    const asked = scope.split(' ').filter(each => each !== '')
    const grant = await consents.makeGrant(provider, { accountId, clientId, asked, scopes })
    await consents.remember(accountId, clientId, this.#possible(interaction, accountId))
    this.#parts.log.info('token.consented', { user: accountId, client: clientId, scope })
    await this.#finish(request, response, { consent: { grantId: grant.jti } }, true)
  }

  async #logIn(interaction: Interaction, form: URLSearchParams, request: IncomingMessage, response: ServerResponse) {
    const user = form.get('user') ?? ''
    const result = await checkPassword(this.#parts, callerAddress(request), user, form.get('password') ?? '')
    if ('person' in result) {
      await this.#finish(request, response, { login: { accountId: result.person.name, amr: ['pwd'] } })
      return
    }
    if (result.waitMs === undefined) {
      sendPage(response, 401, await this.#page(interaction, 'User or password is wrong.', user))
      return
    }
    response.setHeader('retry-after', String(Math.ceil(result.waitMs / 1000)))
    sendPage(response, 429, await this.#page(interaction, 'Too many wrong passwords. Wait some minutes.', user))
  }

  #finish(request: IncomingMessage, response: ServerResponse, result: object, isMerged = false): Promise<void> {
    return this.#built.provider.interactionFinished(request, response, result, { mergeWithLastSubmission: isMerged })
  }

  /** Bound to this log-in, which only the browser that began it has a cookie for. */
  #csrfOf(interaction: Interaction): string {
    const { cookieSecret } = this.#parts.keys
    return createHmac('sha256', cookieSecret)
      .update(`csrf\0${interaction.jti}\0${interaction.prompt.name}`)
      .digest('base64url')
  }

  #isFromOurPage(interaction: Interaction, request: IncomingMessage, form: URLSearchParams): boolean {
    const site = request.headers['sec-fetch-site']
    if (site !== undefined && site !== 'same-origin') return false
    const { origin } = request.headers
    if (origin !== undefined && origin !== this.#parts.issuer) return false
    const wanted = Buffer.from(this.#csrfOf(interaction))
    const given = Buffer.from(form.get('csrf') ?? '')
    return wanted.length === given.length && timingSafeEqual(wanted, given)
  }

  #possible({ params }: Interaction, accountId: string): readonly string[] {
    const { client_id: clientId = '', scope = '' } = params
    const roles = this.#built.scopes.rolesOf(clientId, accountId)
    return scope.split(' ').filter(each => (openidScopes as readonly string[]).includes(each) || roles.includes(each))
  }

  #word(scope: string): string {
    const role = this.#parts.users.listRoles().find(({ name }) => name === scope)
    return openidWords[scope] ?? (role && role.about !== '' ? `${role.about} (${scope})` : scope)
  }
}

const openidWords: Readonly<Record<string, string>> = {
  openid: 'Know who you are.',
  profile: 'See your name.',
  email: 'See your mail address.',
  offline_access: 'Go on while you are away.',
}

function originOf(url: string | undefined): string | undefined {
  const origin = url === undefined ? undefined : URL.parse(url)?.origin
  return origin === 'null' ? undefined : origin
}

function sentenceOf(error: OIDCProviderError): string {
  const text = error.error_description ?? error.error
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}. Go back to the application and sign in again.`
}
