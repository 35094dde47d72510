import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DAY, MINUTE } from '../../kernel/time.ts'
import { parametersOf } from './instance-input.ts'
import { keyIdIn, makeKeyId, makeSecret } from './key-secret.ts'
import type { ServiceEvent, ServiceUsers } from './model.ts'
import { useFlushMs } from './service-limits.ts'
import { type ServiceWorld, serviceWorld } from './service-world.ts'

let world: ServiceWorld
let users: ServiceUsers
beforeEach(async () => {
  world = await serviceWorld({ flowsAskingFor: role => (role === 'ESBMessaging_DE' ? ['costs-de'] : []) })
  users = world.users()
})
afterEach(() => world.close())

function reasonOf(clientId: string, secret: string): string {
  const check = users.checkSecret(clientId, secret)
  return check.ok ? 'right' : check.reason
}

describe('instances', () => {
  test('the JSON of the document makes an instance, and is shown again', async () => {
    const instance = await users.createInstance({
      name: 'cpi-user-secret',
      parameters: JSON.parse('{"roles": ["ESBMessaging.send"]}'),
    })
    expect(instance).toMatchObject({ name: 'cpi-user-secret', space: 'default', plan: 'integration-flow', revision: 1 })
    expect(instance.clientId).toMatch(/^ci[0-9a-f]{24}$/)
    expect(parametersOf(instance)).toEqual({
      roles: ['ESBMessaging.send'],
      'grant-types': ['client_credentials'],
      'redirect-uris': [],
      'token-validity': 3600,
      'refresh-token-validity': 604_800,
    })
  })

  test('the grant type of the document is understood in its own spelling, and takes certificates only', async () => {
    const parameters = JSON.parse('{"roles": ["ESBMessaging.send"],"grant-type": ["client_x509"]}')
    const instance = await users.createInstance({ name: 'cpi-certificate', parameters })
    expect(instance.grantTypes).toEqual(['client_x509'])
    const created = await users.createKey(instance.id, { name: 'first' })
    expect(created.key.kind).toBe('certificate')
    await expect(
      users.createKey(instance.id, { name: 'second', parameters: { 'key-type': 'secret' } }),
    ).rejects.toMatchObject({ code: 'SERVICE_KEY_INVALID' })
  })

  test('both spellings of the SAML grant are one', async () => {
    const parameters = {
      'grant-types': [
        'urn:ietf:params:oauth:grant-type:saml2bearer',
        'urn:ietf:params:oauth:grant-type:saml2-bearer',
        'refresh_token',
      ],
    }
    const { grantTypes } = await users.createInstance({ name: 'saml', parameters })
    expect(grantTypes).toEqual(['urn:ietf:params:oauth:grant-type:saml2-bearer', 'refresh_token'])
  })

  const mistakes: readonly [unknown, RegExp][] = [
    [{ roles: ['ESBMessaging.sent'] }, /no role ESBMessaging\.sent for plan integration-flow/],
    [{ roles: ['MonitoringDataRead'] }, /no role MonitoringDataRead/],
    [{ roles: ['a b'] }, /letters, digits/],
    [{ roles: 'ESBMessaging.send' }, /array/],
    [{ 'grant-types': [] }, /at least one/],
    [{ 'grant-types': ['implicit'] }, /"implicit" is no grant type/],
    [{ 'grant-types': ['client_x509', 'client_credentials'] }, /client_x509 stands alone/],
    [{ 'redirect-uris': ['https://*.x/cb/**'] }, /redirect URI/],
    [{ 'redirect-uris': ['http://shop.example/cb'] }, /redirect URI/],
    [{ 'redirect-uris': ['https://a@shop.example/cb'] }, /redirect URI/],
    [{ 'token-validity': 59 }, /60/],
    [{ 'token-validity': 86_401 }, /86400/],
    [{ 'token-validity': 60.5 }, /int/],
    [{ 'Grant-Types': ['password'] }, /Unrecognized key/],
    [['ESBMessaging.send'], /object/],
    ['ESBMessaging.send', /object/],
  ]
  test.each(mistakes)('%j is refused in words', async (parameters, sentence) => {
    await expect(users.createInstance({ name: 'wrong', parameters })).rejects.toThrow(sentence)
    expect(users.listInstances()).toEqual([])
  })

  test.each(['', 'a b', '-a', 'x'.repeat(33), 'ä', 'a/b', 'a\n'])('the name %j is refused', async name => {
    await expect(users.createInstance({ name })).rejects.toMatchObject({ code: 'SERVICE_INSTANCE_INVALID' })
  })

  test('a name is taken once in a space, and again in another', async () => {
    await users.writeSpace({ name: 'INTEGRATION_TOOLS', about: '', quotas: {} })
    await users.createInstance({ name: 'cpi' })
    await expect(users.createInstance({ name: 'cpi' })).rejects.toMatchObject({ code: 'SERVICE_INSTANCE_EXISTS' })
    await users.createInstance({ name: 'cpi', space: 'INTEGRATION_TOOLS' })
    await expect(users.createInstance({ name: 'x', space: 'none' })).rejects.toMatchObject({
      code: 'SERVICE_SPACE_UNKNOWN',
    })
    expect(users.listInstances().map(({ space }) => space)).toEqual(['INTEGRATION_TOOLS', 'default'])
  })

  test('quotas count per plan and space, also when everybody comes at once', async () => {
    await users.writeSpace({ name: 'dev', about: '', quotas: { 'integration-flow': 2 } })
    const wanted = ['a', 'b', 'c', 'd'].map(name => users.createInstance({ name, space: 'dev' }))
    const ended = await Promise.allSettled(wanted)
    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected'])
    expect(ended[2]).toMatchObject({ reason: { code: 'SERVICE_QUOTA_REACHED' } })
    await users.createInstance({ name: 'e', space: 'dev', plan: 'api', parameters: { roles: ['MonitoringDataRead'] } })
    await expect(users.deleteSpace('dev')).rejects.toMatchObject({ code: 'SERVICE_SPACE_IN_USE' })
    await expect(users.deleteSpace('default')).rejects.toMatchObject({ code: 'SERVICE_SPACE_PREDEFINED' })
  })

  test('two changes of one state: the second is told', async () => {
    const { id, revision } = await users.createInstance({ name: 'cpi' })
    const changes = [60, 120].map(seconds =>
      users.updateInstance(id, { revision, parameters: { 'token-validity': seconds } }),
    )
    const ended = await Promise.allSettled(changes)
    expect(ended[1]).toMatchObject({ reason: { code: 'SERVICE_INSTANCE_CHANGED_MEANWHILE' } })
    expect(users.getInstance(id)).toMatchObject({ tokenValiditySeconds: 60, roles: ['ESBMessaging.send'], revision: 2 })
  })

  test('everything is there again after a restart', async () => {
    const { clientId, secret, instance } = await world.caller('cpi', { roles: ['API.invoke'] })
    await users.createRole('ESBMessaging_DE', 'Germany')
    await users.writeSpace({ name: 'dev', about: 'x', quotas: { api: 1 } })
    users = await world.reopen()
    expect(users.getInstance(instance.id)).toEqual({ ...instance, revision: 2 })
    expect(reasonOf(clientId, secret)).toBe('right')
    expect(users.hasRole('ESBMessaging_DE')).toBe(true)
    expect(users.listSpaces().map(({ name }) => name)).toEqual(['default', 'dev'])
  })
})

