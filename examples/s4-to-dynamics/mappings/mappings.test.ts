import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Mapping } from '../../../src/mapping/mapping.ts'
import { readSource } from '../../../src/mapping/read-source.ts'
import address from './address.ts'
import credit, { bySegment } from './credit.ts'
import customer from './customer.ts'
import customerStock from './customer-stock.ts'
import invoices, { header, lines } from './invoice.ts'
import material, { withUnits } from './material.ts'
import plantStock from './plant-stock.ts'

const samples = join(import.meta.dirname, '../samples')
const sapSamples = join(import.meta.dirname, '../../../test/corpus/idoc')

function mapped(mapping: Mapping, file: string, settings: Record<string, string> = {}, change?: [string, string]) {
  const text = readFileSync(file, 'utf8')
  const changed = change ? text.replace(...change) : text
  if (change) expect(changed).not.toBe(text)
  return mapping.run(readSource(mapping.source, Buffer.from(changed)), { settings })
}

const ownCompany = {
  language: 'EN',
  'time-zone': 'Europe/Berlin',
  'valuation-area': '1710',
  'valuation-currency': 'EUR',
  'sales-organization': '1710',
  'distribution-channel': '10',
  division: '00',
}

test('DEBMAS07 becomes an account, with the sales area that the flow names', () => {
  const { values, createOnly } = mapped(customer, join(samples, 'debmas07.xml'), ownCompany)
  expect(values).toEqual({
    accountnumber: '1001',
    name: 'Müller & Söhne Maschinenbau GmbH',
    description: null,
    new_vatid: 'DE123456789',
    industrycode: 12,
    customertypecode: 3,
    new_sapblocked: true,
    statecode: 0,
    statuscode: 1,
    paymenttermscode: 1,
    new_customergroup: '01',
  })
  expect(createOnly).toEqual({
    address1_line1: 'Zeil 1',
    address1_city: 'Frankfurt',
    address1_county: null,
    address1_postalcode: '60311',
    address1_stateorprovince: 'Hesse',
    address1_country: 'Germany',
    address1_postofficebox: null,
    telephone1: '+49 69 1234',
    'transactioncurrencyid@odata.bind': "/transactioncurrencies(isocurrencycode='EUR')",
  })
})

describe('a customer', () => {
  const file = join(samples, 'debmas07.xml')
  test('that is flagged for deletion becomes inactive', () => {
    const { values } = mapped(customer, file, {}, ['<LOEVM></LOEVM>', '<LOEVM>X</LOEVM>'])
    expect(values).toMatchObject({ statecode: 1, statuscode: 2 })
  })

  test('whose block is taken away is no longer blocked', () => {
    const { values } = mapped(customer, file, {}, ['<AUFSD>01</AUFSD>', '<AUFSD></AUFSD>'])
    expect(values.new_sapblocked).toBe(false)
  })

  test('has what SAP tells of it no more emptied: it leaves initial fields out', () => {
    const gone = ['AUFSD', 'LIFSD', 'LOEVM', 'NAME2', 'STCEG', 'BRSCH'] as const
    const text = gone.reduce(
      (all, name) => all.replace(new RegExp(`<${name}>[^<]*</${name}>`), ''),
      readFileSync(file, 'utf8'),
    )
    const of = (document: string) => customer.run(readSource('idoc', Buffer.from(document)), { settings: {} }).values
    const emptied = { new_sapblocked: false, name: 'Müller & Söhne', new_vatid: null, industrycode: null, statecode: 0 }
    expect(of(text)).toMatchObject(emptied)
    expect(Object.keys(of(text.replace('<MSGFN>005<', '<MSGFN>018<')))).toEqual([
      'accountnumber',
      'name',
      'customertypecode',
    ])
  })

  test('without the wanted sales area takes the first', () => {
    const { values } = mapped(customer, file, { 'sales-organization': '9999' })
    expect(values).toMatchObject({ paymenttermscode: 3 })
  })

  test('of whom another sales area changed keeps currency and terms', () => {
    const change: [string, string] = ['<MSGFN>005<', '<MSGFN>018<']
    const { values, createOnly } = mapped(customer, file, { 'sales-organization': '9999' }, change)
    expect(values).not.toHaveProperty('paymenttermscode')
    expect(values).not.toHaveProperty('new_customergroup')
    expect(createOnly).not.toHaveProperty('transactioncurrencyid@odata.bind')
  })

  test('of whom the sales area of another channel or division of the same organization changed keeps its terms', () => {
    const area = '<VKORG>1710</VKORG><VTWEG>10</VTWEG><SPART>00</SPART>'
    for (const other of [area.replace('>10<', '>20<'), area.replace('>00<', '>01<')]) {
      const text = readFileSync(file, 'utf8').replace('<MSGFN>005<', '<MSGFN>018<').replace(area, other)
      const { values } = customer.run(readSource('idoc', Buffer.from(text)), { settings: ownCompany })
      expect(values).not.toHaveProperty('paymenttermscode')
      expect(values).not.toHaveProperty('new_customergroup')
    }
  })

  test('that is gone from SAP becomes inactive', () => {
    const { values } = mapped(customer, file, {}, ['<MSGFN>005<', '<MSGFN>003<'])
    expect(values).toMatchObject({ statecode: 1, statuscode: 2 })
  })

  test('of a region that is not listed has its key, of a country of the company its own one, with a warning', () => {
    const settings = { language: 'EN' }
    const region = mapped(customer, file, settings, ['<REGIO>06<', '<REGIO>99<'])
    expect(region.createOnly).toMatchObject({ address1_stateorprovince: '99', address1_country: 'Germany' })
    const country = mapped(customer, file, settings, ['<LAND1>DE<', '<LAND1>Q1<'])
    expect(country.createOnly).toMatchObject({ address1_stateorprovince: '06', address1_country: 'Q1' })
    expect(country.warnings).toEqual([expect.stringContaining('"Q1" is no ISO code of a country')])
  })

  test('of an unknown industry is refused with all that one needs to know', () => {
    expect(() => mapped(customer, file, {}, ['MACH', 'XXXX'])).toThrow(
      /industrycode \(E1KNA1M\/BRSCH, by table of 3 values\): "XXXX" is not in the table/,
    )
  })
})

