import { EdmV2, OData, RawString } from '@odata/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { odata } from '../../src/adapters/odata.ts'
import { odataContext } from '../../src/adapters/odata-world.ts'
import { heldBody } from '../../src/kernel/body.ts'
import { type S4ODataTwin, s4User, startS4OData } from '../../src/twins/s4-odata/s4-odata.ts'

/**
 * A client of OData that is not ours (@odata/client) against the stand-in for S/4HANA that our own is tried with, and
 * each of the two reads what the other wrote: a mistake that client and stand-in share would show here.
 */
let s4: S4ODataTwin
beforeAll(async () => {
  // It splits an answer at the letters of the outer boundary, wherever they stand.
  s4 = await startS4OData({ count: 6, hasPlainBoundaries: true })
})
afterAll(() => s4.stop())

const endOfTime = new Date('9999-12-31T00:00:00Z')
const credential = { username: s4User.user, password: s4User.password }
// What it sends itself is not enough for a server that binds CSRF tokens to a session: it keeps no cookies.
const shared = { credential, processCsrfToken: true, commonHeaders: { 'If-Match': '*' } }

function withCookies() {
  const jar = new Map<string, string>()
  return async (url: string, init: object) => {
    const given = init as Omit<RequestInit, 'headers'> & { readonly headers: Record<string, string> }
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { ...given.headers, ...(cookie !== '' && { cookie }) }
    const response = await fetch(url, { ...given, headers })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      jar.set(name, value)
    }
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
    return { content: isJson ? (JSON.parse(text) as unknown) : text, response }
  }
}

/** What our own receiver answers to one operation on the same service. */
async function ours(version: 'v2' | 'v4', operation: object): Promise<unknown> {
  const receiver = await odata.open(odataContext({ url: s4.services[version], version, auth: 's4', ...operation }))
  try {
    const message = { id: 'M1', headers: {}, attributes: {}, body: heldBody('{}', 'application/json'), acceptedAt: 0 }
    const receipt = await receiver.deliver(message, {
      key: 'k',
      attempt: 1,
      isUnknown: false,
      scope: { message, params: {}, flow: { name: 'foreign', stage: 'test' } },
      signal: new AbortController().signal,
      intend: async () => {},
      isFirst: async () => true,
      unlearn: () => {},
    })
    return JSON.parse(Buffer.from(receipt.answer?.body ?? '').toString())
  } finally {
    await receiver.close()
  }
}

/** What these tests look at. */
interface Centre {
  ControllingArea: string
  CostCenter: string
  ValidityEndDate: string
  CompanyCode: string
  CityName: string
  '@odata.etag'?: string
}

describe('V2', () => {
  const client = () =>
    OData.New({ serviceEndpoint: s4.services.v2, variant: 'sap-gateway', fetchProxy: withCookies(), ...shared })
  const keyOf = (CostCenter: string) => ({
    ControllingArea: 'A000',
    CostCenter,
    ValidityEndDate: EdmV2.DateTime.from(endOfTime),
  })
  const ourKey = (CostCenter: string) => ({ ControllingArea: 'A000', CostCenter, ValidityEndDate: '9999-12-31' })

  test('queries with filter, order, choice and expanded texts', async () => {
    const service = client()
    const options = service
      .newOptions()
      .filter(service.newFilter().property('CompanyCode').eq('1010'))
      .select(['CostCenter', 'CityName', 'to_Text/CostCenterName'])
      .expand('to_Text')
      .orderby('CostCenter', 'desc')
      .top(2)
    const found = await service.getEntitySet<Centre>('A_CostCenter').query(options)
    expect(found).toMatchObject([
      { CostCenter: '10101005', to_Text: { results: [{}, {}] } },
      { CostCenter: '10101003' },
    ])
  })

  test('creates, changes, reads and deletes with a CSRF token; ours reads what it wrote, and it what ours wrote', async () => {
    const set = client().getEntitySet<Centre>('A_CostCenter')
    const date = `/Date(${endOfTime.getTime()})/`
    await set.create({ ControllingArea: 'A000', CostCenter: '99990001', ValidityEndDate: date, CityName: "L'Aquila" })
    const read = { read: { set: 'A_CostCenter', key: ourKey('99990001') } }
    expect(await ours('v2', read)).toMatchObject({ CityName: "L'Aquila", ValidityEndDate: '9999-12-31T00:00:00' })
    await set.update(keyOf('99990001'), { CityName: 'Zürich' })
    expect(await ours('v2', read)).toMatchObject({ CityName: 'Zürich' })
    const change = { set: 'A_CostCenter', key: ourKey('99990001'), etag: 'current', body: { Department: "O'Hara & 0" } }
    await ours('v2', { update: change })
    expect(await set.retrieve(keyOf('99990001'))).toMatchObject({ CityName: 'Zürich', Department: "O'Hara & 0" })
    await set.delete(keyOf('99990001'))
    await expect(set.retrieve(keyOf('99990001'))).rejects.toThrow('Resource not found')
    expect(await ours('v2', { read: { ...read.read, missing: 'null' } })).toBeNull()
  })

  test('$batch carries a query and a change of its own making', async () => {
    // Not as for SAP: it would count the letters of "[object Object]" for the length of the change.
    const service = OData.New({ serviceEndpoint: s4.services.v2, fetchProxy: withCookies(), ...shared })
    const entity = { ...ourKey('99990002'), ValidityEndDate: `/Date(${endOfTime.getTime()})/`, CompanyCode: '1710' }
    const results = await service.execBatchRequests([
      service.newBatchRequest({
        collection: 'A_CostCenter',
        params: service.newOptions<Centre>().top(1).select(['CostCenter']),
      }),
      service.newBatchRequest({ collection: 'A_CostCenter', method: 'POST', entity }),
    ])
    expect(results.map(({ status }) => status)).toEqual([200, 201])
    expect(await results[0]?.json()).toMatchObject({ d: { results: [{ CostCenter: '10101001' }] } })
    expect(await ours('v2', { read: { set: 'A_CostCenter', key: ourKey('99990002') } })).toMatchObject({
      CompanyCode: '1710',
    })
  })

  test('a quote that it does not double is refused by the stand-in, and ours doubles it', async () => {
    const service = client()
    const filter = service.newFilter().property('CityName').eq("L'Aquila")
    await expect(
      service.getEntitySet<Centre>('A_CostCenter').query(service.newOptions().filter(filter)),
    ).rejects.toThrow('Malformed URI')
    const found = await ours('v2', { query: { set: 'A_CostCenter', filter: "CityName eq ${'L\\'Aquila'}" } })
    expect(found).toMatchObject({ value: [{ CityName: "L'Aquila" }] })
  })
})

