import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { readServiceKey } from '../../src/cli/service-key-file.ts'
import type { HubOptions } from '../../src/main.ts'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { freePorts } from '../foreign/servers/wait.ts'
import { FlowHub } from './flow-hub.ts'
import { webService } from './web-service.ts'

const endings: (() => unknown)[] = []
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end()
})

/** A hub whose flow `orders` asks for a role, over HTTPS, and a caller of it with a service key of this kind. */
async function otherHub(keyParameters: object) {
  const { cert, key, ca } = await makeTwinCertificate(['127.0.0.1'])
  const files = mkdtempSync(join(tmpdir(), 'isthmus-tls-'))
  endings.push(() => rmSync(files, { recursive: true, force: true }))
  const tls = { certificate: join(files, 'hub.pem'), key: join(files, 'hub.key') }
  writeFileSync(tls.certificate, cert)
  writeFileSync(tls.key, key)
  const [port = 0] = await freePorts(1)
  const url = `https://127.0.0.1:${port}`
  const endpoints: HubOptions['endpoints'] = { host: '127.0.0.1', port, url, tls }
  const target = await webService()
  endings.push(() => target.stop())
  const hub = new FlowHub({ endpoints })
  endings.push(() => hub.close())
  hub.flow('orders', `\nfrom: { https: { path: /orders, role: Orders } }\nto: { http: { url: "${target.url}" } }\n`)
  await hub.start()
  const users = hub.hub.serviceUsers
  await users.createRole('Orders', 'Sends orders')
  const instance = await users.createInstance({ name: 'other-hub', parameters: { roles: ['Orders'] } })
  const { document } = await users.createKey(instance.id, { name: 'first', parameters: keyParameters })
  return { hub, target, ca, serviceKey: JSON.stringify(document), url: `${hub.url}/orders` }
}

test.each([
  ['a secret', {}],
  ['a certificate, which their tokens are bound to', { 'key-type': 'certificate', validity: 30 }],
])(
  'one hub calls a protected flow of another with a service key that holds %s',
  async (_, keyParameters) => {
    const other = await otherHub(keyParameters)
    const hub = new FlowHub()
    endings.push(() => hub.close())
    hub.write('flows/ca.pem', other.ca)
    hub.flow(
      'forward',
      `\nfrom: { https: { path: /orders } }\nto: { http: { url: "${other.url}", auth: other, ca: ca.pem } }\n`,
    )
    await hub.start()
    await hub.hub.credentials.create('other', {
      ...readServiceKey('key.json', other.serviceKey),
      ca: other.ca,
    } as Parameters<typeof hub.hub.credentials.create>[1])
    for (const order of ['first', 'second']) await fetch(`${hub.url}/orders`, { method: 'POST', body: order })
    await hub.ended(2)
    await other.hub.ended(2)
    expect(other.target.requests.map(({ body }) => body.toString()).toSorted()).toEqual(['first', 'second'])
  },
  60_000,
)
