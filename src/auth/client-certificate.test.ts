import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import { createServer as createNetServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '../kernel/log.ts'
import { DAY, MINUTE } from '../kernel/time.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { makeTwinCertificate } from '../twins/certificate.ts'
import type { CredentialInput } from './credential-input.ts'
import { JumpingClock, refusedReply, type TokenReply, tokenReply } from './credential-world.ts'
import { type Credentials, openCredentials } from './credentials.ts'
import { MemoryRecords } from './records-world.ts'
import { decode, tokenWorld } from './token-server/token-world.ts'
import { openVault } from './vault.ts'

const server = await makeTwinCertificate(['localhost', '127.0.0.1'])
const tls = { cert: server.cert, key: server.key }

let folder = ''
let records: MemoryRecords
let clock: JumpingClock
let credentials: Credentials
const endings: (() => Promise<void> | void)[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-client-certificate-'))
  records = new MemoryRecords()
  clock = new JumpingClock()
  const vault = await openVault({ records, keyFile: join(folder, 'master.key') })
  credentials = openCredentials({ records, vault, clock, connect: makeConnect(), log: silentLog, random: () => 0 })
})
afterEach(async () => {
  await credentials.close()
  for (const end of endings.splice(0)) await end()
  await rm(folder, { recursive: true })
})

async function listen(listener: Server): Promise<number> {
  endings.push(() => void listener.close())
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  return typeof address === 'object' && address ? address.port : 0
}

/** A token endpoint that asks for certificates, and notes who showed which. */
async function tokenEndpoint(reply: () => TokenReply = () => tokenReply('t')) {
  const seen: { shown: string; authorization: string | undefined; form: Record<string, string> }[] = []
  const listener = createServer({ ...tls, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    const { subject } = (request.socket as TLSSocket).getPeerCertificate()
    void text(request).then(body => {
      const form = Object.fromEntries(new URLSearchParams(body))
      seen.push({ shown: String(subject?.CN ?? 'nobody'), authorization: request.headers.authorization, form })
      const { status = 200, body: answer } = reply()
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    })
  })
  const port = await listen(listener)
  endings.push(() => listener.closeAllConnections())
  return { seen, tokenUrl: `https://localhost:${port}/oauth/token` }
}

function application(tokenUrl: string, pair: { cert: string; key: string }, clientId = 'sb-hub') {
  return {
    kind: 'oauth2-client-credentials',
    provider: { generic: { tokenUrl } },
    clientId,
    authentication: 'tls',
    certificate: pair.cert,
    privateKey: pair.key,
    ca: server.ca,
  } satisfies CredentialInput
}

async function tokenOf(name: string): Promise<string> {
  const value = await credentials.lookup(name)
  if (value.kind !== 'oauth2') throw new Error(`${name} is of kind ${value.kind}`)
  return (await value.token()).value
}

test('the certificate is shown in the handshake, the client id stands in the body, and a secret nowhere', async () => {
  const endpoint = await tokenEndpoint()
  const pair = await makeTwinCertificate(['hub-1'])
  await credentials.create('btp', {
    ...application(endpoint.tokenUrl, pair),
    clientSecret: 'from-before',
    scopes: ['uaa.resource'],
  })
  expect(await tokenOf('btp')).toBe('t')
  expect(endpoint.seen).toEqual([
    {
      shown: 'hub-1',
      authorization: undefined,
      form: { grant_type: 'client_credentials', client_id: 'sb-hub', scope: 'uaa.resource' },
    },
  ])
  expect(records.dump()).not.toContain(pair.key.split('\n')[2])
  expect(credentials.secretValues()).toContain(pair.key)
})

test('a renewed certificate is shown from the next token on', async () => {
  const endpoint = await tokenEndpoint()
  const [one, other] = [await makeTwinCertificate(['hub-1']), await makeTwinCertificate(['hub-2'])]
  await credentials.create('btp', application(endpoint.tokenUrl, one))
  await tokenOf('btp')
  await credentials.renew('btp', { certificate: other.cert, privateKey: other.key })
  await tokenOf('btp')
  expect(endpoint.seen.map(({ shown }) => shown)).toEqual(['hub-1', 'hub-2'])
})

