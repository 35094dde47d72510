import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Effect, Receipt, Receiver } from '../flow/adapter.ts'
import type { CredentialLookup } from '../kernel/credential.ts'
import type { HubError } from '../kernel/error.ts'
import type { Message } from '../kernel/message.ts'
import { makeTwinCertificate } from '../twins/certificate.ts'
import { type S4ODataOptions, type S4ODataTwin, s4Client, startS4OData } from '../twins/s4-odata/s4-odata.ts'
import { effectOf, messageOf } from './http-world.ts'
import { odata } from './odata.ts'
import { odataConfig } from './odata-config.ts'
import { costCentreKey, odataContext } from './odata-world.ts'

let twin: S4ODataTwin
const opened: Receiver[] = []
beforeEach(async () => {
  twin = await startS4OData()
})
afterEach(async () => {
  for (const receiver of opened.splice(0)) await receiver.close()
  await twin.stop()
})

type Version = 'v2' | 'v4'
const sets = { v2: 'A_CostCenter', v4: 'CostCenter' } as const
const budgets = { v2: 'A_CostCenterBudget', v4: 'CostCenterBudget' } as const

async function open(version: Version, config: object, credential?: CredentialLookup): Promise<Receiver> {
  const whole = { url: twin.services[version], version, auth: 'S4HANA_SANDBOX', ...config }
  const receiver = await odata.open(odataContext(whole, credential))
  opened.push(receiver)
  return receiver
}
async function send(version: Version, config: object, message: Message = messageOf('{}'), more: Partial<Effect> = {}) {
  return (await open(version, config)).deliver(message, effectOf(message, more))
}
function bodyOf(receipt: Receipt): Record<string, unknown> & { readonly value: readonly Record<string, unknown>[] } {
  return JSON.parse(Buffer.from(receipt.answer?.body ?? '').toString())
}
async function failureOf(promise: Promise<unknown>): Promise<HubError> {
  return promise.then(
    () => expect.unreachable('it succeeded'),
    (error: HubError) => error,
  )
}
/** Without what $metadata costs. */
const asked = () =>
  twin.requests.filter(({ url }) => !url.includes('$metadata')).map(({ method, status }) => `${method} ${status}`)

