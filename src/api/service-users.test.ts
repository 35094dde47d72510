import { afterEach, beforeEach, expect, test } from 'vitest'
import type { z } from 'zod'
import { DAY, MINUTE } from '../kernel/time.ts'
import { type ApiWorld, apiWorld } from './api-world.ts'
import { instanceView } from './service-views.ts'

type InstanceAnswer = z.output<typeof instanceView>

let world: ApiWorld
beforeEach(async () => {
  world = await apiWorld()
})
afterEach(() => world.close())

async function makeInstance(parameters: unknown = { roles: ['ESBMessaging.send'] }): Promise<InstanceAnswer> {
  const made = await world.ask(201, 'POST', '/api/service-instances', { name: 'cpi-user-secret', parameters })
  return instanceView.parse(made)
}

test('from a role to a key: each answer shows what was made, and the secret once', async () => {
  const role = await world.ask(201, 'POST', '/api/roles', { name: 'ESBMessaging_DE', about: 'Germany' })
  expect(role).toEqual({
    name: 'ESBMessaging_DE',
    about: 'Germany',
    plan: 'integration-flow',
    isPredefined: false,
    instances: [],
    users: [],
  })
  const instance = await makeInstance({ roles: ['ESBMessaging_DE'], 'grant-type': ['client_credentials'] })
  expect(instance).toMatchObject({
    name: 'cpi-user-secret',
    space: 'default',
    parameters: { roles: ['ESBMessaging_DE'], 'grant-types': ['client_credentials'], 'token-validity': 3600 },
    keys: 0,
  })
  const created = await world.ask(201, 'POST', `/api/service-instances/${instance.id}/keys`, { name: 'postman' })
  const { key, document } = created as { key: { id: string }; document: { oauth: Record<string, string> } }
  const secret = document.oauth['clientsecret'] ?? ''
  expect(document.oauth).toMatchObject({ clientid: instance.clientId, tokenurl: 'https://hub.example/oauth/token' })
  expect(world.serviceUsers.checkSecret(instance.clientId, secret).ok).toBe(true)

  const listed = await world.ask(200, 'GET', `/api/service-instances/${instance.id}/keys`)
  expect(listed).toMatchObject({ keys: [{ id: key.id, name: 'postman', kind: 'secret', state: 'active' }] })
  const audit = await world.ask(200, 'GET', '/api/audit')
  expect(audit).toMatchObject({
    entries: [{ action: 'key.create' }, { action: 'instance.create' }, { action: 'role.create' }],
  })
  const said = JSON.stringify([listed, audit, await world.ask(200, 'GET', `/api/service-keys/${key.id}`)])
  for (const text of [said, world.written.join('')]) expect(text).not.toContain(secret.slice(16))
})

test('rotate, revoke, last use and what ends soon', async () => {
  const instance = await makeInstance()
  const path = `/api/service-instances/${instance.id}/keys`
  const { key } = (await world.ask(201, 'POST', path, {
    name: 'old',
    parameters: { 'key-type': 'secret', validity: 20 },
  })) as { key: { id: string } }
  world.serviceUsers.noteUse(key.id, '10.0.0.7')
  expect(await world.ask(200, 'GET', '/api/service-keys?expiringWithin=30d')).toMatchObject({
    keys: [{ id: key.id, lastUse: { address: '10.0.0.7' } }],
  })
  expect(await world.ask(200, 'GET', '/api/service-keys?expiringWithin=10d')).toEqual({ keys: [] })
  const rotated = (await world.ask(201, 'POST', `/api/service-keys/${key.id}/rotate`, { overlap: '2d' })) as {
    key: { id: string }
  }
  const old = await world.ask(200, 'GET', `/api/service-keys/${key.id}`)
  expect(old).toMatchObject({ state: 'active', replacedBy: rotated.key.id })
  expect(Date.parse(String(old['expiresAt'])) - world.clock.now()).toBe(2 * DAY)
  await world.ask(409, 'POST', `/api/service-keys/${key.id}/rotate`, {})
  expect(await world.ask(200, 'DELETE', `/api/service-keys/${key.id}`)).toMatchObject({ state: 'revoked' })
  expect(await world.ask(200, 'GET', '/api/audit')).toMatchObject({
    entries: [
      { action: 'key.revoke', detail: { key: key.id, instance: 'cpi-user-secret' } },
      { action: 'key.rotate', detail: { key: key.id, successor: rotated.key.id } },
      {},
      {},
    ],
  })
})

test('a certificate key comes with certificate and private key, and with its end', async () => {
  const instance = await makeInstance({ roles: ['ESBMessaging.send'], 'grant-types': ['client_x509'] })
  const created = await world.ask(201, 'POST', `/api/service-instances/${instance.id}/keys`, {
    name: 'first',
    parameters: { 'key-type': 'certificate', validity: 30, 'key-length': 2048 },
  })
  expect(created).toMatchObject({
    key: { kind: 'certificate', certificate: { pinned: true } },
    document: {
      oauth: {
        certificate: expect.stringMatching(/^-----BEGIN CERTIFICATE-----\n/),
        key: expect.stringMatching(/^-----BEGIN RSA PRIVATE KEY-----\n/),
        certificatedetails: { serialnumber: expect.stringMatching(/^0x[0-9A-F]+$/) },
      },
    },
  })
})

