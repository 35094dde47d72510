import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { HubError } from '../kernel/error.ts'
import { silentLog } from '../kernel/log.ts'
import { HOUR, MINUTE } from '../kernel/time.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { makeTwinCertificate, type TwinCertificate } from '../twins/certificate.ts'
import { contoso, contosoClientId, contosoSecret } from '../twins/sign-in/contoso.ts'
import { type SignInTwin, startSignIn } from '../twins/sign-in/sign-in.ts'
import { JumpingClock } from './credential-world.ts'
import { type Credentials, openCredentials } from './credentials.ts'
import { MemoryRecords } from './records-world.ts'
import { openVault } from './vault.ts'

// The credentials against a look-alike of Entra that checks what Entra checks and ends a refresh token at its first use.

const redirectUri = 'http://127.0.0.1:9/oauth/callback'
const session = 'session-value'
const application = { clientId: contosoClientId, clientSecret: contosoSecret }

let folder = ''
let clock: JumpingClock
let twin: SignInTwin
let credentials: Credentials
let certificate: TwinCertificate

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-entra-'))
  clock = new JumpingClock()
  certificate = await makeTwinCertificate(['hub'], { keys: 'rsa' })
  twin = await startSignIn({ clock, isAutomatic: true, tenants: [contoso([redirectUri], [certificate.cert])] })
  const records = new MemoryRecords()
  const vault = await openVault({ records, keyFile: join(folder, 'master.key') })
  credentials = openCredentials({ records, vault, clock, connect: makeConnect(), log: silentLog })
})
afterEach(async () => {
  await credentials.close()
  await twin.stop()
  await rm(folder, { recursive: true })
})

const provider = () => ({ microsoft365: { tenant: 'contoso.com', authority: twin.origin } })

async function signIn(): Promise<void> {
  const { url } = await credentials.beginAuthorisation('m365-mail', { redirectUri, session })
  const answer = await fetch(url, { redirect: 'manual' })
  const back = new URL(answer.headers.get('location') ?? '')
  await credentials.completeAuthorisation(back.searchParams, session)
}
async function createMail(): Promise<void> {
  await credentials.create('m365-mail', {
    kind: 'oauth2-authorization-code',
    provider: provider(),
    loginHint: 'svc@contoso.com',
    ...application,
  })
}
async function tokenOf(name: string, refused?: string): Promise<string> {
  const value = await credentials.lookup(name)
  return value.kind === 'oauth2' ? (await value.token(refused)).value : expect.unreachable('no token credential')
}
const failureOf = (name: string, refused?: string): Promise<HubError> =>
  tokenOf(name, refused).then(
    () => expect.unreachable('there was a token'),
    (error: HubError) => error,
  )

test('a signed-in mailbox has a valid token over two days, each refresh token used once', async () => {
  await createMail()
  await signIn()
  for (let hour = 0; hour < 48; hour += 1) {
    const claims = twin.verify(await tokenOf('m365-mail'))
    expect(claims).toMatchObject({ upn: 'svc@contoso.com', scp: 'IMAP.AccessAsUser.All SMTP.Send' })
    clock.advance(HOUR)
  }
  expect((await credentials.get('m365-mail')).status).toMatchObject({ state: 'ready', user: 'svc@contoso.com' })
})

test('a token that the mail server no longer takes is replaced', async () => {
  await createMail()
  await signIn()
  const first = await tokenOf('m365-mail')
  twin.setFaults({ expireTokens: true })
  expect(twin.verify(first)).toBeUndefined()
  expect(twin.verify(await tokenOf('m365-mail', first))).toBeDefined()
})

test('revoked sign-in and withdrawn consent are told apart, and a new sign-in mends the first', async () => {
  await createMail()
  await signIn()
  const first = await tokenOf('m365-mail')
  twin.setFaults({ revokeRefreshTokens: true })
  expect(await failureOf('m365-mail', first)).toMatchObject({ code: 'OAUTH_SIGN_IN_NEEDED', retry: 'after-change' })
  expect((await credentials.get('m365-mail')).status.state).toBe('needs-authorisation')
  await signIn()
  const second = await tokenOf('m365-mail')
  twin.setFaults({ withdrawConsent: true })
  const error = await failureOf('m365-mail', second)
  expect((await credentials.get('m365-mail')).status).toMatchObject({ error: { code: error.code } })
  expect(error.retry).toBe('after-change')
})

test('throttling, a fault and a cut line pass by themselves', async () => {
  await createMail()
  await signIn()
  twin.setFaults({ throttle: { times: 1, retryAfterS: 5 } })
  let token = await tokenOf('m365-mail')
  expect(clock.waits).toEqual([5000])
  twin.setFaults({ unavailable: { times: 2 } })
  token = await tokenOf('m365-mail', token)
  twin.setFaults({ drop: { times: 1 } })
  expect(twin.verify(await tokenOf('m365-mail', token))).toBeDefined()
})

test('app-only with a secret and with a certificate', async () => {
  twin.grantAdminConsent()
  await credentials.create('by-secret', { kind: 'oauth2-client-credentials', provider: provider(), ...application })
  await credentials.create('by-certificate', {
    kind: 'oauth2-client-credentials',
    provider: provider(),
    clientId: contosoClientId,
    certificate: certificate.cert,
    privateKey: certificate.key,
  })
  for (const name of ['by-secret', 'by-certificate']) {
    expect(twin.verify(await tokenOf(name))).toMatchObject({ roles: ['IMAP.AccessAsApp', 'SMTP.SendAsApp'] })
  }
})

test('a wrong secret, a foreign certificate and a wrong tenant are each said in words', async () => {
  const other = await makeTwinCertificate(['other'], { keys: 'rsa' })
  const kind = 'oauth2-client-credentials' as const
  await credentials.create('secret', { kind, provider: provider(), clientId: contosoClientId, clientSecret: 'wrong' })
  const keys = { certificate: other.cert, privateKey: other.key }
  await credentials.create('certificate', { kind, provider: provider(), clientId: contosoClientId, ...keys })
  const elsewhere = { microsoft365: { tenant: 'fabrikam.example', authority: twin.origin } }
  await credentials.create('tenant', { kind, provider: elsewhere, ...application })
  const said: readonly [string, RegExp][] = [
    ['secret', /client secret is wrong/],
    ['certificate', /certificate is not registered/],
    ['tenant', /tenant does not exist/],
  ]
  for (const [name, words] of said) {
    const error = await failureOf(name)
    expect(error.code).toBe('OAUTH_CLIENT_REFUSED')
    expect(error.message).toMatch(words)
    expect((await credentials.get(name)).status.state).toBe('refused')
  }
})

test('sign-in at a clock that runs behind is not refused for the time of the assertion', async () => {
  clock.advance(-30 * MINUTE)
  twin.grantAdminConsent()
  await credentials.create('by-certificate', {
    kind: 'oauth2-client-credentials',
    provider: provider(),
    clientId: contosoClientId,
    certificate: certificate.cert,
    privateKey: certificate.key,
  })
  expect(twin.verify(await tokenOf('by-certificate'))).toBeDefined()
})
