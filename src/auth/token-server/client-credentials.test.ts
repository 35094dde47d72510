import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { decode, type TokenWorld, tokenWorld } from './token-world.ts'

let world: TokenWorld
beforeEach(async () => {
  world = await tokenWorld()
})
afterEach(() => world.close())

const grant = { grant_type: 'client_credentials' }

test('a client gets a token of RFC 9068 that anybody can check with the published keys', async () => {
  const caller = await world.caller('orders', { roles: ['ESBMessaging.send'], 'token-validity': 1800 })
  const { status, headers, body } = await world.ask(caller, grant)
  expect(status).toBe(200)
  expect(headers.get('cache-control')).toContain('no-store')
  expect(body).toEqual({
    access_token: expect.any(String),
    token_type: 'Bearer',
    expires_in: 1800,
    scope: 'ESBMessaging.send',
  })
  const jwks = createRemoteJWKSet(new URL(`${world.issuer}/token_keys`))
  const { payload, protectedHeader } = await jwtVerify(body.access_token, jwks, {
    issuer: world.issuer,
    audience: `${world.issuer}/runtime`,
    typ: 'at+jwt',
  })
  expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: world.tokens().listKeys()[0]?.kid })
  expect(payload).toMatchObject({
    sub: caller.clientId,
    client_id: caller.clientId,
    scope: 'ESBMessaging.send',
    key_id: caller.key.id,
    gty: 'client_credentials',
    jti: expect.any(String),
  })
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(1800)
})

test('the hub knows its own token again, until its key is revoked', async () => {
  const caller = await world.caller('orders')
  const { body } = await world.ask(caller, grant)
  const claims = await world.tokens().verifyAccessToken(body.access_token)
  expect(claims).toMatchObject({
    clientId: caller.clientId,
    keyId: caller.key.id,
    subject: caller.clientId,
    scope: ['ESBMessaging.send'],
    thumbprint: undefined,
  })
  await world.users().revokeKey(caller.key.id)
  const after = await world.ask(caller, { token: body.access_token }, { path: '/introspect' })
  expect(after.status).toBe(401)
  expect((await world.ask(caller, grant)).body).toMatchObject({ error: 'invalid_client' })
})

test('each key of an instance has its own secret, and the token says which one asked', async () => {
  const caller = await world.caller('orders')
  const second = await world.users().createKey(caller.instance.id, { name: 'second' })
  const secret = second.document.oauth.clientsecret ?? ''
  const { body } = await world.ask({ clientId: caller.clientId, secret }, grant)
  expect(decode(body.access_token).payload['key_id']).toBe(second.key.id)
})

test('a scope narrows the token; one that the instance does not own is refused', async () => {
  await world.users().createRole('ESBMessaging_DE', 'Calls German flows.')
  const caller = await world.caller('orders', { roles: ['ESBMessaging.send', 'ESBMessaging_DE'] })
  const narrow = await world.ask(caller, { ...grant, scope: 'ESBMessaging_DE' })
  expect(narrow.body.scope).toBe('ESBMessaging_DE')
  const wide = await world.ask(caller, { ...grant, scope: 'ESBMessaging_DE API.invoke' })
  expect(wide).toMatchObject({ status: 400, body: { error: 'invalid_scope' } })
})

test('a client may write its proof into the form, and its Basic percent-encoded', async () => {
  const { clientId, secret } = await world.caller('orders')
  const form = await world.ask(undefined, { ...grant, client_id: clientId, client_secret: secret })
  expect(form.status).toBe(200)
  const encoded = Buffer.from(`${clientId.replaceAll('c', '%63')}:${secret.replaceAll('h', '%68')}`).toString('base64')
  const basic = await world.ask(undefined, grant, { headers: { authorization: `Basic ${encoded}` } })
  expect(basic.status).toBe(200)
})