test('a change shows what it was and what it is in the audit log', async () => {
  const instance = await makeInstance()
  const path = `/api/service-instances/${instance.id}`
  await world.ask(200, 'PATCH', path, { parameters: { roles: ['API.invoke'] }, disabled: true, revision: 1 })
  await world.ask(409, 'PATCH', path, { disabled: false, revision: 1 })
  expect(await world.ask(200, 'GET', path)).toMatchObject({ effectiveRoles: ['API.invoke'], revision: 2 })
  expect(await world.ask(200, 'GET', '/api/audit?limit=1')).toMatchObject({
    entries: [
      {
        action: 'instance.update',
        detail: {
          before: { roles: ['ESBMessaging.send'], disabled: false },
          after: { roles: ['API.invoke'], disabled: true },
        },
      },
    ],
  })
  await world.ask(204, 'DELETE', path)
  await world.ask(404, 'GET', path)
})

test('roles in use stay unless forced, and spaces hold as many instances as their quota says', async () => {
  await world.ask(201, 'POST', '/api/roles', { name: 'ESBMessaging_DE' })
  await makeInstance({ roles: ['ESBMessaging_DE'] })
  const refused = await world.ask(409, 'DELETE', '/api/roles/ESBMessaging_DE')
  expect(refused['title']).toBe('The role ESBMessaging_DE is in use: flow costs-de, service instance cpi-user-secret.')
  await world.ask(204, 'DELETE', '/api/roles/ESBMessaging_DE?force=true')
  expect(await world.ask(200, 'GET', '/api/service-instances')).toMatchObject({ instances: [{ effectiveRoles: [] }] })
  await world.ask(409, 'DELETE', '/api/roles/ESBMessaging.send')

  await world.ask(200, 'PUT', '/api/spaces/dev', { quotas: { api: 0 } })
  await world.ask(409, 'POST', '/api/service-instances', {
    name: 'x',
    space: 'dev',
    plan: 'api',
    parameters: { roles: ['MonitoringDataRead'] },
  })
  expect(await world.ask(200, 'GET', '/api/spaces')).toMatchObject({
    spaces: [
      { name: 'default', instances: 1 },
      { name: 'dev', quotas: { api: 0 } },
    ],
  })
  await world.ask(204, 'DELETE', '/api/spaces/dev')
})

test('a key that ends soon raises an alert at 30, 7 and 1 days, shows in the metrics, and is well once rotated', async () => {
  const instance = await makeInstance()
  const path = `/api/service-instances/${instance.id}/keys`
  await world.ask(201, 'POST', path, { name: 'postman', parameters: { 'key-type': 'secret', validity: 40 } })
  const alerts = async () => {
    await world.monitor.look()
    const { alerts: all } = (await world.ask(200, 'GET', '/api/alerts')) as { alerts: { id: string; what: string }[] }
    return all.filter(each => 'state' in each && each.state === 'open')
  }
  expect(await alerts()).toEqual([])
  await world.clock.advance(11 * DAY)
  const [first, ...others] = await alerts()
  expect(first?.what).toMatch(/^The service key postman of cpi-user-secret ends on \d{4}-/)
  expect(others).toEqual([])
  const metrics = await (await world.call('GET', '/metrics')).text()
  expect(metrics).toMatch(/^isthmus_service_key_rest_seconds\{instance="cpi-user-secret",.*name="postman"\} 2505600$/m)
  await world.clock.advance(23 * DAY)
  // The farther warning is resolved once the nearer one has stood for a while.
  await alerts()
  await world.clock.advance(10 * MINUTE)
  const second = await alerts()
  expect(second.map(({ id }) => id.replace(/^service-key:[0-9a-f]+:/, ''))).toEqual(['7d'])
  const key = second[0]?.id.split(':')[1] ?? ''
  await world.ask(201, 'POST', `/api/service-keys/${key}/rotate`, { overlap: '1d' })
  await alerts()
  await world.clock.advance(10 * MINUTE)
  expect(await alerts()).toEqual([])
  // Somebody goes on with the old one.
  world.serviceUsers.noteUse(key, '10.0.0.9')
  expect((await alerts()).map(({ what }) => what)[0]).toMatch(/^The old service key postman .* still uses it\.$/)
})

const refused: readonly [string, string, unknown, number, RegExp][] = [
  ['POST', '/api/service-instances', { name: 'a b' }, 422, /32 letters/],
  ['POST', '/api/service-instances', { name: 'a', parameters: { roles: ['none'] } }, 422, /no role none/],
  ['POST', '/api/service-instances', { name: 'a', parameters: { role: ['x'] } }, 400, /parameters/],
  ['POST', '/api/service-instances', { name: 'a', clientId: 'mine' }, 400, /clientId|Unrecognized/],
  ['POST', '/api/service-instances', { name: 'a', space: 'none' }, 404, /no space none/],
  ['PATCH', '/api/service-instances/none', {}, 404, /no service instance none/],
  ['POST', '/api/service-instances/none/keys', { name: 'a' }, 404, /no service instance none/],
  ['POST', '/api/service-keys/none/rotate', {}, 404, /no service key none/],
  ['DELETE', '/api/service-keys/none', undefined, 404, /no service key none/],
  ['POST', '/api/roles', { name: 'a b' }, 422, /no name for a role/],
  ['PUT', '/api/roles/API.invoke', { about: 'x' }, 409, /comes with the hub/],
  ['DELETE', '/api/roles/none', undefined, 404, /no role none/],
  ['GET', '/api/service-keys?expiringWithin=soon', undefined, 400, /duration/],
]
test.each(refused)('%s %s %j: %i', async (method, path, body, status, title) => {
  expect((await world.ask(status, method, path, body))['title']).toMatch(title)
})

test('the OpenAPI document names every parameter of instances and keys', async () => {
  const text = JSON.stringify(await world.openapi())
  for (const word of ['grant-types', 'redirect-uris', 'token-validity', 'X.509', 'pin-certificate', 'key-length']) {
    expect(text).toContain(`"${word}"`)
  }
})
