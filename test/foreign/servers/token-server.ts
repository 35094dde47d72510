import { createHash, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { exportJWK, exportSPKI, generateKeyPair, jwtVerify } from 'jose'
import { type KoaContext, Provider } from 'oidc-provider'
import { Browser } from './browser.ts'

/** Scopes and resource as Microsoft 365 names them. */
export const imapScope = 'https://outlook.office.com/IMAP.AccessAsUser.All'
const smtpScope = 'https://outlook.office.com/SMTP.Send'
export const appScope = 'https://outlook.office365.com/.default'
const resource = 'https://outlook.office.com'
const delegatedScope = `openid offline_access ${imapScope}`

interface Tokens {
  readonly access_token: string
  readonly refresh_token?: string
  readonly expires_in: number
  readonly scope?: string
}

export interface TokenServer {
  readonly issuer: string
  readonly authorizeUrl: string
  readonly tokenUrl: string
  readonly clientId: string
  readonly clientSecret: string
  /** The key that signs the tokens, as Dovecot reads it (PEM). */
  readonly publicKeyPem: string
  readonly keyId: string
  /** Signs a user in as a browser would (authorization code with PKCE); consent is given at once. */
  signIn(user: string, scope?: string): Promise<Tokens>
  /** Uses up a refresh token; the answer brings the next one. Throws `invalid_grant` for one that was used or revoked. */
  refresh(refreshToken: string): Promise<Tokens>
  /** A token of the application itself (client credentials), with the role IMAP.AccessAsApp. */
  signInApp(): Promise<Tokens>
  stop(): Promise<void>
}

export interface TokenServerOptions {
  readonly accessTokenTtlS?: number
  /** Where codes may be sent, beside the address that `signIn` uses itself. */
  readonly redirectUris?: readonly string[]
}

/**
 * A token server in the shape of Entra ID, on a real OpenID provider: JWT access tokens with `upn` and `roles`,
 * rotation of refresh tokens, and a route `/check?token=` that tells a mail server whether a token is good.
 */
export async function startTokenServer(options: TokenServerOptions = {}): Promise<TokenServer> {
  const keyId = 'k1'
  const clientId = 'bridge'
  const clientSecret = 's3cret'
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
  const signingKey = { ...(await exportJWK(privateKey)), kid: keyId, use: 'sig', alg: 'RS256' }

  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('The token server has no port.')
  const issuer = `http://127.0.0.1:${address.port}`
  const ownRedirectUri = `${issuer}/signed-in`

  const accessTokenTtlS = options.accessTokenTtlS ?? 3600
  const accessTtl = { AccessToken: accessTokenTtlS, ClientCredentials: accessTokenTtlS }
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: [ownRedirectUri, ...(options.redirectUris ?? [])],
        grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
        response_types: ['code'],
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    scopes: ['openid', 'offline_access', 'profile', 'email'],
    jwks: { keys: [signingKey] },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    pkce: { required: () => false },
    rotateRefreshToken: true,
    // Seconds, as Entra ID has them; the access token's own come from the resource below.
    ttl: { Interaction: 600, Session: 3600, Grant: 86_400, RefreshToken: 86_400, IdToken: 3600, ...accessTtl },
    findAccount: (_context: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, email: id, preferred_username: id }),
    }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: `${imapScope} ${appScope} ${smtpScope}`,
          audience: resource,
          accessTokenTTL: accessTokenTtlS,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    extraTokenClaims: (_context: unknown, token: { kind: string; accountId?: string }) => ({
      upn: token.accountId,
      email: token.accountId,
      roles: token.kind === 'ClientCredentials' ? ['IMAP.AccessAsApp'] : undefined,
    }),
    issueRefreshToken: (
      _context: unknown,
      client: { grantTypeAllowed(grant: string): boolean },
      code: { scopes: Set<string> },
    ) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
    interactions: { url: (_context: unknown, interaction: { uid: string }) => `/interaction/${interaction.uid}` },
    formats: {
      customizers: {
        // Entra ID and Dovecot 2.3 say `JWT`; RFC 9068's `at+jwt` is refused with "Cannot find 'typ' field".
        jwt(_context: unknown, _token: unknown, jwt: { header?: object }) {
          jwt.header = { ...jwt.header, typ: 'JWT' }
        },
      },
    },
  })

  // oidc-provider does not keep JWT access tokens and so cannot introspect them; this route can.
  provider.use(async (context: KoaContext, next: () => Promise<void>) => {
    if (context.path !== '/check') return next()
    try {
      const { payload } = await jwtVerify(String(context.query['token'] ?? ''), publicKey, { issuer })
      context.body = { active: true, ...payload }
    } catch {
      // Whatever is wrong with the token, the answer is the same one word.
      context.body = { active: false }
    }
  })
  provider.use(async (context: KoaContext, next: () => Promise<void>) => {
    if (!context.path.startsWith('/interaction/')) return next()
    await answerInteraction(provider, context)
    context.respond = false
  })
  server.on('request', provider.callback())

  const askForToken = async (fields: Record<string, string>) => {
    const response = await fetch(`${issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: clientId, client_secret: clientSecret, ...fields }),
    })
    const answer = (await response.json()) as Tokens & { error?: string; error_description?: string }
    if (!response.ok) throw new Error(`${answer.error}: ${answer.error_description}`)
    return answer
  }

  return {
    issuer,
    authorizeUrl: `${issuer}/auth`,
    tokenUrl: `${issuer}/token`,
    clientId,
    clientSecret,
    publicKeyPem: await exportSPKI(publicKey),
    keyId,
    async signIn(user, scope = delegatedScope) {
      const verifier = randomBytes(32).toString('base64url')
      const query = new URLSearchParams({
        client_id: clientId,
        response_type: 'code',
        redirect_uri: ownRedirectUri,
        scope,
        prompt: 'consent',
        login_hint: user,
        state: randomBytes(8).toString('hex'),
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
      })
      const code = await browseForCode(`${issuer}/auth?${query.toString()}`, ownRedirectUri)
      return askForToken({
        grant_type: 'authorization_code',
        code,
        redirect_uri: ownRedirectUri,
        code_verifier: verifier,
      })
    },
    refresh: refreshToken => askForToken({ grant_type: 'refresh_token', refresh_token: refreshToken }),
    signInApp: () => askForToken({ grant_type: 'client_credentials', scope: appScope }),
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Signs in whoever `login_hint` names, and then consents to all that was asked for. */
async function answerInteraction(provider: Provider, context: KoaContext): Promise<void> {
  const interaction = await provider.interactionDetails(context.req, context.res)
  const user = interaction.params['login_hint'] ?? 'svc@contoso.com'
  if (interaction.prompt.name === 'login') {
    await provider.interactionFinished(context.req, context.res, { login: { accountId: user } })
    return
  }
  const grant = new provider.Grant({
    accountId: interaction.session?.accountId ?? user,
    clientId: interaction.params['client_id'] ?? '',
  })
  const scope = interaction.params['scope'] ?? ''
  grant.addOIDCScope(scope)
  grant.addResourceScope(resource, scope)
  const result = { consent: { grantId: await grant.save() } }
  await provider.interactionFinished(context.req, context.res, result, { mergeWithLastSubmission: true })
}

/** Signs in with a fresh browser; returns the code that the redirect to `redirectUri` carries. */
async function browseForCode(startUrl: string, redirectUri: string): Promise<string> {
  const page = await new Browser().open(startUrl, redirectUri)
  if (page.status !== 0) throw new Error(`Sign-in stopped at ${page.status}: ${page.text}`)
  const query = new URL(page.url).searchParams
  const code = query.get('code')
  if (code === null) throw new Error(`Sign-in was refused: ${query.get('error')} ${query.get('error_description')}`)
  return code
}
