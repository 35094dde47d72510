import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Hub, startHub } from '../../src/main.ts'
import { type S4ODataTwin, s4User, startS4OData } from '../../src/twins/s4-odata/s4-odata.ts'
import toCostCentres from './map.ts'

let folder: string
let s4: S4ODataTwin
let hub: Hub
let log = ''

/** Client id and secret of a service key, as its owner would have them. */
async function newCaller(
  name: string,
  roles: readonly string[],
): Promise<{ user: string; password: string; id: string }> {
  const instance = await hub.serviceUsers.createInstance({ name, parameters: { roles } })
  const { document } = await hub.serviceUsers.createKey(instance.id, { name: 'key' })
  return { user: document.oauth.clientid, password: document.oauth.clientsecret ?? '', id: instance.id }
}
function basic({ user, password }: { readonly user: string; readonly password: string }) {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
}
let caller: Awaited<ReturnType<typeof newCaller>>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-cost-centres-'))
  s4 = await startS4OData({ count: 250 })
  hub = await startHub({
    dataFolder: folder,
    stage: 'dev',
    flowFiles: [join(import.meta.dirname, 'flow.yaml')],
    params: { 'cost-centres': { service: s4.services.v2 } },
    admin: { host: '127.0.0.1', port: 0 },
    endpoints: { host: '127.0.0.1', port: 0 },
    log: {
      level: 'info',
      format: 'json',
      output: new Writable({
        write(chunk, _encoding, done) {
          log += String(chunk)
          done()
        },
      }),
    },
    async beforeFlows({ credentials }) {
      await credentials.create('S4HANA_SANDBOX', { kind: 'basic', ...s4User })
    },
  })
  caller = await newCaller('cpi-user-secret', ['ESBMessaging.send'])
})
afterAll(async () => {
  await hub.close()
  await s4.stop()
  await rm(folder, { recursive: true })
})
beforeEach(() => s4.clearFaults())

const ask = (query: string, headers: Record<string, string> = basic(caller)) =>
  fetch(`${hub.endpointsUrl}/cost-centres${query}`, { headers })

test('a caller with the role gets the cost centres of a company code, over all pages of S/4HANA', async () => {
  const answer = await ask('?company=1010')
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/json'])
  const { costCentres } = (await answer.json()) as { costCentres: readonly object[] }
  expect(costCentres).toHaveLength(125)
  expect(costCentres[0]).toEqual({
    id: '10101001',
    area: 'A000',
    company: '1010',
    names: { DE: 'Purchasing 1', EN: 'Purchasing 1' },
    department: 'Purchasing',
    from: '2020-01-01',
    to: null,
  })
  expect(s4.requests.at(-1)?.url).toContain('sap-client=100')
  expect(s4.logIns.at(-1)).toBe('basic ISTHMUS')
})

test('a company code without cost centres gives an empty list', async () => {
  expect(await (await ask('?company=0001')).json()).toEqual({ costCentres: [] })
})

test.each([
  ['nothing', ''],
  ['no code', '?company='],
  ['a condition of its own', "?company=1'%20or%201%20eq%201"],
])('a question with %s is refused before S/4HANA hears of it', async (_title, query) => {
  const before = s4.requests.length
  const answer = await ask(query)
  expect(answer.status).toBe(422)
  expect(await answer.text()).toContain('Name a company code')
  expect(s4.requests.length).toBe(before)
})

describe('who may ask', () => {
  test('nobody without a key, with a wrong one, or without the role', async () => {
    expect((await ask('?company=1010', {})).status).toBe(401)
    expect((await ask('?company=1010', basic({ ...caller, password: 'wrong' }))).status).toBe(401)
    await hub.serviceUsers.createRole('ESBMessaging_DE', 'Flows for Germany')
    const german = await newCaller('cpi-instance-de', ['ESBMessaging_DE'])
    expect((await ask('?company=1010', basic(german))).status).toBe(403)
  })

  test('a revoked instance is out with its next request', async () => {
    const leaver = await newCaller('leaver', ['ESBMessaging.send'])
    expect((await ask('?company=1710', basic(leaver))).status).toBe(200)
    await hub.serviceUsers.deleteInstance(leaver.id)
    expect((await ask('?company=1710', basic(leaver))).status).toBe(401)
  })
})

test('while S/4HANA is busy for a moment the caller waits a little longer', async () => {
  s4.setFaults({ busy: { times: 1, retryAfterS: 1 } })
  expect((await ask('?company=1010')).status).toBe(200)
})

test('an error of S/4HANA reaches the people of the hub; the caller gets a problem with the id of the message', async () => {
  s4.setFaults({ fail: { times: 1, status: 400, message: 'Authorisation group K_CSKS is missing for ISTHMUS' } })
  const answer = await ask('?company=1010')
  const text = await answer.text()
  expect([answer.status, answer.headers.get('content-type')]).toEqual([502, 'application/problem+json'])
  const problem = JSON.parse(text) as { message: string; code: string }
  expect(problem.code).toBe('ODATA_REFUSED')
  expect(text).not.toContain('K_CSKS')
  expect(text).not.toContain(s4User.password)
  const [delivery] = await hub.store.find({ flow: 'cost-centres', state: 'set-aside', limit: 1 })
  expect(delivery).toMatchObject({ id: problem.message })
  expect(delivery?.error?.message).toContain('Authorisation group K_CSKS is missing')
})

test('a changed credential acts without a restart', async () => {
  await hub.credentials.update('S4HANA_SANDBOX', { kind: 'basic', user: s4User.user, password: 'of yesterday' })
  // It waits for somebody to correct the credential, and so does the caller.
  const waiting = ask('?company=1010')
  await expect.poll(() => s4.requests.at(-1)?.status, { timeout: 10_000 }).toBe(401)
  await hub.credentials.update('S4HANA_SANDBOX', { kind: 'basic', ...s4User })
  expect((await waiting).status).toBe(200)
})

test('no secret stands in the log', () => {
  expect(log).toContain('delivery.delivered')
  for (const secret of [s4User.password, caller.password]) expect(log).not.toContain(secret)
})

test('the mapping leaves out what SAP keeps as initial values', () => {
  const value = [
    {
      CostCenter: '1',
      ControllingArea: 'A',
      CompanyCode: 'C',
      ValidityStartDate: null,
      ValidityEndDate: '2026-12-31T00:00:00',
      Department: '',
    },
  ]
  expect(toCostCentres({ value }).costCentres).toEqual([
    { id: '1', area: 'A', company: 'C', names: {}, department: null, from: null, to: '2026-12-31' },
  ])
})
