import { afterEach, describe, expect, test } from 'vitest'
import type { CredentialValue, TokenCredential } from '../../kernel/credential.ts'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import type { ExchangeEwsOptions } from '../../twins/exchange-ews/exchange-ews.ts'
import { serviceAccount, startEwsWorld } from './ews-world.ts'
import type { EwsOptions } from './exchange.ts'
import { md4 } from './md4.ts'
import { ntlmKey, ntlmProof, readNtlmChallenge, splitUser } from './ntlm.ts'

const folders = [{ known: 'calendar' }] as const
let stop = async () => {}
afterEach(() => stop())

async function start(options: ExchangeEwsOptions, more: Partial<EwsOptions>) {
  const world = await startEwsWorld(options, more)
  stop = () => world.stop()
  return world
}

test.each([
  ['', '31d6cfe0d16ae931b73c59d7e0c089c0'],
  ['abc', 'a448017aaf21d8525fc10ae87aa6729d'],
  ['abcdefghijklmnopqrstuvwxyz', 'd79e1c308aa5bbcdeea8ed63df412da9'],
  [
    '12345678901234567890123456789012345678901234567890123456789012345678901234567890',
    'e33b4ddc9c38f2199c3e7b164fcc0536',
  ],
])('MD4 of %j is what RFC 1320 says', (text, digest) => {
  expect(md4(Buffer.from(text)).toString('hex')).toBe(digest)
})

test('the proof of NTLMv2 is the one in MS-NLMP section 4.2.4', () => {
  const key = ntlmKey({ user: 'User', domain: 'Domain', password: 'Password' })
  expect(key.toString('hex')).toBe('0c868a403bfd7a93a3001ef22ef02e3f')
  const { response, sessionKey } = ntlmProof({
    key,
    serverChallenge: Buffer.from('0123456789abcdef', 'hex'),
    clientChallenge: Buffer.alloc(8, 0xaa),
    time: Buffer.alloc(8),
    pairs: [
      { id: 2, value: Buffer.from('Domain', 'utf16le') },
      { id: 1, value: Buffer.from('Server', 'utf16le') },
    ],
  })
  expect(response.subarray(0, 16).toString('hex')).toBe('68cd0ab851e51c96aabc927bebef6a1c')
  expect(sessionKey.toString('hex')).toBe('8de40ccadbc14a82f15cb0ad0de95ca3')
})

test('a user is named with or without a domain', () => {
  expect(splitUser('CONTOSO\\svc')).toEqual({ user: 'svc', domain: 'CONTOSO' })
  expect(splitUser('svc@contoso.example')).toEqual({ user: 'svc@contoso.example', domain: '' })
})

test.each([
  ['nothing', ''],
  ['another message', '4e544c4d5353500001000000'],
  [
    'a target info that is longer than the message',
    `4e544c4d53535000020000000000000038000000${'00'.repeat(20)}ff00ff0038000000`,
  ],
])('a challenge that is %s is none', (_name, hex) => {
  expect(readNtlmChallenge(Buffer.from(hex, 'hex'))).toBeUndefined()
})