test('ADRMAS02 becomes the address of the same account; an empty post office box empties it', () => {
  expect(mapped(address, join(samples, 'adrmas02.xml'), { language: 'de' }).values).toEqual({
    accountnumber: '1001',
    address1_line1: 'Zeil 1a',
    address1_city: 'Frankfurt am Main',
    address1_county: 'Innenstadt',
    address1_postalcode: '60311',
    address1_stateorprovince: 'Hesse',
    address1_country: 'Deutschland',
    address1_postofficebox: null,
    telephone1: '069 1234',
    fax: null,
    emailaddress1: 'einkauf@mueller.example',
  })
})

test("SAP's own MATMAS05 becomes a product", () => {
  const settings = { ...ownCompany, 'valuation-area': 'FR20' }
  const { values, createOnly } = mapped(material, join(sapSamples, 'matmas05-material-3pl.xml'), settings)
  expect(values).toEqual({
    productnumber: '123456789',
    new_sapkey: '123456789',
    name: 'DUMMY PRODUCT',
    producttypecode: 1,
    quantitydecimal: 3,
    stockweight: 4.666,
    stockvolume: 0.03833,
    standardcost: 141.25,
    currentcost: 141.25,
    'transactioncurrencyid@odata.bind': "/transactioncurrencies(isocurrencycode='EUR')",
    size: '55.000 x 22.000 x 33.000 CMT',
    new_gtin: '1234567891011',
    new_producthierarchy: '121110987654321',
    statecode: 0,
    statuscode: 1,
  })
  expect(createOnly).toEqual({
    productstructure: 1,
    'defaultuomid@odata.bind': "/uoms(new_sapkey='123456789-A12')",
    'defaultuomscheduleid@odata.bind': "/uomschedules(new_sapkey='123456789')",
  })
})