describe('secrets', () => {
  test('the credential document has the members that tools for SAP look for', async () => {
    const { document, key } = await world.caller('cpi')
    const { oauth } = document
    expect(Object.keys(oauth)).toEqual(['clientid', 'clientsecret', 'url', 'tokenurl', 'createdate'])
    expect(oauth.clientsecret).toMatch(/^hubk[0-9a-f]{12}[0-9A-Za-z]{43}$/)
    expect(oauth).toMatchObject({ url: 'https://hub.example', tokenurl: 'https://hub.example/oauth/token' })
    expect(oauth.createdate).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    expect(document.keyId).toBe(key.id)
  })

  test('each key has a secret of its own, and one can go without the other', async () => {
    const first = await world.caller('cpi')
    const second = await users.createKey(first.instance.id, { name: 'second' })
    const other = second.document.oauth.clientsecret ?? ''
    expect(other).not.toBe(first.secret)
    expect([reasonOf(first.clientId, first.secret), reasonOf(first.clientId, other)]).toEqual(['right', 'right'])
    await users.revokeKey(first.key.id)
    expect([reasonOf(first.clientId, first.secret), reasonOf(first.clientId, other)]).toEqual(['key-revoked', 'right'])
  })

  test('the database holds no secret, and its MACs are of no use without the pepper', async () => {
    const { secret, key } = await world.caller('cpi')
    const dump = world.records.dump()
    expect(dump).toContain(key.id)
    expect(dump).not.toContain(secret)
    expect(dump).not.toContain(secret.slice(16))
    expect(JSON.stringify(users.listKeys(key.instanceId))).not.toMatch(/mac|pepper/)
    expect(world.lines.join()).not.toContain(secret)
  })

  test('a secret has letters and digits alone, each of them as often', () => {
    const counts = new Map<string, number>()
    for (let index = 0; index < 2000; index++) {
      const secret = makeSecret(makeKeyId())
      expect(secret).toMatch(/^[A-Za-z0-9]{59}$/)
      for (const letter of secret.slice(16)) counts.set(letter, (counts.get(letter) ?? 0) + 1)
    }
    const expected = (2000 * 43) / 62
    expect(counts.size).toBe(62)
    // Six standard deviations: a modulo of a byte would miss by seven times as much.
    for (const count of counts.values()) expect(Math.abs(count - expected)).toBeLessThan(6 * Math.sqrt(expected))
  })

  test('whatever is sent, only the secret itself is right', async () => {
    const { clientId, secret } = await world.caller('cpi')
    const other = await world.caller('other')
    const id = secret.slice(0, 16)
    const wrong = [
      ['', 'wrong-secret'],
      [secret.toUpperCase(), 'wrong-secret'],
      [secret.toLowerCase(), 'wrong-secret'],
      [`${secret} `, 'wrong-secret'],
      [`${secret}\0`, 'wrong-secret'],
      [secret.slice(0, -1), 'wrong-secret'],
      [`${id}${'0'.repeat(43)}`, 'wrong-secret'],
      [other.secret, 'key-of-other-instance'],
      [`${other.secret.slice(0, 16)}${secret.slice(16)}`, 'wrong-secret'],
      ['x'.repeat(1_000_000), 'wrong-secret'],
      ['ä'.repeat(59), 'wrong-secret'],
    ] as const
    for (const [sent, reason] of wrong)
      expect([sent.slice(0, 70), reasonOf(clientId, sent)]).toEqual([sent.slice(0, 70), reason])
    expect(reasonOf(clientId.toUpperCase(), secret)).toBe('key-of-other-instance')
    expect(reasonOf('nobody', 'nothing')).toBe('unknown-client')
    expect(reasonOf('__proto__', 'constructor')).toBe('unknown-client')
    fc.assert(fc.property(fc.string(), fc.string(), (one, two) => reasonOf(one, two) === 'unknown-client'))
    fc.assert(fc.property(fc.string(), sent => reasonOf(clientId, sent) === 'wrong-secret'))
    fc.assert(fc.property(fc.string(), text => keyIdIn(text) === undefined))
  })

  test('a known client takes no other time than an unknown one', async () => {
    const { clientId, secret } = await world.caller('cpi')
    const wrong = `${secret.slice(0, -1)}${secret.endsWith('0') ? '1' : '0'}`
    const unknown = makeSecret(makeKeyId())
    const cases: readonly (readonly [string, string])[] = [
      [clientId, wrong],
      [`ci${'0'.repeat(24)}`, unknown],
    ]
    const rounds = 2000
    const best = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
    // The best of many short rounds: what else runs on the machine only ever adds.
    for (let batch = 0; batch < 60; batch++) {
      for (const [index, [client, sent]] of cases.entries()) {
        const from = process.cpuUsage()
        for (let round = 0; round < rounds / 10; round++) users.checkSecret(client, sent)
        const { user, system } = process.cpuUsage(from)
        best[index] = Math.min(best[index] ?? 0, user + system)
      }
    }
    const [known = 0, unknownTime = 0] = best
    expect(known / unknownTime).toBeGreaterThan(0.5)
    expect(known / unknownTime).toBeLessThan(2)
  })

  test('a disabled instance lets nobody in, and an enabled one does again', async () => {
    const { clientId, secret, instance } = await world.caller('cpi')
    await users.updateInstance(instance.id, { disabled: true })
    expect(reasonOf(clientId, secret)).toBe('instance-disabled')
    await users.updateInstance(instance.id, { disabled: false })
    expect(reasonOf(clientId, secret)).toBe('right')
  })

  test('a secret with an end ends, and is listed ahead', async () => {
    const { clientId, secret, key } = await world.caller('cpi', {}, { 'key-type': 'secret', validity: 10 })
    expect(users.keysExpiringWithin(9 * DAY)).toEqual([])
    expect(users.keysExpiringWithin(10 * DAY).map(({ id }) => id)).toEqual([key.id])
    await world.clock.advance(10 * DAY - 1)
    expect(reasonOf(clientId, secret)).toBe('right')
    await world.clock.advance(1)
    expect(reasonOf(clientId, secret)).toBe('key-expired')
    expect([users.stateOf(key), users.keysExpiringWithin(10 * DAY)]).toEqual(['expired', []])
  })
})

