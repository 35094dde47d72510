import { createHash, createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'
import { createRemoteJWKSet, jwtVerify, SignJWT } from 'jose'
import { afterEach, expect, test } from 'vitest'
import { makeTwinCertificate } from '../certificate.ts'
import { contoso, contosoClientId, contosoSecret } from './contoso.ts'
import { type SignInOptions, type SignInTwin, startSignIn } from './sign-in.ts'

const redirectUri = 'http://127.0.0.1:9/oauth/callback'
const scope = 'offline_access https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send'
const open: SignInTwin[] = []
afterEach(async () => {
  for (const twin of open.splice(0)) await twin.stop()
})

test('a person signs in on two plain pages, accepts, and the app gets tokens that Exchange would read', async () => {
  const twin = await start()
  const { verifier, url } = authorizeUrl(twin, { state: 'abc 123&<x>' })
  const accountPage = await fetch(url).then(answer => answer.text())
  expect(accountPage).toContain('<form method="post" action="/contoso.com/login">')
  expect(accountPage).not.toContain('<script')
  const consentPage = await post(twin, '/contoso.com/login', { ...ticketOf(accountPage), account: 'svc@contoso.com' })
  expect(await consentPage.clone().text()).toContain('Read and write access to your mail via IMAP.')
  const back = await post(twin, '/contoso.com/consent', { ...ticketOf(await consentPage.text()), answer: 'accept' })
  const location = new URL(back.headers.get('location') ?? '')
  expect(location.origin + location.pathname).toBe(redirectUri)
  expect(location.searchParams.get('state')).toBe('abc 123&<x>')

  const answer = await redeem(twin, location.searchParams.get('code') ?? '', verifier)
  expect(answer).toMatchObject({
    token_type: 'Bearer',
    expires_in: 3600,
    scope: 'https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send',
  })
  expect(twin.verify(answer.access_token)).toMatchObject({
    aud: 'https://outlook.office.com',
    upn: 'svc@contoso.com',
    scp: 'IMAP.AccessAsUser.All SMTP.Send',
    appid: contosoClientId,
  })
  const keys = createRemoteJWKSet(new URL(twin.endpoints('contoso.com').jwks))
  const { protectedHeader } = await jwtVerify(answer.access_token, keys)
  expect(protectedHeader).toMatchObject({ alg: 'RS256', typ: 'JWT' })
  const checked = await fetch(`${twin.origin}/check?token=${answer.access_token}`).then(found => found.json())
  expect(checked).toMatchObject({ active: true, upn: 'svc@contoso.com' })
  const refused = await fetch(`${twin.origin}/check?token=x`).then(found => found.json())
  expect(refused).toEqual({ active: false })
  // The next visit asks for the account only: the permissions are granted.
  const again = await fetch(authorizeUrl(twin, { prompt: 'none', login_hint: 'svc@contoso.com' }).url, manual)
  expect(new URL(again.headers.get('location') ?? '').searchParams.has('code')).toBe(true)
})

test('whoever cancels sends the app away with access_denied', async () => {
  const twin = await start()
  const page = await fetch(authorizeUrl(twin, {}).url).then(answer => answer.text())
  const consent = await post(twin, '/contoso.com/login', { ...ticketOf(page), account: 'svc@contoso.com' })
  const back = await post(twin, '/contoso.com/consent', { ...ticketOf(await consent.text()), answer: 'cancel' })
  const location = new URL(back.headers.get('location') ?? '')
  expect(location.searchParams.get('error')).toBe('access_denied')
  expect(location.searchParams.get('error_description')).toMatch(/^AADSTS65004: /)
})

test('automatic mode needs no page, and a code works once, with its verifier, for its redirect URI', async () => {
  const twin = await start({ isAutomatic: true })
  const { verifier, url } = authorizeUrl(twin, { login_hint: 'svc@contoso.com', state: 's' })
  const code = await codeOf(url)
  expect(await redeem(twin, code, verifier)).toHaveProperty('refresh_token')
  expect(await redeem(twin, code, verifier)).toMatchObject({ error: 'invalid_grant', error_codes: [54005] })

  const other = authorizeUrl(twin, { login_hint: 'svc@contoso.com' })
  expect(await redeem(twin, await codeOf(other.url), 'wrong')).toMatchObject({ error_codes: [501481] })
  const third = authorizeUrl(twin, { login_hint: 'svc@contoso.com', scope: scope.replace('offline_access ', '') })
  expect(await redeem(twin, await codeOf(third.url), third.verifier)).not.toHaveProperty('refresh_token')
})

test.each([
  ['an unknown redirect URI', { redirect_uri: `${redirectUri}/` }, 50011],
  ['an unknown app', { client_id: 'nobody' }, 700016],
])('%s is refused on a page and never redirected to', async (_, change, code) => {
  const twin = await start()
  const answer = await fetch(authorizeUrl(twin, change).url, manual)
  expect(answer.status).toBe(400)
  expect(await answer.text()).toContain(`AADSTS${code}`)
})

test.each([
  ['no PKCE', { code_challenge: undefined }, 50147],
  ['PKCE plain', { code_challenge_method: 'plain' }, 50147],
  ['the implicit flow', { response_type: 'token' }, 70005],
  ['an unknown scope', { scope: 'https://outlook.office.com/Everything' }, 70011],
  ['two resources', { scope: `${scope} https://outlook.office365.com/.default` }, 28000],
  ['nobody signed in and no page wanted', { prompt: 'none' }, 50058],
  ['no consent and no page wanted', { prompt: 'none', login_hint: 'svc@contoso.com' }, 65001],
])('%s is refused by a redirect with the state', async (_, change, code) => {
  const twin = await start()
  const answer = await fetch(authorizeUrl(twin, { state: 'kept', ...change }).url, manual)
  const location = new URL(answer.headers.get('location') ?? '')
  expect(location.searchParams.get('error_description')).toContain(`AADSTS${code}: `)
  expect(location.searchParams.get('state')).toBe('kept')
})

test('a refresh token is replaced at each use and the old one dies; Entra itself lets it live', async () => {
  const strict = await start()
  const first = strict.issueRefreshToken({ user: 'svc@contoso.com' })
  const answer = await refresh(strict, first)
  expect(answer.refresh_token).not.toBe(first)
  expect(await refresh(strict, first)).toMatchObject({ error: 'invalid_grant', error_codes: [50173] })
  expect(strict.verify((await refresh(strict, answer.refresh_token)).access_token)?.upn).toBe('svc@contoso.com')

  const lenient = await start({ oldRefreshTokenDies: false })
  const token = lenient.issueRefreshToken({ user: 'svc@contoso.com' })
  await refresh(lenient, token)
  expect(await refresh(lenient, token)).toHaveProperty('access_token')
})

test('consent that is withdrawn shows as AADSTS65001, and an administrator can give it for all', async () => {
  const twin = await start()
  const token = twin.issueRefreshToken({ user: 'svc@contoso.com' })
  twin.setFaults({ withdrawConsent: true })
  const refused = await refresh(twin, token)
  expect(refused).toMatchObject({ error: 'invalid_grant', suberror: 'consent_required', error_codes: [65001] })
  expect(refused.error_description).toMatch(
    /^AADSTS65001: .* Trace ID: [0-9a-f-]{36} Correlation ID: [0-9a-f-]{36} Timestamp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/,
  )
  const url = new URL(twin.endpoints('contoso.com').adminConsent)
  url.search = String(form({ client_id: contosoClientId, redirect_uri: redirectUri, state: 'x' }))
  const page = await fetch(url).then(answer => answer.text())
  const consent = await post(twin, '/contoso.com/login', { ...ticketOf(page), account: 'admin@contoso.com' })
  const back = await post(twin, '/contoso.com/consent', { ...ticketOf(await consent.text()), answer: 'accept' })
  expect(back.headers.get('location')).toBe(
    `${redirectUri}?admin_consent=True&tenant=${twin.endpoints().issuer.split('/')[3]}&state=x`,
  )
  expect(await refresh(twin, token)).toHaveProperty('access_token')
})

test('an app signs in by secret or certificate; without admin consent its token names no roles', async () => {
  const { cert, key } = await makeTwinCertificate(['hub.contoso.com'], { keys: 'rsa' })
  const twin = await start({ tenants: [contoso([redirectUri], [cert])] })
  const bySecret = { grant_type: 'client_credentials', scope: 'https://outlook.office365.com/.default' }
  const before = await token(twin, { ...bySecret, client_secret: contosoSecret })
  expect(twin.verify(before.access_token)?.roles).toBeUndefined()
  twin.grantAdminConsent()
  for (const alg of ['PS256', 'RS256']) {
    const assertion = await assert(twin, cert, key, alg)
    const answer = await token(twin, { ...bySecret, ...assertion })
    const claims = twin.verify(answer.access_token)
    expect(claims).toMatchObject({ roles: ['IMAP.AccessAsApp', 'SMTP.SendAsApp'], appidacr: '2', idtyp: 'app' })
    expect(claims).not.toHaveProperty('upn')
    expect(answer).not.toHaveProperty('refresh_token')
  }
})

test.each<[string, Parameters<typeof assert>[4], number]>([
  ['has expired', { expiresInS: -4000 }, 700024],
  ['is meant for somebody else', { audience: 'https://login.example' }, 700023],
  ['speaks for another app', { issuer: 'somebody' }, 700027],
])('an assertion that %s is refused', async (_, change, code) => {
  const { cert, key } = await makeTwinCertificate(['hub.contoso.com'], { keys: 'rsa' })
  const twin = await start({ tenants: [contoso([redirectUri], [cert])] })
  const answer = await token(twin, {
    grant_type: 'client_credentials',
    scope: 'https://outlook.office365.com/.default',
    ...(await assert(twin, cert, key, 'PS256', change)),
  })
  expect(answer).toMatchObject({ error: 'invalid_client', error_codes: [code] })
})

test.each([
  ['a wrong secret', { client_secret: 'x' }, 'invalid_client', 7000215],
  ['no secret', { client_secret: '' }, 'invalid_client', 7000218],
  ['a certificate nobody registered', { client_assertion: 'a.b.c' }, 'invalid_client', 700027],
  ['a delegated scope', { scope: 'https://outlook.office.com/SMTP.Send' }, 'invalid_scope', 1002012],
  ['another resource', { scope: 'https://management.azure.com/.default' }, 'invalid_resource', 500011],
  ['a form that is too large', { padding: 'x'.repeat(70_000) }, 'invalid_request', 9002313],
  ['an unknown grant', { grant_type: 'password' }, 'unsupported_grant_type', 70003],
  ['a refresh token of nobody', { grant_type: 'refresh_token', refresh_token: 'x' }, 'invalid_grant', 9002313],
])('a token request with %s is refused in the words of Entra', async (_, change, error, code) => {
  const twin = await start()
  const answer = await token(twin, {
    grant_type: 'client_credentials',
    scope: 'https://outlook.office365.com/.default',
    client_secret: contosoSecret,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    ...change,
  })
  expect(answer).toMatchObject({ error, error_codes: [code] })
})

test('faults: throttled twice, then down once, then well; tokens and refresh tokens end on request', async () => {
  const twin = await start()
  const refreshToken = twin.issueRefreshToken({ user: 'svc@contoso.com' })
  twin.setFaults({ throttle: { times: 2, retryAfterS: 7 }, unavailable: { times: 1, status: 502 } })
  const statuses: number[] = []
  for (let index = 0; index < 4; index += 1) {
    const answer = await fetch(twin.endpoints().token, { method: 'POST', body: form({ grant_type: 'x' }) })
    statuses.push(answer.status)
    expect(answer.headers.get('retry-after')).toBe(answer.status === 429 ? '7' : null)
  }
  expect(statuses).toEqual([429, 429, 502, 400])

  const old = twin.issue({ user: 'svc@contoso.com' })
  expect(twin.verify(old)).toBeDefined()
  twin.setFaults({ expireTokens: true, revokeRefreshTokens: true })
  expect(twin.verify(old)).toBeUndefined()
  expect(twin.verify(twin.issue({ user: 'svc@contoso.com' }))).toBeDefined()
  expect(await refresh(twin, refreshToken)).toMatchObject({ error: 'invalid_grant', error_codes: [50173] })
  expect(() => twin.setFaults(JSON.parse('{"trottle":{}}'))).toThrow(/trottle/)
})

test.each([
  ['nonsense', () => 'x.y.z'],
  ['a signature that does not fit', (token: string) => `${token.slice(0, -8)}AAAAAAAA`],
  ['algorithm none', (token: string) => `${b64({ alg: 'none' })}.${token.split('.')[1]}.`],
])('a token with %s is not verified', async (_, change) => {
  const twin = await start()
  expect(twin.verify(change(twin.issue({ user: 'svc@contoso.com' })))).toBeUndefined()
  const other = await start()
  expect(twin.verify(other.issue({ user: 'svc@contoso.com' }))).toBeUndefined()
  expect(twin.verify(twin.issue({ user: 'svc@contoso.com', expiresInMs: -1000 }))).toBeUndefined()
})

const manual = { redirect: 'manual' } as const

async function start(options: SignInOptions = {}): Promise<SignInTwin> {
  const twin = await startSignIn({ tenants: [contoso([redirectUri])], ...options })
  open.push(twin)
  return twin
}

function authorizeUrl(twin: SignInTwin, change: Record<string, string | undefined>) {
  const verifier = randomBytes(32).toString('base64url')
  const url = new URL(twin.endpoints('contoso.com').authorize)
  const parameters = {
    client_id: contosoClientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...change,
  }
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value)
  return { verifier, url }
}

