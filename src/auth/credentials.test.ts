import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { silentLog } from '../kernel/log.ts'
import { MINUTE, SECOND } from '../kernel/time.ts'
import { createMask, maskText } from '../monitor/mask.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { thumbprint } from '../protocols/oauth/thumbprint.ts'
import { makeTwinCertificate } from '../twins/certificate.ts'
import type { CredentialInput } from './credential-input.ts'
import { JumpingClock, refusedReply, TokenServer, tokenReply } from './credential-world.ts'
import { type CredentialEvent, type Credentials, openCredentials } from './credentials.ts'
import { MemoryRecords } from './records-world.ts'
import { openVault, type Vault } from './vault.ts'

let folder = ''
let records: MemoryRecords
let vault: Vault
let clock: JumpingClock
let server: TokenServer
let credentials: Credentials
let events: CredentialEvent[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-credentials-'))
  records = new MemoryRecords()
  vault = await openVault({ records, keyFile: join(folder, 'master.key') })
  clock = new JumpingClock()
  server = await new TokenServer().start()
  credentials = open()
})
afterEach(async () => {
  await credentials.close()
  await server.stop()
  await rm(folder, { recursive: true })
})

function open(): Credentials {
  events = []
  const opened = openCredentials({ records, vault, clock, connect: makeConnect(), log: silentLog, random: () => 0 })
  opened.on(event => events.push(event))
  return opened
}
const appOnly = (more: Partial<CredentialInput> = {}): CredentialInput =>
  ({
    kind: 'oauth2-client-credentials',
    provider: { generic: { tokenUrl: `${server.url}/oauth/token` } },
    clientId: 'hub',
    clientSecret: 'client-secret-value',
    scopes: ['mail.read'],
    ...more,
  }) as CredentialInput

async function tokenOf(name: string, refused?: string): Promise<string> {
  const value = await credentials.lookup(name)
  if (value.kind !== 'oauth2') return expect.unreachable(`${name} is no token credential`)
  return (await value.token(refused)).value
}

