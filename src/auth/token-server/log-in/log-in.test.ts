import { createRemoteJWKSet, jwtVerify } from 'jose'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DAY, MINUTE } from '../../../kernel/time.ts'
import { decode, type TokenWorld, tokenWorld } from '../token-world.ts'
import { FormBrowser, makePkce } from './browser-world.ts'

const callback = 'https://app.example/callback'
const password = 'correct horse battery'
const parameters = {
  roles: ['ESBMessaging.send', 'API.invoke'],
  'grant-types': ['authorization_code', 'refresh_token'],
  'redirect-uris': [callback],
}

let world: TokenWorld
let caller: Awaited<ReturnType<TokenWorld['caller']>>
beforeEach(async () => {
  world = await tokenWorld()
  caller = await world.caller('order-portal', parameters)
  await world.people.create({ name: 'anna', displayName: 'Anna Berg', roles: ['ESBMessaging.send'], password })
})
afterEach(() => world.close())

type Query = Readonly<Record<string, string>>

function authorizeUrl(more: Query = {}, challenge = makePkce().challenge): string {
  const query = {
    response_type: 'code',
    client_id: caller.clientId,
    redirect_uri: callback,
    scope: 'openid profile ESBMessaging.send',
    state: 'st4te',
    nonce: 'n0nce',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...more,
  }
  return `${world.issuer}/oauth/authorize?${new URLSearchParams(query).toString()}`
}

/** Signs in and allows; the query of the redirect to the client. */
async function signIn(browser: FormBrowser, url: string, user = 'anna'): Promise<URLSearchParams> {
  let page = await browser.open(url)
  if (page.text.includes('name="password"')) page = await browser.send(page, { user, password })
  if (page.text.includes('Allow access?')) page = await browser.send(page, {})
  expect(page.url.startsWith(`${callback}?`), page.text).toBe(true)
  return new URL(page.url).searchParams
}

async function redeem(code: string, verifier: string, more: Query = {}) {
  const form = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: callback, ...more }
  return world.ask(caller, form)
}

async function tokensOf(browser = new FormBrowser(world.issuer), more: Query = {}) {
  const { verifier, challenge } = makePkce()
  const query = await signIn(browser, authorizeUrl(more, challenge))
  return (await redeem(query.get('code') ?? '', verifier)).body
}

test('a person signs in, allows it, and the client gets tokens in their name', async () => {
  const browser = new FormBrowser(world.issuer)
  const { verifier, challenge } = makePkce()
  const first = await browser.open(authorizeUrl({}, challenge))
  expect(first.status).toBe(200)
  expect(first.text).toContain('<strong>order-portal</strong>')
  expect(await browser.head(first.url)).toMatchObject({ status: 200, text: '' })
  const consent = await browser.send(first, { user: 'Anna ', password })
  expect(consent.text).toContain('Calls flows. (ESBMessaging.send)')
  const end = await browser.send(consent, {})
  const query = new URL(end.url).searchParams
  expect(Object.fromEntries(query)).toEqual({ code: expect.any(String), state: 'st4te', iss: world.issuer })

  const { status, body } = await redeem(query.get('code') ?? '', verifier)
  expect(status).toBe(200)
  expect(body).toMatchObject({ token_type: 'Bearer', refresh_token: expect.any(String) })
  expect(body.scope?.split(' ')).toContain('ESBMessaging.send')
  const jwks = createRemoteJWKSet(new URL(`${world.issuer}/token_keys`))
  const id = await jwtVerify(body.id_token, jwks, { issuer: world.issuer, audience: caller.clientId })
  expect(id.payload).toMatchObject({ sub: 'anna', name: 'Anna Berg', preferred_username: 'anna', nonce: 'n0nce' })
  const claims = await world.tokens().verifyAccessToken(body.access_token)
  expect(claims).toMatchObject({
    subject: 'anna',
    clientId: caller.clientId,
    keyId: caller.key.id,
    scope: ['ESBMessaging.send'],
  })
  expect(claims && world.tokens().isRevoked(claims)).toBe(false)
})

