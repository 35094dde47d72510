import { afterEach, expect, test } from 'vitest'
import type { OidcSettings } from '../auth/administrators/oidc-log-in.ts'
import { MINUTE } from '../kernel/time.ts'
import { type ApiWorld, apiWorld } from './api-world.ts'
import { type Bent, identityProviderWorld, providerClient } from './identity-provider-world.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

const anna = { sub: 'a1b2', preferred_username: 'anna@contoso.com', roles: ['Isthmus.Operators', 'toString'] }

/** A hub that trusts an identity provider. */
async function open(person: object = anna, more: Partial<OidcSettings> = {}, console?: string) {
  const provider = await identityProviderWorld({ ...person })
  closing.push(() => provider.close())
  const world = await apiWorld({
    ...(console !== undefined && { console }),
    signIn: {
      issuer: provider.issuer,
      clientId: providerClient.id,
      credential: 'sign-in',
      scopes: [],
      nameClaim: 'preferred_username',
      groupsClaim: 'roles',
      roles: { 'Isthmus.Operators': ['Operator'] },
      ...more,
    },
  })
  closing.push(() => world.close())
  await world.ask(201, 'POST', '/api/credentials/sign-in', { kind: 'secret', secret: providerClient.secret })
  return { provider, world }
}

const cookieOf = (answer: Response) =>
  answer.headers
    .getSetCookie()
    .map(each => each.split(';')[0] ?? '')
    .filter(each => !each.endsWith('='))
    .join('; ')

const begin = (world: ApiWorld) => fetch(`${world.url}/api/session/sign-in`, { redirect: 'manual' })

/** The browser at the provider: where it is sent back to, and the cookie it has. */
async function goToProvider(world: ApiWorld) {
  const started = await begin(world)
  expect(started.status).toBe(303)
  const authorized = await fetch(started.headers.get('location') ?? '', { redirect: 'manual' })
  const { pathname, search } = new URL(authorized.headers.get('location') ?? '')
  expect(pathname).toBe('/oauth/administrator')
  return { back: `${world.url}${pathname}${search}`, cookie: cookieOf(started), started }
}

const comeBack = (back: string, cookie: string) => fetch(back, { headers: { cookie }, redirect: 'manual' })

test('somebody of the identity provider logs in with the roles of their groups, and the audit log has the name', async () => {
  const { world } = await open()
  const { back, cookie, started } = await goToProvider(world)
  expect(started.headers.get('set-cookie')).toMatch(/^__Host-isthmus-sign-in=.*Secure; HttpOnly; SameSite=Lax$/)
  const answer = await comeBack(back, cookie)
  expect(await answer.text()).toContain('You are logged in as anna@contoso.com.')
  expect(answer.headers.getSetCookie()[0]).toMatch(/^__Host-isthmus=.*Secure; HttpOnly; SameSite=Strict$/)
  const session = { cookie: cookieOf(answer) }
  const shown = await (await fetch(`${world.url}/api/session`, { headers: session })).json()
  expect(shown).toMatchObject({ administrator: { name: 'oidc:anna@contoso.com', roles: ['Operator'] } })
  const { csrfToken } = shown as { csrfToken: string }
  const headers = { ...session, 'x-csrf-token': csrfToken }
  expect((await fetch(`${world.url}/api/flows/orders/start`, { method: 'POST', headers })).status).toBe(200)
  expect((await fetch(`${world.url}/api/audit`, { headers })).status).toBe(403)
  const entries = await world.store().auditLog({ limit: 2 })
  expect(entries.map(({ who, action }) => `${who} ${action}`)).toEqual([
    'oidc:anna@contoso.com@127.0.0.1 flow.start',
    'oidc:anna@contoso.com@127.0.0.1 session.begin',
  ])
  // The way back is used up.
  expect((await comeBack(back, cookie)).status).toBe(410)
})

