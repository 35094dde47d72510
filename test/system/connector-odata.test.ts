import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Hub, startHub } from '../../src/main.ts'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { listenOnLoopback } from '../../src/twins/listen.ts'
import { type S4ODataTwin, s4User, startS4OData } from '../../src/twins/s4-odata/s4-odata.ts'
import { waitFor } from '../foreign/servers/wait.ts'
import { ConnectorUnderTest } from '../hub/connector-process.ts'

const waitMs = 60_000
const root = '/sap/opu/odata/sap/API_COSTCENTER_SRV'
const closing: (() => Promise<unknown>)[] = []
let s4: S4ODataTwin
let hub: Hub
let connector: ConnectorUnderTest

/** One flow per way: the connector looks into HTTP and adds TLS; or it carries TLS, which the hub ends itself. */
const ways = {
  'by-list': 'http://s4-odata.virtual',
  'end-to-end': 'https://s4-odata.virtual:44300',
} as const

const flow = (name: keyof typeof ways) => `
flow: ${name}
from:
  https: { path: /${name}, methods: [GET], answer: result, within: 20s }
steps:
  - call:
      to:
        odata:
          url: ${ways[name]}${root}
          version: v2
          via: dc-frankfurt
          auth: s4
          \${OPERATION}
to: []
delivery:
  retry: { every: 100ms, up-to: 100ms, for: 1s }
`

/** Two web servers behind one name; one of them is in maintenance. */
const twoServers = (name: string, receiver: string) => `
flow: ${name}
from:
  https: { path: /${name}, methods: [POST], answer: result, within: 20s }
steps:
  - call: { to: { ${receiver} } }
to: []
delivery:
  retry: { every: 100ms, up-to: 100ms, for: 10s }
`
const servers = { away: 0, good: 0 }