describe('what is kept', () => {
  test('a password is sealed in the store, and given to adapters only', async () => {
    const view = await credentials.create('sap-user', { kind: 'basic', user: 'HUB', password: 'Initial1!' })
    expect(records.dump()).not.toContain('Initial1!')
    expect(JSON.stringify([view, await credentials.list()])).not.toContain('Initial1!')
    expect(view).toMatchObject({ kind: 'basic', secrets: ['password'], settings: { user: 'HUB' } })
    expect(view.status.state).toBe('ready')
    expect(await credentials.lookup('sap-user')).toEqual({ kind: 'basic', user: 'HUB', password: 'Initial1!' })
    await credentials.close()
    credentials = open()
    expect(await credentials.lookup('sap-user')).toMatchObject({ password: 'Initial1!' })
  })

  test('a change keeps the secret unless a new one is given, and acts at the next use', async () => {
    await credentials.create('sap-user', { kind: 'basic', user: 'HUB', password: 'first' })
    await credentials.update('sap-user', { kind: 'basic', user: 'HUB2' })
    expect(await credentials.lookup('sap-user')).toEqual({ kind: 'basic', user: 'HUB2', password: 'first' })
    await credentials.update('sap-user', { kind: 'basic', user: 'HUB2', password: 'second' })
    expect(await credentials.lookup('sap-user')).toMatchObject({ password: 'second' })
    expect(events.map(event => event.type)).toEqual(Array(3).fill('credential.changed'))
  })

  test('new secrets leave the settings as they are, and act at the next use', async () => {
    const { revision } = await credentials.create('m365', appOnly({ about: 'orders', parameters: { resource: 'x' } }))
    const before = await credentials.get('m365')
    const renewed = await credentials.renew('m365', { clientSecret: 'next-secret' }, revision)
    expect(renewed).toMatchObject({ settings: before.settings, secrets: ['clientSecret'], revision: revision + 1 })
    server.replies = [tokenReply('t1')]
    await tokenOf('m365')
    expect(server.requests[0]?.form['client_secret']).toBe('next-secret')
    await expect(credentials.renew('m365', { clientSecret: 'late' }, revision)).rejects.toMatchObject({
      code: 'CREDENTIAL_CHANGED_MEANWHILE',
    })
    await expect(credentials.renew('m365', { password: 'of another kind' })).rejects.toThrow(/password/)
    await expect(credentials.renew('m365', { privateKey: '-----BEGIN PRIVATE KEY-----' })).rejects.toThrow(
      'it keeps no privateKey that could be renewed, but clientSecret',
    )
    await expect(credentials.renew('nobody', { password: 'x' })).rejects.toMatchObject({ code: 'CREDENTIAL_UNKNOWN' })
  })

  test('a certificate is renewed with its key, and not with the key of another', async () => {
    const [one, next] = [await makeTwinCertificate(['a']), await makeTwinCertificate(['a'])]
    await credentials.create('s4', { kind: 'certificate', certificate: one.cert, privateKey: one.key })
    await expect(credentials.renew('s4', { certificate: next.cert, privateKey: one.key })).rejects.toThrow(
      'the private key is of another certificate',
    )
    await credentials.renew('s4', { certificate: next.cert, privateKey: next.key })
    expect(await credentials.lookup('s4')).toEqual({
      kind: 'certificate',
      certificate: next.cert,
      privateKey: next.key,
    })
  })

  test('deleted and created anew, nothing of the old one is used', async () => {
    await credentials.create('key', { kind: 'secret', secret: 'old-value' })
    await credentials.lookup('key')
    await credentials.delete('key')
    await expect(credentials.lookup('key')).rejects.toMatchObject({ code: 'CREDENTIAL_UNKNOWN', retry: 'after-change' })
    await credentials.create('key', { kind: 'secret', secret: 'new-value' })
    expect(await credentials.lookup('key')).toEqual({ kind: 'secret', secret: 'new-value' })
  })

  test('two people who change it at once: the second is told', async () => {
    const { revision } = await credentials.create('key', { kind: 'secret', secret: 'value' })
    await credentials.update('key', { kind: 'secret', secret: 'one more' }, revision)
    await expect(credentials.update('key', { kind: 'secret', secret: 'late' }, revision)).rejects.toMatchObject({
      code: 'CREDENTIAL_CHANGED_MEANWHILE',
    })
  })

  test('a kept client secret is not sent to a server that somebody entered later', async () => {
    await credentials.create('m365', appOnly())
    const elsewhere = { generic: { tokenUrl: 'https://collector.example/token' } }
    const change = { kind: 'oauth2-client-credentials' as const, provider: elsewhere, clientId: 'hub' }
    await expect(credentials.update('m365', change)).rejects.toMatchObject({ code: 'CREDENTIAL_SECRET_WANTED' })
    await credentials.update('m365', { ...change, clientSecret: 'a new one' })
  })

  test('nor when another secret of theirs comes along', async () => {
    const collector = await new TokenServer().start()
    onTestFinished(() => collector.stop())
    collector.replies = [tokenReply('t')]
    await credentials.create('m365', appOnly())
    const { cert, key } = await makeTwinCertificate(['a'], { keys: 'rsa' })
    const elsewhere = { provider: { generic: { tokenUrl: `${collector.url}/token` } }, clientSecret: undefined }
    await expect(credentials.update('m365', appOnly({ ...elsewhere, privateKey: key }))).rejects.toThrow(
      'a client secret or a certificate is missing',
    )
    await credentials.update('m365', appOnly({ ...elsewhere, certificate: cert, privateKey: key }))
    await tokenOf('m365')
    await expect(credentials.update('m365', appOnly(elsewhere))).rejects.toThrow('a client secret or a certificate')
    expect(JSON.stringify(collector.requests)).not.toContain('client-secret-value')
  })

  test('a credential that keeps no secret goes to another server without one', async () => {
    const provider = { generic: { tokenUrl: 'https://one.example/token', authorizeUrl: 'https://one.example/sign-in' } }
    const settings = { kind: 'oauth2-authorization-code' as const, clientId: 'hub' }
    await credentials.create('public', { ...settings, provider })
    const next = { generic: { ...provider.generic, tokenUrl: 'https://next.example/token' } }
    expect(await credentials.update('public', { ...settings, provider: next })).toMatchObject({ secrets: [] })
  })

  const wrong: readonly [string, string, unknown, RegExp][] = [
    ['no password', 'a', { kind: 'basic', user: 'x' }, /password is missing/],
    ['an unknown field', 'a', { kind: 'secret', secret: 's', roles: ['admin'] }, /roles/],
    ['an unknown kind', 'a', { kind: 'magic' }, /kind/],
    ['a name with a slash', '../a', { kind: 'secret', secret: 's' }, /letters, digits/],
    [
      'a token URL in the clear',
      'a',
      { ...base(), provider: { generic: { tokenUrl: 'http://sso.example/t' } } },
      /https/,
    ],
    [
      'a token URL of another kind',
      'a',
      { ...base(), provider: { generic: { tokenUrl: 'file:///etc/passwd' } } },
      /URL/i,
    ],
    ['no client secret', 'a', { ...base(), clientSecret: undefined }, /client secret or a certificate is missing/],
    ['a parameter the hub sets', 'a', { ...base(), parameters: { grant_type: 'password' } }, /sets itself/],
    ['a certificate that is none', 'a', { ...base(), certificate: 'no PEM', privateKey: 'no PEM' }, /not PEM/],
    ['no sign-in page', 'a', { ...base(), kind: 'oauth2-authorization-code' }, /authorizeUrl is missing/],
  ]
  function base() {
    const provider = { generic: { tokenUrl: 'https://sso.example/token' } }
    return { kind: 'oauth2-client-credentials', provider, clientId: 'hub', clientSecret: 's' }
  }
  test.each(wrong)('is refused with: %s', async (_title, name, input, reason) => {
    const created = credentials.create(name, input as CredentialInput)
    await expect(created).rejects.toMatchObject({ code: 'CREDENTIAL_INVALID' })
    await expect(created).rejects.toThrow(reason)
    expect(await credentials.list()).toEqual([])
  })
})

