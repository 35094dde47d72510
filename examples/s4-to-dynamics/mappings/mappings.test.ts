import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Mapping } from '../../../src/mapping/mapping.ts'
import { readSource } from '../../../src/mapping/read-source.ts'
import address from './address.ts'
import credit from './credit.ts'
import customer from './customer.ts'
import customerStock from './customer-stock.ts'
import { header, lines } from './invoice.ts'
import material from './material.ts'

const samples = join(import.meta.dirname, '../samples')
const sapSamples = join(import.meta.dirname, '../../../test/corpus/idoc')

function mapped(mapping: Mapping, file: string, settings: Record<string, string> = {}, change?: [string, string]) {
  const text = readFileSync(file, 'utf8')
  const changed = change ? text.replace(...change) : text
  if (change) expect(changed).not.toBe(text)
  return mapping.run(readSource(mapping.source, Buffer.from(changed)), { settings })
}

test('DEBMAS07 becomes an account, with the sales area that the flow names', () => {
  const settings = { 'sales-organization': '1710' }
  const { values, createOnly } = mapped(customer, join(samples, 'debmas07.xml'), settings)
  expect(values).toEqual({
    accountnumber: '1001',
    name: 'Müller & Söhne Maschinenbau GmbH',
    new_vatid: 'DE123456789',
    industrycode: 12,
    customertypecode: 3,
    new_sapblocked: true,
    statecode: 0,
    statuscode: 1,
    paymenttermscode: 1,
    'transactioncurrencyid@odata.bind': "/transactioncurrencies(isocurrencycode='EUR')",
  })
  expect(createOnly).toEqual({
    address1_line1: 'Zeil 1',
    address1_city: 'Frankfurt',
    address1_postalcode: '60311',
    address1_stateorprovince: '06',
    address1_country: 'DE',
    telephone1: '+49 69 1234',
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

  test('without the wanted sales area takes the first', () => {
    const { values } = mapped(customer, file, { 'sales-organization': '9999' })
    expect(values).toMatchObject({ paymenttermscode: 3 })
  })

  test('of whom another sales area changed keeps currency and terms', () => {
    const { values } = mapped(customer, file, { 'sales-organization': '9999' }, ['<MSGFN>005<', '<MSGFN>018<'])
    expect(values).not.toHaveProperty('paymenttermscode')
    expect(values).not.toHaveProperty('transactioncurrencyid@odata.bind')
  })

  test('that is gone from SAP becomes inactive', () => {
    const { values } = mapped(customer, file, {}, ['<MSGFN>005<', '<MSGFN>003<'])
    expect(values).toMatchObject({ statecode: 1, statuscode: 2 })
  })

  test('of an unknown industry is refused with all that one needs to know', () => {
    expect(() => mapped(customer, file, {}, ['MACH', 'XXXX'])).toThrow(
      /industrycode \(E1KNA1M\/BRSCH, by table of 3 values\): "XXXX" is not in the table/,
    )
  })
})

test('ADRMAS02 becomes the address of the same account; an empty post office box empties it', () => {
  expect(mapped(address, join(samples, 'adrmas02.xml')).values).toEqual({
    accountnumber: '1001',
    address1_line1: 'Zeil 1a',
    address1_city: 'Frankfurt am Main',
    address1_county: 'Innenstadt',
    address1_postalcode: '60311',
    address1_stateorprovince: '06',
    address1_country: 'DE',
    address1_postofficebox: null,
    telephone1: '069 1234',
    emailaddress1: 'einkauf@mueller.example',
  })
})

test("SAP's own MATMAS05 becomes a product", () => {
  const settings = { language: 'EN', 'unit-group': 'SAP units', 'valuation-area': 'FR20' }
  const { values, createOnly } = mapped(material, join(sapSamples, 'matmas05-material-3pl.xml'), settings)
  expect(values).toEqual({
    productnumber: '123456789',
    new_sapkey: '123456789',
    name: 'DUMMY PRODUCT',
    producttypecode: 1,
    'defaultuomid@odata.bind': "/uoms(name='A12')",
    quantitydecimal: 3,
    stockweight: 4.666,
    stockvolume: 0.03833,
    standardcost: 141.25,
    size: '55.000 x 22.000 x 33.000 CMT',
    new_gtin: '1234567891011',
    new_producthierarchy: '121110987654321',
  })
  expect(createOnly).toEqual({
    productstructure: 1,
    'defaultuomscheduleid@odata.bind': "/uomschedules(name='SAP units')",
  })
})

describe('a material out of change pointers', () => {
  const settings = { language: 'EN', 'unit-group': 'SAP units', 'valuation-area': '1710' }
  const changed = (msgfn: string, below: string) =>
    material.run(
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

  test('that is gone from SAP is retired', () => {
    expect(changed('003', '')).toEqual({ productnumber: '4711', new_sapkey: '4711', new_sapretired: true })
    expect(changed('004', '<LVORM></LVORM>')).toMatchObject({ new_sapretired: false })
  })
})

test('the stock of a customer becomes inventory; a material with a slash has a key that Dataverse takes', () => {
  expect(mapped(customerStock, join(samples, 'zcuststock01.xml')).values).toEqual({
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
    new_sapasof: '2026-11-20T10:15:00Z',
    new_sapdoc: '0000000000700200',
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
          productdescription: 'Pump',
          ispriceoverridden: true,
          quantity: 3,
          priceperunit: 33.3667,
          tax: 19.02,
          '@create': { isproductoverridden: true },
        },
      ],
    })
  })

  test('in yen has the amounts that it means', () => {
    const text = readFileSync(file, 'utf8').replaceAll('EUR', 'JPY')
    const { values } = header.run(readSource('xml', Buffer.from(text)))
    expect(values).toMatchObject({ totallineitemamount: 10_010, totaltax: 1902, totalamount: 11_912 })
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
      new_creditvalidto: null,
    })
  })

  test('a limit of zero is not the same as none', () => {
    expect(mapped(credit, file, {}, ['50000.00', '0.00']).values.creditlimit).toBe(0)
    expect(mapped(credit, file, {}, ['50000.00', '']).values.creditlimit).toBeNull()
  })

  test('a negative limit does not fit', () => {
    expect(() => mapped(credit, file, {}, ['50000.00', '1.00-'])).toThrow(/creditlimit .*-1 is below 0/)
  })
})
