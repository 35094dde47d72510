import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { s4Flows } from '../../src/cli/demo/s4-landscape.ts'
import { parseIdocs } from '../../src/protocols/idoc/read-idocs.ts'
import { parseXmlTree } from '../../src/protocols/xml/xml-tree.ts'
import type { Answer } from './api/answer.ts'
import { apis, isMethod, type MethodName, methods, type RecordKind, records } from './api/methods.ts'
import { type ExampleWorld, startExample } from './landscape-world.ts'

// Whole hubs and three twins over sockets: on a busy machine a story takes its time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let world: ExampleWorld

beforeAll(async () => {
  world = await startExample(s4Flows.filter(flow => flow.startsWith('crm-')))
  const { dynamics } = world
  dynamics.put('account', { accountnumber: '1001', name: 'Adatum', creditlimit: 50_000, creditonhold: false })
})
afterAll(() => world.close())

type Fields = Readonly<Record<string, string>>
/** Asks one of the fourteen methods in one of the three ways. */
type Ask = (method: MethodName, fields: Fields) => Promise<Answer>

const authorization = () => {
  const { user, password } = world.user()
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

async function post(
  method: MethodName,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Fields = { authorization: authorization() },
) {
  const { api, path } = methods[method]
  return fetch(`${world.endpointsUrl}/crm/${api}/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  })
}

const byHttps: Ask = async (method, fields) => {
  const answer = await post(method, JSON.stringify(fields))
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`${answer.status} ${text}`)
  return JSON.parse(text) as Answer
}

const byIdoc: Ask = async (method, fields) => {
  const segment = (name: string, given: Fields) => ({ name, fields: new Map(Object.entries(given)), children: [] })
  const children = Object.entries(fields).map(([NAME, VALUE]) => segment('ZE1CRMFIELD', { NAME, VALUE }))
  const question = { ...segment('ZE1CRMQUERY', { METHOD: method }), children }
  const url = `${world.endpointsUrl}/crm-idoc/${methods[method].api}`
  const bytes = await world.s4.askByIdoc({ url, user: world.user() }, 'ZCRMQUERY01', 'ZCRMQUERY', [question])
  const [idoc] = parseIdocs(bytes)
  expect(Object.fromEntries(idoc?.control ?? [])).toMatchObject({
    IDOCTYP: 'ZCRMANSWER01',
    DIRECT: '2',
    RCVPRN: 'S4HCLNT100',
    SNDPRN: 'CRM',
  })
  const [answer] = idoc?.data.children ?? []
  const of = (name: string) => answer?.fields.get(name) ?? ''
  const more = answer?.children.map(({ fields: pair }) => [pair.get('NAME'), pair.get('VALUE')]) ?? []
  return {
    Method: of('METHOD'),
    Found: of('FOUND') === 'X',
    ObjectId: of('OBJECTID'),
    Operation: of('OPERATION'),
    ObjectKey: of('OBJECTKEY'),
    ...Object.fromEntries(more),
  }
}

const byProxy: Ask = async (method, fields) => {
  const { path }: RecordKind = records[methods[method].record]
  const inside = Object.entries(fields).map(([name, value]) => `<${name}>${value}</${name}>`)
  const open = path.map(name => `<${name}>`).join('')
  const close = path
    .toReversed()
    .map(name => `</${name}>`)
    .join('')
  world.s4.setDestination(`${method}_Out`, {
    url: `${world.endpointsUrl}/crm-proxy/${methods[method].api}`,
    user: world.user(),
  })
  const name = `n0:${method}_Out`
  const payload = `<${name} xmlns:n0="urn:isthmus:example:s4-to-dynamics">${open}${inside.join('')}${close}</${name}>`
  const root = parseXmlTree(Buffer.from(await world.s4.callProxy(`${method}_Out`, payload)))
  expect(root.name).toBe(`${method}Response`)
  const answer = Object.fromEntries(root.children[0]?.fields ?? [])
  return { ...(answer as unknown as Answer), Found: String(answer['Found']) === 'X' }
}

const ways: readonly [string, Ask, number][] = [
  ['HTTPS', byHttps, 1],
  ['a synchronous IDoc', byIdoc, 2],
  ['a synchronous proxy', byProxy, 3],
]

describe.each(ways)('by %s', (_way, ask, way) => {
  // Each way has objects of its own, so that one finds nothing that another one made.
  const material = `471${way}`
  const stock = { Material: material, Plant: '1710', SpecialStockType: 'W', Customer: '1001' }
  const invoice = `9000151${way}`
  const line = { BillingDocument: invoice, BillingDocumentItem: '10' }
  const id = expect.stringMatching(/^[0-9a-f]{8}-/)
  const bill = { BillingDocument: `7${way}`, SoldToParty: '1001', TransactionCurrency: 'EUR' }
  const item = { ...line, BillingDocumentItemText: 'Pump', BillingQuantity: '1', TransactionCurrency: 'EUR' }
  const credit = { BusinessPartner: '1001', CreditLimitAmount: '5', CreditSegmentCurrency: 'EUR' }

  test('Product API: Check Product, Set Product, Get Product Status', async () => {
    const missing = await ask('CheckProduct', { Material: material })
    expect(missing).toMatchObject({ Method: 'CheckProduct', Found: false, ObjectId: '', Operation: 'missing' })
    const product = { Material: material, Name: 'Pump', MaterialType: 'FERT', Unit: 'PCE', NetWeight: '1500' }
    const made = await ask('SetProduct', { ...product, WeightUnit: 'GRM', StandardPrice: '200', PriceUnit: '10' })
    expect(made).toMatchObject({ Found: true, Operation: 'created', ObjectId: id })
    const again = await ask('SetProduct', { Material: `000000000000${material}`, Name: 'Pump, small' })
    expect(again).toMatchObject({ Operation: 'updated', ObjectId: made.ObjectId })
    expect(world.dynamics.records('product').find(each => each['productnumber'] === material)).toMatchObject({
      name: 'Pump, small',
      stockweight: 1.5,
      standardcost: 20,
      producttypecode: 1,
    })
    const status = await ask('GetProductStatus', { Material: material })
    expect(status).toMatchObject({ Found: true, ObjectId: made.ObjectId, StateCode: '0', StatusCode: '1' })
    expect(await ask('CheckProduct', { Material: material })).toMatchObject({ Found: true, ObjectId: made.ObjectId })
  })

  test('Inventory API: Check inventory, Set Inventory', async () => {
    expect(await ask('CheckInventory', stock)).toMatchObject({ Found: false })
    const made = await ask('SetInventory', { ...stock, Quantity: '12.500', Unit: 'PCE' })
    expect(made).toMatchObject({ Operation: 'created', ObjectId: id })
    expect(await ask('SetInventory', { ...stock, Quantity: '3.000-' })).toMatchObject({ Operation: 'updated' })
    expect(await ask('CheckInventory', stock)).toMatchObject({ Found: true, ObjectId: made.ObjectId })
    const key = `${material}-1710-W-1001`
    expect(world.dynamics.records('new_inventory').find(each => each['new_sapkey'] === key)).toMatchObject({
      new_quantity: -3,
      new_uom: 'PCE',
    })
  })

  test('Invoices API: six methods for invoices and their lines', async () => {
    const header = {
      BillingDocument: invoice,
      BillingDocumentType: 'F2',
      SoldToParty: '1001',
      TotalNetAmount: '100.10',
      TotalTaxAmount: '19.02',
      TransactionCurrency: 'EUR',
      InvoiceStatus: 'B',
    }
    expect(await ask('CheckInvoice', { BillingDocument: invoice })).toMatchObject({ Found: false })
    const made = await ask('SetInvoice', header)
    expect(made).toMatchObject({ Operation: 'created', ObjectId: id, ObjectKey: invoice })
    expect(await ask('CheckInvoice', { BillingDocument: invoice })).toMatchObject({ ObjectId: made.ObjectId })
    expect(await ask('GetInvoiceStatus', { BillingDocument: invoice })).toMatchObject({ StatusCode: '100002' })
    expect(await ask('CheckInvoiceLine', line)).toMatchObject({ Found: false })
    const sold = {
      ...line,
      BillingDocumentItemText: 'Pump',
      BillingQuantity: '3.000',
      NetAmount: '100.10',
      TransactionCurrency: 'EUR',
    }
    const added = await ask('SetInvoiceLine', sold)
    expect(added).toMatchObject({ Operation: 'created', ObjectId: id })
    expect(await ask('CheckInvoiceLine', line)).toMatchObject({ Found: true, ObjectId: added.ObjectId })
    await ask('SetInvoice', { ...header, InvoiceStatus: 'C' })
    const state = await ask('GetInvoiceLineStatus', line)
    expect(state).toMatchObject({ Found: true, ObjectId: added.ObjectId, StateCode: '2', StatusCode: '100001' })
    const [record] = world.dynamics.records('invoicedetail').filter(each => each['invoicedetailid'] === added.ObjectId)
    expect(record).toMatchObject({ new_sapkey: `${invoice}-000010`, quantity: 3, priceperunit: 33.3667 })
  })

  test('Credit Limit API: Check Credit Limit, Set Credit Limit', async () => {
    const limit = `${1000 + way}.5`
    const partner = { BusinessPartner: '0000001001' }
    const set = { ...partner, CreditLimitAmount: limit, CreditSegmentCurrency: 'EUR', CreditAccountIsBlocked: 'X' }
    expect(await ask('SetCreditLimit', set)).toMatchObject({ Operation: 'updated' })
    expect(await ask('CheckCreditLimit', partner)).toMatchObject({
      Found: true,
      CreditLimit: limit,
      Currency: 'EUR',
      CreditOnHold: 'true',
    })
  })

  test('amounts are told as they are, also those in yen, which SAP stores with two digits', async () => {
    const partner = { BusinessPartner: '1001' }
    await ask('SetCreditLimit', { ...partner, CreditLimitAmount: '50000', CreditSegmentCurrency: 'JPY' })
    expect(await ask('CheckCreditLimit', partner)).toMatchObject({ CreditLimit: '50000', Currency: 'JPY' })
    const yen = { TotalNetAmount: '1000', TotalTaxAmount: '100', TransactionCurrency: 'JPY' }
    const { ObjectId } = await ask('SetInvoice', { ...bill, ...yen })
    const made = world.dynamics.records('invoice').find(({ invoiceid }) => invoiceid === ObjectId)
    expect(made).toMatchObject({ totallineitemamount: 1000, totaltax: 100, totalamount: 1100 })
    const sold = { ...item, BillingDocument: bill.BillingDocument, NetAmount: '1000', TransactionCurrency: 'JPY' }
    const added = await ask('SetInvoiceLine', sold)
    const line1 = world.dynamics.records('invoicedetail').find(each => each['invoicedetailid'] === added.ObjectId)
    expect(line1).toMatchObject({ priceperunit: 1000 })
  })

  test('User API: Check User', async () => {
    expect(await ask('CheckUser', { UserName: 'ada@contoso.com' })).toMatchObject({ Found: true, IsDisabled: 'false' })
    expect(await ask('CheckUser', { UserName: 'ben@contoso.com' })).toMatchObject({ Found: true, IsDisabled: 'true' })
    expect(await ask('CheckUser', { UserName: 'nobody@contoso.com' })).toMatchObject({ Found: false, ObjectId: '' })
  })

  test.each<[string, MethodName, Fields, RegExp]>([
    ['without its key', 'CheckProduct', { Name: 'Pump' }, /Check Product needs Material/],
    ['with a field of another method', 'CheckUser', { UserName: 'a', Material: '1' }, /has no field \\*"Material/],
    [
      'with a value that fits no column',
      'SetProduct',
      { Material: '1', MaterialType: 'XXXX' },
      /producttypecode.*\\*"XXXX\\*" is not in the table/,
    ],
    ['with a number that is none', 'SetInventory', { ...stock, Quantity: '1,5' }, /new_quantity.*"1,5/],
    ['with a day that is none', 'SetInvoice', { ...bill, NetDueDate: '20261345' }, /duedate.*20261345.* is no date/],
    ['without what a column needs', 'SetInvoice', { BillingDocument: '1' }, /SoldToParty.*there is no value/],
    [
      'with a currency that is none',
      'SetInvoice',
      { ...bill, TransactionCurrency: 'EURO' },
      /"EURO\\*" is not an ISO code/,
    ],
    [
      'with a currency that is not there',
      'SetCreditLimit',
      { ...credit, CreditSegmentCurrency: 'QQQ' },
      /currencycode='QQQ'/,
    ],
    ['with a text that is too long', 'SetProduct', { Material: '1', Gtin: '1'.repeat(19) }, /19 characters.*takes 18/],
    [
      'for a customer that is not there',
      'SetInvoice',
      { ...bill, SoldToParty: '77' },
      /accounts\(accountnumber='77'\)/,
    ],
    ['for a limit without a customer', 'SetCreditLimit', { ...credit, BusinessPartner: '77' }, /has no account 77 yet/],
    [
      'for a line without its invoice',
      'SetInvoiceLine',
      { ...item, BillingDocument: '77' },
      /invoices\(new_sapkey='77'\)/,
    ],
    ['for stock of no product', 'SetInventory', { ...stock, Material: 'NIX' }, /products\(new_sapkey='NIX'\)/],
    ['for a new product without a unit', 'SetProduct', { Material: `N${way}`, Name: 'x' }, /'defaultuomid' is missing/],
  ])('a call %s is refused with words', async (_title, method, fields, words) => {
    const began = Date.now()
    await expect(ask(method, fields)).rejects.toThrow(words)
    // The caller waits: what another call may bring later is refused now.
    expect(Date.now() - began).toBeLessThan(15_000)
  })
})

describe('who may ask', () => {
  test.each(Object.keys(apis))('the API %s: nobody without a key, nobody without its role', async api => {
    const found = Object.keys(methods).filter(isMethod)
    const method = found.find(name => methods[name].api === api) ?? 'CheckUser'
    expect((await post(method, '{}', {})).status).toBe(401)
    const { serviceUsers } = world.hub
    const instance = await serviceUsers.createInstance({
      name: `other-${api}`,
      parameters: { roles: ['SAP_IDoc.send'] },
    })
    const { document } = await serviceUsers.createKey(instance.id, { name: 'key' })
    const pair = Buffer.from(`${document.oauth.clientid}:${document.oauth.clientsecret ?? ''}`).toString('base64')
    expect((await post(method, '{}', { authorization: `Basic ${pair}` })).status).toBe(403)
  })
})

test('a question may stand in the address, and what is no JSON is refused', async () => {
  const url = `${world.endpointsUrl}/crm/users/check?UserName=ada%40contoso.com`
  const answer = await fetch(url, { headers: { authorization: authorization() } })
  expect(await answer.json()).toMatchObject({ Method: 'CheckUser', Found: true })
  for (const body of ['{"UserName":', '[]', '"ada"', '{"UserName":{"a":1}}', '{"UserName":["ada"]}']) {
    expect((await post('CheckUser', body)).status, body).toBe(422)
  }
  // Another encoding would end as question marks in the record, and half of a character has no place in an address.
  const latin = await post('SetProduct', Buffer.from('{"Material":"4711","Name":"M\xfcller"}', 'latin1'))
  expect([latin.status, await latin.text()]).toEqual([422, expect.stringContaining('no JSON object in UTF-8')])
  const half = await post('CheckUser', String.raw`{"UserName":"\ud800"}`)
  expect([half.status, await half.text()]).toEqual([500, expect.stringContaining('half of a character')])
  const read = await fetch(`${world.endpointsUrl}/crm/products/set?Material=1`, {
    headers: { authorization: authorization() },
  })
  expect([read.status, await read.text()]).toEqual([422, expect.stringContaining('call it with POST')])
  const unknown = await fetch(`${world.endpointsUrl}/crm/users/erase`, { headers: { authorization: authorization() } })
  expect([unknown.status, await unknown.text()]).toEqual([422, expect.stringContaining('There is no method')])
})

describe('the OpenAPI description', () => {
  interface Operation {
    readonly operationId: string
    readonly 'x-role': string
    readonly parameters?: readonly { readonly name: string; readonly example: string }[]
    readonly requestBody?: { readonly content: { readonly 'application/json': { readonly example: Fields } } }
  }
  interface Description {
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
    readonly components: { readonly schemas: Readonly<Record<string, Parameters<typeof z.fromJSONSchema>[0]>> }
  }
  const read = async () => {
    const answer = await fetch(`${world.endpointsUrl}/crm/openapi.json`, {
      headers: { authorization: authorization() },
    })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/json'])
    return (await answer.json()) as Description
  }

  test('names all fourteen methods, each with its role', async () => {
    const { paths } = await read()
    const posts = Object.values(paths).flatMap(({ post: operation }) => operation ?? [])
    expect(posts.map(({ operationId }) => operationId).toSorted()).toEqual(Object.keys(methods).toSorted())
    expect(new Set(posts.map(operation => operation['x-role']))).toEqual(
      new Set(['CRM_Inventory', 'CRM_Invoice', 'CRM_Product', 'CRM_CreditLimit', 'CRM_User']),
    )
  })

  test('every example in it works as it stands, and is answered as it says', async () => {
    const { paths, components } = await read()
    const schema = z.fromJSONSchema(components.schemas['Answer'] ?? false)
    // What is set comes before what is asked for it: products, customers and invoices before what refers to them.
    const order = ['SetProduct', 'SetInventory', 'SetInvoice', 'SetInvoiceLine', 'SetCreditLimit']
    const operations = Object.entries(paths)
      .flatMap(([path, verbs]) => Object.entries(verbs).map(([verb, operation]) => ({ path, verb, operation })))
      .toSorted((a, b) => rank(a.operation) - rank(b.operation))
    function rank({ operationId }: Operation): number {
      const at = order.indexOf(operationId)
      return at < 0 ? order.length : at
    }
    for (const { path, verb, operation } of operations) {
      const query = operation.parameters?.map(({ name, example }) => [name, example]) ?? []
      const url = `${world.endpointsUrl}${path}?${new URLSearchParams(Object.fromEntries(query)).toString()}`
      const body = operation.requestBody?.content['application/json'].example
      const answer = await fetch(url, {
        method: verb.toUpperCase(),
        headers: { authorization: authorization(), 'content-type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      })
      const said: unknown = await answer.json()
      expect([operation.operationId, answer.status, said]).toEqual([operation.operationId, 200, said])
      expect(schema.safeParse(said).error).toBeUndefined()
      expect(said).toMatchObject({ Method: operation.operationId.replace('ByAddress', ''), Found: true })
    }
  })
})

test('every answer that a call gets is described', async () => {
  const url = `${world.endpointsUrl}/crm/openapi.json`
  const description = (await (await fetch(url, { headers: { authorization: authorization() } })).json()) as {
    readonly paths: Readonly<
      Record<string, { readonly post: { readonly responses: Readonly<Record<string, Described>> } }>
    >
    readonly components: { readonly schemas: Readonly<Record<string, Parameters<typeof z.fromJSONSchema>[0]>> }
  }
  interface Described {
    readonly content?: Readonly<Record<string, { readonly schema: { readonly $ref: string } }>>
  }
  const { responses } = description.paths['/crm/users/check']?.post ?? { responses: {} }
  const json = { 'content-type': 'application/json', authorization: authorization() }
  const ask = (body: string, headers: Fields = {}) => post('CheckUser', body, { ...json, ...headers })
  const key = '{"UserName":"ada@contoso.com"}'
  const answers = [
    await ask(key),
    await post('CheckUser', key, {}),
    await ask('{}'),
    await ask(String.raw`{"UserName":"\ud800"}`),
    await ask(key, { 'content-encoding': 'gzip' }),
    await failing({ fail: { times: 1, status: 400, code: '0x80040265', message: 'A plug-in says no.' } }),
    await failing({ throttle: { times: 1, retryAfterS: 0 } }),
  ]
  expect(answers.map(({ status }) => status)).toEqual([200, 401, 422, 500, 415, 502, 200])
  for (const answer of answers) await requireDescribed(answer)

  async function failing(faults: Parameters<typeof world.dynamics.setFaults>[0]): Promise<Response> {
    world.dynamics.setFaults(faults)
    return ask(key)
  }

  async function requireDescribed(answer: Response): Promise<void> {
    const [type = ''] = (answer.headers.get('content-type') ?? '').split(';')
    const schema = responses[String(answer.status)]?.content?.[type]?.schema.$ref.split('/').at(-1) ?? ''
    expect([answer.status, type, schema]).toEqual([answer.status, type, expect.stringMatching(/^(Answer|Problem)$/)])
    const said = z.fromJSONSchema(description.components.schemas[schema] ?? false).safeParse(await answer.json())
    expect(said.error).toBeUndefined()
  }
})

test.each(Object.keys(apis))('the three ways to %s do the same: their steps are the same, letter by letter', api => {
  const stepsOf = (file: string) =>
    readFileSync(join(import.meta.dirname, `${file}-${api}.flow.yaml`), 'utf8').split('\nsteps:')[1]
  const steps = stepsOf('api')
  expect(steps).toContain('question.ts')
  expect([stepsOf('idoc'), stepsOf('proxy')]).toEqual([steps, steps])
})

// The last one: nothing goes to Dynamics 365 after it for as long as it asked for.
test('while Dynamics 365 asks to wait for longer than a caller does, each caller is told at once', async () => {
  const turnedAway = () => world.dynamics.requests.filter(({ status }) => status === 429).length
  const before = turnedAway()
  world.dynamics.setFaults({ throttle: { times: 1, retryAfterS: 300 } })
  const began = Date.now()
  const key = { UserName: 'ada@contoso.com' }
  // The first one hears it of Dynamics 365, the second one of the gate.
  for (let count = 0; count < 2; count++) {
    const answer = await post('CheckUser', JSON.stringify(key))
    expect([answer.status, await answer.json()]).toEqual([
      202,
      {
        id: answer.headers.get('x-isthmus-message'),
        state: 'accepted',
        duplicate: false,
        status: answer.headers.get('location'),
      },
    ])
  }
  await expect(byIdoc('CheckUser', key)).rejects.toThrow(/504|no answer to message/)
  await expect(byProxy('CheckUser', key)).rejects.toThrow(/no answer to message/i)
  expect(Date.now() - began).toBeLessThan(15_000)
  // One request was enough to know it.
  expect(turnedAway() - before).toBe(1)
})