describe('tokens', () => {
  test('500 callers at once share one request', async () => {
    await credentials.create('m365', appOnly())
    server.replies = [{ ...tokenReply('t1'), after: 30 }]
    const tokens = await Promise.all(Array.from({ length: 500 }, () => tokenOf('m365')))
    expect(new Set(tokens)).toEqual(new Set(['t1']))
    expect(server.requests).toHaveLength(1)
    expect(server.requests[0]?.form).toEqual({
      grant_type: 'client_credentials',
      scope: 'mail.read',
      client_id: 'hub',
      client_secret: 'client-secret-value',
    })
  })

  test('50 calls that were refused with the same token share one new one', async () => {
    await credentials.create('m365', appOnly())
    server.replies = [tokenReply('t1'), { ...tokenReply('t2'), after: 20 }]
    expect(await tokenOf('m365')).toBe('t1')
    const tokens = await Promise.all(Array.from({ length: 50 }, () => tokenOf('m365', 't1')))
    expect(new Set(tokens)).toEqual(new Set(['t2']))
    expect(await tokenOf('m365', 't1')).toBe('t2')
    expect(server.requests).toHaveLength(2)
  })

  test('at three quarters of its life a token is renewed while callers go on with it', async () => {
    await credentials.create('m365', appOnly())
    server.replies = [tokenReply('t1'), { ...tokenReply('t2'), after: 20 }]
    await tokenOf('m365')
    clock.advance(54 * MINUTE)
    expect(await tokenOf('m365')).toBe('t1')
    expect(server.requests).toHaveLength(1)
    clock.advance(2 * MINUTE)
    expect(await Promise.all([tokenOf('m365'), tokenOf('m365')])).toEqual(['t1', 't1'])
    await expect.poll(() => tokenOf('m365')).toBe('t2')
    expect(server.requests).toHaveLength(2)
  })

  test('a renewal in the background that fails costs nobody anything until the token ends', async () => {
    await credentials.create('m365', appOnly())
    server.replies = [tokenReply('t1'), { status: 503 }]
    await tokenOf('m365')
    clock.advance(56 * MINUTE)
    expect(await tokenOf('m365')).toBe('t1')
    await expect.poll(() => server.requests.length).toBe(4)
    expect(await tokenOf('m365')).toBe('t1')
    clock.advance(4 * MINUTE)
    await expect(tokenOf('m365')).rejects.toMatchObject({ code: 'OAUTH_SERVER_FAILED', retry: 'soon' })
  })

  test('after its hard limit nobody gets the old one, and time counts from when the request was sent', async () => {
    await credentials.create('m365', appOnly())
    server.replies = [{ ...tokenReply('t1', { expires_in: 60 }), after: 50 }, tokenReply('t2')]
    const asked = tokenOf('m365')
    await expect.poll(() => server.requests.length).toBe(1)
    clock.advance(40 * SECOND)
    expect(await asked).toBe('t1')
    clock.advance(15 * SECOND)
    expect(await tokenOf('m365')).toBe('t2')
  })

  test('tokens of five seconds make no storm, and one without a life counts as five minutes', async () => {
    await credentials.create('m365', appOnly())
    server.replies = [tokenReply('t1', { expires_in: 5 })]
    for (let second = 0; second < 20; second += 1) {
      await tokenOf('m365')
      await new Promise(resolve => setTimeout(resolve, 2))
      clock.advance(SECOND)
    }
    expect(server.requests.length).toBeLessThanOrEqual(6)
    const unsaid: CredentialInput = appOnly({ clientId: 'unsaid' })
    await credentials.create('unsaid', unsaid)
    server.replies = [{ body: { access_token: 'u1', token_type: 'bearer' } }]
    await tokenOf('unsaid')
    expect((await credentials.get('unsaid')).status.expiresAt).toBe(clock.now() + 5 * MINUTE)
  })

  test('a busy server is asked again when it said, a failing one after a doubling wait', async () => {
    await credentials.create('m365', appOnly())
    server.replies = [{ status: 429, headers: { 'retry-after': '7' } }, { status: 500 }, tokenReply('t1')]
    expect(await tokenOf('m365')).toBe('t1')
    expect(clock.waits).toEqual([7 * SECOND, 600])
    server.replies = [{ status: 429, headers: { 'retry-after': '86400' } }, tokenReply('t2')]
    expect(await tokenOf('m365', 't1')).toBe('t2')
    expect(clock.waits.at(-1)).toBe(30 * SECOND)
  })

  test('a server that hangs up three times is an error that passes', async () => {
    await credentials.create('m365', appOnly())
    server.replies = [{ after: 'cut' }]
    await expect(tokenOf('m365')).rejects.toMatchObject({ code: 'NET_CONNECTION_LOST', retry: 'soon' })
    expect(server.requests).toHaveLength(3)
  })

  test('a refused client is asked for once, shown as refused, and left alone for a minute', async () => {
    await credentials.create('m365', appOnly())
    server.replies = [refusedReply('invalid_client', 'AADSTS7000215: Invalid client secret provided. Trace ID: 4', 401)]
    for (let turn = 0; turn < 3; turn += 1) {
      await expect(tokenOf('m365')).rejects.toMatchObject({ code: 'OAUTH_CLIENT_REFUSED', retry: 'after-change' })
    }
    expect(server.requests).toHaveLength(1)
    const { status } = await credentials.get('m365')
    expect(status).toMatchObject({ state: 'refused', error: { code: 'OAUTH_CLIENT_REFUSED' } })
    expect(status.error?.next).toMatch(/value of the secret \(not its id\)/)
    expect(events.filter(event => event.type === 'credential.refused')).toHaveLength(1)

    server.replies = [tokenReply('t1')]
    clock.advance(MINUTE)
    expect(await tokenOf('m365')).toBe('t1')
    expect(events.at(-1)).toEqual({ type: 'credential.changed', name: 'm365' })
    expect((await credentials.get('m365')).status.state).toBe('ready')
  })

  test('a corrected secret acts at once', async () => {
    await credentials.create('m365', appOnly())
    server.replies = [refusedReply('invalid_client', 'no', 401), tokenReply('t1')]
    await expect(tokenOf('m365')).rejects.toThrow('does not accept the application of m365')
    await credentials.update('m365', appOnly({ clientSecret: 'right' }))
    expect(await tokenOf('m365')).toBe('t1')
    expect(server.requests[1]?.form['client_secret']).toBe('right')
  })

  const odd: readonly [string, unknown, Record<string, string>][] = [
    ['a log-in page', '<html>Log in</html>', { 'content-type': 'text/html' }],
    ['no token in it', { hello: 'world' }, {}],
    ['a token of another type', { access_token: 'x', token_type: 'mac', expires_in: 60 }, {}],
    ['half an answer', '{"access_token": "x', {}],
  ]
  test.each(odd)('an answer that is no token: %s', async (_title, body, headers) => {
    await credentials.create('m365', appOnly())
    server.replies = [{ body, headers }]
    await expect(tokenOf('m365')).rejects.toMatchObject({ code: 'OAUTH_ANSWER_ODD' })
  })

  test('the answer of SAP API Management is taken as it comes', async () => {
    await credentials.create('apim', appOnly())
    const body = {
      issued_at: String(clock.now()),
      scope: '',
      status: 'approved',
      expires_in: '1799',
      token_type: 'BearerToken',
      access_token: 'zBC90HhCGmGl',
      refresh_token_expires_in: '0',
      refresh_count: '0',
    }
    server.replies = [{ body }]
    expect(await tokenOf('apim')).toBe('zBC90HhCGmGl')
    expect((await credentials.get('apim')).status.expiresAt).toBe(clock.now() + 1799 * SECOND)
  })

  test('a member that is null is one that is not there', async () => {
    await credentials.create('crm', appOnly())
    // PHP servers (bshaffer/oauth2-server-php, and with it SugarCRM) say so of a scope that nobody asked for.
    const body = { access_token: 't1', expires_in: 3600, token_type: 'Bearer', scope: null, refresh_token: null }
    server.replies = [{ body }]
    expect(await tokenOf('crm')).toBe('t1')
  })

  test('an answer without end is cut off', async () => {
    await credentials.create('m365', appOnly())
    server.replies = [{ body: { access_token: 'x'.repeat(300_000), token_type: 'bearer' } }]
    await expect(tokenOf('m365')).rejects.toMatchObject({ code: 'NET_ANSWER_TOO_LARGE' })
  })
})