describe('rotation', () => {
  test('old and new work side by side until the overlap is over', async () => {
    const { clientId, secret, key, instance } = await world.caller('cpi')
    const next = await users.rotateKey(key.id, { overlapMs: 7 * DAY })
    const fresh = next.document.oauth.clientsecret ?? ''
    expect(next.key).toMatchObject({ name: 'first', kind: 'secret' })
    expect([reasonOf(clientId, secret), reasonOf(clientId, fresh)]).toEqual(['right', 'right'])
    expect(users.listKeys(instance.id)).toMatchObject([{ replacedBy: next.key.id }, { replacedBy: undefined }])
    users = await world.reopen()
    await world.clock.advance(7 * DAY)
    expect([reasonOf(clientId, secret), reasonOf(clientId, fresh)]).toEqual(['key-expired', 'right'])
  })

  test('a successor ends as late after its making as its predecessor did, unless something else is asked for', async () => {
    const { key } = await world.caller('cpi', {}, { 'key-type': 'secret', validity: 30 })
    await world.clock.advance(20 * DAY)
    const next = await users.rotateKey(key.id, { overlapMs: DAY })
    expect(next.key.expiresAt).toBe(world.clock.now() + 30 * DAY)
    const last = await users.rotateKey(next.key.id, { overlapMs: DAY, parameters: { 'key-type': 'secret' } })
    expect(last.key.expiresAt).toBeUndefined()
  })

  test('of two rotations at once one wins, and the other names its key', async () => {
    const { key, instance } = await world.caller('cpi')
    const ended = await Promise.allSettled([0, 1].map(() => users.rotateKey(key.id, { overlapMs: DAY })))
    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    const successor = users.listKeys(instance.id)[1]?.id ?? 'none'
    expect(ended[1]).toMatchObject({ reason: { code: 'SERVICE_KEY_ROTATED_ALREADY', fields: { successor } } })
    expect(users.listKeys(instance.id)).toHaveLength(2)
  })

  test('without overlap the old one ends at once; what ended cannot be rotated', async () => {
    const { clientId, secret, key } = await world.caller('cpi')
    const next = await users.rotateKey(key.id, { overlapMs: 0 })
    expect(reasonOf(clientId, secret)).toBe('key-expired')
    await users.revokeKey(next.key.id)
    await expect(users.rotateKey(next.key.id, { overlapMs: 0 })).rejects.toMatchObject({ code: 'SERVICE_KEY_ENDED' })
    for (const overlapMs of [-1, 91 * DAY, Number.NaN]) {
      const { key: other } = await users.createKey(next.key.instanceId, { name: `k${overlapMs}` })
      await expect(users.rotateKey(other.id, { overlapMs })).rejects.toMatchObject({ code: 'SERVICE_KEY_INVALID' })
    }
  })

  test('a rotation that cannot be stored leaves the old key as it was', async () => {
    const { clientId, secret, key, instance } = await world.caller('cpi')
    world.records.failNextWrite = new Error('disk full')
    await expect(users.rotateKey(key.id, { overlapMs: 0 })).rejects.toThrow('disk full')
    expect([reasonOf(clientId, secret), users.listKeys(instance.id).length]).toEqual(['right', 1])
  })

  test('a deletion while a rotation runs leaves nothing that works', async () => {
    const { clientId, secret, key, instance } = await world.caller('cpi')
    const [, rotated] = await Promise.allSettled([
      users.deleteInstance(instance.id),
      users.rotateKey(key.id, { overlapMs: DAY }),
    ])
    expect(rotated).toMatchObject({ reason: { code: 'SERVICE_KEY_UNKNOWN' } })
    expect(reasonOf(clientId, secret)).toBe('unknown-client')
    users = await world.reopen()
    expect([reasonOf(clientId, secret), users.listInstances()]).toEqual(['unknown-client', []])
  })

  test('the list of keys does not grow without end, and neither do the keys', async () => {
    const { key, instance } = await world.caller('cpi')
    let current = key
    for (let count = 0; count < 60; count++) current = (await users.rotateKey(current.id, { overlapMs: 0 })).key
    expect(users.listKeys(instance.id)).toHaveLength(51)
    for (let count = 1; count < 50; count++) await users.createKey(instance.id, { name: `k${count}` })
    await expect(users.createKey(instance.id, { name: 'more' })).rejects.toMatchObject({
      code: 'SERVICE_KEYS_TOO_MANY',
    })
  }, 20_000)
})

