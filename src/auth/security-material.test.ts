import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '../kernel/log.ts'
import { DAY, MINUTE } from '../kernel/time.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { signAssertion } from '../protocols/oauth/saml-assertion.ts'
import { thumbprint } from '../protocols/oauth/thumbprint.ts'
import { makeTwinCertificate, type TwinCertificate } from '../twins/certificate.ts'
import { s4Client, startS4OData } from '../twins/s4-odata/s4-odata.ts'
import type { CredentialInput } from './credential-input.ts'
import { JumpingClock, refusedReply, TokenServer, tokenReply } from './credential-world.ts'
import { type CredentialEvent, type Credentials, openCredentials } from './credentials.ts'
import { readKnownHosts } from './known-hosts.ts'
import { MemoryRecords } from './records-world.ts'
import { readAssertion } from './token-server/saml/read-assertion.ts'
import { openVault } from './vault.ts'

let folder = ''
let records: MemoryRecords
let clock: JumpingClock
let server: TokenServer
let credentials: Credentials
let events: CredentialEvent[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-material-'))
  records = new MemoryRecords()
  clock = new JumpingClock()
  server = await new TokenServer().start()
  const vault = await openVault({ records, keyFile: join(folder, 'master.key') })
  events = []
  credentials = openCredentials({ records, vault, clock, connect: makeConnect(), log: silentLog, random: () => 0 })
  credentials.on(event => events.push(event))
})
afterEach(async () => {
  await credentials.close()
  await server.stop()
  await rm(folder, { recursive: true })
})

const sshKey = (kind = 'ssh-ed25519', bytes = 32) => {
  const name = Buffer.from(kind)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(name.length)
  return Buffer.concat([length, name, Buffer.alloc(bytes, 7)]).toString('base64')
}

describe('a key pair', () => {
  test.each(['ec', 'rsa'] as const)('%s: the key is sealed, the certificate and its end are shown', async keys => {
    const { cert, key } = await makeTwinCertificate(['hub.example'], { keys })
    const view = await credentials.create('client', { kind: 'certificate', certificate: cert, privateKey: key })
    const keyLine = key.split('\n')[2] ?? ''
    expect(keyLine.length).toBeGreaterThan(20)
    expect(records.dump()).not.toContain(keyLine)
    expect(JSON.stringify([view, await credentials.list()])).not.toContain(keyLine)
    expect(view).toMatchObject({ secrets: ['privateKey'], status: { state: 'ready' } })
    expect(view.status.certificate).toEqual({
      subject: 'CN=hub.example',
      issuer: 'CN=Isthmus twin authority',
      notBefore: new X509Certificate(cert).validFromDate.getTime(),
      endsAt: new X509Certificate(cert).validToDate.getTime(),
      thumbprint: thumbprint(cert),
    })
    expect(await credentials.lookup('client')).toEqual({ kind: 'certificate', certificate: cert, privateKey: key })
    expect(credentials.secretValues()).toContain(key)
  })

  test('one that has ended is refused in words, also in one that signs for OAuth', async () => {
    const pair = await makeTwinCertificate(['hub'], { keys: 'rsa', validForMs: 10 * DAY })
    await credentials.create('client', { kind: 'certificate', certificate: pair.cert, privateKey: pair.key })
    await credentials.create('app', {
      kind: 'oauth2-client-credentials',
      provider: { generic: { tokenUrl: `${server.url}/t` } },
      clientId: 'hub',
      certificate: pair.cert,
      privateKey: pair.key,
    })
    clock.advance(11 * DAY)
    for (const name of ['client', 'app']) {
      const { status } = await credentials.get(name)
      expect(status).toMatchObject({ state: 'refused', error: { code: 'CREDENTIAL_CERTIFICATE_ENDED' } })
      expect(status.error?.message).toMatch(/ended on \d{4}-\d\d-\d\d/)
    }
  })

  test('a renewed one acts at the next use, with its own key or the kept one', async () => {
    const [one, other] = [await makeTwinCertificate(['a']), await makeTwinCertificate(['b'])]
    await credentials.create('client', { kind: 'certificate', certificate: one.cert, privateKey: one.key })
    const alone = credentials.update('client', { kind: 'certificate', certificate: other.cert })
    await expect(alone).rejects.toThrow('the private key is of another certificate')
    await credentials.update('client', { kind: 'certificate', certificate: other.cert, privateKey: other.key })
    expect(await credentials.lookup('client')).toMatchObject({ certificate: other.cert, privateKey: other.key })
    await credentials.update('client', { kind: 'certificate', certificate: other.cert, about: 'kept key' })
    expect(await credentials.lookup('client')).toMatchObject({ privateKey: other.key })
    expect(events.map(({ type }) => type)).toEqual(Array(3).fill('credential.changed'))
  })

  test('the way to its authority is kept with it, and held to be one', async () => {
    const { cert, key, ca } = await makeTwinCertificate(['hub'])
    await credentials.create('client', { kind: 'certificate', certificate: `${cert}\n${ca}`, privateKey: key })
    expect(await credentials.lookup('client')).toMatchObject({ certificate: `${cert}\n${ca}` })
    const stranger = await makeTwinCertificate(['stranger'])
    const wrong = credentials.create('wrong', {
      kind: 'certificate',
      certificate: `${cert}\n${stranger.cert}`,
      privateKey: key,
    })
    await expect(wrong).rejects.toThrow('certificate 2 did not issue the one before it')
  })
})

