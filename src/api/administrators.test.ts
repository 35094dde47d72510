import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { adminRoles } from '../auth/administrators/admin-roles.ts'
import { sessionLimits } from '../auth/administrators/sessions.ts'
import { totpCode } from '../auth/administrators/totp.ts'
import { MINUTE } from '../kernel/time.ts'
import { type ApiWorld, type ApiWorldOptions, apiWorld } from './api-world.ts'
import { askedOf } from './permissions.ts'
import { openSetup } from './setup-token.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function open(options?: ApiWorldOptions): Promise<ApiWorld> {
  const world = await apiWorld(options)
  closing.push(() => world.close())
  return world
}

const password = 'correct horse battery'

/** What a browser keeps of a log-in. */
interface Browser {
  readonly cookie: string
  readonly csrf: string
}

function send(world: ApiWorld, method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  return fetch(world.url + path, {
    method,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}

async function browserOf(answer: Response): Promise<Browser> {
  const cookie = answer.headers.get('set-cookie') ?? ''
  const { csrfToken } = (await answer.json()) as { csrfToken: string }
  return { cookie: cookie.split(';')[0] ?? '', csrf: csrfToken }
}

const asBrowser = ({ cookie, csrf }: Browser) => ({ cookie, 'x-csrf-token': csrf })

async function logIn(world: ApiWorld, name: string, code?: string): Promise<Browser> {
  const answer = await send(world, 'POST', '/api/session', { name, password, ...(code && { code }) })
  expect(answer.status).toBe(201)
  return browserOf(answer)
}

/** The code of a problem with its status. */
async function problemOf(answer: Response): Promise<string> {
  const { code } = (await answer.json()) as { code: string }
  return `${answer.status} ${code}`
}

async function withAdministrator(world: ApiWorld, name: string, ...roles: string[]): Promise<Browser> {
  await world.administrators.create({ name, password, roles })
  return logIn(world, name)
}

test('the setup token makes exactly one administrator, also when three come at once, and is gone then', async () => {
  const world = await open()
  const file = join(world.folder, 'setup.token')
  const token = readFileSync(file, 'utf8').trim()
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(await problemOf(await send(world, 'POST', '/api/setup', { token: 'setup_x', name: 'eve', password }))).toBe(
    '401 API_SETUP_REFUSED',
  )
  // A password that is refused does not cost the token.
  expect((await send(world, 'POST', '/api/setup', { token, name: 'anna', password: 'short' })).status).toBe(422)
  const answers = await Promise.all(
    ['anna', 'bert', 'carl'].map(name => send(world, 'POST', '/api/setup', { token, name, password })),
  )
  expect(answers.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([201, 401, 401])
  expect(world.administrators.list()).toHaveLength(1)
  expect(world.administrators.list()[0]?.roles).toEqual(['AuthGroup.Administrator'])
  expect(existsSync(file)).toBe(false)
  const late = await send(world, 'POST', '/api/setup', { token, name: 'eve', password })
  expect(await problemOf(late)).toBe('404 API_SETUP_OVER')
})

test('a start without administrators keeps the setup token, one with them takes it away', async () => {
  const world = await open()
  const again = await openSetup(world.folder, true)
  expect(again).toMatchObject({ token: world.setup.token, isNew: false })
  await openSetup(world.folder, false)
  expect(existsSync(join(world.folder, 'setup.token'))).toBe(false)
})

test('each route says what it asks for, and each role gets there and nowhere else', async () => {
  const world = await open()
  const { paths } = (await world.openapi()) as { paths: Record<string, Record<string, { security?: unknown[] }>> }
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { security }]) => ({
      method: method.toUpperCase(),
      path,
      isPublic: security?.length === 0,
      asked: askedOf(method.toUpperCase(), path.replaceAll(/\{(\w+)\}/g, ':$1')),
    })),
  )
  expect(routes.filter(({ isPublic }) => isPublic).map(({ method, path }) => `${method} ${path}`)).toEqual([
    'GET /healthz',
    'GET /readyz',
    'POST /api/setup',
    'GET /api/session/ways',
    'POST /api/session',
  ])
  const guarded = routes.filter(({ isPublic }) => !isPublic)
  expect(guarded.filter(({ asked }) => asked === undefined)).toEqual([])
  expect(guarded.length).toBeGreaterThan(80)
  for (const [role, { permissions }] of adminRoles) {
    const may: ReadonlySet<string> = new Set([...permissions, 'signed-in'])
    const name = `one-${role}`.toLowerCase()
    const browser = await withAdministrator(world, name, role)
    for (const { method, path, asked = '' } of guarded) {
      // What is allowed is not called, for it would change the hub; that it would be let in the next test shows.
      if (may.has(asked)) continue
      const answer = await send(world, method, path.replaceAll(/\{\w+\}/g, 'x'), undefined, asBrowser(browser))
      expect(`${role} ${method} ${path} ${await problemOf(answer)}`).toBe(`${role} ${method} ${path} 403 API_FORBIDDEN`)
    }
    // What answers GET answers HEAD, and asks for the same.
    const head = await send(world, 'HEAD', '/api/audit', undefined, asBrowser(browser))
    expect(`${role} ${head.status}`).toBe(`${role} ${may.has('AuditLogRead') ? 200 : 403}`)
    for (const { method, path, asked = '' } of guarded) {
      const isListing = method === 'GET' && !path.includes('{') && path !== '/api/log'
      if (!may.has(asked) || !isListing) continue
      const { status } = await send(world, method, path, undefined, asBrowser(browser))
      expect(`${role} ${path} ${status}`).toBe(`${role} ${path} 200`)
    }
  }
}, 60_000)