test('who allowed it once is not asked again, also in another browser, until more is asked for', async () => {
  await tokensOf()
  const { challenge } = makePkce()
  const browser = new FormBrowser(world.issuer)
  const page = await browser.open(authorizeUrl({}, challenge))
  const end = await browser.send(page, { user: 'anna', password })
  expect(end.url.startsWith(callback)).toBe(true)
  // Signed in and allowed: not a single page.
  expect((await browser.open(authorizeUrl())).url.startsWith(callback)).toBe(true)
  const more = await browser.open(authorizeUrl({ scope: 'openid email ESBMessaging.send' }))
  expect(more.text).toContain('See your mail address.')
})

test('the token has what person and instance both have, and without a scope all of that', async () => {
  const { verifier, challenge } = makePkce()
  const url = new URL(authorizeUrl({}, challenge))
  url.searchParams.delete('scope')
  url.searchParams.delete('nonce')
  const query = await signIn(new FormBrowser(world.issuer), url.href)
  const { body } = await redeem(query.get('code') ?? '', verifier)
  expect(body.scope).toBe('ESBMessaging.send')
})

test('what becomes of the person counts at once', async () => {
  const { access_token: token, refresh_token: refresh } = await tokensOf()
  const claims = await world.tokens().verifyAccessToken(token)
  if (!claims) throw new Error('The token is not genuine.')
  await world.people.update('anna', { roles: [] })
  expect(world.tokens().isRevoked(claims)).toBe(true)
  await world.people.update('anna', { roles: ['ESBMessaging.send'] })
  expect(world.tokens().isRevoked(claims)).toBe(false)
  await world.people.update('anna', { disabled: true })
  expect(world.tokens().isRevoked(claims)).toBe(true)
  const again = await world.ask(caller, { grant_type: 'refresh_token', refresh_token: refresh })
  expect(again).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
})

test('a new password ends what was given out under the old one, and a new name does not', async () => {
  const browser = new FormBrowser(world.issuer)
  const { access_token: token, refresh_token: refresh } = await tokensOf(browser)
  const claims = await world.tokens().verifyAccessToken(token)
  if (!claims) throw new Error('The token is not genuine.')
  await world.clock.advance(MINUTE)
  await world.people.update('anna', { displayName: 'Anna Berg' })
  expect(world.tokens().isRevoked(claims)).toBe(false)
  await world.people.update('anna', { password: 'another horse, another staple' })
  expect(world.tokens().isRevoked(claims)).toBe(true)
  const again = await world.ask(caller, { grant_type: 'refresh_token', refresh_token: refresh })
  expect(again).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
  expect((await browser.open(authorizeUrl())).text).toContain('name="password"')
})

test('who is entered anew under the name of somebody deleted gets nothing that was given to them', async () => {
  const browser = new FormBrowser(world.issuer)
  const { access_token: token, refresh_token: refresh } = await tokensOf(browser)
  const claims = await world.tokens().verifyAccessToken(token)
  if (!claims) throw new Error('The token is not genuine.')
  await world.people.delete('anna')
  await world.clock.advance(MINUTE)
  await world.people.create({ name: 'anna', roles: ['ESBMessaging.send'], password })
  expect(world.tokens().isRevoked(claims)).toBe(true)
  const again = await world.ask(caller, { grant_type: 'refresh_token', refresh_token: refresh })
  expect(again).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
  expect((await browser.open(authorizeUrl())).text).toContain('name="password"')
})

