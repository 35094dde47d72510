import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { decode, type TokenWorld, tokenWorld } from '../token-world.ts'

const jwtGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const password = 'correct horse battery'
const idp = 'https://idp.example'

let idpKeys: Awaited<ReturnType<typeof generateKeyPair>>
let world: TokenWorld
beforeAll(async () => {
  idpKeys = await generateKeyPair('ES256', { extractable: true })
})
beforeEach(async () => {
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(idpKeys.publicKey)), kid: 'k1', alg: 'ES256' }] })
  world = await tokenWorld({
    trusted: [{ name: 'corp', issuer: idp, jwks, roles: ['ESBMessaging.send'] }],
  })
  await world.people.create({ name: 'anna', roles: ['ESBMessaging.send'], password })
})
afterEach(() => world.close())

let count = 0
let caller: Awaited<ReturnType<TokenWorld['caller']>>
const newCaller = (grantTypes: readonly string[]) => {
  count++
  const roles = ['ESBMessaging.send', 'API.invoke']
  return world.caller(`client-${count}`, { roles, 'grant-types': grantTypes })
}

describe('user and password', () => {
  const form = { grant_type: 'password', username: 'Anna', password }
  beforeEach(async () => {
    caller = await newCaller(['password', 'refresh_token'])
  })

  test('give a token and a refresh token for the user', async () => {
    const { status, body } = await world.ask(caller, form)
    expect([status, body.scope]).toEqual([200, 'ESBMessaging.send'])
    expect(decode(body.access_token).payload).toMatchObject({
      sub: 'anna',
      gty: 'password',
      client_id: caller.clientId,
    })
    const again = await world.ask(caller, { grant_type: 'refresh_token', refresh_token: body.refresh_token })
    expect([again.status, again.body.scope]).toEqual([200, 'ESBMessaging.send'])
    expect(decode(again.body.access_token).payload).toMatchObject({ sub: 'anna' })
    const reused = await world.ask(caller, { grant_type: 'refresh_token', refresh_token: body.refresh_token })
    expect(reused.body.error).toBe('invalid_grant')
    for (const token of [body.access_token, again.body.access_token]) {
      const claims = await world.tokens().verifyAccessToken(token)
      expect(claims && world.tokens().isRevoked(claims)).toBe(true)
    }
  })

  test('are refused in the same words for a wrong password, an unknown and a disabled user', async () => {
    await world.people.create({ name: 'gone', roles: [], password })
    await world.people.update('gone', { disabled: true })
    const wrong = { ...form, password: 'wrong' }
    const answers = [wrong, { ...form, username: 'nobody' }, { ...form, username: 'gone' }]
    const bodies = await Promise.all(answers.map(async each => (await world.ask(caller, each)).body))
    for (const body of bodies) expect(body).toEqual({ error: 'invalid_grant', error_description: expect.any(String) })
    expect(new Set(bodies.map(body => body.error_description)).size).toBe(1)
  })

  test('have to wait after five wrong ones for the same user', async () => {
    const wrong = { ...form, password: 'wrong' }
    for (let tries = 0; tries < 5; tries++) expect((await world.ask(caller, wrong)).status).toBe(400)
    const { status, headers } = await world.ask(caller, form)
    expect([status, headers.get('retry-after')]).toEqual([429, '300'])
    await world.clock.advance(300_001)
    expect((await world.ask(caller, form)).status).toBe(200)
  })

  test('that are right never have to wait, and make up for no wrong ones', async () => {
    for (let count = 0; count < 25; count++) expect((await world.ask(caller, form)).status).toBe(200)
    const wrongOf = (index: number) => ({ ...form, username: `nobody${index}`, password: 'wrong' })
    for (let index = 0; index < 19; index++) expect((await world.ask(caller, wrongOf(index))).status).toBe(400)
    expect((await world.ask(caller, form)).status).toBe(200)
    expect((await world.ask(caller, wrongOf(19))).status).toBe(400)
    expect((await world.ask(caller, wrongOf(20))).status).toBe(429)
  })

  test('that are right may come all at once', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => world.ask(caller, form)))
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 200))
  })

  test('guessed all at once are counted all at once', async () => {
    const guesses = Array.from({ length: 12 }, (_none, index) =>
      world.ask(caller, { ...form, password: `wrong${index}` }),
    )
    const statuses = (await Promise.all(guesses)).map(({ status }) => status)
    expect(statuses.filter(status => status === 429)).toHaveLength(7)
  })

  test('are for instances only that list them, and never for a role that the user lacks', async () => {
    const plain = await newCaller(['client_credentials'])
    expect((await world.ask(plain, form)).status).toBe(400)
    expect((await world.ask(caller, { ...form, scope: 'API.invoke' })).body.error).toBe('invalid_scope')
    expect((await world.ask(caller, { grant_type: 'password', username: 'anna' })).body.error).toBe('invalid_request')
  })

  test('of unknown users cost as much as those of known ones', async () => {
    const cpuMs = { anna: [] as number[], nobody: [] as number[] }
    for (let tries = 0; tries < 5; tries++) {
      await world.clock.advance(301_000)
      for (const username of ['anna', 'nobody'] as const) {
        const before = process.cpuUsage()
        await world.ask(caller, { ...form, username, password: 'wrong' })
        const { user, system } = process.cpuUsage(before)
        cpuMs[username].push((user + system) / 1000)
      }
    }
    // argon2id takes tens of milliseconds of CPU: without the dummy an unknown user would cost a tenth of a known one.
    expect(Math.min(...cpuMs.nobody)).toBeGreaterThan(Math.min(...cpuMs.anna) * 0.5)
  })
})