describe('known hosts', () => {
  const lines = `# servers\n\nsftp.example,10.0.0.7 ssh-ed25519 ${sshKey()} comment\n|1|abc=|def= ssh-rsa ${sshKey('ssh-rsa', 260)}\n@revoked old.example ssh-ed25519 ${sshKey()}\n`

  test('are sealed against change, and shown', async () => {
    const view = await credentials.create('partners', { kind: 'known-hosts', knownHosts: lines })
    expect(records.dump()).not.toContain('sftp.example')
    expect(view.status.hosts).toMatchObject([
      {
        hosts: 'sftp.example,10.0.0.7',
        keyType: 'ssh-ed25519',
        fingerprint: expect.stringMatching(/^SHA256:[\w+/]{43}$/),
      },
      { hosts: 'hashed', keyType: 'ssh-rsa', marker: undefined },
      { hosts: 'old.example', marker: 'revoked' },
    ])
    expect(await credentials.lookup('partners')).toEqual({ kind: 'known-hosts', knownHosts: lines })
    // They are public, and would only blot out the log.
    expect(credentials.secretValues()).toEqual([])
    await credentials.update('partners', { kind: 'known-hosts', about: 'sftp of partners' })
    expect(await credentials.lookup('partners')).toMatchObject({ knownHosts: lines })
  })

  const wrong: readonly [string, RegExp][] = [
    ['', /names no host/],
    ['# nothing\n', /names no host/],
    ['host ssh-ed25519', /line 1: it is not host/],
    [`ok ssh-ed25519 ${sshKey()}\nhost ssh-rsa ${sshKey()}`, /line 2: its key is not of the kind ssh-rsa/],
    ['host ssh-ed25519 AAAA', /line 1: its key is not of the kind/],
    ['host ssh-ed25519 !!!!', /line 1/],
    [`@magic host ssh-ed25519 ${sshKey()}`, /marker @magic is not known/],
    [`h ssh-ed25519 ${sshKey()}\n`.repeat(1001), /line 1001: more than 1000 hosts/],
  ]
  test.each(wrong)('%j is refused with the line', (text, reason) => {
    expect(() => readKnownHosts(text)).toThrow(reason)
  })
})

test('a secure parameter of SAP is a secret here: one value, sealed', async () => {
  await credentials.create('api-key', { kind: 'secret', secret: 'k-4711-value' })
  expect(records.dump()).not.toContain('k-4711-value')
  expect(await credentials.lookup('api-key')).toEqual({ kind: 'secret', secret: 'k-4711-value' })
})

