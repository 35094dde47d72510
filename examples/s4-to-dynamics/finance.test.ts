import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createCreditAccount, createInvoice } from '../../src/twins/s4-ale/seed.ts'
import { type ExampleWorld, startExample } from './landscape-world.ts'

// Whole hubs and three twins over sockets: on a busy machine a story takes its time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let world: ExampleWorld

beforeAll(async () => {
  world = await startExample(['s4-invoices', 's4-credit-limits', 's4-proxy-answers'])
  world.dynamics.put('account', { accountnumber: '1001', name: 'Adatum' })
})
afterAll(() => world.close())

const states = () => world.s4.proxies.messages.map(({ state }) => state)
const arrive = async (wanted: readonly string[]) => await expect.poll(states, { timeout: 40_000 }).toEqual(wanted)
async function report(): Promise<void> {
  world.s4.runProxyReports()
  await world.s4.sendProxies()
}

test('the reports bring an invoice with its line and a credit limit, and SAP gets the acknowledgements it asked for', async () => {
  createInvoice(world.s4.data, '90001519', '1001', '4711')
  createCreditAccount(world.s4.data, '1001', '50000.00')
  await report()
  await arrive(['acknowledged', 'acknowledged'])
  expect(world.dynamics.records('invoice')).toEqual([
    expect.objectContaining({
      new_sapkey: '90001519',
      invoicenumber: '90001519',
      name: 'F2 90001519',
      totalamount: 119.12,
      statuscode: 1,
      duedate: '2026-12-20',
    }),
  ])
  expect(world.dynamics.records('invoicedetail')).toEqual([
    expect.objectContaining({ new_sapkey: '90001519-000010', quantity: 3, productdescription: 'Pump', tax: 19.02 }),
  ])
  expect(world.dynamics.records('account')[0]).toMatchObject({
    name: 'Adatum',
    creditlimit: 50_000,
    creditonhold: false,
    new_creditused: 1234.56,
  })
})

test('an invoice that is paid when it first comes is written open, then its lines, then its state', async () => {
  const { s4, dynamics } = world
  const before = dynamics.requests.length
  createInvoice(s4.data, '90001518', '1001', '4711')
  s4.data.change('VBRK', { VBELN: '90001518' }, { BUCHK: 'C' })
  await report()
  await arrive(['acknowledged', 'acknowledged', 'acknowledged'])
  const writes = dynamics.requests
    .slice(before)
    .filter(({ method, status }) => method === 'PATCH' && status < 300)
    .map(({ url, body }) => [/v9\.2\/(\w+)/.exec(url)?.[1], body.includes('"statecode":2')])
  expect(writes).toEqual([
    ['invoices', false],
    ['invoicedetails', false],
    ['invoices', true],
  ])
  expect(dynamics.records('invoice').at(-1)).toMatchObject({
    new_sapkey: '90001518',
    statecode: 2,
    statuscode: 100_001,
  })
})

test('changes of one invoice arrive in their order, though the first is sent twice and an answer is lost', async () => {
  const { s4 } = world
  s4.data.change('VBRK', { VBELN: '90001519' }, { BUCHK: 'B' })
  s4.runProxyReports()
  s4.data.change('VBRK', { VBELN: '90001519' }, { BUCHK: 'C' })
  s4.runProxyReports()
  s4.setFaults({ sendTwice: { times: 1 }, hangUp: { times: 1 } })
  await s4.sendProxies()
  await s4.sendProxies()
  await arrive(Array.from({ length: 5 }, () => 'acknowledged'))
  expect(world.dynamics.records('invoice')[0]).toMatchObject({ statecode: 2, statuscode: 100_001 })
})

test('a limit that fits no column is answered with an error that names field, value and rule; others go on', async () => {
  const { s4 } = world
  createCreditAccount(s4.data, '1002', '1.00-')
  createInvoice(s4.data, '90001520', '1001', '4711')
  await report()
  await expect
    .poll(() => states().slice(-2).toSorted(), { timeout: 40_000 })
    .toEqual(['acknowledged', 'acknowledged-with-error'])
  const refused = s4.proxies.messages.find(({ state }) => state === 'acknowledged-with-error')
  expect(refused?.text).toMatch(/MAPPING_FAILED.*creditlimit.*-1 is below 0/)
  expect(world.dynamics.records('invoice')).toHaveLength(3)

  const [held] = await world.hub.store.find({ flow: 's4-credit-limits', state: 'set-aside', limit: 2 })
  await world.hub.engine.skip(held?.id ?? '', 'corrected in SAP', 'test')
  // What a person lets go was not delivered, and SAP must not read that it was.
  await expect.poll(() => refused?.text, { timeout: 40_000 }).toMatch(/corrected in SAP/)
  expect(refused?.state).toBe('acknowledged-with-error')
})

test('the limit of another credit segment is acknowledged, and does not pass for the one that the account has', async () => {
  const { s4, dynamics } = world
  const before = s4.proxies.messages.length
  s4.data.create('UKMBP_CMS_SGM', {
    PARTNER: '1001',
    CREDIT_SGMNT: '2000',
    CREDIT_LIMIT: '7.00',
    CURRENCY: 'EUR',
  })
  await report()
  await expect.poll(() => states().slice(before), { timeout: 40_000 }).toEqual(['acknowledged'])
  const account = dynamics.records('account').find(({ accountnumber }) => accountnumber === '1001')
  expect(account?.['creditlimit']).toBe(50_000)
})

test('an invoice that comes before its customer waits for it', async () => {
  createInvoice(world.s4.data, '90001521', '1003', '4711')
  await report()
  await expect
    .poll(() => world.dynamics.requests.some(({ status, body }) => status === 404 && body.includes('1003')))
    .toBe(true)
  world.dynamics.put('account', { accountnumber: '1003', name: 'Late' })
  await expect.poll(() => states().at(-1), { timeout: 40_000 }).toBe('acknowledged')
  expect(world.dynamics.records('invoice')).toHaveLength(4)
})
