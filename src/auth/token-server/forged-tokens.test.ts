import { createHash, createHmac, generateKeyPairSync } from 'node:crypto'
import { CompactEncrypt, type CryptoKey, exportJWK, type JWTHeaderParameters, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSigningKeys } from './signing-keys.ts'
import { decode, type TokenWorld, tokenWorld } from './token-world.ts'

let world: TokenWorld
let caller: Awaited<ReturnType<TokenWorld['caller']>>
/** The hub's own signing key, as nobody but a test has it: so that each case is wrong in one thing only. */
let signer: { readonly kid: string; readonly key: CryptoKey }
let genuine = ''
beforeAll(async () => {
  world = await tokenWorld()
  caller = await world.caller('orders')
  genuine = (await world.ask(caller, { grant_type: 'client_credentials' })).body.access_token
  const { records, vault, clock } = world
  const keys = await openSigningKeys({ records, vault, clock, algorithm: 'ES256' })
  const [jwk] = keys.jwks()
  keys.close()
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  const key = await crypto.subtle.importKey('jwk', { ...jwk, key_ops: ['sign'] }, algorithm, true, ['sign'])
  signer = { kid: keys.active().kid, key }
})
afterAll(() => world.close())

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const payloadOf = () => decode(genuine).payload
const parts = () => genuine.split('.') as [string, string, string]

async function signed(claims: Record<string, unknown>, header: Record<string, unknown> = {}): Promise<string> {
  const given = Object.fromEntries(
    Object.entries({ ...payloadOf(), ...claims }).filter(([, value]) => value !== undefined),
  )
  const named = { alg: 'ES256', typ: 'at+jwt', kid: signer.kid, ...header } as JWTHeaderParameters
  return new SignJWT(given).setProtectedHeader(named).sign(signer.key)
}

test('the token itself is genuine, and so is one that the test signs alike', async () => {
  expect(await world.tokens().verifyAccessToken(genuine)).toMatchObject({ clientId: caller.clientId })
  expect(await world.tokens().verifyAccessToken(await signed({}))).toMatchObject({ clientId: caller.clientId })
})

test('one whose time is over is told from one that never was genuine', async () => {
  const past = { exp: Math.floor(world.clock.now() / 1000) - 60 }
  const hasExpired = (token: string) => world.tokens().hasExpired(token)
  expect(await hasExpired(await signed(past))).toBe(true)
  const others = [await signed({ ...past, aud: 'https://elsewhere.example' }), await signed(past, { typ: 'JWT' })]
  for (const token of [
    genuine,
    ...others,
    `${parts()[0]}.${part({ ...payloadOf(), ...past })}.${parts()[2]}`,
    'a.b.c',
  ]) {
    expect(await hasExpired(token)).toBe(false)
  }
})