describe('how the application shows who it is', () => {
  test.each([
    ['header', 'hub%3A1', 's%2Bc+ret'],
    ['header-as-is', 'hub:1', 's+c ret'],
  ] as const)('%s', async (authentication, user, password) => {
    await credentials.create('m365', appOnly({ clientId: 'hub:1', clientSecret: 's+c ret', authentication }))
    server.replies = [tokenReply('t1')]
    await tokenOf('m365')
    const [request] = server.requests
    expect(request?.authorization).toBe(`Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`)
    expect(request?.form['client_secret']).toBeUndefined()
  })

  test('a certificate: PS256 with x5t#S256, aud as the credential says', async () => {
    const { cert, key } = await makeTwinCertificate(['hub'], { keys: 'rsa' })
    const input = appOnly({ certificate: cert, privateKey: key })
    const { clientSecret, ...withoutSecret } = input as CredentialInput & { clientSecret: string }
    expect(clientSecret).toBeTypeOf('string')
    await credentials.create('m365', withoutSecret)
    server.replies = [tokenReply('t1')]
    await tokenOf('m365')
    const form = server.requests[0]?.form ?? {}
    expect(form['client_assertion_type']).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    const { importX509, jwtVerify } = await import('jose')
    const verified = await jwtVerify(form['client_assertion'] ?? '', await importX509(cert, 'PS256'), {
      audience: `${server.url}/oauth/token`,
      issuer: 'hub',
      subject: 'hub',
    })
    expect(verified.protectedHeader).toMatchObject({ alg: 'PS256', typ: 'JWT', 'x5t#S256': thumbprint(cert) })
    expect(verified.payload.jti).toBeTypeOf('string')
    expect(records.dump()).not.toContain(key.slice(40, 80))

    await credentials.update('m365', {
      ...withoutSecret,
      assertionAudience: 'https://issuer.example',
    } as CredentialInput)
    await tokenOf('m365')
    const { decodeJwt } = await import('jose')
    expect(decodeJwt(server.requests[1]?.form['client_assertion'] ?? '').aud).toBe('https://issuer.example')
  })

  test('the key of another certificate is refused when it is entered', async () => {
    const [one, other] = [
      await makeTwinCertificate(['a'], { keys: 'rsa' }),
      await makeTwinCertificate(['b'], { keys: 'rsa' }),
    ]
    const input = appOnly({ certificate: one.cert, privateKey: other.key })
    await expect(credentials.create('m365', input)).rejects.toThrow('the private key is of another certificate')
  })
})

