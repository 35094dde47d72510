import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { createFlowEndpoints } from '../api/flow-endpoints.ts'
import { silentLog } from '../kernel/log.ts'
import { systemClock } from '../kernel/time.ts'
import { openCallers } from './callers.ts'
import { MemoryRecords } from './records-world.ts'
import { basic } from './service/guard-world.ts'
import { openVault } from './vault.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

/** Everything about callers, opened as the hub opens it, before an endpoint with a role. */
async function open(records = new MemoryRecords(), folder?: string) {
  const home = folder ?? (await mkdtemp(join(tmpdir(), 'isthmus-callers-')))
  if (folder === undefined) closing.push(() => rm(home, { recursive: true, force: true }))
  const vault = await openVault({ records, keyFile: join(home, 'master.key') })
  const refused: string[] = []
  const callers = await openCallers({ records, vault, clock: systemClock, log: silentLog, flowsAskingFor: () => [] })
  closing.push(() => callers.close())
  callers.onRefused(reason => refused.push(reason))
  const endpoints = createFlowEndpoints({ log: silentLog, guard: callers.guard, hasRole: callers.users.hasRole })
  closing.push(() => endpoints.close(100))
  endpoints.mount(callers.tokens.handle)
  endpoints.serve({
    flow: 'costs',
    path: '/costs',
    methods: ['GET'],
    role: 'ESBMessaging.send',
    bodyBytesMax: 0,
    handle: async () => ({ status: 200, headers: {}, body: 'ok' }),
  })
  const url = await endpoints.listen({ host: '127.0.0.1', port: 0 })
  callers.listensAt(new URL(url).origin)
  const { users } = callers
  return {
    ...callers,
    records,
    home,
    refused,
    async caller(parameters: unknown = {}) {
      const instance = await users.createInstance({ name: 'cpi', parameters })
      const { key, document } = await users.createKey(instance.id, { name: 'first' })
      const { clientid, clientsecret = '', tokenurl } = document.oauth
      const answer = await fetch(tokenurl, {
        method: 'POST',
        headers: { authorization: basic(clientid, clientsecret) },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      })
      const { access_token: token } = (await answer.json()) as { access_token: string }
      return { instance, key, header: basic(clientid, clientsecret), bearer: `Bearer ${token}` }
    },
    call: (authorization: string) => fetch(`${url}/costs`, { headers: { authorization } }).then(({ status }) => status),
  }
}

test('a token of the hub lets in, and ends with the roles and the key behind it, though it is cached', async () => {
  const hub = await open()
  const { instance, key, header, bearer } = await hub.caller()
  expect([await hub.call(bearer), await hub.call(bearer), await hub.call(header)]).toEqual([200, 200, 200])
  await hub.users.updateInstance(instance.id, { parameters: { roles: ['API.invoke'] } })
  expect([await hub.call(bearer), await hub.call(header)]).toEqual([403, 403])
  await hub.users.updateInstance(instance.id, { parameters: { roles: ['ESBMessaging.send'] } })
  expect(await hub.call(bearer)).toBe(200)
  await hub.users.revokeKey(key.id)
  expect([await hub.call(bearer), await hub.call(header)]).toEqual([401, 401])
  expect(hub.refused).toEqual(['role-missing', 'role-missing', 'key-revoked', 'key-revoked'])
})

test('a revoked token, a tampered one and one of another hub are refused', async () => {
  const hub = await open()
  const other = await open()
  const { bearer } = await hub.caller()
  const foreign = await other.caller()
  expect(await hub.call(bearer)).toBe(200)
  const [head, body = '', signature] = bearer.split('.')
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as { jti: string; scope: string }
  const more = Buffer.from(JSON.stringify({ ...claims, scope: `${claims.scope} API.invoke` })).toString('base64url')
  expect(await hub.call(`${head}.${more}.${signature}`)).toBe(401)
  expect(await hub.call(foreign.bearer)).toBe(401)
  await (await hub.tokens.load()).revokeToken(claims.jti)
  expect(await hub.call(bearer)).toBe(401)
  expect(hub.refused).toEqual(['token-not-genuine', 'token-not-genuine', 'token-revoked'])
})

test('after a restart certificates count, and those that were revoked at the authority do not', async () => {
  const first = await open()
  const { id } = await first.users.createInstance({ name: 'cpi', parameters: { 'grant-types': ['client_x509'] } })
  const keys = [await first.users.createKey(id, { name: 'a' }), await first.users.createKey(id, { name: 'b' })]
  const [kept = '', lost = ''] = keys.map(({ document }) => document.oauth.certificate ?? '')
  await first.authority.revoke(new X509Certificate(lost).serialNumber, 'lost')
  const again = await open(first.records, first.home)
  expect(again.authority.isLoaded).toBe(true)
  expect(again.users.checkCertificate(new X509Certificate(kept).raw)).toMatchObject({ ok: true })
  expect(again.users.checkCertificate(new X509Certificate(lost).raw)).toMatchObject({ reason: 'certificate-revoked' })
})

test('a hub without certificates loads no authority, and all secrets are sealed anew together', async () => {
  const hub = await open()
  await hub.caller()
  expect(hub.authority.isLoaded).toBe(false)
  // The pepper, the authority, and the keys of the token server.
  expect(await hub.reseal()).toBeGreaterThanOrEqual(3)
})
