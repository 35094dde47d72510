import { type Client, errors, interactionPolicy, type KoaContext, Provider, type Token } from 'oidc-provider'
import { accountOf, subjectOf } from './accounts.ts'
import { ClientSource, quietly } from './client-source.ts'
import { familyOf } from './denied-tokens.ts'
import { registerGrants } from './grants/grants.ts'
import { answerForJwt } from './jwt-answers.ts'
import { Consents } from './log-in/consents.ts'
import { errorPage, sendPage } from './log-in/pages.ts'
import { paths } from './paths.ts'
import { openidScopes, TokenScope } from './scope.ts'
import { audienceOf, tokenLimits } from './token-limits.ts'
import type { TokenParts } from './token-server.ts'

export interface BuiltProvider {
  readonly provider: Provider
  readonly clients: ClientSource
  readonly scopes: TokenScope
  readonly consents: Consents
}

/** oidc-provider with the hub's clients, people, keys and grants. Its keys are fixed, so a rotation builds a new one. */
export function buildProvider(parts: TokenParts): BuiltProvider {
  const { issuer, keys, users, state, log } = parts
  const clients = new ClientSource(parts)
  const scopes = new TokenScope(parts)
  const consents = new Consents(parts)
  const active = keys.active()
  const audience = audienceOf(issuer)
  const isSecure = issuer.startsWith('https:')
  const cookie = { signed: true, httpOnly: true, sameSite: 'lax', secure: isSecure }

  const provider = new Provider(issuer, {
    adapter: (model: string) =>
      model === 'Client' ? { find: async (id: string) => clients.find(id) } : state.shelf(model),
    jwks: { keys: keys.jwks() },
    routes: {
      authorization: paths.authorize,
      token: paths.token,
      jwks: paths.keys,
      introspection: paths.introspect,
      revocation: paths.revoke,
      end_session: paths.switchUser,
    },
    cookies: {
      keys: [keys.cookieSecret],
      long: cookie,
      short: cookie,
      names: {
        session: isSecure ? '__Host-isthmus-session' : 'isthmus-session',
        interaction: 'isthmus-log-in',
        resume: 'isthmus-log-in-resume',
      },
    },
    scopes: [...openidScopes],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email'] },
    responseTypes: ['code'],
    subjectTypes: ['public'],
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'tls_client_auth'],
    clientDefaults: { id_token_signed_response_alg: active.algorithm, response_types: [], grant_types: [] },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: (_context: KoaContext, client: Client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    revokeGrantPolicy: () => true,
    conformIdTokenClaims: false,
    enableHttpPostMethods: false,
    acceptQueryParamAccessTokens: false,
    allowOmittingSingleRegisteredRedirectUri: false,
    clientBasedCORS: () => false,
    clockTolerance: 5,
    extraTokenClaims: (context: KoaContext, token: Token) => ({
      key_id: clients.keyOf(context).id,
      gty: token.gty ?? 'client_credentials',
      ...(token.grantId !== undefined && { fam: familyOf(token.grantId) }),
    }),
    formats: {
      customizers: {
        jwt(_context: KoaContext, token: Token, { payload }: { payload: Record<string, unknown> }) {
          if (token.accountId !== undefined) Object.assign(payload, subjectOf(token.accountId))
        },
      },
    },
    findAccount: ({ oidc }: KoaContext, id: string, source?: { readonly iat?: number }) =>
      accountOf(parts, id, source?.iat ?? oidc.session?.loginTs),
    loadExistingGrant: (context: KoaContext) => consents.grantFor(provider, context, scopes),
    renderError: (context: KoaContext, out: { error: string; error_description?: string }) => {
      context.respond = false
      sendPage(context.res, context.status, errorPage(out.error_description ?? out.error))
    },
    interactions: {
      url: (_context: KoaContext, { uid }: { uid: string }) => `${paths.signIn}/${uid}`,
      policy: policy(),
    },
    ttl: {
      AccessToken: (_context: KoaContext, token: Token) => token.resourceServer.accessTokenTTL,
      ClientCredentials: (_context: KoaContext, token: Token) => token.resourceServer.accessTokenTTL,
      AuthorizationCode: tokenLimits.codeSeconds,
      IdToken: tokenLimits.idTokenSeconds,
      // A family ends as a whole: rotation does not prolong it.
      RefreshToken: (_context: KoaContext, token: Token) =>
        clients.instanceOf(token.clientId).refreshTokenValiditySeconds,
      Grant: (_context: KoaContext, { clientId }: { clientId: string }) =>
        Math.max(tokenLimits.sessionSeconds, clients.instanceOf(clientId).refreshTokenValiditySeconds),
      Interaction: tokenLimits.interactionSeconds,
      Session: tokenLimits.sessionSeconds,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      userinfo: { enabled: false },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      introspection: {
        enabled: true,
        // An opaque token is a refresh token: nobody but its client has business with it.
        allowedPolicy: (_context: KoaContext, client: Client, token: Token) => token.clientId === client.clientId,
      },
      revocation: {
        enabled: true,
        allowedPolicy(_context: KoaContext, client: Client, token: Token) {
          if (token.clientId === client.clientId) return true
          throw new errors.InvalidRequest('the token belongs to another client')
        },
      },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        tlsClientAuth: true,
        getCertificate: (context: KoaContext) => clients.certificate(context),
        certificateAuthorized: (context: KoaContext) => clients.isCertificateOfClient(context),
        certificateSubjectMatches: () => true,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource(context: KoaContext) {
          if (context.oidc.route === 'authorization') scopes.completeRequest(context)
          return audience
        },
        useGrantedResource: () => true,
        getResourceServerInfo(context: KoaContext, resource: string, client: Client) {
          if (resource !== audience) throw new errors.InvalidTarget()
          return scopes.resourceServer(client.clientId, context.oidc.account?.accountId)
        },
      },
    },
  })

  // TLS may end before the hub; every address that is told comes from the issuer (see FrontDoor).
  provider.proxy = true
  provider.Client.prototype.compareClientSecret = function (this: Client, secret: string) {
    return clients.isSecretOf(this.clientId, secret)
  }
  provider.use(keepFromPages)
  provider.use(nameGrantRefusal)
  provider.use(answerForJwt(parts, users))
  registerGrants(provider, { ...parts, clients, scopes })
  noteEvents(provider, log)
  return { provider, clients, scopes, consents }
}