test('secrets and tokens are masked in every form in which they travel', async () => {
  await credentials.create('sap-user', { kind: 'basic', user: 'HUB', password: 'pa ss+wörd/1' })
  await credentials.create('m365', appOnly())
  server.replies = [tokenReply('eyJhbGciOi.an-access-token.sig')]
  await tokenOf('m365')
  await credentials.lookup('sap-user')
  const masked = createMask(() => credentials.secretValues()).text
  const bearer = 'eyJhbGciOi.an-access-token.sig'
  const lines = [
    'password=pa ss+wörd/1',
    `https://x/?p=${encodeURIComponent('pa ss+wörd/1')}`,
    JSON.stringify({ nested: { deep: ['pa ss+wörd/1'] } }),
    `Basic ${Buffer.from('HUB:pa ss+wörd/1').toString('base64')}`,
    `Bearer ${bearer}`,
    ...['a', 'ab', 'abc'].map(user => Buffer.from(`user=${user}\x01auth=Bearer ${bearer}\x01\x01`).toString('base64')),
    `Basic ${Buffer.from('hub:client-secret-value').toString('base64url')}`,
  ]
  for (const line of lines) {
    const text = masked(line)
    expect(text).toContain(maskText)
    for (const secret of ['pa ss+wörd/1', bearer, 'client-secret-value']) {
      expect(Buffer.from(text.replace('Basic ', ''), 'base64').toString()).not.toContain(secret)
      expect(text).not.toContain(secret)
    }
  }
})

