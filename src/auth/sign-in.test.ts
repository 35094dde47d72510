import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { HubError } from '../kernel/error.ts'
import { silentLog } from '../kernel/log.ts'
import { HOUR, MINUTE } from '../kernel/time.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { storeErrors } from '../store/errors.ts'
import type { CredentialInput } from './credential-input.ts'
import { idToken, JumpingClock, refusedReply, TokenServer, tokenReply } from './credential-world.ts'
import { type CredentialEvent, type Credentials, openCredentials } from './credentials.ts'
import { MemoryRecords } from './records-world.ts'
import { openVault, type Vault } from './vault.ts'

const redirectUri = 'https://hub.example/credentials/callback'
const session = 'value-of-the-session-cookie'

let folder = ''
let records: MemoryRecords
let vault: Vault
let clock: JumpingClock
let server: TokenServer
let credentials: Credentials
let events: CredentialEvent[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-sign-in-'))
  records = new MemoryRecords()
  vault = await openVault({ records, keyFile: join(folder, 'master.key') })
  clock = new JumpingClock()
  server = await new TokenServer().start()
  credentials = open()
  await credentials.create('m365-mail', microsoft())
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
type SignedIn = Extract<CredentialInput, { kind: 'oauth2-authorization-code' }>
function microsoft(more: Partial<SignedIn> = {}): CredentialInput {
  return {
    kind: 'oauth2-authorization-code',
    provider: { microsoft365: { tenant: 'contoso.onmicrosoft.com', authority: server.url } },
    clientId: '11111111-2222-3333-4444-555555555555',
    clientSecret: 'app-secret',
    ...more,
  }
}
async function begin(): Promise<URL> {
  return new URL((await credentials.beginAuthorisation('m365-mail', { redirectUri, session })).url)
}
const granted = (value: string, refresh: string) =>
  tokenReply(value, { refresh_token: refresh, id_token: idToken({ preferred_username: 'orders@contoso.com' }) })

async function signIn(refresh = 'refresh-1') {
  const url = await begin()
  server.replies = [granted('access-0', refresh)]
  const done = await credentials.completeAuthorisation({ code: 'the-code', state: stateOf(url) }, session)
  return { url, done }
}
const stateOf = (url: URL) => url.searchParams.get('state') ?? ''
async function tokenOf(refused?: string): Promise<string> {
  const value = await credentials.lookup('m365-mail')
  return value.kind === 'oauth2' ? (await value.token(refused)).value : expect.unreachable('no token credential')
}
async function failureOf(promise: Promise<unknown>): Promise<HubError> {
  return promise.then(
    () => expect.unreachable('it succeeded'),
    (error: HubError) => error,
  )
}

test('a person signs in, and from then on there are tokens', async () => {
  expect((await credentials.get('m365-mail')).status).toMatchObject({
    state: 'needs-authorisation',
    error: { code: 'CREDENTIAL_NOT_AUTHORISED' },
  })
  await expect(tokenOf()).rejects.toMatchObject({ code: 'CREDENTIAL_NOT_AUTHORISED', retry: 'after-change' })
  expect(server.requests).toHaveLength(0)

  const { url, done } = await signIn()
  expect(url.pathname).toBe('/contoso.onmicrosoft.com/oauth2/v2.0/authorize')
  const asked = Object.fromEntries(url.searchParams)
  expect(asked).toMatchObject({ response_type: 'code', redirect_uri: redirectUri, code_challenge_method: 'S256' })
  expect(asked['scope']).toContain('https://outlook.office.com/IMAP.AccessAsUser.All')
  expect(asked['scope']).toContain('offline_access')
  const form = server.requests[0]?.form ?? {}
  expect(form).toMatchObject({ grant_type: 'authorization_code', code: 'the-code', redirect_uri: redirectUri })
  const challenge = createHash('sha256')
    .update(form['code_verifier'] ?? '')
    .digest('base64url')
  expect(challenge).toBe(asked['code_challenge'])
  expect(done).toEqual({ name: 'm365-mail', user: 'orders@contoso.com' })

  server.replies = [granted('access-1', 'refresh-2')]
  expect(await tokenOf()).toBe('access-1')
  expect(await credentials.lookup('m365-mail')).toMatchObject({ user: 'orders@contoso.com' })
  expect((await credentials.get('m365-mail')).status).toMatchObject({ state: 'ready', user: 'orders@contoso.com' })
  for (const secret of ['refresh-1', 'refresh-2', 'access-1', 'app-secret', form['code_verifier'] ?? '-', session]) {
    expect(records.dump()).not.toContain(secret)
  }
})

test('what the provider wants besides goes into the URL, and cannot replace what the hub says', async () => {
  await credentials.update(
    'm365-mail',
    microsoft({ loginHint: 'orders@contoso.com', authorizeParameters: { prompt: 'consent', access_type: 'offline' } }),
  )
  const url = await begin()
  expect(Object.fromEntries(url.searchParams)).toMatchObject({
    login_hint: 'orders@contoso.com',
    prompt: 'consent',
    access_type: 'offline',
  })
  await expect(
    credentials.update('m365-mail', microsoft({ authorizeParameters: { redirect_uri: 'https://evil.example' } })),
  ).rejects.toThrow('sets itself')
})

describe('a redirect is taken once, in time, from the browser that began', () => {
  test('a second time it is unknown', async () => {
    const { url } = await signIn()
    const again = credentials.completeAuthorisation({ code: 'the-code', state: stateOf(url) }, session)
    await expect(again).rejects.toMatchObject({ code: 'CREDENTIAL_SIGN_IN_UNKNOWN' })
  })
  test('of two at the same time one is taken', async () => {
    const query = { code: 'the-code', state: stateOf(await begin()) }
    server.replies = [granted('access-0', 'refresh-1')]
    const ends = await Promise.allSettled([1, 2, 3].map(() => credentials.completeAuthorisation(query, session)))
    expect(ends.filter(end => end.status === 'fulfilled')).toHaveLength(1)
    expect(server.requests).toHaveLength(1)
  })
  test('after ten minutes it is unknown', async () => {
    const state = stateOf(await begin())
    clock.advance(10 * MINUTE + 1)
    await expect(credentials.completeAuthorisation({ code: 'c', state }, session)).rejects.toMatchObject({
      code: 'CREDENTIAL_SIGN_IN_UNKNOWN',
    })
  })
  test('another browser gets nothing and spoils nothing', async () => {
    const state = stateOf(await begin())
    const stolen = credentials.completeAuthorisation({ code: 'evil', state }, 'another-session')
    await expect(stolen).rejects.toMatchObject({ code: 'CREDENTIAL_OTHER_BROWSER' })
    server.replies = [granted('access-0', 'refresh-1')]
    await credentials.completeAuthorisation({ code: 'good', state }, session)
    expect(server.requests.map(request => request.form['code'])).toEqual(['good'])
  })
  test.each(['', 'made-up', '../credential/m365-mail'])('a state of nobody: %j', async state => {
    const failure = await failureOf(credentials.completeAuthorisation({ code: 'c', state }, session))
    expect(failure.code).toBe('CREDENTIAL_SIGN_IN_UNKNOWN')
  })
  test('a hub that was started anew in between knows it', async () => {
    const state = stateOf(await begin())
    await credentials.close()
    credentials = open()
    server.replies = [granted('access-0', 'refresh-1')]
    expect(await credentials.completeAuthorisation({ code: 'c', state }, session)).toMatchObject({ name: 'm365-mail' })
  })
  test('a credential that was changed in between wants a new sign-in', async () => {
    const state = stateOf(await begin())
    await credentials.update('m365-mail', microsoft({ clientId: 'another-app' }))
    await expect(credentials.completeAuthorisation({ code: 'c', state }, session)).rejects.toMatchObject({
      code: 'CREDENTIAL_SIGN_IN_UNKNOWN',
    })
    expect(server.requests).toHaveLength(0)
  })
  test('an answer of another server is refused (RFC 9207)', async () => {
    const generic = { tokenUrl: `${server.url}/t`, authorizeUrl: `${server.url}/a`, issuer: 'https://good.example' }
    await credentials.update('m365-mail', microsoft({ provider: { generic } }))
    const state = stateOf(await begin())
    const mixed = { code: 'c', state, iss: 'https://evil.example' }
    await expect(credentials.completeAuthorisation(mixed, session)).rejects.toMatchObject({
      code: 'CREDENTIAL_OTHER_ISSUER',
    })
    expect(server.requests).toHaveLength(0)
  })
})

describe('what the sign-in server refuses is said in words with a next step', () => {
  const refused: readonly [string, string, string, RegExp, string][] = [
    [
      'access_denied',
      'AADSTS65004: User declined to consent.',
      'OAUTH_CONSENT_MISSING',
      /adminconsent/,
      'consent-missing',
    ],
    [
      'invalid_grant',
      'AADSTS65001: The user has not consented',
      'OAUTH_CONSENT_MISSING',
      /adminconsent/,
      'consent-missing',
    ],
    [
      'invalid_client',
      'AADSTS7000215: Invalid client secret',
      'OAUTH_CLIENT_REFUSED',
      /value of the secret/,
      'needs-authorisation',
    ],
    [
      'invalid_request',
      'AADSTS50011: redirect URI mismatch',
      'OAUTH_REQUEST_REFUSED',
      /Authentication > Web/,
      'needs-authorisation',
    ],
    [
      'invalid_grant',
      'AADSTS70008: expired due to inactivity',
      'OAUTH_SIGN_IN_NEEDED',
      /sign in again/,
      'needs-authorisation',
    ],
    ['something_new', 'nobody knows', 'OAUTH_REQUEST_REFUSED', /documentation of the provider/, 'needs-authorisation'],
  ]
  test.each(refused)('in the redirect: %s %s', async (error, description, code, next, state) => {
    const query = { error, error_description: description, state: stateOf(await begin()) }
    const failure = await failureOf(credentials.completeAuthorisation(query, session))
    expect(failure.code).toBe(code)
    expect(failure.next).toMatch(next)
    expect(failure.next).not.toMatch(/\{\w+\}/)
    expect((await credentials.get('m365-mail')).status).toMatchObject({ state, error: { code } })
  })

  test('the page of admin consent is the one of this tenant and application', async () => {
    const query = { error: 'consent_required', state: stateOf(await begin()) }
    const failure = await failureOf(credentials.completeAuthorisation(query, session))
    const page = `${server.url}/contoso.onmicrosoft.com/adminconsent?client_id=11111111-2222-3333-4444-555555555555`
    expect(failure.next).toContain(page)
  })

  test('a sign-in without refresh token would end within the hour, so it is no sign-in', async () => {
    const state = stateOf(await begin())
    server.replies = [tokenReply('access-0')]
    const failure = await failureOf(credentials.completeAuthorisation({ code: 'c', state }, session))
    expect(failure.code).toBe('CREDENTIAL_NO_REFRESH_TOKEN')
    expect((await credentials.get('m365-mail')).status.state).toBe('needs-authorisation')
  })
})

describe('refresh tokens', () => {
  test('each is used once, and the new one is stored before its access token is used', async () => {
    await signIn()
    for (let turn = 1; turn <= 4; turn += 1) {
      server.replies = [granted(`access-${turn}`, `refresh-${turn + 1}`)]
      expect(await tokenOf()).toBe(`access-${turn}`)
      // Another hub on the same store, or this one after a crash, goes on with the new token.
      await credentials.close()
      credentials = open()
    }
    const used = server.requests.flatMap(({ form }) => (form['refresh_token'] ? [form['refresh_token']] : []))
    expect(used).toEqual(['refresh-1', 'refresh-2', 'refresh-3', 'refresh-4'])
  })

  test('when it cannot be stored the call fails loudly, and the token is not lost', async () => {
    await signIn()
    server.replies = [granted('access-1', 'refresh-2'), refusedReply('invalid_grant', 'refresh-1 was used')]
    records.failNextWrite = storeErrors.FULL({ text: 'no space left on device' })
    const failure = await failureOf(tokenOf())
    expect(failure.code).toBe('CREDENTIAL_NOT_STORED')
    expect(failure.retry).toBe('soon')
    clock.advance(2000)
    expect(await tokenOf()).toBe('access-1')
    server.replies = [granted('access-2', 'refresh-3')]
    expect(await tokenOf('access-1')).toBe('access-2')
    expect(server.requests.map(({ form }) => form['refresh_token'])).toEqual([undefined, 'refresh-1', 'refresh-2'])
  })

  test('a server that keeps its refresh token is asked with the same one', async () => {
    await signIn()
    server.replies = [tokenReply('access-1'), tokenReply('access-2')]
    await tokenOf()
    await tokenOf('access-1')
    expect(server.requests.map(({ form }) => form['refresh_token'])).toEqual([undefined, 'refresh-1', 'refresh-1'])
  })

  test('a dead one: somebody must sign in again, everybody is told, and the status survives a restart', async () => {
    await signIn()
    server.replies = [refusedReply('invalid_grant', 'AADSTS700082: The refresh token has expired due to inactivity.')]
    await expect(tokenOf()).rejects.toMatchObject({ code: 'OAUTH_SIGN_IN_NEEDED', retry: 'after-change' })
    expect(server.requests).toHaveLength(2)
    expect(events.at(-1)).toMatchObject({ type: 'credential.refused', name: 'm365-mail' })
    await credentials.close()
    credentials = open()
    expect((await credentials.get('m365-mail')).status).toMatchObject({
      state: 'needs-authorisation',
      user: 'orders@contoso.com',
      error: { code: 'OAUTH_SIGN_IN_NEEDED' },
    })

    await signIn('refresh-9')
    expect(events.at(-1)).toEqual({ type: 'credential.changed', name: 'm365-mail' })
    expect((await credentials.get('m365-mail')).status.state).toBe('ready')
    server.replies = [granted('access-9', 'refresh-10')]
    expect(await tokenOf()).toBe('access-9')
  })

  test('another hub on the same store was quicker: its token counts', async () => {
    await signIn()
    const other = openCredentials({ records, vault, clock, connect: makeConnect(), log: silentLog })
    const theirs = await other.lookup('m365-mail')
    const late = Promise.withResolvers<void>()
    server.replies = [
      { ...refusedReply('invalid_grant', 'refresh-1 was used already'), after: late.promise },
      granted('access-other', 'refresh-2'),
      granted('access-1', 'refresh-3'),
    ]
    const ours = tokenOf()
    await expect.poll(() => server.requests.length).toBe(2)
    expect(theirs.kind === 'oauth2' && (await theirs.token()).value).toBe('access-other')
    late.resolve()
    expect(await ours).toBe('access-1')
    expect(server.requests.at(-1)?.form['refresh_token']).toBe('refresh-2')
    expect((await credentials.get('m365-mail')).status.state).toBe('ready')
    await other.close()
  })

  test('it is never sent to another server or for another application', async () => {
    await signIn()
    await credentials.update('m365-mail', microsoft({ clientId: 'another-app' }))
    await expect(tokenOf()).rejects.toMatchObject({ code: 'CREDENTIAL_NOT_AUTHORISED' })
    expect(server.requests).toHaveLength(1)
    expect((await credentials.get('m365-mail')).status.state).toBe('needs-authorisation')
  })

  test('with a new client secret the sign-in stays, and the new one is sent', async () => {
    await signIn()
    server.replies = [
      refusedReply('invalid_client', 'AADSTS7000222: The provided client secret keys are expired.', 401),
    ]
    await expect(tokenOf()).rejects.toMatchObject({ code: 'OAUTH_CLIENT_REFUSED' })
    expect((await credentials.get('m365-mail')).status.state).toBe('refused')
    clock.advance(MINUTE)
    expect((await credentials.renew('m365-mail', { clientSecret: 'other' })).status.state).toBe('ready')
    await credentials.renew('m365-mail', { clientSecret: 'next-secret' })
    server.replies = [granted('access-1', 'refresh-2')]
    expect(await tokenOf()).toBe('access-1')
    expect(server.requests.at(-1)?.form).toMatchObject({ refresh_token: 'refresh-1', client_secret: 'next-secret' })
    expect((await credentials.get('m365-mail')).settings).toMatchObject({ provider: { microsoft365: {} } })
  })

  test('one that comes while the client secret is renewed is kept, and whoever asks meanwhile gets a token', async () => {
    await signIn()
    const value = await credentials.lookup('m365-mail')
    if (value.kind !== 'oauth2') return expect.unreachable('no token credential')
    server.replies = [{ ...granted('access-1', 'refresh-2'), after: 100 }, granted('access-2', 'refresh-3')]
    const asked = tokenOf()
    await vi.waitFor(() => expect(server.requests).toHaveLength(2))
    await credentials.renew('m365-mail', { clientSecret: 'next-secret' })
    expect(await asked).toBe('access-1')
    // This one was handed out before the change.
    expect((await value.token('access-1')).value).toBe('access-2')
    const forms = server.requests.map(({ form }) => [form['refresh_token'], form['client_secret']])
    expect(forms.slice(1)).toEqual([
      ['refresh-1', 'app-secret'],
      ['refresh-2', 'next-secret'],
    ])
  })

  test('many callers over a long day cost one request an hour', async () => {
    await signIn()
    server.replies = Array.from({ length: 60 }, (_, turn) => granted(`a${turn}`, `r${turn}`))
    for (let step = 0; step < 24; step += 1) {
      await Promise.all(Array.from({ length: 20 }, () => tokenOf()))
      clock.advance(HOUR)
    }
    expect(server.requests.length).toBe(1 + 24)
  })
})