describe('V4', () => {
  const client = () =>
    OData.New4({ serviceEndpoint: s4.services.v4, variant: 'sap-gateway', fetchProxy: withCookies(), ...shared })
  const keyOf = (CostCenter: string) => ({
    ControllingArea: 'A000',
    CostCenter,
    ValidityEndDate: RawString.from('9999-12-31'),
  })
  const ourKey = (CostCenter: string) => ({ ControllingArea: 'A000', CostCenter, ValidityEndDate: '9999-12-31' })
  const block = 'com.sap.gateway.srvd_a2x.api_costcenter.v0001.Block'

  test('creates, reads, changes, calls a bound action and deletes; ours reads what it wrote', async () => {
    const set = client().getEntitySet<Centre>('CostCenter')
    await set.create({ ...ourKey('99990003'), CompanyCode: '1010', CityName: "L'Aquila" })
    expect(await set.retrieve(keyOf('99990003'))).toMatchObject({ CityName: "L'Aquila", CompanyCode: '1010' })
    await set.update(keyOf('99990003'), { CityName: 'Graz' })
    expect(await set.action(block, keyOf('99990003'))).toMatchObject({ IsBlkdForPrimaryCostsPosting: 'X' })
    const read = { read: { set: 'CostCenter', key: ourKey('99990003') } }
    expect(await ours('v4', read)).toMatchObject({ CityName: 'Graz', IsBlkdForPrimaryCostsPosting: 'X' })
    await set.delete(keyOf('99990003'))
    expect(await ours('v4', { read: { ...read.read, missing: 'null' } })).toBeNull()
  })

  test('the state that ours names in a call of an action is the one that it read', async () => {
    const set = client().getEntitySet<Centre>('CostCenter')
    const before = await set.retrieve(keyOf('10101001'))
    const call = { name: 'Block', on: { set: 'CostCenter', key: ourKey('10101001') } }
    const etag = before['@odata.etag']
    expect(await ours('v4', { call: { ...call, etag } })).toMatchObject({ IsBlkdForPrimaryCostsPosting: 'X' })
    await expect(ours('v4', { call: { ...call, etag } })).rejects.toMatchObject({ code: 'ODATA_CHANGED_MEANWHILE' })
  })

  test.each(['multipart', 'JSON'])('$batch as %s', async form => {
    const service = client()
    const params = service.newOptions<Centre>().top(1).select(['CostCenter'])
    const requests = [service.newBatchRequest({ collection: 'CostCenter', params })]
    const [result] =
      form === 'JSON' ? await service.execBatchRequestsJson(requests) : await service.execBatchRequests(requests)
    expect(result?.status).toBe(200)
    expect(await result?.json()).toMatchObject({ value: [{ CostCenter: '10101001' }] })
  })
})