describe('a request is refused', () => {
  const clients: string[] = []

  test('401 with WWW-Authenticate for a wrong secret, an unknown client and no proof', async () => {
    const caller = await world.caller('orders')
    const other = await world.caller('stocks')
    const wrong = [
      { clientId: caller.clientId, secret: 'wrong' },
      { clientId: caller.clientId, secret: other.secret },
      { clientId: 'nobody', secret: caller.secret },
    ]
    for (const proof of wrong) {
      const { status, headers, body } = await world.ask(proof, grant)
      expect([status, body.error, headers.get('www-authenticate')?.startsWith('Basic ')]).toEqual([
        401,
        'invalid_client',
        true,
      ])
    }
    const bare = await world.ask(undefined, { ...grant, client_id: caller.clientId })
    expect([bare.status, bare.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="isthmus"'])
  })

  test('for a grant that the instance does not list, or that nobody knows', async () => {
    const caller = await world.caller('orders')
    const ask = async (form: Record<string, string>) => (await world.ask(caller, form)).body.error
    for (const type of [
      'password',
      'refresh_token',
      'authorization_code',
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
    ]) {
      expect([type, await ask({ grant_type: type })]).toEqual([type, 'unauthorized_client'])
    }
    expect(await ask({ grant_type: 'none-such' })).toBe('unsupported_grant_type')
    expect(await ask({ scope: 'ESBMessaging.send' })).toBe('invalid_request')
  })

  test('with 429 after twenty wrong secrets, while the right one still works', async () => {
    const caller = await world.caller('orders')
    const statuses: number[] = []
    for (let count = 0; count < 25; count++) {
      statuses.push((await world.ask({ ...caller, secret: `wrong${count}` }, grant)).status)
    }
    expect(statuses.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 401))
    expect(statuses.slice(20)).toEqual(Array.from({ length: 5 }, () => 429))
    expect((await world.ask(caller, grant)).status).toBe(200)
  })

  test.each([
    ['twenty clients that nobody knows', (index: number) => ({ clientId: `ci${index}`, secret: 'x' }), 20],
    [
      'sixty wrong secrets of many clients',
      (index: number) => ({ clientId: clients[index % 10] ?? '', secret: 'x' }),
      60,
    ],
  ])('with 429 after %s, and the log tells it once', async (_name, guess, max) => {
    for (let index = 0; index < 10; index++) clients[index] = (await world.caller(`client-${index}`)).clientId
    const { clientId, secret } = await world.caller('orders')
    const statuses: number[] = []
    for (let count = 0; count < max + 10; count++) {
      const { status, headers } = await world.ask(guess(count), grant)
      statuses.push(status)
      if (status === 429) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    }
    expect(statuses.filter(status => status === 401)).toHaveLength(max)
    expect(statuses.slice(max)).toEqual(Array.from({ length: 10 }, () => 429))
    const told = world.lines.join('\n')
    expect(told.match(/token\.client-refused-often/g)).toHaveLength(1)
    expect(told.match(/token\.refused/g)).toHaveLength(max)
    expect((await world.ask({ clientId, secret }, grant)).status).toBe(200)
    await world.clock.advance(60_000)
    expect((await world.ask(guess(0), grant)).status).toBe(401)
  })
})

test('a form that is too large is refused and leaves the server well', async () => {
  const caller = await world.caller('orders')
  const { status, body } = await world.ask(caller, { ...grant, assertion: 'x'.repeat(60_000) })
  expect([status, body.error]).toEqual([400, 'invalid_request'])
  expect((await world.ask(caller, grant)).status).toBe(200)
})

describe('senders made for SAP', () => {
  test('may speak HTTP/1.0, which knows of no answer before the answer', async () => {
    const { clientId, secret } = await world.caller('orders')
    const form = new URLSearchParams({ ...grant, client_id: clientId, client_secret: secret }).toString()
    const socket = connect(Number(new URL(world.issuer).port), '127.0.0.1')
    socket.write(
      `POST /oauth/token HTTP/1.0\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ${form.length}\r\n` +
        `Content-Type: application/x-www-form-urlencoded\r\n\r\n${form}`,
    )
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 .*"access_token"/s)
  })

  test('name the grant in the URL and send no form', async () => {
    const caller = await world.caller('orders')
    const proof = `Basic ${Buffer.from(`${caller.clientId}:${caller.secret}`).toString('base64')}`
    const path = `${world.issuer}/oauth/token?grant_type=client_credentials&client-request-id=7`
    const response = await fetch(path, { method: 'POST', headers: { authorization: proof } })
    expect([response.status, await response.json()]).toMatchObject([200, { token_type: 'Bearer' }])
  })

  test.each(['client_secret', 'password', 'assertion', 'refresh_token', 'code', 'code_verifier', 'token'])(
    'must not put %s there',
    async name => {
      const caller = await world.caller('orders')
      const { status, body } = await world.ask(caller, grant, { path: `/oauth/token?${name}=x` })
      expect([status, body.error]).toEqual([400, 'invalid_request'])
    },
  )
})