describe('a JWT of a trusted issuer', () => {
  interface Wish {
    readonly claims?: Record<string, unknown>
    readonly header?: { readonly alg: string; readonly kid?: string }
    readonly key?: Parameters<SignJWT['sign']>[0]
  }
  const nowSeconds = () => Math.floor(world.clock.now() / 1000)
  async function assertion({ claims = {}, header, key }: Wish = {}): Promise<string> {
    count++
    const now = nowSeconds()
    const payload = {
      iss: idp,
      sub: 'anna@corp',
      aud: world.issuer,
      iat: now,
      exp: now + 300,
      jti: `j${count}`,
      ...claims,
    }
    const given = Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined))
    return new SignJWT(given).setProtectedHeader(header ?? { alg: 'ES256', kid: 'k1' }).sign(key ?? idpKeys.privateKey)
  }
  const send = (text: string) => world.ask(caller, { grant_type: jwtGrant, assertion: text })
  beforeEach(async () => {
    caller = await newCaller([jwtGrant])
  })

  test('gives a token for its user, once', async () => {
    const text = await assertion()
    const { status, body } = await send(text)
    expect([status, body.scope]).toEqual([200, 'ESBMessaging.send'])
    expect(decode(body.access_token).payload).toMatchObject({ sub: 'anna@corp', idp: 'corp', gty: 'jwt-bearer' })
    expect((await send(text)).body.error).toBe('invalid_grant')
  })

  test.each<[string, () => Record<string, unknown>]>([
    ['another audience', () => ({ aud: 'https://elsewhere.example' })],
    ['several audiences', () => ({ aud: [world.issuer, 'https://elsewhere.example'] })],
    ['no audience', () => ({ aud: undefined })],
    ['another issuer', () => ({ iss: 'https://evil.example' })],
    ['no subject', () => ({ sub: undefined })],
    ['an empty subject', () => ({ sub: '' })],
    ['no id', () => ({ jti: undefined })],
    ['no end', () => ({ exp: undefined })],
    ['an end that is past', () => ({ exp: nowSeconds() - 120 })],
    ['a day to live', () => ({ exp: nowSeconds() + 86_400 })],
    ['an age of two hours', () => ({ iat: nowSeconds() - 7200 })],
    ['a beginning that is to come', () => ({ nbf: nowSeconds() + 600 })],
  ])('with %s is refused', async (_name, claims) => {
    const { status, body } = await send(await assertion({ claims: claims() }))
    expect([status, body.error]).toEqual([400, 'invalid_grant'])
  })

  test('made with another key, with none, or with the public one as a secret is refused', async () => {
    const stranger = await generateKeyPair('ES256')
    const jwk = JSON.stringify(await exportJWK(idpKeys.publicKey))
    const secret = new TextEncoder().encode(jwk.padEnd(32))
    const [header, payload] = (await assertion()).split('.')
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    const forged = [
      await assertion({ key: stranger.privateKey }),
      await assertion({ header: { alg: 'HS256', kid: 'k1' }, key: secret }),
      `${none}.${payload ?? ''}.`,
      `${header ?? ''}.${payload ?? ''}.AAAA`,
      'nonsense',
    ]
    for (const text of forged) expect((await send(text)).body.error).toBe('invalid_grant')
  })
})

describe('user_token', () => {
  let portal: Awaited<ReturnType<TokenWorld['caller']>>
  let backend: Awaited<ReturnType<TokenWorld['caller']>>
  beforeEach(async () => {
    portal = await newCaller(['password', 'user_token', 'client_credentials'])
    backend = await newCaller(['refresh_token'])
  })
  const userToken = async () =>
    (await world.ask(portal, { grant_type: 'password', username: 'anna', password })).body.access_token
  const bearer = (token: string, more: Record<string, string> = {}) =>
    world.ask(
      undefined,
      { grant_type: 'user_token', client_id: backend.clientId, ...more },
      { headers: { authorization: `Bearer ${token}` } },
    )

  test('gives a refresh token that only the named client can use, in both spellings', async () => {
    const form = { grant_type: 'user_token', assertion: await userToken(), other_client: backend.clientId }
    for (const { status, body } of [await bearer(await userToken()), await world.ask(portal, form)]) {
      expect([status, body.access_token]).toEqual([200, null])
      const refresh = { grant_type: 'refresh_token', refresh_token: body.refresh_token }
      expect((await world.ask(await newCaller(['refresh_token']), refresh)).body.error).toBe('invalid_grant')
      const answer = await world.ask(backend, refresh)
      expect(decode(answer.body.access_token).payload).toMatchObject({
        sub: 'anna',
        client_id: backend.clientId,
        scope: 'ESBMessaging.send',
      })
    }
  })

  test('refuses tokens of clients, of clients without the grant, revoked ones and nonsense', async () => {
    const own = (await world.ask(portal, { grant_type: 'client_credentials' })).body.access_token
    expect(await bearer(own)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
    expect(await bearer('nonsense')).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
    const other = await newCaller(['password'])
    const foreign = (await world.ask(other, { grant_type: 'password', username: 'anna', password })).body.access_token
    expect(await bearer(foreign)).toMatchObject({ status: 400, body: { error: 'unauthorized_client' } })
    const stolen = { grant_type: 'user_token', assertion: foreign, other_client: backend.clientId }
    expect(await world.ask(portal, stolen)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
    const token = await userToken()
    expect((await bearer(token, { client_id: portal.clientId })).body.error).toBe('invalid_request')
    expect((await bearer(token, { scope: 'API.invoke' })).body.error).toBe('invalid_scope')
    await world.users().revokeKey(portal.key.id)
    expect(await bearer(token)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
  })
})