describe('OAuth 2.0 with SAML assertions', () => {
  let pair: TwinCertificate
  beforeEach(async () => {
    pair = await makeTwinCertificate(['hub'], { keys: 'rsa' })
  })
  const bearer = (more: object = {}): CredentialInput => ({
    kind: 'oauth2-saml-bearer',
    provider: { generic: { tokenUrl: `${server.url}/oauth2/token` } },
    clientId: s4Client.clientId,
    clientSecret: s4Client.clientSecret,
    authentication: 'header',
    scopes: ['UIWC:CC_HOME'],
    certificate: pair.cert,
    privateKey: pair.key,
    assertion: { issuer: 'isthmus', subject: 'INTEGRATION', audience: 'https://my300123.crm.ondemand.com' },
    ...more,
  })
  const tokenOf = async (name: string, refused?: string) => {
    const value = await credentials.lookup(name)
    return value.kind === 'oauth2' ? (await value.token(refused)).value : expect.unreachable('no token credential')
  }
  const trusted = (issuer = 'isthmus') => [{ issuer, samlCertificates: [pair.cert] }] as never

  test('each request carries a new assertion, signed by the key of the credential', async () => {
    await credentials.create('c4c', bearer())
    server.replies = [{ status: 503 }, tokenReply('t1'), tokenReply('t2')]
    expect(await tokenOf('c4c')).toBe('t1')
    expect(await tokenOf('c4c', 't1')).toBe('t2')
    const ids = server.requests.map(({ form, authorization }) => {
      expect(form).toMatchObject({ grant_type: 'urn:ietf:params:oauth:grant-type:saml2-bearer', scope: 'UIWC:CC_HOME' })
      expect(form['client_secret']).toBeUndefined()
      expect(authorization).toMatch(/^Basic /)
      const expected = {
        trusted: trusted(),
        recipient: `${server.url}/oauth2/token`,
        audience: 'https://my300123.crm.ondemand.com',
        now: clock.now(),
      }
      const { id, subject, until } = readAssertion(form['assertion'] ?? '', expected)
      expect(subject).toBe('INTEGRATION')
      expect(until - clock.now()).toBeLessThanOrEqual(5 * MINUTE)
      return id
    })
    expect(new Set(ids).size).toBe(3)
    expect(records.dump()).not.toContain(pair.key.split('\n')[2])
  })

  test('S/4HANA gives a token for it, and refuses one of another issuer', async () => {
    const s4 = await startS4OData({
      readAssertion: encoded =>
        readAssertion(encoded, { trusted: trusted(), recipient: s4.tokenUrl, audience: 'S4H', now: clock.now() })
          .subject,
    })
    try {
      const assertion = { issuer: 'isthmus', subject: 'INTEGRATION', audience: 'S4H' }
      const provider = { generic: { tokenUrl: s4.tokenUrl } }
      await credentials.create('s4', bearer({ provider, assertion }))
      const authorization = `Bearer ${await tokenOf('s4')}`
      const answer = await fetch(s4.services.v2, { headers: { authorization, accept: 'application/json' } })
      expect(answer.status).toBe(200)
      expect(s4.logIns.at(-1)).toBe('bearer INTEGRATION')
      await credentials.update('s4', bearer({ provider, assertion: { ...assertion, issuer: 'somebody' } }))
      await expect(tokenOf('s4')).rejects.toMatchObject({ code: 'OAUTH_SIGN_IN_NEEDED', retry: 'after-change' })
    } finally {
      await s4.stop()
    }
  })

  test('a refusal is shown, and nobody is asked to sign in at a page', async () => {
    await credentials.create('c4c', bearer())
    server.replies = [refusedReply('invalid_client', 'no', 401)]
    await expect(tokenOf('c4c')).rejects.toMatchObject({ code: 'OAUTH_CLIENT_REFUSED' })
    expect((await credentials.get('c4c')).status).toMatchObject({
      state: 'refused',
      certificate: { thumbprint: thumbprint(pair.cert) },
    })
    const session = { redirectUri: 'https://hub.example/callback', session: 's' }
    await expect(credentials.beginAuthorisation('c4c', session)).rejects.toMatchObject({
      code: 'CREDENTIAL_NOT_BY_SIGN_IN',
    })
  })

  test('kept secrets are not sent to a server that somebody entered later', async () => {
    await credentials.create('c4c', bearer())
    const {
      clientSecret: _secret,
      privateKey: _key,
      ...change
    } = bearer({
      provider: { generic: { tokenUrl: 'https://collector.example/token' } },
    }) as Record<string, unknown>
    const changed = credentials.update('c4c', change as CredentialInput)
    await expect(changed).rejects.toMatchObject({ code: 'CREDENTIAL_SECRET_WANTED' })
  })

  test('whatever a subject is made of, the assertion is read as it was written', () => {
    const xmlText = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
      .filter(text => /^[\x20-\ud7ff\ue000-\ufffd]+$/u.test(text) && text.trim() === text)
    fc.assert(
      fc.property(xmlText, xmlText, xmlText, (subject, audience, statement) => {
        const wish = {
          issuer: 'isthmus',
          subject,
          audience,
          recipient: 'https://s4.example/token?a=1&b="2"',
          nameIdFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified',
          lifeMs: 5 * MINUTE,
          attributes: { mail: statement },
          certificate: pair.cert,
          privateKey: pair.key,
        }
        const now = Date.now()
        const encoded = Buffer.from(signAssertion(wish, now)).toString('base64url')
        const read = readAssertion(encoded, { trusted: trusted(), recipient: wish.recipient, audience, now })
        expect(read.subject).toBe(subject)
      }),
      { numRuns: 30 },
    )
  })
})