test('what is for people in a session says so to a token, which no role would help', async () => {
  const world = await open()
  const headers = { authorization: `Bearer ${world.token}` }
  expect(await problemOf(await send(world, 'GET', '/api/session', undefined, headers))).toBe('403 API_SESSION_ONLY')
})

test('an operator acts, and the audit log says who it was', async () => {
  const world = await open()
  const operator = await withAdministrator(world, 'olga', 'Operator')
  const stopped = await send(world, 'POST', '/api/flows/orders/start', undefined, asBrowser(operator))
  expect(stopped.status).toBe(200)
  const [entry] = await world.store().auditLog({ limit: 1 })
  expect(entry).toMatchObject({ who: 'olga@127.0.0.1', action: 'flow.start' })
  const session = await send(world, 'GET', '/api/session', undefined, asBrowser(operator))
  expect(await session.json()).toMatchObject({ administrator: { name: 'olga' }, csrfToken: operator.csrf })
})

test('the session cookie is for this host, HTTPS and the hub alone; a planted one does not become a session', async () => {
  const world = await open()
  await world.administrators.create({ name: 'anna', password, roles: [] })
  const planted = `__Host-isthmus=${'A'.repeat(43)}`
  const answer = await send(world, 'POST', '/api/session', { name: 'anna', password }, { cookie: planted })
  const cookie = answer.headers.get('set-cookie') ?? ''
  expect(cookie).toMatch(/^__Host-isthmus=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict$/)
  expect(cookie).not.toContain(planted)
  expect((await send(world, 'GET', '/api/session', undefined, { cookie: planted })).status).toBe(401)
  // A browser that logs in again has one session, not two.
  const first = await browserOf(answer)
  await send(world, 'POST', '/api/session', { name: 'anna', password }, asBrowser(first))
  expect((await send(world, 'GET', '/api/session', undefined, asBrowser(first))).status).toBe(401)
  const twice = `${first.cookie}; ${first.cookie}`
  expect((await send(world, 'GET', '/api/session', undefined, { cookie: twice })).status).toBe(401)
})

test('a session ends when nobody uses it, after eight hours in any case, and by logging out', async () => {
  const world = await open()
  const idle = await withAdministrator(world, 'anna', 'AuthGroup.ReadOnly')
  const look = (browser: Browser) => send(world, 'GET', '/api/hub', undefined, asBrowser(browser))
  await world.clock.advance(sessionLimits.idleMs - MINUTE)
  expect((await look(idle)).status).toBe(200)
  await world.clock.advance(sessionLimits.idleMs)
  expect(await problemOf(await look(idle))).toBe('401 API_SESSION_OVER')
  const busy = await logIn(world, 'anna')
  for (let spentMs = 0; spentMs < sessionLimits.absoluteMs - 20 * MINUTE; spentMs += 20 * MINUTE) {
    expect((await look(busy)).status).toBe(200)
    await world.clock.advance(20 * MINUTE)
  }
  await world.clock.advance(20 * MINUTE)
  expect((await look(busy)).status).toBe(401)
  const left = await logIn(world, 'anna')
  expect((await send(world, 'DELETE', '/api/session', undefined, asBrowser(left))).status).toBe(204)
  expect((await look(left)).status).toBe(401)
})