test('whoever the provider vouched for is logged out by name, as an administrator of the hub is', async () => {
  const { world } = await open()
  const { back, cookie } = await goToProvider(world)
  const headers = { cookie: cookieOf(await comeBack(back, cookie)) }
  const isIn = async () => (await fetch(`${world.url}/api/session`, { headers })).status === 200
  expect(await isIn()).toBe(true)
  const path = (name: string) => `/api/administrators/${encodeURIComponent(name)}/sessions`
  expect(await world.ask(200, 'DELETE', path('oidc:bert@contoso.com'))).toEqual({ ended: 0 })
  expect(await isIn()).toBe(true)
  expect(await world.ask(200, 'DELETE', path('oidc:anna@contoso.com'))).toEqual({ ended: 1 })
  expect(await isIn()).toBe(false)
  await world.ask(404, 'DELETE', path('anna@contoso.com'))
})

const lies: [string, Bent][] = [
  ['signed by somebody else', { signWithOtherKey: true }],
  ['signed by nobody', { withoutSignature: true }],
  ['of another issuer', { claims: { iss: 'https://evil.example' } }],
  ['for another client', { claims: { aud: 'other' } }],
  ['of another log-in', { claims: { nonce: 'other' } }],
  ['that is over', { claims: { exp: 1_000_000_000 } }],
  ['with a name that would break the log', { claims: { preferred_username: 'anna\nadmin@127.0.0.1' } }],
  ['with an empty name', { claims: { preferred_username: '' } }],
]
test.each(lies)('an ID token %s lets nobody in', async (_which, bent) => {
  const { world, provider } = await open()
  provider.bend(bent)
  const { back, cookie } = await goToProvider(world)
  const answer = await comeBack(back, cookie)
  expect(answer.status).toBe(403)
  expect(await answer.text()).toContain('ADMIN_SIGN_IN_REFUSED')
  expect(cookieOf(answer)).toBe('')
})

test('a way back counts in the browser that began it alone, once, and for ten minutes', async () => {
  const { world } = await open()
  const [mine, other] = [await goToProvider(world), await goToProvider(world)]
  expect((await comeBack(mine.back, other.cookie)).status).toBe(410)
  expect((await comeBack(mine.back, '')).status).toBe(410)
  expect((await comeBack(mine.back.replace(/state=[^&]*/, 'state=x'), mine.cookie)).status).toBe(410)
  expect((await comeBack(mine.back, mine.cookie)).status).toBe(200)
  await world.clock.advance(11 * MINUTE)
  expect((await comeBack(other.back, other.cookie)).status).toBe(410)
})

test('who is in no group with a role is not let in', async () => {
  const { world } = await open({ ...anna, roles: ['Everybody', '__proto__', 'constructor'] })
  const { back, cookie } = await goToProvider(world)
  expect(await (await comeBack(back, cookie)).text()).toContain('ADMIN_SIGN_IN_WITHOUT_ROLE')
})

test('a provider that does not answer is told of; a hub without one has no such route', async () => {
  const { world, provider } = await open()
  await provider.close()
  closing.splice(0, 1)
  const answer = await fetch(`${world.url}/api/session/sign-in`, { redirect: 'manual' })
  expect(answer.status).toBe(502)
  expect(await answer.json()).toMatchObject({ code: 'ADMIN_SIGN_IN_UNREACHABLE' })
  const plain = await apiWorld()
  closing.push(() => plain.close())
  expect((await plain.call('GET', '/api/session/sign-in')).status).toBe(404)
})

test('with a console the way back leads to it, with the session', async () => {
  const { world } = await open(anna, {}, '/nowhere')
  const { back, cookie } = await goToProvider(world)
  const answer = await comeBack(back, cookie)
  expect([answer.status, answer.headers.get('location')]).toEqual([303, '/console/'])
  const session = await fetch(`${world.url}/api/session`, { headers: { cookie: cookieOf(answer) } })
  expect(await session.json()).toMatchObject({ administrator: { name: 'oidc:anna@contoso.com', roles: ['Operator'] } })
  const ways = await fetch(`${world.url}/api/session/ways`, { headers: { cookie: cookieOf(answer) } })
  expect(await ways.json()).toEqual({ setup: true, provider: true, hasCookie: true })
})

test('log-ins that others begin and never end keep nobody out', async () => {
  const { world } = await open()
  const { back, cookie } = await goToProvider(world)
  for (let count = 0; count < 300; count++) expect((await begin(world)).status).toBe(303)
  expect((await comeBack(back, cookie)).status).toBe(200)
})