describe('NTLM', () => {
  test('proves a connection once, whatever runs on it', async () => {
    const { client, at, twin } = await start({ offers: ['ntlm'] }, { auth: 'ntlm', connections: 2 })
    await Promise.all(Array.from({ length: 10 }, () => client.getFolders(at, folders)))
    const byNtlm = twin.requests.filter(request => request.status === 200)
    expect(byNtlm.map(request => request.how)).toEqual(Array.from({ length: 10 }, () => 'ntlm'))
    // Two connections, each with a first message that is answered by a challenge.
    expect(twin.requests.filter(request => request.status === 401)).toHaveLength(2)
  })

  test('over TLS is bound to the certificate, as Extended Protection asks', async () => {
    const certificate = await makeTwinCertificate()
    const { client, at } = await start(
      { tls: certificate, offers: ['ntlm'], extendedProtection: true },
      { auth: 'ntlm', tls: { ca: certificate.ca } },
    )
    expect(await client.getFolders(at, folders)).toMatchObject([{ name: 'Calendar' }])
  })

  test('goes on after a connection that the server closed', async () => {
    const { client, at, twin } = await start({ offers: ['ntlm'] }, { auth: 'ntlm', connections: 1 })
    await client.getFolders(at, folders)
    twin.setFaults({ dropBefore: { times: 1 } })
    await expect(client.getFolders(at, folders)).rejects.toMatchObject({ code: 'NET_CONNECTION_LOST' })
    expect(await client.getFolders(at, folders)).toMatchObject([{ name: 'Calendar' }])
  })

  test('with another password is tried anew at once', async () => {
    let password = 'old'
    const lookUp = async (): Promise<CredentialValue> => ({ ...serviceAccount, password })
    const { client, at } = await start({ offers: ['ntlm'] }, { auth: 'ntlm', lookUp })
    await expect(client.getFolders(at, folders)).rejects.toMatchObject({
      code: 'EWS_LOGIN_REFUSED',
      retry: 'after-change',
    })
    password = serviceAccount.password
    expect(await client.getFolders(at, folders)).toMatchObject([{ name: 'Calendar' }])
  })

  test('where the server takes only Basic says what it takes', async () => {
    const { client, at } = await start({ offers: ['basic'] }, { auth: 'ntlm' })
    await expect(client.getFolders(at, folders)).rejects.toMatchObject({
      code: 'EWS_LOGIN_NOT_OFFERED',
      fields: { kind: 'NTLM', offered: 'Basic' },
    })
  })
})

describe('OAuth', () => {
  const tokens = (values: readonly string[]): TokenCredential & { asked: (string | undefined)[] } => {
    const asked: (string | undefined)[] = []
    return {
      kind: 'oauth2',
      user: undefined,
      asked,
      async token(refused) {
        asked.push(refused)
        return { value: values[refused === undefined ? 0 : 1] ?? '', expiresAt: Date.now() + 1000 }
      },
    }
  }
  const verifyToken = (token: string) => (token === 'good' ? 'CONTOSO\\svc-sync' : undefined)

  test('shows a token, and another one when the first is refused', async () => {
    const credential = tokens(['expired', 'good'])
    const { client, at, twin } = await start({ verifyToken }, { auth: 'oauth', lookUp: async () => credential })
    expect(await client.getFolders(at, folders)).toMatchObject([{ name: 'Calendar' }])
    expect(credential.asked).toEqual([undefined, 'expired'])
    expect(twin.requests.at(-1)?.how).toBe('bearer')
  })

  test('with a token that stays refused is a log-in that is refused', async () => {
    const { client, at } = await start({ verifyToken }, { auth: 'oauth', lookUp: async () => tokens(['a', 'b']) })
    await expect(client.getFolders(at, folders)).rejects.toMatchObject({ code: 'EWS_LOGIN_REFUSED' })
  })
})

test('Basic with a wrong password, and a credential of the wrong kind', async () => {
  const wrong = await start({}, { lookUp: async () => ({ ...serviceAccount, password: 'wrong' }) })
  await expect(wrong.client.getFolders(wrong.at, folders)).rejects.toMatchObject({ code: 'EWS_LOGIN_REFUSED' })
  await wrong.stop()
  const secret = await start({}, { lookUp: async () => ({ kind: 'secret', secret: 'x' }) })
  await expect(secret.client.getFolders(secret.at, folders)).rejects.toMatchObject({ code: 'EWS_CREDENTIAL_UNFIT' })
})

test('the way to the service account is direct where it logs in for itself', async () => {
  const accounts = [
    { user: 'CONTOSO\\anna', password: 'p', impersonates: 'nobody', mailbox: 'anna@contoso.example' },
  ] as const
  const lookUp = async () => ({ kind: 'basic', user: 'CONTOSO\\anna', password: 'p' }) as const
  const { client, at, twin } = await start({ accounts }, { access: 'direct', lookUp })
  expect(await client.getFolders(at, folders)).toMatchObject([{ name: 'Calendar' }])
  expect(twin.requests.at(-1)?.body).not.toContain('ExchangeImpersonation')
})