describe('a material out of change pointers', () => {
  const settings = ownCompany
  const changed = (msgfn: string, below: string, mapping: Mapping = material) =>
    mapping.run(
      readSource(
        'idoc',
        Buffer.from(
          '<MATMAS05><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><DOCNUM>1</DOCNUM><MESTYP>MATMAS</MESTYP></EDI_DC40>' +
            `<E1MARAM SEGMENT="1"><MSGFN>${msgfn}</MSGFN><MATNR>4711</MATNR>${below}</E1MARAM></IDOC></MATMAS05>`,
        ),
      ),
      { settings },
    ).values
  const german = '<E1MAKTM SEGMENT="1"><MSGFN>004</MSGFN><SPRAS_ISO>DE</SPRAS_ISO><MAKTX>Pumpe</MAKTX></E1MAKTM>'

  test('of which another language changed keeps its name; a whole one in no other language takes the first', () => {
    expect(changed('018', german)).not.toHaveProperty('name')
    expect(changed('009', german)).toMatchObject({ name: 'Pumpe' })
  })

  test('of which the price in another valuation area changed keeps its price, a whole one too', () => {
    const price = '<E1MBEWM SEGMENT="1"><BWKEY>2000</BWKEY><STPRS>9.99</STPRS><PEINH>1</PEINH></E1MBEWM>'
    expect(changed('018', price)).not.toHaveProperty('standardcost')
    expect(changed('009', price)).not.toHaveProperty('standardcost')
    expect(changed('018', price.replace('2000', '1710'))).toMatchObject({ standardcost: 9.99 })
  })

  test('of which the price of one kind of its stock changed (split valuation, BWTAR) keeps the price of all of it', () => {
    const price = (kind: string, amount: string) =>
      `<E1MBEWM SEGMENT="1"><BWKEY>1710</BWKEY>${kind}<STPRS>${amount}</STPRS><PEINH>1</PEINH></E1MBEWM>`
    const bought = price('<BWTAR>EXTERNAL</BWTAR>', '7.00')
    expect(changed('018', bought)).not.toHaveProperty('standardcost')
    expect(changed('009', bought + price('', '9.99'))).toMatchObject({ standardcost: 9.99 })
  })

  test('that is gone from SAP is retired', () => {
    const retired = { statecode: 1, statuscode: 2 }
    expect(changed('003', '')).toEqual({ productnumber: '4711', new_sapkey: '4711', ...retired })
    expect(changed('004', '<LVORM>X</LVORM>')).toMatchObject(retired)
    expect(changed('004', '<LVORM></LVORM>')).toMatchObject({ statecode: 0, statuscode: 1 })
    // SAP leaves out a flag that is not set.
    expect(changed('004', '')).toMatchObject({ statecode: 0, statuscode: 1 })
    expect(changed('004', '<LVORM>/</LVORM>')).not.toHaveProperty('statecode')
    expect(changed('018', '')).not.toHaveProperty('statecode')
  })

  test('of an obsolete status is retired, of another one not', () => {
    expect(changed('004', '<MSTAE>OB</MSTAE><LVORM></LVORM>')).toMatchObject({ statecode: 1, statuscode: 2 })
    expect(changed('004', '<MSTAE>01</MSTAE><LVORM></LVORM>')).toMatchObject({ statecode: 0, statuscode: 1 })
  })

  test('has the standard price, the price by which it is valued now, and their currency', () => {
    const price = (control: string) =>
      `<E1MBEWM SEGMENT="1"><BWKEY>1710</BWKEY><VPRSV>${control}</VPRSV><VERPR>90.50</VERPR><STPRS>141.25</STPRS><PEINH>10</PEINH></E1MBEWM>`
    const euro = { 'transactioncurrencyid@odata.bind': "/transactioncurrencies(isocurrencycode='EUR')" }
    expect(changed('004', price('S'))).toMatchObject({ standardcost: 14.125, currentcost: 14.125, ...euro })
    expect(changed('004', price('V'))).toMatchObject({ standardcost: 14.125, currentcost: 9.05, ...euro })
    expect(changed('004', '')).not.toHaveProperty('transactioncurrencyid@odata.bind')
  })

  test('has the sales status of the sales organization; one that is / stays', () => {
    const status = (area: string, value: string) =>
      `<E1MVKEM SEGMENT="1"><VKORG>${area}</VKORG><VTWEG>10</VTWEG><VMSTA>${value}</VMSTA></E1MVKEM>`
    expect(changed('004', status('2000', '02') + status('1710', '01'))).toMatchObject({ new_salesstatus: '01' })
    expect(changed('004', status('1710', '/'))).not.toHaveProperty('new_salesstatus')
    expect(changed('004', status('1710', '02').replace('>10<', '>20<'))).not.toHaveProperty('new_salesstatus')
  })

  test('tells its base unit whenever it says which, and of the others those that changed and are there', () => {
    const unit = (msgfn: string, code: string, factor: string, divisor = '1') =>
      `<E1MARMM SEGMENT="1"><MSGFN>${msgfn}</MSGFN><MEINH>${code}</MEINH><UMREZ>${factor}</UMREZ><UMREN>${divisor}</UMREN></E1MARMM>`
    const base = '<MEINS>PCE</MEINS>'
    expect(changed('004', '<MEINS>/</MEINS>', withUnits)).toMatchObject({ unitGroups: [], baseUnits: [], units: [] })
    expect(changed('004', base, withUnits)).toMatchObject({
      unitGroups: [{ new_sapkey: '4711' }],
      baseUnits: [{ name: 'Each', new_sapkey: '4711-PCE' }],
      units: [],
    })
    const rows =
      unit('009', 'PCE', '1') +
      unit('009', 'CT', '12').replace('<UMREN>', '<EAN11>4006381333948</EAN11><UMREN>') +
      unit('009', 'GRM', '1', '500') +
      unit('003', 'PF', '960')
    expect(changed('009', base + rows, withUnits)).toMatchObject({
      unitGroups: [{ new_sapkey: '4711', '@create': { name: '4711', baseuomname: 'Each' } }],
      baseUnits: [{ name: 'Each', new_sapkey: '4711-PCE' }],
      units: [
        {
          new_sapkey: '4711-CT',
          quantity: 12,
          new_gtin: '4006381333948',
          '@create': {
            name: 'Carton',
            'uomscheduleid@odata.bind': "/uomschedules(new_sapkey='4711')",
            'baseuom@odata.bind': "/uoms(new_sapkey='4711-PCE')",
          },
        },
        { new_sapkey: '4711-GRM', quantity: 0.002, '@create': { name: 'g' } },
      ],
      products: [{ productnumber: '4711', '@create': { productstructure: 1 } }],
    })
    expect(changed('018', base + unit('004', 'CT', '10'), withUnits)).toMatchObject({
      unitGroups: [{ new_sapkey: '4711' }],
      units: [{ new_sapkey: '4711-CT', quantity: 10 }],
    })
  })
})