test('every address in the metadata comes from the issuer, whatever the request claims', async () => {
  for (const path of ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server']) {
    const response = await fetch(`${world.issuer}${path}`, {
      headers: { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', origin: 'https://evil.example' },
    })
    const text = await response.text()
    expect(text).not.toContain('evil.example')
    expect(response.headers.get('access-control-allow-origin')).toBeNull()
    expect(JSON.parse(text)).toMatchObject({
      issuer: world.issuer,
      token_endpoint: `${world.issuer}/oauth/token`,
      authorization_endpoint: `${world.issuer}/oauth/authorize`,
      jwks_uri: `${world.issuer}/token_keys`,
      introspection_endpoint: `${world.issuer}/introspect`,
      revocation_endpoint: `${world.issuer}/revoke`,
      code_challenge_methods_supported: ['S256'],
    })
  }
})

test('no page of another origin reads an answer', async () => {
  const { clientId, secret } = await world.caller('orders')
  const headers = { origin: 'https://evil.example' }
  const body = new URLSearchParams({ ...grant, client_id: clientId, client_secret: secret })
  const token = await fetch(`${world.issuer}/oauth/token`, { method: 'POST', headers, body })
  const keys = await fetch(`${world.issuer}/token_keys`, { headers })
  for (const response of [token, keys]) {
    expect(response.status).toBe(200)
    expect([...response.headers.keys()].filter(name => name.startsWith('access-control-'))).toEqual([])
  }
})

describe('introspection and revocation', () => {
  test('tell a resource server what a token is, and end it at once', async () => {
    const caller = await world.caller('orders')
    const shop = await world.caller('resource-server')
    const { body } = await world.ask(caller, grant)
    const form = { token: body.access_token }
    const seen = await world.ask(shop, form, { path: '/introspect' })
    expect(seen.body).toMatchObject({
      active: true,
      client_id: caller.clientId,
      scope: 'ESBMessaging.send',
      token_type: 'Bearer',
      iss: world.issuer,
    })
    expect((await world.ask(shop, form, { path: '/revoke' })).status).toBe(400)
    expect(await world.ask(caller, form, { path: '/revoke' })).toMatchObject({ status: 200, body: {} })
    expect((await world.ask(shop, form, { path: '/introspect' })).body).toEqual({ active: false })
    await world.restart()
    expect((await world.ask(shop, form, { path: '/introspect' })).body).toEqual({ active: false })
    const claims = await world.tokens().verifyAccessToken(body.access_token)
    expect(claims && world.tokens().isRevoked(claims)).toBe(true)
  })

  test('see a role that was taken away, and a token that is none', async () => {
    const caller = await world.caller('orders', { roles: ['ESBMessaging.send', 'API.invoke'] })
    const { body } = await world.ask(caller, grant)
    await world.users().updateInstance(caller.instance.id, { parameters: { roles: ['API.invoke'] } })
    const seen = await world.ask(caller, { token: body.access_token }, { path: '/introspect' })
    expect(seen.body).toMatchObject({ active: true, scope: 'API.invoke' })
    for (const token of ['nonsense', `${body.access_token}x`, 'a.b.c']) {
      expect((await world.ask(caller, { token }, { path: '/introspect' })).body).toEqual({ active: false })
    }
    expect((await world.ask(undefined, { token: 'x' }, { path: '/introspect' })).status).toBe(400)
  })
})