async function codeOf(url: URL): Promise<string> {
  const answer = await fetch(url, manual)
  return new URL(answer.headers.get('location') ?? '').searchParams.get('code') ?? ''
}

interface TokenAnswer {
  readonly access_token: string
  readonly refresh_token: string
  readonly error_description: string
}

async function token(twin: SignInTwin, fields: Record<string, string>): Promise<TokenAnswer> {
  const answer = await fetch(twin.endpoints().token, {
    method: 'POST',
    body: form({ client_id: contosoClientId, ...fields }),
  })
  return (await answer.json()) as TokenAnswer
}

function redeem(twin: SignInTwin, code: string, verifier: string): Promise<TokenAnswer> {
  return token(twin, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirectUri,
    code_verifier: verifier,
    client_secret: contosoSecret,
  })
}

function refresh(twin: SignInTwin, refreshToken: string): Promise<TokenAnswer> {
  return token(twin, { grant_type: 'refresh_token', refresh_token: refreshToken, client_secret: contosoSecret })
}

async function assert(
  twin: SignInTwin,
  cert: string,
  key: string,
  alg: string,
  change: { expiresInS?: number; audience?: string; issuer?: string } = {},
): Promise<Record<string, string>> {
  const nowS = Math.floor(Date.now() / 1000)
  const thumbprint = createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url')
  const jwt = await new SignJWT({ jti: randomBytes(8).toString('hex') })
    .setProtectedHeader({ alg, typ: 'JWT', 'x5t#S256': thumbprint })
    .setIssuer(change.issuer ?? contosoClientId)
    .setSubject(change.issuer ?? contosoClientId)
    .setAudience(change.audience ?? twin.endpoints().token)
    .setIssuedAt(nowS)
    .setExpirationTime(nowS + (change.expiresInS ?? 60))
    .sign(createPrivateKey(key))
  return {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: jwt,
  }
}

function post(twin: SignInTwin, path: string, fields: Record<string, string>): Promise<Response> {
  return fetch(`${twin.origin}${path}`, { method: 'POST', body: form(fields), ...manual })
}

function form(fields: Record<string, string>): URLSearchParams {
  return new URLSearchParams(fields)
}

function ticketOf(page: string): { ticket: string } {
  return { ticket: /name="ticket" value="([^"]+)"/.exec(page)?.[1] ?? '' }
}

function b64(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