test('a hundred renewed tokens do not push out the secret that was entered', async () => {
  await credentials.create('m365', appOnly())
  server.replies = Array.from({ length: 100 }, (_, turn) => tokenReply(`token-number-${turn}`))
  let token = await tokenOf('m365')
  for (let turn = 1; turn < 100; turn += 1) token = await tokenOf('m365', token)
  expect(credentials.secretValues()).toContain('client-secret-value')
  expect(credentials.secretValues()).toContain('token-number-99')
  expect(credentials.secretValues().length).toBeLessThan(20)
})

test('a new master key in front seals everything anew', async () => {
  const keys = ['k1', 'k2'].map(
    id => `${id}:${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64')}`,
  )
  records = new MemoryRecords()
  vault = await openVault({ records, keyFile: 'unused', masterKey: keys[0] })
  credentials = open()
  await credentials.create('key', { kind: 'secret', secret: 'value' })
  vault = await openVault({ records, keyFile: 'unused', masterKey: keys.toReversed().join(',') })
  credentials = open()
  expect(await credentials.rotateMasterKey()).toBe(1)
  vault = await openVault({ records, keyFile: 'unused', masterKey: keys[1] })
  credentials = open()
  expect(await credentials.lookup('key')).toEqual({ kind: 'secret', secret: 'value' })
})