const forged: [string, (browser: Browser, world: ApiWorld) => Record<string, string>, string][] = [
  ['without the token of the session', ({ cookie }) => ({ cookie }), 'API_CSRF_TOKEN_MISSING'],
  ['with another token', ({ cookie }) => ({ cookie, 'x-csrf-token': 'A'.repeat(43) }), 'API_CSRF_TOKEN_MISSING'],
  ['by a page of another site', each => ({ ...asBrowser(each), 'sec-fetch-site': 'cross-site' }), 'API_CROSS_SITE'],
  ['by a neighbour', each => ({ ...asBrowser(each), 'sec-fetch-site': 'same-site' }), 'API_CROSS_SITE'],
  ['of another origin', each => ({ ...asBrowser(each), origin: 'https://evil.example' }), 'API_CROSS_SITE'],
  ['of no origin', each => ({ ...asBrowser(each), origin: 'null' }), 'API_CROSS_SITE'],
]
test.each(forged)('a change %s is refused', async (_how, headers, code) => {
  const world = await open()
  const browser = await withAdministrator(world, 'anna', 'AuthGroup.Administrator')
  const answer = await send(world, 'POST', '/api/flows/orders/start', undefined, headers(browser, world))
  expect(await problemOf(answer)).toBe(`403 ${code}`)
})

test('nobody logs in over plain HTTP from elsewhere, or from a page of another site', async () => {
  const world = await open()
  await world.administrators.create({ name: 'anna', password, roles: [] })
  const attempt = (headers: Record<string, string>) =>
    send(world, 'POST', '/api/session', { name: 'anna', password }, headers)
  expect(await problemOf(await attempt({ 'x-forwarded-proto': 'http' }))).toBe('403 API_PLAIN_HTTP')
  expect(await problemOf(await attempt({ 'sec-fetch-site': 'cross-site' }))).toBe('403 API_CROSS_SITE')
  const behind = await open({ publicUrl: 'https://hub.example' })
  await behind.administrators.create({ name: 'anna', password, roles: [] })
  const throughProxy = await send(
    behind,
    'POST',
    '/api/session',
    { name: 'anna', password },
    { origin: 'https://hub.example', 'x-forwarded-proto': 'https', 'sec-fetch-site': 'same-origin' },
  )
  expect(throughProxy.status).toBe(201)
})

test('guessing is slowed down for the one who guesses; an unknown name answers as a known one', async () => {
  const world = await open()
  await world.administrators.create({ name: 'anna', password, roles: [] })
  const guess = (name: string) => send(world, 'POST', '/api/session', { name, password: 'wrong password!' })
  const known = await (await guess('anna')).json()
  expect(await (await guess('nobody')).json()).toEqual(known)
  // A burst at one moment is counted whole.
  const burst = await Promise.all(Array.from({ length: 10 }, () => guess('anna')))
  expect(burst.filter(({ status }) => status === 401).length).toBe(4)
  const right = await send(world, 'POST', '/api/session', { name: 'anna', password })
  expect(right.status).toBe(429)
  expect(Number(right.headers.get('retry-after'))).toBeGreaterThan(0)
  await world.clock.advance(5 * MINUTE)
  await logIn(world, 'anna')
})