test('people sign in at an application that shows its certificate, too', async () => {
  const endpoint = await tokenEndpoint(() => tokenReply('t', { refresh_token: 'r' }))
  await credentials.create('btp', {
    ...application(endpoint.tokenUrl, await makeTwinCertificate(['hub-1'])),
    kind: 'oauth2-authorization-code',
    provider: { generic: { tokenUrl: endpoint.tokenUrl, authorizeUrl: 'https://localhost/oauth/authorize' } },
  })
  const request = { redirectUri: 'https://hub.example/oauth/callback', session: 's' }
  const { url } = await credentials.beginAuthorisation('btp', request)
  const state = new URL(url).searchParams.get('state') ?? ''
  await credentials.completeAuthorisation({ code: 'c', state }, 's')
  await tokenOf('btp')
  expect(endpoint.seen.map(({ shown, form }) => [shown, form['grant_type'], form['client_id']])).toEqual([
    ['hub-1', 'authorization_code', 'sb-hub'],
    ['hub-1', 'refresh_token', 'sb-hub'],
  ])
})

describe('at the token server of a hub', () => {
  test('a certificate key gets tokens, until it is revoked; its successor gets them again', async () => {
    const world = await tokenWorld({ tls })
    endings.push(() => world.close())
    const parameters = { 'key-type': 'certificate', validity: 30 }
    const caller = await world.caller('hub', { 'grant-types': ['client_x509'] }, parameters)
    const { certificate = '', key = '' } = caller.document.oauth
    const given = application(`${world.issuer}/oauth/token`, { cert: certificate, key }, caller.clientId)
    const view = await credentials.create('btp', given)
    const token = await tokenOf('btp')
    const { thumbprint } = (await world.tokens().verifyAccessToken(token)) ?? {}
    expect(thumbprint).toBe(view.status.certificate?.thumbprint)
    expect(decode(token).payload).toMatchObject({ key_id: caller.key.id })

    await world.users().revokeKey(caller.key.id)
    clock.advance(DAY)
    await expect(tokenOf('btp')).rejects.toMatchObject({ code: 'OAUTH_CLIENT_REFUSED', retry: 'after-change' })
    const { status } = await credentials.get('btp')
    expect(status).toMatchObject({ state: 'refused', error: { code: 'OAUTH_CLIENT_REFUSED' } })
    expect(status.error?.next).toMatch(/certificate of btp.*service key.*certurl/)

    const next = await world.users().createKey(caller.instance.id, { name: 'next', parameters })
    const { certificate: renewed = '', key: renewedKey = '' } = next.document.oauth
    await credentials.renew('btp', { certificate: renewed, privateKey: renewedKey })
    expect(decode(await tokenOf('btp')).payload).toMatchObject({ key_id: next.key.id })
    expect((await credentials.get('btp')).status).toMatchObject({ state: 'ready', error: undefined })
  })
})