describe('roles', () => {
  test('a role that is taken away is gone at once, and comes back to nobody', async () => {
    await users.createRole('ESBMessaging_DE', 'Germany only')
    const { instance } = await world.caller('cpi', { roles: ['ESBMessaging_DE', 'ESBMessaging.send'] })
    await expect(users.deleteRole('ESBMessaging_DE', false)).rejects.toMatchObject({
      code: 'SERVICE_ROLE_IN_USE',
      fields: { users: 'flow costs-de, service instance cpi' },
    })
    expect(users.effectiveRoles(instance)).toEqual(['ESBMessaging_DE', 'ESBMessaging.send'])
    await users.deleteRole('ESBMessaging_DE', true)
    expect(users.effectiveRoles(instance)).toEqual(['ESBMessaging.send'])
    await users.createRole('ESBMessaging_DE', 'Anew')
    expect(users.effectiveRoles(users.getInstance(instance.id))).toEqual(['ESBMessaging.send'])
  })

  test('those that come with the hub stay', async () => {
    await expect(users.deleteRole('ESBMessaging.send', true)).rejects.toMatchObject({ code: 'SERVICE_ROLE_PREDEFINED' })
    await expect(users.updateRole('API.invoke', 'mine')).rejects.toMatchObject({ code: 'SERVICE_ROLE_PREDEFINED' })
    await expect(users.createRole('ESBMessaging.send', '')).rejects.toMatchObject({ code: 'SERVICE_ROLE_EXISTS' })
    await expect(users.deleteRole('none', true)).rejects.toMatchObject({ code: 'SERVICE_ROLE_UNKNOWN' })
  })

  test.each(['', 'a b', 'a-b', 'ä', 'x'.repeat(101), 'a\n', '../x'])('%j is no name', async name => {
    await expect(users.createRole(name, '')).rejects.toMatchObject({ code: 'SERVICE_ROLE_INVALID' })
  })
})