/** Answers belong to no page of another origin, and oidc-provider lets every page read them. */
async function keepFromPages({ res }: KoaContext, next: () => Promise<void>): Promise<void> {
  await next()
  for (const name of res.getHeaderNames()) if (name.startsWith('access-control-')) res.removeHeader(name)
}

/** RFC 6749 section 5.2 has a word for a grant that a client may not use; oidc-provider says that the request is wrong. */
async function nameGrantRefusal(context: KoaContext, next: () => Promise<void>): Promise<void> {
  await next()
  const { body } = context
  const isRefusal = typeof body === 'object' && body !== null && 'error_description' in body
  if (!isRefusal || body.error_description !== 'requested grant type is not allowed for this client') return
  context.body = { ...body, error: 'unauthorized_client' }
}

/** Of the log-in of a person who was disabled or deleted meanwhile nothing is left. */
function policy() {
  const prompts = interactionPolicy.base()
  prompts
    .get('login')
    ?.checks.add(
      new interactionPolicy.Check('account_gone', 'the person may not sign in any more', ({ oidc }) => !oidc.account),
    )
  return prompts
}

function noteEvents(provider: Provider, log: TokenParts['log']): void {
  const refused = (
    context: KoaContext,
    error: { error?: string; error_detail?: string; error_description?: string },
  ) => {
    if (error.error_detail === quietly) return
    // Not there yet for a request whose form could not be read.
    const params: Readonly<Record<string, string | undefined>> | undefined = context.oidc.params
    log.info('token.refused', {
      client: params?.['client_id'] ?? context.oidc.client?.clientId,
      grant: params?.['grant_type'],
      error: error.error,
      detail: error.error_detail ?? error.error_description,
    })
  }
  for (const event of ['grant.error', 'introspection.error', 'revocation.error', 'authorization.error']) {
    provider.on(event, refused)
  }
  const failed = (path: string, error: Error) => log.error('token.failed', { path, error })
  provider.on('server_error', (context: KoaContext, error: Error) => failed(context.path, error))
  // Without a listener, what goes wrong outside of oidc-provider's own handling would be written to standard error.
  provider.on('error', (error: Error, context: KoaContext | undefined) => failed(context?.path ?? '', error))
}
