import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { writeIdocs } from '../../src/protocols/idoc/write-idoc.ts'
import { currentStatus } from '../../src/twins/s4-ale/idoc-database.ts'
import { createCustomer, createMaterial } from '../../src/twins/s4-ale/seed.ts'
import { type ExampleWorld, startExample } from './landscape-world.ts'

// Whole hubs and three twins over sockets: on a busy machine a story takes its time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let world: ExampleWorld

beforeAll(async () => {
  world = await startExample(['s4-customers', 's4-addresses', 's4-materials', 's4-customer-stock', 's4-idoc-answers'])
})
afterAll(() => world.close())

/** The last status of every IDoc that SAP sent of this type. */
const statuses = (messageType: string) =>
  world.s4
    .idocs()
    .filter(idoc => idoc.direction === 'out' && idoc.messageType === messageType)
    .map(idoc => idoc.statuses.at(-1)?.status)
const arrive = async (messageType: string, wanted: readonly string[]) =>
  await expect.poll(() => statuses(messageType), { timeout: 40_000 }).toEqual(wanted)

async function changed(): Promise<void> {
  world.s4.runChangePointers()
  world.s4.runStockReport()
  await world.s4.dispatch()
}

test('a new customer becomes an account with its address, and SAP is told', async () => {
  createCustomer(world.s4.data, '1001', { name: 'Müller & Söhne' })
  await changed()
  await arrive('DEBMAS', ['41'])
  await arrive('ADRMAS', ['41'])
  const [account, ...others] = world.dynamics.records('account')
  expect(others).toEqual([])
  expect(account).toMatchObject({
    accountnumber: '1001',
    name: 'Müller & Söhne',
    address1_line1: 'Zeil 1a',
    emailaddress1: 'einkauf@1001.example',
    industrycode: 12,
    customertypecode: 3,
    address1_country: 'Germany',
    address1_stateorprovince: 'Hesse',
  })
  const [idoc] = world.s4.idocs()
  expect(idoc?.statuses.map(({ status }) => status)).toEqual(['01', '30', '03', '12', '39', '41'])
  expect(idoc?.statuses.at(-1)?.text).toBe('Object 1001')
})

test('a new material becomes a product; a change of its weight changes the weight and nothing else, one of another language nothing', async () => {
  createMaterial(world.s4.data, '4711', { name: 'Pump' })
  await changed()
  await arrive('MATMAS', ['41'])
  const product = () => world.dynamics.records('product')[0]
  const before = product()
  expect(before).toMatchObject({ productnumber: '4711', name: 'Pump', stockweight: 4.666, standardcost: 141.25 })
  world.s4.data.change('MARA', { MATNR: '4711' }, { NTGEW: '5' })
  await changed()
  await arrive('MATMAS', ['41', '41'])
  expect(product()).toEqual({ ...before, stockweight: 5, modifiedon: expect.any(String) })
  // The IDoc has the German text only, and that is no reason to give up the English name.
  world.s4.data.change('MAKT', { MATNR: '4711', SPRAS: 'D' }, { MAKTX: 'Pumpe' })
  await changed()
  await arrive('MATMAS', ['41', '41', '41'])
  expect(product()).toMatchObject({ name: 'Pump', stockweight: 5 })
})

test('the stock of a customer becomes inventory of product and account, also for a material with a slash', async () => {
  createMaterial(world.s4.data, 'BAR303/00', { name: 'Bar' })
  world.s4.data.create('MSKU', {
    MATNR: 'BAR303/00',
    WERKS: '1710',
    SOBKZ: 'W',
    KUNNR: '1001',
    KULAB: '1250.500',
    KUEIN: '12.000-',
    MEINS: 'KGM',
  })
  await changed()
  await arrive('ZCUSTSTOCK', ['41'])
  expect(world.dynamics.records('new_inventory')).toEqual([
    expect.objectContaining({
      new_sapkey: 'BAR303_2F00-1710-W-1001',
      new_quantity: 1250.5,
      new_restricted: -12,
      new_specialstock: 1,
    }),
  ])
})