test('the stock of a customer becomes inventory; a material with a slash has a key that Dataverse takes', () => {
  expect(mapped(customerStock, join(samples, 'zcuststock01.xml'), ownCompany).values).toEqual({
    new_sapkey: 'BAR303_2F00-1710-W-1001',
    new_name: '1001 / BAR303/00',
    'new_product@odata.bind': "/products(new_sapkey='BAR303_2F00')",
    'new_account@odata.bind': "/accounts(accountnumber='1001')",
    new_plant: '1710',
    new_specialstock: 1,
    new_quantity: 1250.5,
    new_qinspection: 0,
    new_restricted: -12,
    new_uom: 'KGM',
    new_sapasof: '2026-11-20T09:15:00Z',
    new_sapdoc: '0000000000700200',
  })
})

test('the stock of a plant becomes inventory of no customer', () => {
  expect(mapped(plantStock, join(samples, 'loistd01.xml'), ownCompany).values).toEqual({
    new_sapkey: 'BAR303_2F00-1710',
    new_name: '1710 / BAR303/00',
    'new_product@odata.bind': "/products(new_sapkey='BAR303_2F00')",
    new_plant: '1710',
    new_quantity: 12.5,
    new_qinspection: 1,
    new_blocked: 2,
    new_consignment: -3,
    new_sapasof: '2026-11-20T09:15:00Z',
    new_sapdoc: '0000000000700210',
  })
})