async function startWebServer(name: keyof typeof servers): Promise<string> {
  const server = http.createServer((request, response) => {
    servers[name] += 1
    request.resume()
    // Who waits as long as it asks for waits in vain, while the other one is there.
    if (name === 'away') response.writeHead(503, request.method === 'POST' ? {} : { 'retry-after': '600' }).end()
    else response.writeHead(200, { 'content-type': 'application/json', connection: 'close' }).end('{"value":[]}')
  })
  const listener = await listenOnLoopback(server)
  closing.push(() => listener.stop())
  return `127.0.0.1:${listener.port}`
}

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-via-'))
  closing.push(async () => rmSync(folder, { recursive: true, force: true }))
  const { cert, key, ca } = await makeTwinCertificate(['s4-odata.virtual'])
  s4 = await startS4OData({ tls: { cert, key }, count: 10, pageSize: 3 })
  closing.push(() => s4.stop())

  const operations = {
    query: 'query: { set: A_CostCenter, select: [CostCenter], orderby: [CostCenter] }',
    change:
      "update: { set: A_CostCenter, key: { ControllingArea: A000, CostCenter: '10101001', ValidityEndDate: '9999-12-31' }, etag: current, body: { Department: Sales } }",
  }
  const flowFiles = Object.keys(ways).flatMap(way =>
    Object.entries(operations).map(([operation, text]) => {
      const file = join(folder, `${way}-${operation}`, 'flow.yaml')
      mkdirSync(join(folder, `${way}-${operation}`))
      const named = flow(way as keyof typeof ways)
        .replace(`flow: ${way}`, `flow: ${way}-${operation}`)
        .replace(`path: /${way}`, `path: /${way}-${operation}`)
      writeFileSync(file, named.replace('${OPERATION}', text))
      return file
    }),
  )
  const at = (name: string) => `url: http://${name}.virtual, via: dc-frankfurt`
  const two = {
    'two-put': `http: { ${at('two-put')}, method: PUT }`,
    'two-post': `http: { ${at('two-post')} }`,
    'two-query': `odata: { ${at('two-query')}, version: v4, metadata: none, query: { set: Orders } }`,
  }
  const web = {
    protocol: 'http',
    // By its weight it is asked first, also where the other one takes connections a little faster.
    targets: [{ address: await startWebServer('away'), weight: 4 }, await startWebServer('good')],
    allow: [{ path: '/' }],
  }
  for (const [name, receiver] of Object.entries(two)) {
    const file = join(folder, `${name}.flow.yaml`)
    writeFileSync(file, twoServers(name, receiver))
    flowFiles.push(file)
  }
  hub = await startHub({
    dataFolder: join(folder, 'data'),
    stage: 'test',
    flowFiles,
    trustedCertificates: [ca],
    admin: { host: '127.0.0.1', port: 0 },
    endpoints: { host: '127.0.0.1', port: 0 },
    connectors: { host: '127.0.0.1', port: 0, nodes: [] },
    log: { level: 'error', format: 'json', output: process.stderr },
    beforeFlows: async ({ credentials }) => {
      await credentials.create('s4', { kind: 'basic', ...s4User })
    },
  })
  closing.push(() => hub.close())
  connector = new ConnectorUnderTest(join(folder, 'connector'), {
    'virtual-hosts': {
      's4-odata.virtual:80': {
        protocol: 'http',
        targets: [`127.0.0.1:${s4.port}`],
        tls: { ca: '../ca.pem', servername: 's4-odata.virtual' },
        allow: [{ path: `${root}/`, methods: ['GET'] }],
      },
      ...Object.fromEntries(Object.keys(two).map(name => [`${name}.virtual:80`, structuredClone(web)])),
      's4-odata.virtual:44300': { protocol: 'tcp', targets: [`127.0.0.1:${s4.port}`] },
    },
  })
  writeFileSync(join(folder, 'ca.pem'), ca)
  const token = await hub.connectors?.makeToken('dc-frankfurt', 'vm-1')
  const { code, output } = await connector.enrol(hub.connectorsAddress ?? '', token?.text ?? '', 'vm-1')
  if (code !== 0) throw new Error(output)
  closing.push(() => connector.stop())
  connector.start()
  await waitFor('the connector', waitMs, () => hub.connectors?.list().some(({ tunnels }) => tunnels.length === 2))
}, 120_000)
afterAll(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

const ask = (path: string) => fetch(`${hub.endpointsUrl}/${path}`)
/** What it refused, as the connector itself wrote it down. */
const audit = () => {
  const folder = join(connector.folder, 'data', 'audit')
  return readdirSync(folder)
    .map(file => readFileSync(join(folder, file), 'utf8'))
    .join('')
}

test.each(Object.keys(ways))(
  'a query goes %s through a connector, over all pages of a service that calls itself something else',
  async way => {
    const answer = await ask(`${way}-query`)
    const { value } = (await answer.json()) as { value: readonly { CostCenter: string }[] }
    expect([answer.status, value?.length]).toEqual([200, 10])
  },
)

test('a change passes where TLS goes end to end; the list of the connector lets only GET through, and says so on both sides', async () => {
  expect((await ask('end-to-end-change')).status).toBe(200)
  const changed = () => s4.requests.filter(({ method }) => method === 'PATCH' || method === 'POST').length
  const before = changed()
  const refused = await ask('by-list-change')
  expect(refused.status).toBe(502)
  expect(changed()).toBe(before)
  const id = refused.headers.get('x-isthmus-message') ?? ''
  const rows = await hub.store.find({ flow: 'by-list-change', limit: 5 })
  expect(rows.find(row => row.id === id)?.error?.message).toMatch(/does not let this request through|403/)
  await waitFor('the entry of the connector', waitMs, () => audit().includes('CONNECTOR_HTTP_REFUSED'))
  expect(audit()).toMatch(/CONNECTOR_HTTP_REFUSED[^\n]*PATCH/)
})

test.each(['two-put', 'two-query', 'two-post'])(
  'one of two servers that answers 503 keeps nobody waiting: %s goes to the other one',
  async path => {
    const { away } = servers
    const began = Date.now()
    for (let count = 0; count < 40 && servers.away === away; count++) {
      const answer = await fetch(`${hub.endpointsUrl}/${path}`, { method: 'POST', body: `number ${count}` })
      expect([path, answer.status]).toEqual([path, 200])
    }
    expect(servers.away - away).toBeGreaterThan(0)
    expect(servers.away - away).toBeLessThanOrEqual(3)
    expect(Date.now() - began).toBeLessThan(15_000)
  },
)
