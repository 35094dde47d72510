import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ExampleWorld, startExample } from '../../examples/s4-to-dynamics/landscape-world.ts'
import { currentStatus, type StoredIdoc } from '../../src/twins/s4-ale/idoc-database.ts'
import { createCreditAccount, createCustomer, createInvoice, createMaterial } from '../../src/twins/s4-ale/seed.ts'
import { seededRandom } from '../corpus/seeded-random.ts'

const seed = 20261121
const roundCount = 12
const settleWithinMs = 100_000

const flows = [
  's4-customers',
  's4-addresses',
  's4-materials',
  's4-customer-stock',
  's4-invoices',
  's4-credit-limits',
  's4-idoc-answers',
  's4-proxy-answers',
] as const

let world: ExampleWorld

beforeAll(async () => {
  world = await startExample(flows)
}, 120_000)
afterAll(() => world.close(), 60_000)

test(`after a storm of changes and faults on both sides, Dynamics 365 has what S/4HANA has (seed ${seed})`, async () => {
  const { s4, dynamics } = world
  const { data } = s4
  const random = seededRandom(seed)
  const pick = (count: number) => Math.floor(random() * count)
  const one = <T>(list: readonly T[]): T | undefined => list[pick(list.length)]
  let number = 0

  function something(): void {
    const customers = data.find('KNA1')
    const materials = data.find('MARA')
    const customer = one(customers)?.['KUNNR'] ?? ''
    const material = one(materials)?.['MATNR'] ?? ''
    number += 1
    const kind = customers.length < 2 || materials.length < 2 ? pick(2) : pick(8)
    if (kind === 0) createCustomer(data, String(1000 + number), { name: `Customer ${number}` })
    if (kind === 1) createMaterial(data, String(4000 + number), { name: `Part ${number}` })
    if (kind === 2) data.change('KNA1', { KUNNR: customer }, { NAME1: `Renamed ${number}` })
    if (kind === 3) data.change('MARA', { MATNR: material }, { NTGEW: String(number) })
    if (kind === 4) {
      const key = { MATNR: material, WERKS: '1710', CHARG: '', SOBKZ: 'W', KUNNR: customer }
      if (data.find('MSKU', key).length === 0) data.create('MSKU', { ...key, KULAB: '0.000', MEINS: 'PCE' })
      data.change('MSKU', key, { KULAB: `${number}.500` })
    }
    if (kind === 5) {
      const partner = { PARTNER: customer, CREDIT_SGMNT: '1000' }
      if (data.find('UKMBP_CMS_SGM', partner).length === 0) createCreditAccount(data, customer, '1.00')
      data.change('UKMBP_CMS_SGM', partner, { CREDIT_LIMIT: `${number}.25` })
    }
    if (kind === 6) {
      const [open] = data.find('VBRK', { BUCHK: 'A' })
      if (open) data.change('VBRK', { VBELN: open['VBELN'] ?? '' }, { BUCHK: 'C' })
      else createInvoice(data, String(90_001_000 + number), customer, material)
    }
    if (kind === 7) {
      // Most of them are paid by then, and read-only in Dynamics 365; some get a line that is new.
      const invoice = one(data.find('VBRK'))?.['VBELN']
      if (invoice !== undefined) {
        data.change('VBRK', { VBELN: invoice }, { BSTNK: `PO-${number}` })
        data.change('VBRP', { VBELN: invoice, POSNR: '10' }, { MWSBP: `${number}.00` })
        if (number % 2 === 0) {
          const first = data.find('VBRP', { VBELN: invoice })[0]
          data.create('VBRP', { ...first, POSNR: String(number) })
        }
      }
    }
  }

  const s4Faults = ['hangUp', 'sendTwice', 'splitRequest', 'dropBefore', 'dropAfter', 'fail'] as const
  for (let round = 0; round < roundCount; round++) {
    for (let count = 0; count < 5; count++) something()
    const fault = one(s4Faults) ?? 'hangUp'
    s4.setFaults({ [fault]: { times: 1 + pick(2) }, ...(pick(3) === 0 && { busy: { times: 1, retryAfterS: 1 } }) })
    const ofDynamics = pick(3)
    dynamics.setFaults({
      ...(ofDynamics === 0 && { throttle: { times: 3, retryAfterS: 1 } }),
      ...(ofDynamics === 1 && { unavailable: { times: 1, retryAfterS: 1 } }),
      ...(ofDynamics === 2 && { dropAfter: { times: 1 } }),
    })
    await s4.runJobs()
  }
  s4.clearFaults()
  dynamics.clearFaults()

  /** A newer one of its object was there before it, and SAP was told so. */
  const isOvertaken = (idoc: StoredIdoc) =>
    currentStatus(idoc) === '40' && (idoc.statuses.at(-1)?.text ?? '').startsWith('superseded')
  /** IDocs and proxy messages of which SAP does not know yet what became of them. */
  const open = () => [
    ...s4
      .idocs()
      .filter(idoc => idoc.direction === 'out' && currentStatus(idoc) !== '41' && !isOvertaken(idoc))
      .map(idoc => `${idoc.docnum} ${idoc.messageType} ${currentStatus(idoc)} ${idoc.statuses.at(-1)?.text}`),
    ...s4.proxies.messages
      .filter(({ state }) => state !== 'acknowledged')
      .map(({ request, state, text }) => `${request.interface} ${state} ${text}`),
  ]
  const queued = async () => {
    const counts = await Promise.all(flows.map(flow => world.hub.store.counts(flow)))
    return counts.reduce((sum, each) => sum + each.queued, 0)
  }
  const until = Date.now() + settleWithinMs
  while ((open().length > 0 || (await queued()) > 0) && Date.now() < until) {
    await s4.runJobs()
    await new Promise(done => setTimeout(done, 500))
  }
  expect([await queued(), open()]).toEqual([0, []])

  const plain = (text: string | undefined) => (text ?? '').replace(/^0+(?=\d)/, '')
  const byKey = (rows: readonly (readonly [unknown, unknown])[]) =>
    rows.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1))
  const records = (table: string, key: string, column: string) =>
    byKey(dynamics.records(table).map(record => [record[key], record[column]] as const))
  expect(records('account', 'accountnumber', 'name')).toEqual(
    byKey(data.find('KNA1').map(row => [plain(row['KUNNR']), row['NAME1']])),
  )
  expect(records('product', 'productnumber', 'stockweight')).toEqual(
    byKey(data.find('MARA').map(row => [plain(row['MATNR']), Number(row['NTGEW'])])),
  )
  expect(records('new_inventory', 'new_sapkey', 'new_quantity')).toEqual(
    byKey(data.find('MSKU').map(row => [`${plain(row['MATNR'])}-1710-W-${plain(row['KUNNR'])}`, Number(row['KULAB'])])),
  )
  expect(records('invoice', 'new_sapkey', 'statecode')).toEqual(
    byKey(data.find('VBRK').map(row => [plain(row['VBELN']), row['BUCHK'] === 'C' ? 2 : 0])),
  )
  expect(records('invoice', 'new_sapkey', 'new_customerreference')).toEqual(
    byKey(data.find('VBRK').map(row => [plain(row['VBELN']), row['BSTNK']])),
  )
  expect(records('invoicedetail', 'new_sapkey', 'tax')).toEqual(
    byKey(data.find('VBRP').map(row => [`${plain(row['VBELN'])}-${row['POSNR']}`, Number(row['MWSBP'])])),
  )
  // Some of them were paid when they changed once more.
  expect(dynamics.requests.filter(({ url }) => url.includes('$batch')).length).toBeGreaterThan(0)
  const limits = new Map(data.find('UKMBP_CMS_SGM').map(row => [plain(row['PARTNER']), Number(row['CREDIT_LIMIT'])]))
  for (const account of dynamics.records('account')) {
    expect(account['creditlimit'] ?? undefined).toBe(limits.get(String(account['accountnumber'])))
  }
}, 240_000)