test('the last use is known at once, written together, and there after a restart', async () => {
  const first = await world.caller('cpi')
  const second = await users.createKey(first.instance.id, { name: 'second' })
  const before = world.records.dump()
  for (let count = 0; count < 1000; count++) users.noteUse(first.key.id, '10.0.0.1')
  users.noteUse(second.key.id, '::1')
  expect(users.lastUseOf(first.key.id)).toEqual({ at: world.clock.now(), address: '10.0.0.1' })
  expect(world.records.dump()).toBe(before)
  await world.clock.advance(useFlushMs)
  users.noteUse(second.key.id, '10.0.0.2')
  users = await world.reopen()
  expect(users.lastUseOf(first.key.id)?.address).toBe('10.0.0.1')
  expect(users.lastUseOf(second.key.id)?.address).toBe('10.0.0.2')
  await users.deleteInstance(first.instance.id)
  users = await world.reopen()
  expect(users.lastUseOf(first.key.id)).toBeUndefined()
})

test('listeners hear of each change after it holds', async () => {
  const heard: (readonly [ServiceEvent['type'], string])[] = []
  const { clientId, secret, key, instance } = await world.caller('cpi')
  const end = users.on(event => heard.push([event.type, reasonOf(clientId, secret)]))
  await users.updateInstance(instance.id, { disabled: true })
  await users.updateInstance(instance.id, { disabled: false })
  await users.rotateKey(key.id, { overlapMs: MINUTE })
  await users.revokeKey(key.id)
  await users.deleteInstance(instance.id)
  end()
  await users.createRole('A', '')
  expect(heard).toEqual([
    ['instance.changed', 'instance-disabled'],
    ['instance.changed', 'right'],
    ['key.rotated', 'right'],
    ['key.created', 'right'],
    ['key.revoked', 'key-revoked'],
    ['instance.deleted', 'unknown-client'],
  ])
})

test('after the master key was changed the secrets still fit', async () => {
  const { clientId, secret } = await world.caller('cpi')
  expect(await users.reseal()).toBe(1)
  users = await world.reopen()
  expect(reasonOf(clientId, secret)).toBe('right')
})

test('a length of key that there is none of is refused with those that there are', async () => {
  const { id } = await users.createInstance({ name: 'machine' })
  const parameters = { 'key-type': 'certificate', 'key-length': 1024 }
  await expect(users.createKey(id, { name: 'k', parameters })).rejects.toThrow('2048, 3072 or 4096 bits')
})