test('with an authenticator a log-in asks for a code, which counts once', async () => {
  const world = await open()
  const browser = await withAdministrator(world, 'anna', 'AuthGroup.ReadOnly')
  const begun = await send(world, 'POST', '/api/session/totp', undefined, asBrowser(browser))
  const { secret } = (await begun.json()) as { secret: string }
  const confirm = (code: string) => send(world, 'PUT', '/api/session/totp', { code }, asBrowser(browser))
  // Until it showed a code nobody is locked out by a picture that was never taken.
  await logIn(world, 'anna')
  const wrong = totpCode(secret, world.clock.now() + 10 * MINUTE)
  expect(await problemOf(await confirm(wrong))).toBe('422 ADMIN_CODE_WRONG')
  const code = totpCode(secret, world.clock.now())
  const confirmed = await confirm(code)
  expect(confirmed.status).toBe(200)
  const { recoveryCodes } = (await confirmed.clone().json()) as { recoveryCodes: string[] }
  const attempt = (given?: string) =>
    send(world, 'POST', '/api/session', { name: 'anna', password, ...(given && { code: given }) })
  expect((await attempt()).status).toBe(401)
  expect((await attempt(code)).status).toBe(401)
  await world.clock.advance(MINUTE)
  const next = totpCode(secret, world.clock.now())
  const both = await Promise.all([attempt(next), attempt(next)])
  expect(both.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([201, 401])
  expect(
    await problemOf(
      await send(
        world,
        'POST',
        '/api/session/totp',
        undefined,
        asBrowser(await browserOf(both.find(({ ok }) => ok) ?? Response.error())),
      ),
    ),
  ).toBe('409 ADMIN_TOTP_STANDS')

  // The phone is lost.
  const lost = await logIn(world, 'anna', recoveryCodes[0])
  expect((await attempt(recoveryCodes[0])).status).toBe(401)
  const who = (await (await send(world, 'GET', '/api/session', undefined, asBrowser(lost))).json()) as object
  expect(who).toMatchObject({ administrator: { recoveryCodesLeft: 9 } })
  const renew = (given: string) => send(world, 'POST', '/api/session/recovery-codes', { code: given }, asBrowser(lost))
  expect(await problemOf(await renew('000000'))).toBe('422 ADMIN_CODE_WRONG')
  const renewed = (await (await renew(recoveryCodes[1] ?? '')).json()) as { recoveryCodes: string[] }
  expect((await attempt(recoveryCodes[2])).status).toBe(401)
  expect((await attempt(renewed.recoveryCodes[0])).status).toBe(201)
  const audit = JSON.stringify(await world.ask(200, 'GET', '/api/audit'))
  expect(audit).toContain('administrator.recovery-codes')
  for (const each of [...recoveryCodes, ...renewed.recoveryCodes]) expect(audit).not.toContain(each)
})

test('who has the password cannot try codes without end, from whatever address', async () => {
  const world = await open()
  const { administrators: admins, clock } = world
  await admins.create({ name: 'anna', password, roles: [] })
  const { secret } = await admins.beginTotp('anna')
  await admins.confirmTotp('anna', totpCode(secret, clock.now()))
  await clock.advance(10 * MINUTE)
  const attempt = (code: string, number: number) =>
    admins.logIn({ name: 'anna', password, code, address: `10.0.0.${number}` })
  const wrong = totpCode(secret, clock.now() + 10 * MINUTE)
  for (let number = 0; number < 5; number++) {
    await expect(attempt(wrong, number)).rejects.toMatchObject({ code: 'ADMIN_LOGIN_REFUSED' })
  }
  await expect(attempt(totpCode(secret, clock.now()), 9)).rejects.toMatchObject({ code: 'ADMIN_LOGIN_TOO_OFTEN' })
})

test('a new password, a disabling and a lost role count at once', async () => {
  const world = await open()
  await world.administrators.create({ name: 'root', password, roles: ['AuthGroup.Administrator'] })
  const browser = await withAdministrator(world, 'anna', 'AuthGroup.Administrator')
  const look = () => send(world, 'GET', '/api/audit', undefined, asBrowser(browser))
  expect((await look()).status).toBe(200)
  await world.ask(200, 'PUT', '/api/administrators/anna', { roles: ['AuthGroup.ReadOnly'] })
  expect((await look()).status).toBe(403)
  const other = await logIn(world, 'anna')
  const change = { current: password, password: 'another good password' }
  const changed = await send(world, 'PUT', '/api/session/password', change, asBrowser(other))
  expect(changed.status).toBe(200)
  const after = await browserOf(changed)
  for (const ended of [browser, other]) {
    expect((await send(world, 'GET', '/api/session', undefined, asBrowser(ended))).status).toBe(401)
  }
  await world.ask(200, 'PUT', '/api/administrators/anna', { disabled: true })
  expect((await send(world, 'GET', '/api/session', undefined, asBrowser(after))).status).toBe(401)
  expect((await send(world, 'POST', '/api/session', { name: 'anna', password: change.password })).status).toBe(401)
})

test('the last administrator stays, names of the audit log are nobody’s, and roles must exist', async () => {
  const world = await open()
  await world.administrators.create({ name: 'root', password, roles: ['AuthGroup.Administrator'] })
  const refused = async (method: string, path: string, body?: unknown) =>
    problemOf(await world.call(method, path, body))
  const path = '/api/administrators/root'
  expect(await refused('DELETE', path)).toBe('409 ADMIN_LAST_ONE')
  expect(await refused('PUT', path, { disabled: true })).toBe('409 ADMIN_LAST_ONE')
  expect(await refused('PUT', path, { roles: ['Auditor'] })).toBe('409 ADMIN_LAST_ONE')
  const create = (name: string, ...roles: string[]) => refused('POST', '/api/administrators', { name, password, roles })
  expect(await create('admin')).toBe('422 ADMIN_NAME_RESERVED')
  expect(await create('client:x')).toBe('422 USER_INVALID')
  expect(await create('carl', 'Emperor')).toBe('422 ADMIN_ROLE_UNKNOWN')
})

test('the passwords of administrators open nothing at the token server', async () => {
  const world = await open()
  await world.administrators.create({ name: 'anna', password, roles: [] })
  expect(await world.people.signIn('anna', password)).toBeUndefined()
  await world.people.create({ name: 'user', password, roles: ['UserRolesEdit'] })
  expect((await send(world, 'POST', '/api/session', { name: 'user', password })).status).toBe(401)
})

test('whoever manages keys gives nobody more than they have: no instance, key or user', async () => {
  const world = await open()
  const powerful = await world.serviceUsers.createInstance({
    name: 'robot',
    plan: 'api',
    parameters: { roles: ['MessagePayloadsRead'] },
  })
  const { key } = await world.serviceUsers.createKey(powerful.id, { name: 'first' })
  await world.people.create({ name: 'uwe', password, roles: ['MessagePayloadsRead'] })
  const browser = await withAdministrator(world, 'sara', 'SecurityAdministrator')
  const attempt = async (method: string, path: string, body: unknown) =>
    problemOf(await send(world, method, path, body, asBrowser(browser)))
  const parameters = { roles: ['MessagePayloadsRead'] }
  const tries: [string, string, unknown][] = [
    ['POST', '/api/service-instances', { name: 'mine', plan: 'api', parameters }],
    ['PATCH', `/api/service-instances/${powerful.id}`, { parameters: { 'redirect-uris': ['https://sara.example/'] } }],
    ['POST', `/api/service-instances/${powerful.id}/keys`, { name: 'mine' }],
    ['POST', `/api/service-keys/${key.id}/rotate`, {}],
    ['POST', '/api/users', { name: 'me', password, ...parameters }],
    ['PUT', '/api/users/uwe', { password: 'another good password' }],
  ]
  for (const [method, path, body] of tries) {
    expect(`${method} ${path} ${await attempt(method, path, body)}`).toBe(`${method} ${path} 403 API_GIVES_MORE`)
  }
  const own = { name: 'mine', plan: 'api', parameters: { roles: ['CredentialsRead'] } }
  expect((await send(world, 'POST', '/api/service-instances', own, asBrowser(browser))).status).toBe(201)
})

test('whoever is signed out reads no further in a log that is open; an open log lets no session last', async () => {
  vi.useFakeTimers({ toFake: ['setInterval'] })
  closing.push(async () => void vi.useRealTimers())
  const world = await open()
  const browser = await withAdministrator(world, 'rita', 'AuthGroup.ReadOnly')
  const answer = await send(world, 'GET', '/api/log?follow=true&limit=0', undefined, asBrowser(browser))
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
  closing.push(async () => reader?.cancel())
  const { sessions } = world
  const seenAt = () => sessions.listOf('rita')[0]?.seenAt
  const before = seenAt()
  await world.clock.advance(MINUTE)
  vi.advanceTimersByTime(10_000)
  expect((await reader?.read())?.value).toBe(':\n\n')
  expect(seenAt()).toBe(before)

  await sessions.endAllOf('rita')
  vi.advanceTimersByTime(10_000)
  const next = await Promise.race([reader?.read(), new Promise(resolve => setTimeout(resolve, 1_000, 'still open'))])
  expect(next).toEqual({ done: true, value: undefined })
})