describe('is refused', () => {
  const pairOf = (keys: 'ec' | 'rsa') => makeTwinCertificate(['hub'], { keys })
  const wrong: readonly [string, () => Promise<unknown>, RegExp][] = [
    [
      'a certificate without its key',
      async () => ({ kind: 'certificate', certificate: (await pairOf('ec')).cert }),
      /private key of the certificate is missing/,
    ],
    [
      'a key without its certificate',
      async () => ({ kind: 'certificate', privateKey: (await pairOf('ec')).key }),
      /certificate/,
    ],
    [
      'the key of another certificate',
      async () => ({
        kind: 'certificate',
        certificate: (await pairOf('ec')).cert,
        privateKey: (await pairOf('ec')).key,
      }),
      /of another certificate/,
    ],
    [
      'a key with a passphrase',
      async () => ({ kind: 'certificate', certificate: (await pairOf('ec')).cert, privateKey: sealedKey() }),
      /encrypted/,
    ],
    [
      'a key where the certificate belongs',
      async () => ({
        kind: 'certificate',
        certificate: (await pairOf('ec')).key,
        privateKey: (await pairOf('ec')).key,
      }),
      /certificate is not PEM/,
    ],
    [
      'a broken certificate',
      async () => ({
        kind: 'certificate',
        certificate: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
        privateKey: (await pairOf('ec')).key,
      }),
      /not PEM/,
    ],
    [
      'eleven certificates',
      async () => ({
        kind: 'certificate',
        certificate: (await pairOf('ec')).cert.repeat(11),
        privateKey: (await pairOf('ec')).key,
      }),
      /more than 10/,
    ],
    ['known hosts without any', async () => ({ kind: 'known-hosts' }), /known hosts are missing/],
    ['known hosts with a broken line', async () => ({ kind: 'known-hosts', knownHosts: 'nonsense' }), /line 1/],
    ['assertions that nobody signs', async () => ({ ...saml() }), /signs its assertions/],
    [
      'assertions signed by an EC key',
      async () => ({ ...saml(), certificate: (await pairOf('ec')).cert, privateKey: (await pairOf('ec')).key }),
      /not an RSA key/,
    ],
    [
      'a subject with a line break',
      async () => ({ ...saml(), assertion: { ...saml().assertion, subject: 'A\nB' } }),
      /no line breaks/,
    ],
    ['no audience', async () => ({ ...saml(), assertion: { issuer: 'i', subject: 's' } }), /audience/],
    ['an assertion as parameter', async () => ({ ...saml(), parameters: { assertion: 'x' } }), /sets itself/],
    [
      'an assertion that lives for a day',
      async () => ({ ...saml(), assertion: { ...saml().assertion, lifeSeconds: 86_400 } }),
      /lifeSeconds/,
    ],
  ]
  test.each(wrong)('%s', async (_title, make, reason) => {
    const created = credentials.create('wrong', (await make()) as CredentialInput)
    await expect(created).rejects.toMatchObject({ code: 'CREDENTIAL_INVALID' })
    await expect(created).rejects.toThrow(reason)
    expect(await credentials.list()).toEqual([])
  })

  function saml() {
    return {
      kind: 'oauth2-saml-bearer' as const,
      provider: { generic: { tokenUrl: 'https://s4.example/token' } },
      clientId: 'hub',
      assertion: { issuer: 'i', subject: 's', audience: 'a' },
    }
  }
  function sealedKey(): string {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' }).toString()
  }
})