describe.each(['v2', 'v4'] as const)('%s', version => {
  const set = sets[version]
  const text = version === 'v2' ? 'to_Text' : '_Text'

  test('a query is answered over all pages of the service, as plain JSON', async () => {
    const receipt = await send(version, { query: { set, select: ['CostCenter', 'ValidityEndDate'], count: true } })
    const { value, count } = bodyOf(receipt)
    expect(count).toBe(250)
    expect(value).toHaveLength(250)
    expect(receipt.summary).toMatch(new RegExp(`^250 of ${set} from 127.0.0.1:\\d+ in 3 pages$`))
    expect(value[0]).toMatchObject({
      CostCenter: '10101001',
      ValidityEndDate: version === 'v2' ? '9999-12-31T00:00:00' : '9999-12-31',
    })
    expect(asked()).toEqual(['GET 200', 'GET 200', 'GET 200'])
  })

  test('filter, order, top, skip and expand are the work of the service', async () => {
    const message = messageOf('{}', { attributes: { company: '1010', day: '2026-11-21' } })
    const { value } = bodyOf(
      await send(
        version,
        {
          query: {
            set,
            filter: 'CompanyCode eq ${message.company} and ValidityEndDate ge ${message.day}',
            orderby: ['CostCenter desc'],
            top: 2,
            skip: 1,
            expand: [text],
          },
        },
        message,
      ),
    )
    expect(value.map(entity => entity['CostCenter'])).toEqual(['10101247', '10101245'])
    expect(value[0]?.[text]).toMatchObject([{ Language: 'DE' }, { Language: 'EN' }])
  })

  const hostile = ["1010' or CompanyCode ne '", "'; drop", 'datetime', '', "''", '1010%27%20or%201%20eq%201', 'ä€😀']
  test.each(hostile)('a value of a message stays one value: %j', async company => {
    const message = messageOf('{}', { attributes: { company } })
    const filter = 'CompanyCode eq ${message.company}'
    expect(bodyOf(await send(version, { query: { set, filter } }, message)).value).toEqual([])
  })

  test('one entity by its key; one that is not there is an error or null, as the flow says', async () => {
    const read = { set, key: { ...costCentreKey(3), CostCenter: '${message.body.id}' } }
    const found = await send(version, { read }, messageOf('{"id":"17101004"}'))
    expect(bodyOf(found)).toMatchObject({ CostCenter: '17101004', CityName: "L'Aquila" })
    expect(found.fields).toMatchObject({ etag: expect.stringMatching(/^W\//) })
    const missing = messageOf('{"id":"NONE"}')
    const error = await failureOf(send(version, { read }, missing))
    expect(error).toMatchObject({ code: 'ODATA_NOT_FOUND', retry: 'never' })
    expect(bodyOf(await send(version, { read: { ...read, missing: 'null' } }, missing))).toBeNull()
  })

  test('numbers keep every digit, there and back', async () => {
    const BudgetUUID = '7f2504e0-4f89-11d3-9a0c-0305e82c3301'
    const entity = {
      BudgetUUID,
      ControllingArea: 'A000',
      CostCenter: '10101001',
      FiscalYear: 2026,
      PlannedAmount: '12345678901234567890.125',
      DocumentCount: '9007199254740993',
      IsReleased: true,
      LastChangeDateTime: '2026-11-21T09:00:00Z',
      ClosingTime: '18:30:00',
    }
    const created = await send(version, { create: { set: budgets[version] } }, messageOf(JSON.stringify(entity)))
    expect(created.terms?.[0]).toContain(BudgetUUID)
    const read = await send(version, { read: { set: budgets[version], key: { BudgetUUID } } })
    expect(bodyOf(read)).toMatchObject({
      ...entity,
      LastChangeDateTime: expect.stringMatching(/^2026-11-21T09:00:00(\.000)?Z?$/),
    })
  })

  test('create, update, upsert and delete, with a CSRF token that is fetched once', async () => {
    const key = { ...costCentreKey(0), CostCenter: 'NEW1' }
    const message = messageOf(JSON.stringify({ ...key, CompanyCode: '1010', Department: 'Sales' }))
    const effect = effectOf(message)
    const create = await open(version, { create: { set } })
    const created = await create.deliver(message, effect)
    expect(effect.intents).toEqual(['intended'])
    expect(bodyOf(created)).toMatchObject({ CostCenter: 'NEW1', '@odata.etag': expect.stringContaining('SADL') })
    await create.deliver(messageOf(JSON.stringify({ ...key, CostCenter: 'NEW2' })), effectOf(message))
    // The first change is refused without a token, fetches it, and all others use it.
    expect(asked()).toEqual(['POST 403', 'GET 200', 'POST 201', 'POST 201'])

    const body = { Department: '${message.body.to}' }
    const changed = messageOf('{"to":"Finance"}')
    await send(
      version,
      { update: { set, key, body, etag: '${message.etag}' } },
      { ...changed, attributes: { etag: created.fields?.['etag'] ?? '' } },
    )
    const read = { set, key, select: ['Department'] }
    expect(bodyOf(await send(version, { read }))).toMatchObject({ Department: 'Finance' })

    const upsert = (CostCenter: string) => ({
      upsert: { set, key: { ...key, CostCenter }, body: { Department: 'Upsert' } },
    })
    expect((await send(version, upsert('NEW1'))).summary).toMatch(/^updated /)
    expect((await send(version, upsert('NEW3'))).summary).toMatch(/^created /)
    expect(twin.count('A_CostCenter')).toBe(253)

    const remove = (missing: string) => ({ delete: { set, key, etag: 'current', missing } })
    await send(version, { delete: { set, key, etag: '*' } })
    expect(twin.count('A_CostCenter')).toBe(252)
    expect((await send(version, remove('ok'))).summary).toMatch(/is not there any more/)
    expect(await failureOf(send(version, remove('fail')))).toMatchObject({ code: 'ODATA_NOT_FOUND' })
  })

  test('an entity that somebody else changed is not overwritten, unless the flow says so', async () => {
    const key = costCentreKey(4)
    const { fields } = await send(version, { read: { set, key } })
    const update = (etag: string | undefined) => ({
      update: { set, key, body: { Department: 'X' }, ...(etag && { etag }) },
    })
    await send(version, update('current'))
    const stale = messageOf('{}', { attributes: { etag: fields?.['etag'] ?? '' } })
    const refused = await failureOf(send(version, update('${message.etag}'), stale))
    expect(refused).toMatchObject({ code: 'ODATA_CHANGED_MEANWHILE', retry: 'never' })
    expect(refused.message).toContain('changed by another user')
    expect(await failureOf(send(version, update(undefined)))).toMatchObject({ code: 'ODATA_ETAG_WANTED' })
  })

  test('functions and actions', async () => {
    const count = await send(version, { call: { name: 'CountCostCenters', parameters: { CompanyCode: '1710' } } })
    expect(Number(bodyOf(count))).toBe(125)
    const call =
      version === 'v2'
        ? { name: 'BlockCostCenter', parameters: costCentreKey(1) }
        : { name: 'Block', on: { set, key: costCentreKey(1) }, parameters: {} }
    if (version === 'v2') {
      const blocked = await send(version, { call })
      expect(bodyOf(blocked)).toMatchObject({ IsBlkdForPrimaryCostsPosting: 'X' })
    } else {
      // An action on an entity that has states wants to be told which one is meant, as in RAP.
      expect(await failureOf(send(version, { call }))).toMatchObject({ code: 'ODATA_ETAG_WANTED' })
      const old = await failureOf(send(version, { call: { ...call, etag: 'W/"\'SADL-000000009999\'"' } }))
      expect(old).toMatchObject({ code: 'ODATA_CHANGED_MEANWHILE', retry: 'never' })
      const blocked = await send(version, { call: { ...call, etag: 'current' } })
      expect(bodyOf(blocked)).toMatchObject({ IsBlkdForPrimaryCostsPosting: 'X' })
    }
  })

  test.each(version === 'v4' ? ['multipart', 'json'] : ['multipart'])(
    'changes of a batch are done together or not at all (%s)',
    async form => {
      const key = (CostCenter: string) => ({ ...costCentreKey(0), CostCenter })
      const create = { create: { set, body: [key('B1'), { ...key('B2'), CityName: "L'Aquila" }] } }
      const rename = { update: { set, key: costCentreKey(1), body: { Department: 'Sales 2' }, etag: 'current' } }
      const before = twin.count('A_CostCenter')
      const changes = [create, rename, { delete: { set, key: costCentreKey(2), etag: '*' } }]
      const receipt = await send(version, { batch: { changes, form } })
      expect(receipt.fields).toEqual({ changes: 4 })
      expect(receipt.summary).toMatch(/created \w+, created \w+, updated .*, deleted .* together at 127\.0\.0\.1/)
      expect(bodyOf(receipt).value).toMatchObject([{ CostCenter: 'B1' }, { CityName: "L'Aquila" }, {}, {}])
      expect(twin.count('A_CostCenter')).toBe(before + 1)
      expect(bodyOf(await send(version, { read: { set, key: costCentreKey(1) } }))).toMatchObject({
        Department: 'Sales 2',
      })

      const again = [{ create: { set, body: key('B3') } }, { create: { set, body: key('B1') } }]
      const failure = await failureOf(send(version, { batch: { changes: again, form } }))
      expect(failure).toMatchObject({ retry: 'never', side: 'receiver' })
      expect(failure.message).toContain('already exists')
      const old = { update: { set, key: costCentreKey(3), body: { Department: 'x' }, etag: 'W/"old"' } }
      const late = [{ create: { set, body: key('B4') } }, old]
      expect(await failureOf(send(version, { batch: { changes: late, form } }))).toMatchObject({
        code: 'ODATA_CHANGED_MEANWHILE',
      })
      expect(twin.count('A_CostCenter')).toBe(before + 1)
    },
  )

  test('a batch whose answer never came is not sent again, unless all of it may be done twice', async () => {
    const create = { batch: { changes: [{ create: { set, body: { ...costCentreKey(0), CostCenter: 'B1' } } }] } }
    const message = messageOf('{}')
    const inDoubt = await failureOf(send(version, create, message, { isUnknown: true }))
    expect(inDoubt).toMatchObject({ code: 'ODATA_OUTCOME_UNKNOWN', retry: 'never' })
    const rename = { update: { set, key: costCentreKey(1), body: { Department: 'Sales 2' }, etag: 'current' } }
    const receipt = await send(version, { batch: { changes: [rename] } }, message, { isUnknown: true })
    expect(receipt.fields).toEqual({ changes: 1 })
  })

  test('names that the service does not have are said before anything is sent', async () => {
    const wrong: readonly [object, RegExp][] = [
      [{ query: { set: 'A_CostCentre' } }, /no entity set A_CostCentre/],
      [{ query: { set, select: ['Departement'] } }, /no property Departement/],
      [{ query: { set, orderby: ['Nothing desc'] } }, /no property Nothing/],
      [{ query: { set, expand: ['Texts'] } }, /no navigation property Texts/],
      [{ query: { set, filter: 'companycode eq ${message.id}' } }, /no property companycode \(there is CompanyCode\)/],
      [{ read: { set, key: { CostCenter: '1' } } }, /ControllingArea, CostCenter, ValidityEndDate/],
      [{ create: { set, body: { Departmint: 'x' } } }, /no property Departmint/],
      [{ call: { name: 'Nothing' } }, /no function or action Nothing/],
    ]
    for (const [config, reason] of wrong) {
      const error = await failureOf(send(version, config))
      expect(error.message).toMatch(reason)
      expect(error.code).toMatch(/^ODATA_(NAME_UNKNOWN|KEY_INCOMPLETE)$/)
    }
    expect(asked()).toEqual([])
  })

  test('values that do not fit are refused with the name of the property', async () => {
    const wrong: readonly [object, RegExp][] = [
      [{ read: { set, key: { ...costCentreKey(0), ValidityEndDate: '31.12.9999' } } }, /ValidityEndDate does not fit/],
      [{ read: { set, key: { ...costCentreKey(0), CostCenter: 4711 } } }, /CostCenter does not fit Edm.String/],
      [{ read: { set: budgets[version], key: { BudgetUUID: 'x' } } }, /BudgetUUID does not fit Edm.Guid/],
      [{ create: { set: budgets[version], body: { PlannedAmount: '1,5' } } }, /PlannedAmount does not fit Edm.Decimal/],
    ]
    for (const [config, reason] of wrong) {
      expect((await failureOf(send(version, config))).message).toMatch(reason)
    }
  })

  test('what the service says stands in the error', async () => {
    const create = { create: { set, body: { ...costCentreKey(0) } } }
    const error = await failureOf(send(version, create))
    expect(error).toMatchObject({ code: 'ODATA_REFUSED', side: 'receiver', retry: 'never', fields: { code: 'KS/105' } })
    expect(error.message).toContain('already exists')
    twin.setFaults({ busy: { retryAfterS: 7 } })
    expect(await failureOf(send(version, { query: { set, top: 1 }, metadata: 'none' }))).toMatchObject({
      code: 'ODATA_BUSY',
      retry: 'soon',
      retryAfterMs: 7000,
    })
    twin.setFaults({ busy: { status: 429 } })
    expect(await failureOf(send(version, { query: { set, top: 1 }, metadata: 'none' }))).toMatchObject({
      code: 'ODATA_BUSY',
    })
    twin.setFaults({ fail: { status: 500, message: 'Dump in CL_COST' } })
    const failed = await failureOf(send(version, { query: { set, top: 1 }, metadata: 'none' }))
    expect(failed).toMatchObject({ code: 'ODATA_SERVER_FAILED', retry: 'soon' })
    expect(failed.message).toContain('Dump in CL_COST')
  })

  test('a session that is over is opened again in the middle of the work', async () => {
    const receiver = await open(version, { create: { set } })
    const create = (CostCenter: string) => {
      const message = messageOf(JSON.stringify({ ...costCentreKey(0), CostCenter }))
      return receiver.deliver(message, effectOf(message))
    }
    await create('S1')
    twin.setFaults({ forgetSessions: true })
    await create('S2')
    expect(asked()).toEqual(['POST 403', 'GET 200', 'POST 201', 'POST 403', 'GET 200', 'POST 201'])
  })

  test('many changes at the same time share one CSRF token', async () => {
    const receiver = await open(version, { create: { set } })
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => {
        const message = messageOf(JSON.stringify({ ...costCentreKey(0), CostCenter: `P${index}` }))
        return receiver.deliver(message, effectOf(message))
      }),
    )
    expect(twin.count('A_CostCenter')).toBe(270)
    expect(asked().filter(line => line === 'GET 200')).toHaveLength(1)
  })

  test('a session that is over while many changes are under way is opened again, and each of them goes through', async () => {
    const key = { ...costCentreKey(0), CostCenter: '${message.centre}' }
    const update = { set, key, etag: 'current', body: { Department: 'X' } }
    const receiver = await open(version, { update })
    const change = (index: number) => {
      const message = messageOf('{}', { attributes: { centre: costCentreKey(2 * index)['CostCenter'] ?? '' } })
      return receiver.deliver(message, effectOf(message))
    }
    await change(0)
    for (let round = 0; round < 3; round += 1) {
      // Each of them asks for the state first, and gets the cookie of another new session with it.
      twin.setFaults({ forgetSessions: true })
      await Promise.all(Array.from({ length: 16 }, (_, index) => change(index)))
    }
    expect(asked().filter(line => line.startsWith('PATCH 2') || line.startsWith('MERGE 2'))).toHaveLength(49)
  })

  test('a create whose answer is lost is not sent a second time', async () => {
    const message = messageOf(JSON.stringify({ ...costCentreKey(0), CostCenter: 'LOST' }))
    const receiver = await open(version, { create: { set } })
    await receiver.deliver(messageOf(JSON.stringify({ ...costCentreKey(0), CostCenter: 'FIRST' })), effectOf(message))
    twin.setFaults({ dropAfter: {} })
    const lost = await failureOf(receiver.deliver(message, effectOf(message)))
    expect(lost).toMatchObject({ code: 'ODATA_OUTCOME_UNKNOWN', retry: 'never', isOutcomeUnknown: true })
    expect(await failureOf(receiver.deliver(message, effectOf(message, { isUnknown: true })))).toMatchObject({
      code: 'ODATA_OUTCOME_UNKNOWN',
    })
    expect(twin.count('A_CostCenter')).toBe(252)
    // A gateway that has waited in vain, or got no valid answer, knows no more than that.
    for (const status of [502, 504]) {
      twin.setFaults({ fail: { times: 1, status } })
      expect(await failureOf(receiver.deliver(message, effectOf(message)))).toMatchObject({
        code: 'ODATA_OUTCOME_UNKNOWN',
        retry: 'never',
      })
    }
  })

  test('check proves line, log-in and service', async () => {
    const good = await (await open(version, { query: { set } })).check()
    expect(good).toMatchObject({ ok: true, detail: expect.stringContaining(`offers ${set}`) })
    const wrongSet = await (await open(version, { query: { set: 'A_Nothing' } })).check()
    expect(wrongSet).toMatchObject({ ok: false, error: { code: 'ODATA_NAME_UNKNOWN' } })
    const wrongUser = await open(version, { query: { set } }, async () => ({ kind: 'basic', user: 'X', password: 'Y' }))
    expect(await wrongUser.check()).toMatchObject({
      ok: false,
      error: { code: 'ODATA_LOGIN_REFUSED', retry: 'after-change' },
    })
  })
})

test('JSON of more lists and groups than memory has room for is refused before it is read', async () => {
  const body = messageOf(`[${'{},'.repeat(500_000)}{}]`)
  const failure = await failureOf(send('v4', { create: { set: budgets.v4 } }, body))
  expect(failure).toMatchObject({ code: 'BODY_NOT_TEXT', message: expect.stringContaining('lists and groups') })
})

describe('log-in', () => {
  const query = { query: { set: 'A_CostCenter', top: 1 } }
  const message = messageOf('{}')

  test('a token that is refused is renewed once, and a session of the old one is not carried over', async () => {
    const tokens: string[] = []
    const credential: CredentialLookup = async () => ({
      kind: 'oauth2',
      user: undefined,
      async token(refused) {
        if (tokens.length === 0 || tokens.at(-1) === refused) tokens.push(await fetchToken())
        return { value: tokens.at(-1) ?? '', expiresAt: 0 }
      },
    })
    const receiver = await open(
      'v2',
      { create: { set: 'A_CostCenter', body: { ...costCentreKey(0), CostCenter: '${message.body.id}' } } },
      credential,
    )
    const create = (id: string) =>
      receiver.deliver(
        messageOf(JSON.stringify({ id })),
        effectOf(messageOf(JSON.stringify({ id })), {
          scope: { ...effectOf(message).scope, message: messageOf(JSON.stringify({ id })) },
        }),
      )
    await create('T1')
    twin.setFaults({ refuseTokens: true })
    await create('T2')
    expect(tokens).toHaveLength(2)
    expect(twin.count('A_CostCenter')).toBe(252)
  })

  test('a changed password acts at the next request', async () => {
    let password = 'wrong'
    const receiver = await open('v2', query, async () => ({ kind: 'basic', user: 'ISTHMUS', password }))
    expect(await failureOf(receiver.deliver(message, effectOf(message)))).toMatchObject({ code: 'ODATA_LOGIN_REFUSED' })
    password = 'Welcome-1-Hub'
    expect((await receiver.deliver(message, effectOf(message))).summary).toMatch(/^1 of/)
  })

  test('known hosts are no log-in', async () => {
    const receiver = await open('v2', query, async () => ({ kind: 'known-hosts', knownHosts: '' }))
    expect(await failureOf(receiver.deliver(message, effectOf(message)))).toMatchObject({
      code: 'ODATA_CREDENTIAL_UNFIT',
    })
  })

  async function fetchToken(): Promise<string> {
    const body = new URLSearchParams({ grant_type: 'client_credentials' })
    const pair = Buffer.from(`${s4Client.clientId}:${s4Client.clientSecret}`).toString('base64')
    const answer = await fetch(twin.tokenUrl, { method: 'POST', body, headers: { authorization: `Basic ${pair}` } })
    return ((await answer.json()) as { access_token: string }).access_token
  }
})

test('a client certificate is shown in the handshake, and another one acts at the next request', async () => {
  const server = await makeTwinCertificate()
  const [one, other] = [await makeTwinCertificate(['hub-1']), await makeTwinCertificate(['hub-2'])]
  const fingerprint = (pem: string) => new X509Certificate(pem).fingerprint256
  const options: S4ODataOptions = {
    tls: { cert: server.cert, key: server.key, ca: `${one.ca}${other.ca}` },
    callers: { certificates: { [fingerprint(one.cert)]: 'HUB1', [fingerprint(other.cert)]: 'HUB2' } },
  }
  const secure = await startS4OData(options)
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-odata-'))
  await writeFile(join(folder, 'ca.pem'), server.ca)
  let shown = one
  const config = {
    url: secure.services.v2,
    version: 'v2',
    auth: 'client',
    ca: 'ca.pem',
    query: { set: 'A_CostCenter', top: 1 },
  }
  const credential: CredentialLookup = async () => ({
    kind: 'certificate',
    certificate: shown.cert,
    privateKey: shown.key,
  })
  const receiver = await odata.open({ ...odataContext(config, credential), folder })
  const message = messageOf('{}')
  try {
    await receiver.deliver(message, effectOf(message))
    expect(secure.logIns.at(-1)).toBe('certificate HUB1')
    shown = other
    await receiver.deliver(message, effectOf(message))
    expect(secure.logIns.at(-1)).toBe('certificate HUB2')
    shown = await makeTwinCertificate(['stranger'])
    expect(await failureOf(receiver.deliver(message, effectOf(message)))).toMatchObject({ code: 'ODATA_LOGIN_REFUSED' })
  } finally {
    await receiver.close()
    await secure.stop()
    await rm(folder, { recursive: true })
  }
})

test('fields of the query go with every request, the pages and the token among them', async () => {
  const parameters = { 'sap-client': '100' }
  await send('v2', { parameters, query: { set: 'A_CostCenter' } })
  await send('v2', { parameters, create: { set: 'A_CostCenter', body: { ...costCentreKey(0), CostCenter: 'C1' } } })
  expect(twin.requests.filter(({ url }) => !url.includes('sap-client=100'))).toEqual([])
})

test('without $metadata the flow says the types that matter', async () => {
  const config = { metadata: 'none', types: { BudgetUUID: 'Edm.Guid' } }
  const BudgetUUID = '00000000-0000-4000-8000-000000000003'
  const { value } = bodyOf(
    await send(
      'v4',
      { ...config, query: { set: 'CostCenterBudget', filter: 'BudgetUUID eq ${message.id}' } },
      { ...messageOf('{}'), id: BudgetUUID },
    ),
  )
  expect(value).toMatchObject([{ BudgetUUID, PlannedAmount: '123456789012345673.125' }])
  const read = await send('v2', { ...config, read: { set: 'A_CostCenterBudget', key: { BudgetUUID } } })
  expect(bodyOf(read)).toMatchObject({ PlannedAmount: '123456789012345673.125', DocumentCount: '9007199254740996' })
  expect(twin.requests.some(({ url }) => url.includes('$metadata'))).toBe(false)
})

const mistakes: readonly [object, RegExp][] = [
  [{}, /say what to do/],
  [{ query: { set: 'A' }, create: { set: 'A' } }, /one thing at a time/],
  [{ query: { set: "A'B" } }, /a name of the service/],
  [{ query: { set: 'A', filter: "X eq '${message.id}'" } }, /inside quotes/],
  [{ read: { set: 'A', key: {} } }, /at least one/],
  [{ url: 'https://user:pw@s4.example/x', query: { set: 'A' } }, /no user/],
  [{ url: 'https://s4.example/x?sap-client=1', query: { set: 'A' } }, /no user, query/],
  [{ url: 'file:///etc/passwd', query: { set: 'A' } }, /url/i],
  [{ url: 'http://s4.example/x', auth: 'u', query: { set: 'A' } }, /everybody on the way/],
  [{ version: 'v4', update: { set: 'A', key: { a: '1' }, method: 'MERGE' } }, /no MERGE/],
  [{ version: 'v2', batch: { changes: [{ create: { set: 'A' } }], form: 'json' } }, /no batch in JSON/],
  [
    { version: 'v4', batch: { changes: [{ create: { set: 'A' }, delete: { set: 'A', key: { a: '1' } } }] } },
    /one change/,
  ],
  [{ version: 'v4', call: { name: 'F', etag: 'current' } }, /on names with its key/],
  [{ version: 'v2', call: { name: 'F', on: { set: 'A' } } }, /no bound/],
  [{ query: { set: 'A', top: -1 } }, /top/],
  [{ query: { set: 'A', select: ['a&$filter=1'] } }, /property of the service/],
]
test.each(mistakes)('a document with %j is refused', (config, reason) => {
  const whole = { url: 'https://s4.example/service', version: 'v2', ...config }
  expect(JSON.stringify(odataConfig.safeParse(whole).error?.issues)).toMatch(reason)
})
