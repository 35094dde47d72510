import { createRemoteJWKSet, jwtVerify } from 'jose'
import { afterEach, expect, test } from 'vitest'
import { DAY, HOUR, MINUTE } from '../../kernel/time.ts'
import { openSigningKeys } from './signing-keys.ts'
import { decode, type TokenWorld, tokenWorld } from './token-world.ts'

let world: TokenWorld
afterEach(() => world.close())

const grant = { grant_type: 'client_credentials' }
const publishedKeys = async () => {
  const response = await fetch(`${world.issuer}/token_keys`)
  return ((await response.json()) as { keys: { kid: string; alg: string; d?: string }[] }).keys
}
const kidOf = (token: string) => decode(token).header['kid']

test('a new key is published before it signs, and the old one as long as its tokens live', async () => {
  world = await tokenWorld()
  const caller = await world.caller('orders')
  const token = async () => (await world.ask(caller, grant)).body.access_token
  const first = await token()
  const next = await world.tokens().rotateKeys({ now: false })
  expect(next.state).toBe('announced')
  expect((await publishedKeys()).map(({ kid }) => kid)).toContain(next.kid)
  expect(kidOf(await token())).toBe(kidOf(first))

  await world.clock.advance(HOUR)
  expect(
    world
      .tokens()
      .listKeys()
      .map(({ state }) => state),
  ).toEqual(['retired', 'active'])
  const second = await token()
  expect(kidOf(second)).toBe(next.kid)
  const kids = (await publishedKeys()).map(({ kid }) => kid)
  expect(kids).toEqual([next.kid, kidOf(first)])

  await world.clock.advance(DAY + HOUR)
  const keptAfterPurge = async () => {
    await world.clock.advance(11 * MINUTE)
    return (await publishedKeys()).length
  }
  await expect.poll(keptAfterPurge).toBe(1)
  await world.restart()
  expect(
    world
      .tokens()
      .listKeys()
      .map(({ kid }) => kid),
  ).toEqual([next.kid])
})

test('a key that may be known to others is replaced at once; refresh tokens and cookies live on', async () => {
  world = await tokenWorld()
  const caller = await world.caller('orders', { 'grant-types': ['password', 'refresh_token'] })
  await world.people.create({ name: 'anna', roles: ['ESBMessaging.send'], password: 'correct horse battery' })
  const form = { grant_type: 'password', username: 'anna', password: 'correct horse battery' }
  const { body } = await world.ask(caller, form)
  const next = await world.tokens().rotateKeys({ now: true })
  const again = await world.ask(caller, { grant_type: 'refresh_token', refresh_token: body.refresh_token })
  expect([again.status, kidOf(again.body.access_token)]).toEqual([200, next.kid])
})

test('the private part is in no answer and in no record that can be read', async () => {
  world = await tokenWorld()
  await world.caller('orders')
  for (const key of await publishedKeys()) {
    expect(Object.keys(key).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
  }
  expect(world.records.dump()).not.toContain('PRIVATE')
})

test.each(['ES256', 'RS256', 'EdDSA'] as const)(
  'tokens and id tokens are signed with %s where that is configured',
  async algorithm => {
    world = await tokenWorld({ algorithm })
    const caller = await world.caller('orders')
    const { body } = await world.ask(caller, grant)
    const jwks = createRemoteJWKSet(new URL(`${world.issuer}/token_keys`))
    const { protectedHeader } = await jwtVerify(body.access_token, jwks, { typ: 'at+jwt' })
    expect(protectedHeader.alg).toBe(algorithm)
    expect(await world.tokens().verifyAccessToken(body.access_token)).toBeDefined()
    const metadata = (await (await fetch(`${world.issuer}/.well-known/openid-configuration`)).json()) as object
    expect(metadata).toMatchObject({ id_token_signing_alg_values_supported: expect.arrayContaining([algorithm]) })
  },
)

test('another algorithm after a restart makes a new key and still knows the tokens of the old one', async () => {
  world = await tokenWorld()
  const caller = await world.caller('orders')
  const { body } = await world.ask(caller, grant)
  const { records, vault, clock } = world
  const keys = await openSigningKeys({ records, vault, clock, algorithm: 'RS256' })
  expect(keys.list().map(({ algorithm, state }) => [algorithm, state])).toEqual([
    ['ES256', 'retired'],
    ['RS256', 'active'],
  ])
  expect(keys.publicKey(String(kidOf(body.access_token)))?.algorithm).toBe('ES256')
  keys.close()
})

test('keys are sealed anew with the master key, and a hub with another one says why it does not start', async () => {
  world = await tokenWorld()
  expect(await world.tokens().reseal()).toBe(2)
  await world.restart()
  const [record] = await world.records.list('token-key')
  await world.records.write('token-key', record?.id ?? '', {
    ...(record?.value as object),
    sealed: { v: 1, kek: 'x', w: '', c: '' },
  })
  await expect(world.restart()).rejects.toMatchObject({
    code: expect.stringMatching(/TOKEN_KEY_UNREADABLE|VAULT_UNREADABLE/),
  })
})