describe('a code', () => {
  test('counts once; used twice it takes all that came from it along', async () => {
    const { verifier, challenge } = makePkce()
    const query = await signIn(new FormBrowser(world.issuer), authorizeUrl({}, challenge))
    const code = query.get('code') ?? ''
    const { body } = await redeem(code, verifier)
    expect(await redeem(code, verifier)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
    const refreshed = await world.ask(caller, { grant_type: 'refresh_token', refresh_token: body.refresh_token })
    expect(refreshed).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
    const claims = await world.tokens().verifyAccessToken(body.access_token)
    expect(claims && world.tokens().isRevoked(claims)).toBe(true)
  })

  test('brought by two requests at once gives tokens to at most one of them, and those count no more', async () => {
    const { verifier, challenge } = makePkce()
    const query = await signIn(new FormBrowser(world.issuer), authorizeUrl({}, challenge))
    const answers = await Promise.all([1, 2, 3].map(() => redeem(query.get('code') ?? '', verifier)))
    const good = answers.filter(({ status }) => status === 200)
    expect(good.length).toBeLessThanOrEqual(1)
    for (const { body } of good) {
      const claims = await world.tokens().verifyAccessToken(body.access_token)
      expect(claims && world.tokens().isRevoked(claims)).toBe(true)
    }
  })

  test('needs its verifier, its redirect URI and its own client, and ends after a minute', async () => {
    const { verifier, challenge } = makePkce()
    const browser = new FormBrowser(world.issuer)
    const codeOf = async () => (await signIn(browser, authorizeUrl({}, challenge))).get('code') ?? ''
    const other = await world.caller('other-portal', parameters)
    const form = {
      grant_type: 'authorization_code',
      code: await codeOf(),
      code_verifier: verifier,
      redirect_uri: callback,
    }
    expect((await world.ask(other, form)).body.error).toBe('invalid_grant')
    expect((await redeem(await codeOf(), makePkce().verifier)).body.error).toBe('invalid_grant')
    expect((await redeem(await codeOf(), verifier, { redirect_uri: `${callback}/x` })).body.error).toBe('invalid_grant')
    const { code_verifier: _left, ...without } = { ...form, code: await codeOf() }
    expect((await world.ask(caller, without)).body.error).toBe('invalid_grant')
    const late = await codeOf()
    await world.clock.advance(61_000)
    expect((await redeem(late, verifier)).body.error).toBe('invalid_grant')
  })
})

describe('a refresh token', () => {
  const refresh = (token: string, more: Query = {}) =>
    world.ask(caller, { grant_type: 'refresh_token', refresh_token: token, ...more })

  test('is another one each time, over a restart too; the key that asks stands in the access token', async () => {
    const first = await tokensOf()
    const second = await world.users().createKey(caller.instance.id, { name: 'second' })
    await world.restart()
    const form = { grant_type: 'refresh_token', refresh_token: first.refresh_token }
    const proof = { clientId: caller.clientId, secret: second.document.oauth.clientsecret ?? '' }
    const { status, body } = await world.ask(proof, form)
    expect(status).toBe(200)
    expect(body.refresh_token).not.toBe(first.refresh_token)
    expect(decode(body.access_token).payload).toMatchObject({
      key_id: second.key.id,
      sub: 'anna',
      scope: 'ESBMessaging.send',
    })
    expect((await refresh(body.refresh_token)).status).toBe(200)
  })

  test('used twice ends the whole family, and no other', async () => {
    const browser = new FormBrowser(world.issuer)
    const first = await tokensOf(browser)
    const other = await tokensOf(browser)
    const second = (await refresh(first.refresh_token)).body
    expect((await refresh(first.refresh_token)).body.error).toBe('invalid_grant')
    expect((await refresh(second.refresh_token)).body.error).toBe('invalid_grant')
    for (const { access_token: token } of [first, second]) {
      const claims = await world.tokens().verifyAccessToken(token)
      expect(claims && world.tokens().isRevoked(claims)).toBe(true)
    }
    expect((await refresh(other.refresh_token)).status).toBe(200)
  })

  test('can be narrowed and not widened, revoked by its client, and is nothing for others', async () => {
    const { refresh_token: token } = await tokensOf()
    expect((await refresh(token, { scope: 'API.invoke' })).body.error).toBe('invalid_scope')
    const other = await world.caller('other-portal', parameters)
    expect((await world.ask(other, { grant_type: 'refresh_token', refresh_token: token })).body.error).toBe(
      'invalid_grant',
    )
    expect((await world.ask(other, { token }, { path: '/introspect' })).body).toEqual({ active: false })
    expect((await world.ask(caller, { token }, { path: '/introspect' })).body).toMatchObject({
      active: true,
      sub: 'anna',
    })
    expect((await world.ask(caller, { token }, { path: '/revoke' })).status).toBe(200)
    expect((await refresh(token)).body.error).toBe('invalid_grant')
  })

  test('lies in the store so that nobody can read it or what belongs to it', async () => {
    const { refresh_token: token } = await tokensOf()
    const dump = world.records.dump()
    expect(dump).toContain('token-state')
    for (const text of [token, 'st4te', 'n0nce']) expect(dump).not.toContain(text)
    const states = (await world.records.list('token-state')).map(({ value }) => JSON.stringify(value))
    expect(states.join()).not.toContain('anna')
  })

  test('and everything else that is kept is gone from the store when its time is over', async () => {
    await tokensOf()
    expect((await world.records.list('token-state')).length).toBeGreaterThan(0)
    await world.clock.advance(8 * DAY)
    const keptAfterPurge = async () => {
      await world.clock.advance(11 * MINUTE)
      return (await world.records.list('token-state')).length
    }
    await expect.poll(keptAfterPurge).toBe(0)
  })
})

describe('an authorization request is refused', () => {
  test.each<[string, Query, string]>([
    ['without PKCE', { code_challenge: '', code_challenge_method: '' }, 'invalid_request'],
    ['with PKCE plain', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['with the implicit grant', { response_type: 'token' }, 'unsupported_response_type'],
    ['with a hybrid of code and id_token', { response_type: 'code id_token' }, 'unsupported_response_type'],
    ['for a role that the instance does not have', { scope: 'openid MonitoringDataRead' }, 'invalid_scope'],
    ['for another resource', { resource: 'https://elsewhere.example/' }, 'invalid_target'],
    ['when nobody may be asked and nobody is signed in', { prompt: 'none' }, 'login_required'],
  ])('%s, by a redirect that names the issuer', async (_name, more, error) => {
    const url = new URL(authorizeUrl(more))
    for (const [name, value] of Object.entries(more)) if (value === '') url.searchParams.delete(name)
    const response = await fetch(url, { redirect: 'manual' })
    const location = new URL(response.headers.get('location') ?? 'about:blank')
    expect(`${location.origin}${location.pathname}`).toBe(callback)
    const query = location.hash ? new URLSearchParams(location.hash.slice(1)) : location.searchParams
    // Mix-up (RFC 9207): a client learns from whom the answer is.
    expect(Object.fromEntries(query)).toMatchObject({ error, iss: world.issuer, state: 'st4te' })
  })

  test.each([
    'https://evil.example/callback',
    'https://app.example/callback/../evil',
    'https://app.example/callback?x=1',
    'https://app.example/callback#x',
    'https://app.example.evil.example/callback',
    'https://app.example:444/callback',
    'https://evil.example@app.example/callback',
    'http://app.example/callback',
    '//app.example/callback',
    '/\\evil.example',
    'javascript:alert(1)',
    'HTTPS://APP.EXAMPLE/callback',
    'https://app.example/callback%2f..',
  ])('on a page, without a redirect, for %s', async uri => {
    const response = await fetch(authorizeUrl({ redirect_uri: uri }), { redirect: 'manual' })
    expect([response.status, response.headers.get('location')]).toEqual([400, null])
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
  })

  test('for an unknown and a disabled instance, without telling which', async () => {
    await world.users().updateInstance(caller.instance.id, { disabled: true })
    const disabled = await (await fetch(authorizeUrl(), { redirect: 'manual' })).text()
    const unknown = await (await fetch(authorizeUrl({ client_id: 'nobody' }), { redirect: 'manual' })).text()
    expect(disabled).toBe(unknown)
  })
})

describe('the log-in page', () => {
  test('runs nothing, loads nothing and cannot be framed', async () => {
    const page = await new FormBrowser(world.issuer).open(authorizeUrl({ login_hint: '"><script>alert(1)</script>' }))
    const policy = page.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'; style-src 'sha256-")
    expect(policy).toContain("form-action 'self' https://app.example; frame-ancestors 'none'; base-uri 'none'")
    expect(page.headers.get('x-frame-options')).toBe('DENY')
    expect(page.text).not.toContain('<script')
    expect(page.text).toContain('&quot;&gt;&lt;script&gt;')
  })

  test('takes its form from itself alone', async () => {
    const browser = new FormBrowser(world.issuer)
    const page = await browser.open(authorizeUrl())
    const form = { user: 'anna', password }
    expect((await browser.send(page, { ...form, csrf: '' })).status).toBe(403)
    expect((await browser.send(page, { ...form, csrf: 'x'.repeat(43) })).status).toBe(403)
    expect((await browser.send(page, form, { origin: 'https://evil.example' })).status).toBe(403)
    expect((await browser.send(page, form, { 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    const stranger = await new FormBrowser(world.issuer).send(page, form)
    expect([stranger.status, stranger.text]).toEqual([400, expect.stringContaining('cookie not found')])
    expect((await browser.send(page, form)).text).toContain('Allow access?')
  })

  test('says no without a word on what was wrong, and too often is too often', async () => {
    const browser = new FormBrowser(world.issuer)
    const page = await browser.open(authorizeUrl())
    const wrong = await browser.send(page, { user: 'anna', password: 'wrong' })
    const unknown = await browser.send(page, { user: 'bert', password: 'wrong' })
    expect([wrong.status, unknown.status]).toEqual([401, 401])
    expect(wrong.text.replaceAll('anna', '')).toBe(unknown.text.replaceAll('bert', ''))
    for (let count = 0; count < 4; count++) await browser.send(page, { user: 'anna', password: 'wrong' })
    const blocked = await browser.send(page, { user: 'anna', password })
    expect([blocked.status, Number(blocked.headers.get('retry-after'))]).toEqual([429, 300])
    await world.clock.advance(300_001)
    expect((await browser.send(page, { user: 'anna', password })).text).toContain('Allow access?')
  })

  test('lets a person go back without signing in, or without allowing', async () => {
    const browser = new FormBrowser(world.issuer)
    const cancelled = await browser.send(await browser.open(authorizeUrl()), { answer: 'cancel' })
    expect(new URL(cancelled.url).searchParams.get('error')).toBe('access_denied')
    const consent = await browser.send(await browser.open(authorizeUrl()), { user: 'anna', password })
    const refused = await browser.send(consent, { answer: 'cancel' })
    expect(new URL(refused.url).searchParams.get('error')).toBe('access_denied')
  })

  test('asks again when the person was disabled meanwhile, and lets nobody in', async () => {
    const browser = new FormBrowser(world.issuer)
    await tokensOf(browser)
    await world.people.update('anna', { disabled: true })
    const page = await browser.open(authorizeUrl())
    expect(page.text).toContain('name="password"')
    expect((await browser.send(page, { user: 'anna', password })).status).toBe(401)
  })

  test('of a session that is over asks again, and its cookies are for the server alone', async () => {
    const browser = new FormBrowser(world.issuer)
    await tokensOf(browser)
    expect((await browser.open(authorizeUrl({ max_age: '0' }))).text).toContain('name="password"')
    const response = await fetch(authorizeUrl(), { redirect: 'manual' })
    for (const cookie of response.headers.getSetCookie()) expect(cookie).toMatch(/httponly/i)
    for (const cookie of response.headers.getSetCookie()) expect(cookie).toMatch(/samesite=lax/i)
  })
})