test('the stock of a plant becomes inventory of the product, of no customer', async () => {
  const text = readFileSync(join(import.meta.dirname, 'samples/loistd01.xml'), 'utf8')
  const { user, password } = world.user()
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const headers = { 'content-type': 'application/x-sap.idoc', authorization }
  const answer = await fetch(`${world.endpointsUrl}/s4/customer-stock`, { method: 'POST', headers, body: text })
  expect(answer.status).toBe(200)
  const stock = () => world.dynamics.records('new_inventory').find(each => each['new_sapkey'] === 'BAR303_2F00-1710')
  await expect
    .poll(stock, { timeout: 40_000 })
    .toMatchObject({ new_quantity: 12.5, new_blocked: 2, new_consignment: -3 })
  expect(stock()?.['_new_account_value'] ?? null).toBeNull()
})

describe('a customer that Dynamics 365 does not take', () => {
  test('is refused with the field, its value and the rule; others go on; once corrected it arrives', async () => {
    const { data } = world.s4
    createCustomer(data, '1002', { name: 'Adatum', industry: 'XXXX' })
    createCustomer(data, '1003', { name: 'Fabrikam' })
    await changed()
    await arrive('DEBMAS', ['41', '40', '41'])
    const refused = world.s4.idocs().find(idoc => idoc.objectId === '0000001002' && idoc.messageType === 'DEBMAS')
    expect(refused?.statuses.at(-1)?.text).toMatch(/industrycode \(E1KNA1M\/BRSCH.*"XXXX"/)
    const accounts = () => world.dynamics.records('account').filter(({ name }) => name !== undefined && name !== null)
    expect(accounts().map(({ accountnumber }) => accountnumber)).toEqual(['1001', '1003'])

    data.change('KNA1', { KUNNR: '1002' }, { BRSCH: 'TRAD' })
    await changed()
    // It waits behind the one that was refused, so that none overtakes it.
    const [held] = await world.hub.store.find({ flow: 's4-customers', state: 'set-aside', limit: 1 })
    await world.hub.engine.skip(held?.id ?? '', 'corrected in SAP', 'test')
    await arrive('DEBMAS', ['41', '40', '41', '41'])
    expect(accounts().find(({ accountnumber }) => accountnumber === '1002')).toMatchObject({ industrycode: 33 })
  })

  test('keeps its addresses waiting, and no account without a name; repaired late, the newest address is that of the account', async () => {
    const { s4, hub } = world
    createCustomer(s4.data, '1004', { name: 'Northwind', industry: 'XXXX' })
    await changed()
    const debmas = () => s4.idocs().find(idoc => idoc.objectId === '0000001004' && idoc.messageType === 'DEBMAS')
    await expect.poll(() => debmas()?.statuses.at(-1)?.status, { timeout: 40_000 }).toBe('40')
    const [address] = s4.data.find('KNA1', { KUNNR: '1004' })
    s4.data.change('ADRC', { ADDRNUMBER: address?.['ADRNR'] ?? '' }, { STREET: 'Kaiserstr.', TEL_NUMBER: '069 4' })
    await changed()
    const awaited = async () =>
      (await hub.store.find({ flow: 's4-addresses', state: 'queued', limit: 9 })).map(each => each.error?.code)
    await expect.poll(awaited, { timeout: 40_000 }).toContain('DATAVERSE_RECORD_AWAITED')
    expect(world.dynamics.records('account').filter(({ accountnumber }) => accountnumber === '1004')).toEqual([])

    const sent = debmas()?.idoc
    const repaired = writeIdocs(sent ? [sent] : []).replace('<BRSCH>XXXX<', '<BRSCH>TRAD<')
    const [held] = await hub.store.find({ flow: 's4-customers', state: 'set-aside', limit: 2 })
    await hub.engine.repair(held?.id ?? '', { body: Buffer.from(repaired) }, 'test')
    await expect.poll(() => debmas()?.statuses.at(-1)?.status, { timeout: 40_000 }).toBe('41')
    await expect.poll(() => statuses('ADRMAS').every(status => status === '41'), { timeout: 40_000 }).toBe(true)
    expect(world.dynamics.records('account').find(({ accountnumber }) => accountnumber === '1004')).toMatchObject({
      name: 'Northwind',
      industrycode: 33,
      address1_line1: 'Kaiserstr. 1a',
      telephone1: '069 4',
    })
  })
})

describe('an IDoc of a material that Dynamics 365 does not take', () => {
  test('holds back its own successors and nobody else; once it is repaired they follow in their order', async () => {
    const { s4, dynamics, hub } = world
    const before = dynamics.requests.length
    const weigh = (number: string, weight: string) => {
      s4.data.change('MARA', { MATNR: number }, { NTGEW: weight })
      return s4.runChangePointers('MATMAS')[0]?.docnum ?? ''
    }
    createMaterial(s4.data, '4720', { name: 'Valve' })
    s4.data.change('MARA', { MATNR: '4720' }, { MTART: 'ZZZZ' })
    const [first = ''] = s4.runChangePointers('MATMAS').map(({ docnum }) => docnum)
    s4.data.change('MARA', { MATNR: '4720' }, { MTART: 'FERT' })
    const followers = ['11', '12', '13'].map(weight => weigh('4720', weight))
    createMaterial(s4.data, '4721', { name: 'Tap' })
    const [other = ''] = s4.runChangePointers('MATMAS').map(({ docnum }) => docnum)
    await s4.dispatch()
    const told = (docnum: string) => s4.statusOf(docnum)
    await expect.poll(() => [told(first), told(other)], { timeout: 40_000 }).toEqual(['40', '41'])
    await expect.poll(() => followers.map(told), { timeout: 40_000 }).toEqual(['39', '39', '39'])
    const weights = () =>
      dynamics.requests
        .slice(before)
        .filter(
          ({ method, url, status }) =>
            method === 'PATCH' && url.includes('/products(') && url.includes('4720') && status < 300,
        )
        .map(({ body }) => (JSON.parse(body) as { stockweight: number }).stockweight)
    expect(weights()).toEqual([])

    const [held] = await hub.store.find({ flow: 's4-materials', state: 'set-aside', limit: 2 })
    expect((await hub.store.get(held?.id ?? ''))?.attributes['docnum']).toBe(first)
    const sent = s4.idocs().find(({ docnum }) => docnum === first)?.idoc
    const repaired = writeIdocs(sent ? [sent] : []).replace('<MTART>ZZZZ<', '<MTART>FERT<')
    await hub.engine.repair(held?.id ?? '', { body: Buffer.from(repaired) }, 'test')
    await expect.poll(() => [first, ...followers].map(told), { timeout: 40_000 }).toEqual(['41', '41', '41', '41'])
    expect(weights()).toEqual([4.666, 11, 12, 13])
  })
})

test('what leaves twice, after an answer that got lost, is applied once', async () => {
  const { s4, dynamics } = world
  const before = dynamics.requests.length
  s4.data.change('KNA1', { KUNNR: '1003' }, { TELF1: '0815' })
  s4.runChangePointers()
  s4.setFaults({ hangUp: { times: 1 } })
  await s4.dispatch()
  await s4.dispatchAgain()
  await arrive('DEBMAS', ['41', '40', '41', '41', '41', '41'])
  expect(dynamics.requests.slice(before).filter(({ method }) => method === 'PATCH')).toHaveLength(1)
})

test('the address of a supplier is refused, though a customer has the same number', async () => {
  const { s4, dynamics, hub } = world
  const account = () => dynamics.records('account').find(({ accountnumber }) => accountnumber === '1001')
  const before = account()
  const own = s4.idocs().find(({ messageType }) => messageType === 'ADRMAS')?.idoc
  const number = '0000000099000001'
  const control = new Map([...(own?.control ?? []), ['DOCNUM', number]])
  const text = writeIdocs(own ? [{ ...own, control }] : [])
    .replace('>KNA1<', '>LFA1<')
    .replace('>Zeil<', '>Hafen<')
  const { user, password } = world.user()
  const answer = await fetch(`${world.endpointsUrl}/s4/addresses`, {
    method: 'POST',
    headers: {
      'content-type': 'text/xml',
      authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
    },
    body: text,
  })
  expect(answer.status).toBe(200)
  const found = async () => (await hub.store.find({ flow: 's4-addresses', term: number, limit: 1 }))[0]
  await expect.poll(async () => (await found())?.state, { timeout: 40_000 }).toBe('rejected')
  expect((await found())?.summary).toMatch(/LFA1\/1001; put a filter on OBJ_TYPE/)
  expect(account()).toEqual(before)
  // Those of the customer still arrive.
  s4.data.change('ADRC', { ADDRNUMBER: '21001' }, { TEL_NUMBER: '069 9' })
  await changed()
  await expect.poll(() => account()?.['telephone1'], { timeout: 40_000 }).toBe('069 9')
})

test('a telephone number and a mail address that SAP has no more go from the account, too', async () => {
  const account = () => world.dynamics.records('account').find(({ accountnumber }) => accountnumber === '1001')
  expect(account()).toMatchObject({ emailaddress1: 'einkauf@1001.example' })
  world.s4.data.change('ADRC', { ADDRNUMBER: '21001' }, { TEL_NUMBER: '', SMTP_ADDR: '', CITY1: 'Mainz' })
  await changed()
  await expect.poll(account, { timeout: 40_000 }).toMatchObject({ address1_city: 'Mainz' })
  expect(account()).toMatchObject({ emailaddress1: null, telephone1: null })
})

test('while Dynamics 365 asks for patience nothing is lost and nothing fails', async () => {
  const { s4, dynamics } = world
  dynamics.setFaults({ throttle: { times: 6, retryAfterS: 1 } })
  for (const number of ['1', '2', '3', '4', '5', '6', '7', '8']) {
    createMaterial(s4.data, `99${number}`, { name: `Part ${number}` })
  }
  await changed()
  await expect.poll(() => statuses('MATMAS').every(status => status === '41'), { timeout: 40_000 }).toBe(true)
  expect(dynamics.records('product')).toHaveLength(12)
})

test('while S/4HANA does not listen its answers wait, and one that it got without saying so changes nothing twice', async () => {
  const { s4 } = world
  s4.data.change('KNA1', { KUNNR: '1003' }, { TELF1: '0816' })
  s4.setFaults({ busy: { times: 1, retryAfterS: 1 }, dropAfter: { times: 1 } })
  await changed()
  await expect.poll(() => statuses('DEBMAS').at(-1), { timeout: 40_000 }).toBe('41')
  expect(s4.answered.filter(line => line.endsWith('503'))).toHaveLength(1)
})

test('a change that comes before the new material makes the product with its unit, and the whole material completes it', async () => {
  // It must not wait for the unit: whoever brings that comes after it, and waits for it.
  const { s4, dynamics } = world
  createMaterial(s4.data, '4811', { name: 'Valve' })
  s4.runChangePointers('MATMAS')
  s4.data.change('MARA', { MATNR: '4811' }, { NTGEW: '3' })
  s4.data.change('MAKT', { MATNR: '4811', SPRAS: 'E' }, { MAKTX: 'Ball valve' })
  s4.runChangePointers('MATMAS')
  s4.setPort('MATMAS', {
    destination: { url: `${world.endpointsUrl}/s4/materials`, user: world.user() },
    contentType: 'application/x-sap.idoc',
  })
  s4.setFaults({ reversed: { times: 1 } })
  await s4.dispatch()
  await expect.poll(() => statuses('MATMAS').slice(-3), { timeout: 40_000 }).toEqual(['40', '41', '30'])
  await s4.dispatch()
  const product = () => dynamics.records('product').find(({ productnumber }) => productnumber === '4811')
  await expect.poll(product, { timeout: 40_000 }).toMatchObject({ name: 'Ball valve', stockweight: 3 })
  expect(product()).toHaveProperty('producttypecode', 1)
})

test('an older IDoc that comes after a newer one changes nothing; SAP is told why, and asked for the whole object', async () => {
  const { s4, dynamics } = world
  s4.data.change('MAKT', { MATNR: '4711', SPRAS: 'E' }, { MAKTX: 'Pump, new' })
  s4.runChangePointers()
  s4.data.change('MARA', { MATNR: '4711' }, { NTGEW: '7' })
  s4.runChangePointers()
  s4.setPort('MATMAS', {
    destination: { url: `${world.endpointsUrl}/s4/materials`, user: world.user() },
    contentType: 'application/x-sap.idoc',
  })
  s4.setFaults({ reversed: { times: 1 } })
  await s4.dispatch()
  const product = () => dynamics.records('product').find(({ productnumber }) => productnumber === '4711')
  // The one that was overtaken had the new name, and the newer one only the weight.
  await expect.poll(() => statuses('MATMAS').slice(-3), { timeout: 40_000 }).toEqual(['40', '41', '30'])
  expect(product()).toMatchObject({ name: 'Pump', stockweight: 7 })
  const overtaken = s4.idocs().findLast(idoc => idoc.messageType === 'MATMAS' && currentStatus(idoc) === '40')
  expect(overtaken?.statuses.at(-1)?.text).toMatch(/^superseded: \d{16} of MATMAS.* was asked for \(ALEREQ01\)$/)
  await s4.dispatch()
  await expect.poll(product, { timeout: 40_000 }).toMatchObject({ name: 'Pump, new', stockweight: 7 })
  const request = s4.idocs().find(({ idoc }) => idoc.type === 'ALEREQ01')
  expect(request).toMatchObject({ messageType: 'MATFET', direction: 'in' })
  expect(request && currentStatus(request)).toBe('53')
})

test('a service has neither weight nor volume, and no unit for them', async () => {
  createMaterial(world.s4.data, 'SERVICE', { name: 'Inspection' })
  world.s4.data.change('MARA', { MATNR: 'SERVICE' }, { NTGEW: '0.000', BRGEW: '0.000', GEWEI: '' })
  world.s4.data.change('MARA', { MATNR: 'SERVICE' }, { VOLUM: '0.000', VOLEH: '' })
  await changed()
  const service = () => world.dynamics.records('product').find(({ productnumber }) => productnumber === 'SERVICE')
  await expect.poll(service, { timeout: 40_000 }).toMatchObject({ name: 'Inspection', stockweight: 0, stockvolume: 0 })
})

test('a block, a flag for deletion and a number that SAP takes away again go from the account, too', async () => {
  const account = () => world.dynamics.records('account')[0]
  const change = async (values: Readonly<Record<string, string>>) => {
    const told = statuses('DEBMAS')
    world.s4.data.change('KNA1', { KUNNR: '1001' }, values)
    await changed()
    await expect.poll(() => statuses('DEBMAS'), { timeout: 40_000 }).toEqual([...told, '41'])
  }
  await change({ LIFSD: '01', LOEVM: 'X', STCEG: 'DE987654321' })
  expect(account()).toMatchObject({ new_sapblocked: true, statecode: 1, new_vatid: 'DE987654321' })
  await change({ LIFSD: '', LOEVM: '', STCEG: '' })
  expect(account()).toMatchObject({ new_sapblocked: false, statecode: 0, new_vatid: null })
})