describe('what is wrong is said, with whose turn it is', () => {
  test.each(['invalid_client', 'unauthorized'])('the server answers %s', async error => {
    const endpoint = await tokenEndpoint(() => refusedReply(error, 'Bad credentials', 401))
    await credentials.create('btp', application(endpoint.tokenUrl, await makeTwinCertificate(['hub'])))
    const refused = tokenOf('btp')
    await expect(refused).rejects.toMatchObject({
      code: 'OAUTH_CLIENT_REFUSED',
      next: expect.stringContaining('certurl'),
    })
    await expect(refused).rejects.toThrow('client id or certificate was refused')
    expect(endpoint.seen).toHaveLength(1)
  })

  test('the server refuses the certificate in the handshake', async () => {
    let count = 0
    const alert = createNetServer(socket => {
      count++
      socket.on('error', () => {})
      // RFC 5246 section 7.2: fatal, unknown_ca.
      socket.once('data', () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 48])))
    })
    const tokenUrl = `https://localhost:${await listen(alert)}/oauth/token`
    await credentials.create('btp', application(tokenUrl, await makeTwinCertificate(['hub'])))
    const refused = tokenOf('btp')
    await expect(refused).rejects.toMatchObject({ code: 'OAUTH_CLIENT_REFUSED', retry: 'after-change' })
    await expect(refused).rejects.toThrow(/in the TLS handshake: it was issued by an authority that it does not know/)
    expect((await credentials.get('btp')).status).toMatchObject({ state: 'refused' })
    expect(count).toBe(1)
  })

  test('another trouble with the line stays what it is', async () => {
    const endpoint = await tokenEndpoint()
    const { ca: _ca, ...untrusting } = application(endpoint.tokenUrl, await makeTwinCertificate(['hub']))
    await credentials.create('btp', untrusting)
    await expect(tokenOf('btp')).rejects.toMatchObject({ code: 'NET_TLS_FAILED' })
    expect((await credentials.get('btp')).status.state).toBe('ready')
  })

  test('the certificate has ended: nobody is asked any more', async () => {
    const endpoint = await tokenEndpoint()
    const pair = await makeTwinCertificate(['hub'], { validForMs: DAY })
    await credentials.create('btp', application(endpoint.tokenUrl, pair))
    await tokenOf('btp')
    clock.advance(DAY + MINUTE)
    await expect(tokenOf('btp')).rejects.toMatchObject({ code: 'CREDENTIAL_CERTIFICATE_ENDED', retry: 'after-change' })
    expect(endpoint.seen).toHaveLength(1)
    const { status } = await credentials.get('btp')
    expect(status).toMatchObject({ state: 'refused', error: { code: 'CREDENTIAL_CERTIFICATE_ENDED' } })
    expect(status.error?.next).toContain('isthmus credential renew btp')
    const fresh = await makeTwinCertificate(['hub'], { validForMs: 9 * DAY })
    await credentials.renew('btp', { certificate: fresh.cert, privateKey: fresh.key })
    expect(await tokenOf('btp')).toBe('t')
    expect((await credentials.get('btp')).status.state).toBe('ready')
  })
})

describe('input', () => {
  const url = 'https://localhost/oauth/token'

  test('a certificate with the chain to its authority is taken, and the line breaks of a service key', async () => {
    const endpoint = await tokenEndpoint()
    const { cert, key, ca } = await makeTwinCertificate(['hub'], { keys: 'rsa' })
    const asInJson = (pem: string) => JSON.stringify(pem).slice(1, -1)
    expect(asInJson(key)).toContain(String.raw`\n`)
    const given = { cert: asInJson(`${cert}\n${ca}`), key: asInJson(key) }
    await credentials.create('btp', application(endpoint.tokenUrl, given))
    expect(await tokenOf('btp')).toBe('t')
    expect(endpoint.seen).toMatchObject([{ shown: 'hub' }])
  })

  test.each([
    ['the key of another certificate', async () => ({ privateKey: (await makeTwinCertificate()).key }), /of another/],
    ['no certificate', async () => ({ certificate: undefined }), /certificate and private key are missing/],
    ['no key', async () => ({ privateKey: undefined }), /certificate and private key are missing/],
    [
      'a token URL without TLS',
      async () => ({ provider: { generic: { tokenUrl: 'http://localhost/t' } } }),
      /needs a token URL with https/,
    ],
    [
      'Microsoft as provider',
      async () => ({ provider: { microsoft365: { tenant: 'contoso.com' } } }),
      /Microsoft takes no certificate/,
    ],
    [
      'a strange certificate behind it',
      async () => {
        const { cert, key } = await makeTwinCertificate()
        return { certificate: `${cert}\n${server.cert}`, privateKey: key }
      },
      /certificate 2 did not issue/,
    ],
    [
      'an application for sign-ins without the address for them',
      async () => ({ kind: 'oauth2-authorization-code' }),
      /authorizeUrl is missing/,
    ],
    [
      'assertions of SAML, which the certificate signs',
      async () => ({ kind: 'oauth2-saml-bearer', assertion: { issuer: 'i', subject: 's', audience: 'a' } }),
      /at authentication/,
    ],
  ])('is refused: %s', async (_what, make, reason) => {
    const given = { ...application(url, await makeTwinCertificate()), ...(await make()) } as CredentialInput
    const created = credentials.create('wrong', given)
    await expect(created).rejects.toMatchObject({ code: 'CREDENTIAL_INVALID' })
    await expect(created).rejects.toThrow(reason)
  })
})