describe('a billing document', () => {
  const file = join(samples, 'invoice.xml')
  test('becomes an invoice', () => {
    const { values, createOnly } = mapped(header, file)
    expect(values).toEqual({
      new_sapkey: '90001519',
      name: 'F2 90001519',
      'customerid_account@odata.bind': "/accounts(accountnumber='1001')",
      'transactioncurrencyid@odata.bind': "/transactioncurrencies(isocurrencycode='EUR')",
      new_postingdate: '2026-11-20',
      duedate: '2026-12-20',
      totallineitemamount: 100.1,
      totaltax: 19.02,
      totalamount: 119.12,
      paymenttermscode: 1,
      skippricecalculation: 1,
      statecode: 2,
      statuscode: 100_002,
      new_customerreference: 'PO-4711',
      new_documentreference: '0080001234',
      new_cancels: null,
    })
    expect(createOnly).toEqual({ invoicenumber: '90001519' })
  })

  test('has its items as lines, one too', () => {
    expect(mapped(lines, file).values).toEqual({
      invoice: '90001519',
      lines: [
        {
          new_sapkey: '90001519-000010',
          'invoiceid@odata.bind': "/invoices(new_sapkey='90001519')",
          lineitemnumber: 10,
          description: 'Pump',
          ispriceoverridden: true,
          quantity: 3,
          priceperunit: 33.3667,
          tax: 19.02,
          '@create': {
            'productid@odata.bind': "/products(new_sapkey='4711')",
            'uomid@odata.bind': "/uoms(new_sapkey='4711-PCE')",
          },
          '@unlinked': { isproductoverridden: true, productdescription: 'Pump' },
        },
      ],
    })
  })

  test('on the credit side has negative amounts and quantities, and the price of one is what it is', () => {
    const text = readFileSync(file, 'utf8').replaceAll('<DebitCreditCode>S<', '<DebitCreditCode>H<')
    const source = readSource('xml', Buffer.from(text))
    expect(header.run(source).values).toMatchObject({
      totallineitemamount: -100.1,
      totaltax: -19.02,
      totalamount: -119.12,
    })
    expect(lines.run(source).values['lines']).toMatchObject([{ quantity: -3, priceperunit: 33.3667, tax: -19.02 }])
    const wrong = text.replaceAll('<DebitCreditCode>H<', '<DebitCreditCode>Q<')
    expect(() => header.run(readSource('xml', Buffer.from(wrong)))).toThrow(/"Q", neither S nor H/)
  })

  test('that was cancelled is canceled, whatever was paid; its cancellation names it', () => {
    const flag: [string, string] = ['<BillingDocumentIsCancelled><', '<BillingDocumentIsCancelled>X<']
    expect(mapped(header, file, {}, flag).values).toMatchObject({ statecode: 3, statuscode: 100_003 })
    const number: [string, string] = ['<CancelledBillingDocument><', '<CancelledBillingDocument>0090001500<']
    expect(mapped(header, file, {}, number).values).toMatchObject({ statecode: 2, new_cancels: '90001500' })
  })

  test('of a text alone has a line that names no product', () => {
    const change: [string, string] = ['<Material>000000000000004711<', '<Material><']
    const { lines: rows } = mapped(lines, file, {}, change).values
    expect(rows).toMatchObject([
      { '@create': { 'productid@odata.bind': null }, '@unlinked': { isproductoverridden: true } },
    ])
  })

  test('in yen has the amounts that it means', () => {
    const text = readFileSync(file, 'utf8').replaceAll('EUR', 'JPY')
    const { values } = invoices.run(readSource('xml', Buffer.from(text)))
    expect(values).toMatchObject({
      invoices: [{ totallineitemamount: 10_010, totaltax: 1902, totalamount: 11_912 }],
      lines: [{ priceperunit: 3336.6667, tax: 1902 }],
    })
  })
})

describe('a credit account', () => {
  const file = join(samples, 'credit-limit.xml')
  test('becomes the credit fields of the account; a validity without end has none', () => {
    expect(mapped(credit, file).values).toEqual({
      accountnumber: '1001',
      creditlimit: 50_000,
      'transactioncurrencyid@odata.bind': "/transactioncurrencies(isocurrencycode='EUR')",
      creditonhold: false,
      new_creditused: 1234.56,
      new_creditriskclass: 'B',
      new_creditscore: '87',
      new_creditblockreason: null,
      new_creditvalidto: null,
    })
  })

  test('of a business partner with another number than its customer is that of the customer', () => {
    const change: [string, string] = ['<Customer>0000001001<', '<Customer>0000002002<']
    expect(mapped(credit, file, {}, change).values).toMatchObject({ accountnumber: '2002' })
    expect(mapped(credit, file, {}, ['<Customer>0000001001<', '<Customer><']).values).toMatchObject({
      accountnumber: '1001',
    })
  })

  test('a limit of zero is not the same as none', () => {
    expect(mapped(credit, file, {}, ['50000.00', '0.00']).values.creditlimit).toBe(0)
    expect(mapped(credit, file, {}, ['50000.00', '']).values.creditlimit).toBeNull()
    expect(mapped(credit, file, {}, ['<CreditLimitIsZero><', '<CreditLimitIsZero>X<']).values.creditlimit).toBe(0)
  })

  test('in yen has the amounts that it means', () => {
    expect(mapped(bySegment, file, {}, ['EUR', 'JPY']).values).toMatchObject({
      accounts: [{ creditlimit: 5_000_000, new_creditused: 123_456 }],
    })
  })

  test('a negative limit does not fit', () => {
    expect(() => mapped(credit, file, {}, ['50000.00', '1.00-'])).toThrow(/creditlimit .*-1 is below 0/)
  })
})