describe('a forged token is not genuine', () => {
  const now = () => Math.floor(world.clock.now() / 1000)
  test.each<[string, () => Promise<string> | string]>([
    ['alg none', () => `${part({ alg: 'none', typ: 'at+jwt', kid: signer.kid })}.${parts()[1]}.`],
    [
      'alg none with the genuine signature',
      () => `${part({ alg: 'none', typ: 'at+jwt', kid: signer.kid })}.${parts()[1]}.${parts()[2]}`,
    ],
    ['alg nOnE', () => `${part({ alg: 'nOnE', typ: 'at+jwt', kid: signer.kid })}.${parts()[1]}.${parts()[2]}`],
    [
      'HS256 with the published key as secret (key confusion)',
      async () => {
        const { keys } = (await (await fetch(`${world.issuer}/token_keys`)).json()) as { keys: readonly unknown[] }
        const head = part({ alg: 'HS256', typ: 'at+jwt', kid: signer.kid })
        const mac = createHmac('sha256', JSON.stringify(keys[0])).update(`${head}.${parts()[1]}`).digest('base64url')
        return `${head}.${parts()[1]}.${mac}`
      },
    ],
    [
      'an embedded jwk',
      async () => {
        const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
        const jwk = await exportJWK(publicKey)
        return new SignJWT(payloadOf())
          .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: signer.kid, jwk })
          .sign(privateKey)
      },
    ],
    ['jku, although it is signed with the right key', () => signed({}, { jku: 'https://evil.example/keys' })],
    ['x5u, although it is signed with the right key', () => signed({}, { x5u: 'https://evil.example/cert' })],
    ['x5c, although it is signed with the right key', () => signed({}, { x5c: ['MIIB'] })],
    ['a kid that is a path', () => signed({}, { kid: '../../etc/passwd' })],
    ['a kid that is SQL', () => signed({}, { kid: "' or 1=1 --" })],
    ['a kid of the prototype', () => signed({}, { kid: '__proto__' })],
    ['a kid that is a number', () => signed({}, { kid: 7 })],
    ['no kid', () => signed({}, { kid: undefined })],
    [
      'an unknown crit',
      () => `${part({ alg: 'ES256', typ: 'at+jwt', kid: signer.kid, crit: ['x'], x: 1 })}.${parts()[1]}.${parts()[2]}`,
    ],
    ['a changed scope', () => `${parts()[0]}.${part({ ...payloadOf(), scope: 'API.invoke' })}.${parts()[2]}`],
    ['an empty signature', () => `${parts()[0]}.${parts()[1]}.`],
    ['a signature of zeros', () => `${parts()[0]}.${parts()[1]}.${Buffer.alloc(64).toString('base64url')}`],
    ['padding', () => `${genuine}=`],
    ['a space', () => `${parts()[0]}. ${parts()[1]}.${parts()[2]}`],
    ['a line end', () => `${genuine}\n`],
    ['ordinary base64', () => genuine.replaceAll('-', '+').replaceAll('_', '/').concat('+')],
    ['a fourth part', () => `${genuine}.x`],
    ['ten kilobytes', () => signed({ filler: 'x'.repeat(10_000) })],
    [
      'a JWE',
      () => {
        const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
        return new CompactEncrypt(Buffer.from(genuine))
          .setProtectedHeader({ alg: 'RSA-OAEP', enc: 'A256GCM' })
          .encrypt(publicKey)
      },
    ],
    ['nothing', () => ''],
    ['the type of an id token', () => signed({}, { typ: 'JWT' })],
    ['no type', () => signed({}, { typ: undefined })],
    ['the type of a logout token', () => signed({}, { typ: 'logout+jwt' })],
    ['another issuer', () => signed({ iss: 'https://evil.example' })],
    ['another audience', () => signed({ aud: 'https://elsewhere.example' })],
    ['several audiences', () => signed({ aud: [`${world.issuer}/runtime`, 'https://elsewhere.example'] })],
    ['the client as audience, as an id token has it', () => signed({ aud: caller.clientId })],
    ['no end', () => signed({ exp: undefined })],
    ['an end that is past', () => signed({ exp: now() - 60 })],
    ['a beginning that is to come', () => signed({ nbf: now() + 600 })],
    ['no id', () => signed({ jti: undefined })],
    ['no client', () => signed({ client_id: undefined })],
    ['no key', () => signed({ key_id: undefined })],
    ['no subject', () => signed({ sub: undefined })],
    ['a scope that is a list', () => signed({ scope: ['ESBMessaging.send'] })],
    ['a binding of a kind that is not known', () => signed({ cnf: { jkt: 'x' } })],
    ['an empty binding', () => signed({ cnf: {} })],
    ['two bindings', () => signed({ cnf: { 'x5t#S256': 'x', jkt: 'y' } })],
  ])('%s', async (_name, make) => {
    expect(await world.tokens().verifyAccessToken(await make())).toBeUndefined()
  })

  test('a bit turned anywhere', async () => {
    for (let at = 0; at < genuine.length; at += 7) {
      const letter = genuine[at] === 'A' ? 'B' : 'A'
      const changed = genuine.slice(0, at) + letter + genuine.slice(at + 1)
      if (changed !== genuine) expect(await world.tokens().verifyAccessToken(changed), String(at)).toBeUndefined()
    }
  })
})

test('a token of another hub with the same issuer text is not genuine', async () => {
  const other = await tokenWorld()
  try {
    const stranger = await other.caller('orders')
    const { body } = await other.ask(stranger, { grant_type: 'client_credentials' })
    expect(await world.tokens().verifyAccessToken(body.access_token)).toBeUndefined()
  } finally {
    await other.close()
  }
})

test('a bound token says to which certificate, and leaves the proof to whoever holds the connection', async () => {
  const thumbprint = createHash('sha256').update('certificate').digest('base64url')
  const claims = await world.tokens().verifyAccessToken(await signed({ cnf: { 'x5t#S256': thumbprint } }))
  expect(claims?.thumbprint).toBe(thumbprint)
})
