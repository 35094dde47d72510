import { afterEach, expect, test } from 'vitest'
import type { CredentialDocument } from '../../src/auth/service/model.ts'
import { decode, tokenWorld } from '../../src/auth/token-server/token-world.ts'
import { readServiceKey } from '../../src/cli/service-key-file.ts'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { FlowHub } from './flow-hub.ts'
import { webService } from './web-service.ts'

const endings: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end()
})

interface CredentialView {
  readonly secrets: readonly string[]
  readonly status: { readonly state: string; readonly error?: { readonly code: string } }
}

/** A key of another hub, as SAP BTP gives them with `credential-type: x509`. */
const keyParameters = { 'key-type': 'certificate', validity: 30 }

function pairOf({ oauth: { certificate = '', key = '' } }: CredentialDocument) {
  return { certificate, privateKey: key }
}

test('orders go out with tokens that a certificate gets; one that is revoked holds them until it is renewed', async () => {
  const server = await makeTwinCertificate(['127.0.0.1'])
  const provider = await tokenWorld({ tls: { cert: server.cert, key: server.key } })
  endings.push(() => provider.close())
  const caller = await provider.caller('isthmus', { 'grant-types': ['client_x509'] }, keyParameters)
  const service = await webService()
  endings.push(() => service.stop())
  const hub = new FlowHub()
  endings.push(() => hub.close())
  hub.flow('orders', `\nfrom: { https: { path: /orders } }\nto: { http: { url: "${service.url}", auth: btp } }\n`)
  await hub.start()

  async function ask(method: string, path: string, body?: object): Promise<CredentialView> {
    const headers = { authorization: `Bearer ${hub.hub.adminToken}`, 'content-type': 'application/json' }
    const sent = { method, headers, ...(body && { body: JSON.stringify(body) }) }
    const answer = await fetch(`${hub.hub.adminUrl}/api/credentials/btp${path}`, sent)
    const text = await answer.text()
    if (!answer.ok) throw new Error(text)
    return JSON.parse(text) as CredentialView
  }
  const order = () => fetch(`${hub.url}/orders`, { method: 'POST', body: 'an order' })
  /** Names of the keys whose tokens came with the orders. */
  const keysSeen = () =>
    service.requests.map(
      ({ headers }) => decode(headers.authorization?.slice('Bearer '.length) ?? '').payload['key_id'],
    )

  const created = await ask('POST', '', {
    ...readServiceKey('btp.json', JSON.stringify(caller.document)),
    ca: server.ca,
  })
  expect(created.secrets).toEqual(['privateKey'])
  expect(JSON.stringify(created)).not.toContain('PRIVATE KEY')
  await order()
  await hub.ended(1)
  expect(keysSeen()).toEqual([caller.key.id])

  await provider.users().revokeKey(caller.key.id)
  // The service takes the token no more, and there is no other.
  service.replies.push({ status: 401 })
  await order()
  await expect
    .poll(async () => (await ask('GET', '')).status, { timeout: 20_000 })
    .toMatchObject({
      state: 'refused',
      error: { code: 'OAUTH_CLIENT_REFUSED' },
    })
  expect(await hub.rows('delivered')).toHaveLength(1)

  const next = await provider.users().createKey(caller.instance.id, { name: 'next', parameters: keyParameters })
  expect((await ask('POST', '/renew', pairOf(next.document))).status.state).toBe('ready')
  await hub.ended(2)
  expect(keysSeen()).toEqual([caller.key.id, caller.key.id, next.key.id])
}, 60_000)
