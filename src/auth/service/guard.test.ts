import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DAY, MINUTE, SECOND } from '../../kernel/time.ts'
import { guardLimits } from './guard-limits.ts'
import { basic, type GuardWorld, guardWorld } from './guard-world.ts'
import type { AccessTokenClaims } from './model.ts'

let world: GuardWorld
beforeEach(async () => {
  world = await guardWorld()
})
afterEach(() => world.close())

async function caller(parameters: unknown = {}) {
  const made = await world.caller('cpi', parameters)
  return { ...made, header: basic(made.clientId, made.secret) }
}

describe('Basic', () => {
  test('the right secret lets in, and the flow sees who it is', async () => {
    const { header, clientId, key } = await caller()
    const responses = [await world.post(header), await world.post(header)]
    expect(responses.map(({ status }) => status)).toEqual([200, 200])
    expect(world.seen[1]?.caller).toMatchObject({ clientId, instance: 'cpi', subject: clientId, keyId: key.id })
    expect(world.users().lastUseOf(key.id)).toEqual({ at: world.clock.now(), address: '127.0.0.1' })
  })

  test('encoded as RFC 6749 wants it, in any letter case of the scheme, with the second key: let in', async () => {
    const { clientId, secret, instance, header } = await caller()
    const second = await world.users().createKey(instance.id, { name: 'second' })
    const escaped = encodeAll(clientId)
    const headers = [
      basic(escaped, secret),
      header.replace('Basic', 'bAsIc'),
      header.replace(/=+$/, ''),
      basic(clientId, second.document.oauth.clientsecret ?? ''),
    ]
    for (const each of headers) expect(await world.status(each)).toBe(200)
  })

  test('whatever else is sent is refused, with a challenge and not a word more', async () => {
    const { clientId, secret, header } = await caller()
    const other = await world.caller('other')
    const wrong: readonly [string, string | undefined][] = [
      ['nothing', undefined],
      ['a wrong secret', basic(clientId, `${secret.slice(0, -1)}${secret.endsWith('a') ? 'b' : 'a'}`)],
      ['the secret of another instance', basic(clientId, other.secret)],
      ['an empty secret', basic(clientId, '')],
      ['an empty client', basic('', secret)],
      ['upper case', basic(clientId.toUpperCase(), secret)],
      ['the secret in upper case', basic(clientId, secret.toUpperCase())],
      ['swapped', basic(secret, clientId)],
      ['no colon', `Basic ${Buffer.from(clientId + secret).toString('base64')}`],
      ['a NUL in the secret', basic(clientId, `${secret}\0`)],
      ['a NUL before it', basic(clientId, `\0${secret}`)],
      ['a line end', basic(`${clientId}\r\n`, secret)],
      ['UTF-8 beyond ASCII', basic(clientId, `${secret}ä`)],
      ['broken UTF-8', `Basic ${Buffer.from([0xc3, 0x28, 0x3a, 0xff]).toString('base64')}`],
      ['spaces around it', basic(` ${clientId}`, `${secret} `)],
      ['no base64', 'Basic !!!!'],
      ['base64 of URLs', `Basic ${Buffer.from('~~~???').toString('base64url')}`],
      ['a second value', `${header} ${header}`],
      ['a tab', header.replace(' ', '\t')],
      ['the scheme alone', 'Basic'],
      ['no scheme', header.slice(6)],
      ['another scheme', `Digest ${header.slice(6)}`],
      ['the secret as a token', `Bearer ${secret}`],
      ['a long one', basic(clientId, 'x'.repeat(10_000))],
      ['a broken escape', basic(`%zz${clientId}`, secret)],
      ['escaped twice', basic(clientId.replace('c', '%2563'), secret)],
    ]
    const answers = new Set<string>()
    for (const [what, header_] of wrong) {
      const response = await world.post(header_)
      const problem = (await response.json()) as Record<string, string>
      const correlation = response.headers.get('x-correlation-id') ?? ''
      // The one thing that tells answers apart is the name of the line in the log.
      expect(
        world.lines.some(line => line.includes(correlation)),
        what,
      ).toBe(true)
      answers.add(JSON.stringify([response.status, problem]).replaceAll(correlation, ''))
      await world.clock.advance(guardLimits.failuresWithinMs)
    }
    expect([...answers]).toHaveLength(1)
    expect([...answers][0]).toContain('ENDPOINT_UNAUTHORISED')
    expect(world.seen).toEqual([])
    expect(new Set(world.reasons)).toEqual(
      new Set([
        'no-credential',
        'wrong-secret',
        'key-of-other-instance',
        'malformed',
        'unknown-client',
        'unknown-scheme',
      ]),
    )
    // The challenge says what may be sent, whatever was sent.
    expect((await world.post()).headers.get('www-authenticate')).toBe(
      'Basic realm="isthmus", charset="UTF-8", Bearer realm="isthmus"',
    )
  })

  test('two Authorization headers, bytes beyond ASCII and endless headers never reach the check', async () => {
    const { header } = await caller()
    expect(await world.raw(`Authorization: ${header}\r\nAuthorization: ${header}\r\n`)).toMatch(/^HTTP\/1\.1 400 /)
    expect(await world.raw(`Authorization: ${header}\r\nauthorization: Basic eA==\r\n`)).toMatch(/^HTTP\/1\.1 400 /)
    expect(await world.raw(`Authorization: ${header}\xe4\r\n`)).toMatch(/^HTTP\/1\.1 401 /)
    expect(await world.raw(`Authorization: ${header}\0\r\n`)).toMatch(/^HTTP\/1\.1 400 /)
    expect(await world.raw(`Authorization: Basic ${'A'.repeat(20_000)}\r\n`)).toMatch(/^HTTP\/1\.1 431 /)
    expect(await world.raw(`Authorization: ${header}\r\nX-Pad: ${'A'.repeat(20_000)}\r\n`)).toMatch(/^HTTP\/1\.1 431 /)
    expect(await world.raw(`Proxy-Authorization: ${header}\r\n`)).toMatch(/^HTTP\/1\.1 401 /)
    expect(world.seen).toEqual([])
    expect(await world.raw(`Authorization: ${header}\r\n`)).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('no secret is in a line of the log, whoever sent what', async () => {
    const { clientId, secret, header } = await caller()
    await world.status(header)
    await world.status(basic(clientId, `${secret}x`))
    await world.status(basic(secret, 'x'))
    await world.status(`Bearer ${secret}`)
    await world.status(`${secret} ${secret}`)
    const text = world.lines.join('\n')
    expect(text).toContain('caller.refused')
    for (const part of [secret.slice(16, 40), header.slice(10, 60)]) expect(text).not.toContain(part)
  })
})

describe('what changes acts on the next request, cached or not', () => {
  test('a revoked key, and no other', async () => {
    const { clientId, instance, key, header } = await caller()
    const second = await world.users().createKey(instance.id, { name: 'second' })
    const other = basic(clientId, second.document.oauth.clientsecret ?? '')
    expect([await world.status(header), await world.status(other)]).toEqual([200, 200])
    await world.users().revokeKey(key.id)
    expect([await world.status(header), await world.status(other)]).toEqual([401, 200])
    expect(world.reasons).toEqual(['key-revoked'])
    expect(world.lines.find(line => line.includes('key-revoked'))).toContain(key.id)
  })

  test('a role that is taken, and given back', async () => {
    const { instance, header } = await caller()
    const change = (roles: readonly string[]) => world.users().updateInstance(instance.id, { parameters: { roles } })
    expect(await world.status(header)).toBe(200)
    await change(['API.invoke'])
    const refused = await world.post(header)
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([403, null])
    expect(await refused.text()).not.toMatch(/role|ESBMessaging|cpi/i)
    await change(['ESBMessaging.send'])
    expect([await world.status(header), world.reasons]).toEqual([200, ['role-missing']])
  })

  test('an instance that is disabled, enabled, deleted', async () => {
    const { instance, header } = await caller()
    expect(await world.status(header)).toBe(200)
    await world.users().updateInstance(instance.id, { disabled: true })
    expect(await world.status(header)).toBe(401)
    await world.users().updateInstance(instance.id, { disabled: false })
    expect(await world.status(header)).toBe(200)
    await world.users().deleteInstance(instance.id)
    expect(await world.status(header)).toBe(401)
    expect(world.reasons).toEqual(['instance-disabled', 'unknown-client'])
  })

  test('the end of the overlap of a rotation', async () => {
    const { clientId, key, header } = await caller()
    const next = await world.users().rotateKey(key.id, { overlapMs: 10 * SECOND })
    const fresh = basic(clientId, next.document.oauth.clientsecret ?? '')
    expect([await world.status(header), await world.status(fresh)]).toEqual([200, 200])
    await world.clock.advance(10 * SECOND)
    expect([await world.status(header), await world.status(fresh)]).toEqual([401, 200])
  })
})

describe('Bearer', () => {
  const token = 'aaa.bbb.ccc'

  async function bearer(change: Partial<AccessTokenClaims> = {}, parameters: unknown = {}) {
    const made = await caller(parameters)
    const claims: AccessTokenClaims = {
      clientId: made.clientId,
      keyId: made.key.id,
      subject: 'anna@corp',
      scope: ['ESBMessaging.send'],
      jti: 'j1',
      expiresAt: world.clock.now() + MINUTE,
      thumbprint: undefined,
      ...change,
    }
    world.claims.set(token, claims)
    return made
  }

  test('a user of a trusted issuer is told from one of the hub who is called the same', async () => {
    await bearer({ trustedIssuer: 'corp' })
    expect(await world.status(`Bearer ${token}`)).toBe(200)
    expect(world.seen[0]?.caller).toMatchObject({ subject: 'anna@corp', idp: 'corp' })
  })

  test('a genuine token lets in, is verified once, and stands for its user', async () => {
    await bearer()
    for (let count = 0; count < 3; count++) expect(await world.status(`Bearer ${token}`)).toBe(200)
    expect(world.verified).toEqual([token])
    expect(world.seen[0]?.caller).toMatchObject({ subject: 'anna@corp', idp: undefined })
    await world.clock.advance(guardLimits.cacheMs)
    expect(await world.status(`Bearer ${token}`)).toBe(200)
    expect(world.verified).toHaveLength(2)
  })

  test('the roles of the instance and of the token both count', async () => {
    const { instance } = await bearer({ scope: ['ESBMessaging.send', 'API.invoke'] })
    expect(await world.status(`Bearer ${token}`)).toBe(200)
    // The cached token still names the role, but its instance has it no more.
    await world.users().updateInstance(instance.id, { parameters: { roles: ['API.invoke'] } })
    expect(await world.status(`Bearer ${token}`)).toBe(403)
    await world.users().updateInstance(instance.id, { parameters: { roles: ['ESBMessaging.send'] } })
    expect(await world.status(`Bearer ${token}`)).toBe(200)
    world.claims.set('x.y.z', { ...(world.claims.get(token) as AccessTokenClaims), scope: ['API.invoke'] })
    expect(await world.status('Bearer x.y.z')).toBe(403)
    expect(world.reasons).toEqual(['role-missing', 'role-not-in-token'])
  })

  test('a revoked token, a revoked key, an end: all while it is cached', async () => {
    const { key } = await bearer()
    expect(await world.status(`Bearer ${token}`)).toBe(200)
    world.revoked.add('j1')
    const refused = await world.post(`Bearer ${token}`)
    expect(refused.headers.get('www-authenticate')).toBe('Bearer realm="isthmus", error="invalid_token"')
    world.revoked.clear()
    expect(await world.status(`Bearer ${token}`)).toBe(200)
    await world.clock.advance(MINUTE - 1)
    expect(await world.status(`Bearer ${token}`)).toBe(200)
    await world.clock.advance(1)
    expect(await world.status(`Bearer ${token}`)).toBe(401)
    world.claims.set('x.y.z', { ...(world.claims.get(token) as AccessTokenClaims), expiresAt: world.clock.now() + DAY })
    expect(await world.status('Bearer x.y.z')).toBe(200)
    await world.users().revokeKey(key.id)
    expect(await world.status('Bearer x.y.z')).toBe(401)
    expect(world.reasons).toEqual(['token-revoked', 'token-expired', 'key-revoked'])
  })

  test.each([
    ['other letters', 'a!a.bbb.ccc'],
    ['padding', 'aaa=.bbb.ccc'],
    ['two parts', 'aaa.bbb'],
    ['five parts, encrypted', 'a.b.c.d.e'],
    ['an empty part', 'aaa..ccc'],
    ['too long', `${'a'.repeat(9000)}.b.c`],
  ])('%s: not even looked at', async (_what, bad) => {
    await bearer()
    expect(await world.status(`Bearer ${bad}`)).toBe(401)
    expect(world.verified).toEqual([])
  })

  test('an instance for the API may not call flows', async () => {
    const instance = await world.users().createInstance({
      name: 'monitor',
      plan: 'api',
      parameters: { roles: ['MonitoringDataRead'] },
    })
    const { document } = await world.users().createKey(instance.id, { name: 'k' })
    expect(await world.status(basic(instance.clientId, document.oauth.clientsecret ?? ''))).toBe(403)
    expect(world.reasons).toEqual(['plan-of-the-api'])
  })

  test('a token bound to a certificate counts with no other connection', async () => {
    await bearer({ thumbprint: 'AAAA' })
    expect(await world.status(`Bearer ${token}`)).toBe(401)
    expect(world.reasons).toEqual(['token-without-its-certificate'])
  })
})

describe('guessing', () => {
  test('is slowed down by address, and locks out nobody who is right', async () => {
    const { clientId, header } = await caller()
    const wrong = basic(clientId, 'wrong')
    const statuses: number[] = []
    for (let count = 0; count < guardLimits.failuresPerClient + 5; count++) statuses.push(await world.status(wrong))
    expect(statuses.indexOf(429)).toBe(guardLimits.failuresPerClient)
    const late = await world.post(wrong)
    expect(late.headers.get('retry-after')).toBe('60')
    expect(await late.json()).toMatchObject({ code: 'ENDPOINT_TOO_MANY_FAILURES' })
    expect(await world.status(header)).toBe(200)
    expect(world.lines.filter(line => line.includes('caller.refused-often'))).toHaveLength(1)
    await world.clock.advance(guardLimits.failuresWithinMs)
    expect(await world.status(wrong)).toBe(401)
  })

  test('is counted for made-up clients too, and asking without a credential is not', async () => {
    for (let count = 0; count < 100; count++) expect(await world.status()).toBe(401)
    const statuses: number[] = []
    for (let count = 0; count < 25; count++) statuses.push(await world.status(basic(`ci${count}`, 'x')))
    expect(statuses.indexOf(429)).toBe(guardLimits.failuresPerClient)
  })

  // Whoever waits for 401 to ask for a new token would never ask.
  test.each([
    ['the guard knows', (claims: AccessTokenClaims) => world.claims.set('a.b.c', claims)],
    ['the token server knows', () => world.expired.add('a.b.c')],
  ])('is not what a token is whose time is over, as %s: 401 however often it comes', async (_who, put) => {
    const { clientId, key } = await caller()
    const times = { jti: 'j1', expiresAt: world.clock.now(), thumbprint: undefined }
    put({ clientId, keyId: key.id, subject: clientId, scope: ['ESBMessaging.send'], ...times })
    for (let count = 0; count < 70; count++) expect(await world.status('Bearer a.b.c')).toBe(401)
    expect(new Set(world.reasons)).toEqual(new Set(['token-expired']))
  })
})

test('an instance that acts for users alone calls with their tokens, not with its own secret', async () => {
  const parameters = { 'grant-types': ['password', 'refresh_token'] }
  const { clientId, secret, key, instance } = await world.caller('portal', parameters)
  const jti = 'j1'
  const claims = { clientId, keyId: key.id, subject: 'anna', scope: ['ESBMessaging.send'], jti, thumbprint: undefined }
  world.claims.set('a.b.c', { ...claims, expiresAt: world.clock.now() + MINUTE })
  expect([await world.status(basic(clientId, secret)), await world.status('Bearer a.b.c')]).toEqual([403, 200])
  expect(world.reasons).toEqual(['grant-not-listed'])
  await world.users().updateInstance(instance.id, { parameters: { 'grant-types': ['client_credentials', 'password'] } })
  expect(await world.status(basic(clientId, secret))).toBe(200)
})

test('passwords that a browser adds by itself do not count for pages of other sites', async () => {
  const { header } = await caller()
  const from = async (site: string) => (await world.post(header, { 'sec-fetch-site': site })).status
  expect([await from('cross-site'), await from('same-site'), await from('none')]).toEqual([403, 403, 200])
})

test('a proxy on this machine that was called over plain HTTP lets credentials be read: refused', async () => {
  const { header } = await caller()
  const from = async (scheme: string) => (await world.post(header, { 'x-forwarded-proto': scheme })).status
  expect([await from('http'), await from('https')]).toEqual([403, 200])
})

test('an endpoint without a role stays for this machine, credential or not', async () => {
  const { header } = await caller()
  const open = (headers: Record<string, string>) =>
    fetch(`${world.url}/open`, { method: 'POST', headers }).then(({ status }) => status)
  expect(await open({})).toBe(200)
  expect(await open({ authorization: header, 'x-forwarded-for': '10.0.0.1' })).toBe(403)
})

/** Each letter as an escape, also those that need none. */
function encodeAll(text: string): string {
  return Buffer.from(text)
    .toString('hex')
    .replace(/../g, pair => `%${pair}`)
}
