import { expect, test } from 'vitest'
import address from './address.ts'
import calledInventory from './called-inventory.ts'
import calledProduct from './called-product.ts'
import credit, { bySegment } from './credit.ts'
import customer from './customer.ts'
import customerStock from './customer-stock.ts'
import { bill, kna1, knvv, mapped, mappedApart, mara, msku, stock, type Tree } from './field-world.ts'
import invoices, { header, lines } from './invoice.ts'
import { accountKey, inventoryKey, invoiceKey, invoiceLineKey, productKey, userKey } from './keys.ts'
import material, { withUnits } from './material.ts'

const currency = "/transactioncurrencies(isocurrencycode='EUR')"

test('each field of a customer has its place, without blanks and zeros around it', () => {
  expect(mapped(customer, { E1KNA1M: { ...kna1, E1KNVVM: knvv } })).toEqual({
    accountnumber: '1001',
    name: 'Müller Söhne',
    description: 'c/o Bank Halle 3',
    address1_line1: 'Zeil 1',
    address1_city: 'Frankfurt',
    address1_county: 'Nord',
    address1_postalcode: '60311',
    address1_stateorprovince: 'Hesse',
    address1_country: 'Germany',
    address1_postofficebox: '1234',
    telephone1: '069 1',
    fax: '069 2',
    new_vatid: 'DE1',
    industrycode: 33,
    customertypecode: 12,
    new_sapblocked: false,
    statecode: 0,
    statuscode: 1,
    'transactioncurrencyid@odata.bind': currency,
    paymenttermscode: 4,
    new_customergroup: '01',
  })
  // What ADRMAS and the credit limit own, DEBMAS gives to new accounts alone.
  const { createOnly } = mappedApart(customer, { E1KNA1M: { ...kna1, E1KNVVM: knvv } })
  expect(Object.keys(createOnly).toSorted()).toEqual([
    'address1_city',
    'address1_country',
    'address1_county',
    'address1_line1',
    'address1_postalcode',
    'address1_postofficebox',
    'address1_stateorprovince',
    'fax',
    'telephone1',
    'transactioncurrencyid@odata.bind',
  ])
  const long = { ...kna1, NAME1: 'x'.repeat(100), NAME2: 'y'.repeat(100) }
  expect(mapped(customer, { E1KNA1M: long })).toMatchObject({ name: `${'x'.repeat(100)} ${'y'.repeat(59)}` })
})

test.each(['AUFSD', 'LIFSD', 'FAKSD', 'SPERR'])('%s alone blocks a customer', flag => {
  expect(mapped(customer, { E1KNA1M: { ...kna1, [flag]: 'X' } })).toMatchObject({ new_sapblocked: true })
})

test('each field of an address has its place', () => {
  const main = {
    STREET: ' Zeil ',
    HOUSE_NO: ' 1a ',
    CITY: ' Wien ',
    DISTRICT: ' Mitte ',
    POSTL_COD1: '1010',
    REGION: 'W',
    COUNTRY: 'AT',
    PO_BOX: '99',
  }
  const ways = { E1BPADTEL: { TELEPHONE: ' 1 ' }, E1BPADFAX: { FAX: ' 2 ' }, E1BPADSMTP: { E_MAIL: ' a@b.example ' } }
  expect(mapped(address, { E1ADRMAS: { OBJ_ID: '0000001001', E1BPAD1VL: main, ...ways } })).toEqual({
    accountnumber: '1001',
    address1_line1: 'Zeil 1a',
    address1_city: 'Wien',
    address1_county: 'Mitte',
    address1_postalcode: '1010',
    address1_stateorprovince: 'Vienna',
    address1_country: 'Austria',
    address1_postofficebox: '99',
    telephone1: '1',
    fax: '2',
    emailaddress1: 'a@b.example',
  })
})

test('of several versions, telephones, faxes and mail addresses the standard one counts, with its extension', () => {
  const of = (E1BPAD1VL: readonly Tree[], ways: Tree) =>
    mapped(address, { E1ADRMAS: { OBJ_ID: '1001', E1BPAD1VL, ...ways } })
  const versions = [{ ADDR_VERS: 'K', CITY: '東京', DISTRICT: '千代田' }, { CITY: 'Tokyo' }]
  const ways = {
    E1BPADTEL: [
      { TELEPHONE: '0170 1', R_3_USER: '3' },
      { STD_NO: 'X', TELEPHONE: '069 1234', EXTENSION: '56' },
    ],
    E1BPADFAX: [{ FAX: '1' }, { STD_NO: 'X', FAX: '069 1234', EXTENSION: '99' }],
    E1BPADSMTP: [{ E_MAIL: 'old@b.example' }, { STD_NO: 'X', E_MAIL: 'new@b.example' }],
  }
  expect(of(versions, ways)).toMatchObject({
    address1_city: 'Tokyo',
    address1_county: null,
    telephone1: '069 1234-56',
    fax: '069 1234-99',
    emailaddress1: 'new@b.example',
  })
})

test('each field of a material has its place, in the units and digits that Dynamics 365 keeps', () => {
  const tree = {
    ...mara(),
    MTART: 'DIEN',
    NTGEW: '1.234567',
    GEWEI: 'GRM',
    VOLUM: '2.5',
    VOLEH: 'LTR',
    LAENG: '1',
    BREIT: '2',
    HOEHE: '3',
    MEABM: 'CMT',
    EAN11: '40',
    PRDHA: 'P1',
    MSTAE: '',
    LVORM: '',
    E1MAKTM: [
      { SPRAS_ISO: 'DE', MAKTX: 'Pumpe' },
      { SPRAS_ISO: 'EN', MAKTX: ' Pump ' },
    ],
    E1MBEWM: [
      { BWKEY: '2000', VPRSV: 'S', STPRS: '9', PEINH: '1' },
      { BWKEY: '1710', VPRSV: 'V', VERPR: '20', STPRS: '10', PEINH: '3' },
    ],
    E1MVKEM: [
      { VKORG: '2000', VTWEG: '10', VMSTA: '09' },
      { VKORG: '1710', VTWEG: '10', VMSTA: '01' },
    ],
  }
  expect(mapped(material, { E1MARAM: tree })).toEqual({
    productnumber: '4711',
    new_sapkey: '4711',
    name: 'Pump',
    producttypecode: 3,
    productstructure: 1,
    'defaultuomid@odata.bind': "/uoms(new_sapkey='4711-PCE')",
    'defaultuomscheduleid@odata.bind': "/uomschedules(new_sapkey='4711')",
    quantitydecimal: 0,
    stockweight: 0.00123,
    stockvolume: 0.0025,
    standardcost: 3.3333,
    currentcost: 6.6667,
    'transactioncurrencyid@odata.bind': currency,
    size: '1 x 2 x 3 CMT',
    new_gtin: '40',
    new_producthierarchy: 'P1',
    new_salesstatus: '01',
    statecode: 0,
    statuscode: 1,
  })
  const rows = [
    { MEINH: 'PCE' },
    { MEINH: '' },
    { MSGFN: '003', MEINH: 'PF' },
    { MEINH: 'CT', UMREZ: '12', UMREN: '1', EAN11: '41' },
  ]
  expect(mapped(withUnits, { E1MARAM: { ...tree, E1MARMM: rows } })).toMatchObject({
    unitGroups: [{ new_sapkey: '4711', '@create': { name: '4711 Pump', baseuomname: 'Each' } }],
    baseUnits: [{ new_sapkey: '4711-PCE', name: 'Each' }],
    units: [{ new_sapkey: '4711-CT', quantity: 12, new_gtin: '41', '@create': { name: 'Carton' } }],
    products: [{ productnumber: '4711' }],
  })
  expect(mapped(material, { E1MARAM: { MATNR: '000000000000000815' } })).toMatchObject({ productnumber: '815' })
})

test('keys are escaped wherever a number of SAP has characters that Dynamics 365 refuses', () => {
  const slash = { ...mara(), MATNR_LONG: 'A/1', E1MARMM: { MEINH: 'CT', UMREZ: '1', UMREN: '3' } }
  expect(mapped(material, { E1MARAM: slash })).toMatchObject({
    productnumber: 'A/1',
    new_sapkey: 'A_2F1',
    'defaultuomid@odata.bind': "/uoms(new_sapkey='A_2F1-PCE')",
    'defaultuomscheduleid@odata.bind': "/uomschedules(new_sapkey='A_2F1')",
  })
  expect(mapped(withUnits, { E1MARAM: slash })).toMatchObject({
    unitGroups: [{ new_sapkey: 'A_2F1', '@create': { name: 'A/1', baseuomname: 'Each' } }],
    baseUnits: [{ new_sapkey: 'A_2F1-PCE' }],
    units: [
      {
        new_sapkey: 'A_2F1-CT',
        quantity: 0.3333333333,
        '@create': {
          'uomscheduleid@odata.bind': "/uomschedules(new_sapkey='A_2F1')",
          'baseuom@odata.bind': "/uoms(new_sapkey='A_2F1-PCE')",
        },
      },
    ],
  })
  const called = mapped(calledProduct, { Product: { Material: 'A/1', Unit: 'PCE' } })
  expect(called).toMatchObject({
    unitGroups: [{ new_sapkey: 'A_2F1' }],
    baseUnits: [{ new_sapkey: 'A_2F1-PCE' }],
    products: [
      {
        productnumber: 'A/1',
        new_sapkey: 'A_2F1',
        '@create': {
          'defaultuomid@odata.bind': "/uoms(new_sapkey='A_2F1-PCE')",
          'defaultuomscheduleid@odata.bind': "/uomschedules(new_sapkey='A_2F1')",
        },
      },
    ],
  })
  const place = { MATNR: 'A/1', KUNNR: '1001', WERKS: '1710', SOBKZ: 'W' }
  const inventory = { new_sapkey: 'A_2F1-1710-W-1001', 'new_product@odata.bind': "/products(new_sapkey='A_2F1')" }
  expect(mapped(customerStock, { ZE1CUSTSTOCK: place })).toMatchObject(inventory)
  expect(mapped(calledInventory, { Inventory: { ...stock(), Material: 'A/1' } })).toMatchObject({
    'new_product@odata.bind': "/products(new_sapkey='A_2F1')",
    new_sapkey: 'A_2F1-1710-B_2F1-W-1001',
  })
  expect(mapped(inventoryKey, { Inventory: { ...stock(), Material: 'A/1' } })).toEqual({
    new_sapkey: 'A_2F1-1710-B_2F1-W-1001',
  })
  expect(mapped(productKey, { Product: { Material: 'A/1' } })).toEqual({ new_sapkey: 'A_2F1' })
  const item = { BillingDocument: '90', BillingDocumentItem: '10', Material: 'A/1', BillingQuantityUnit: 'PCE' }
  const line = { ...item, BillingQuantity: '1', NetAmount: '1', TransactionCurrency: 'EUR' }
  expect(mapped(lines, { Invoice: { BillingDocument: '90', Item: line } })).toMatchObject({
    lines: [
      {
        '@create': {
          'productid@odata.bind': "/products(new_sapkey='A_2F1')",
          'uomid@odata.bind': "/uoms(new_sapkey='A_2F1-PCE')",
        },
      },
    ],
  })
})

test('each field of the stock of a customer has its place', () => {
  const quantities = { KULAB: '1.500', KUINS: '2.500-', KUEIN: '3.000', MEINS: 'PCE' }
  expect(mapped(customerStock, { ZE1CUSTSTOCK: { ...msku(), ...quantities } })).toEqual({
    new_sapkey: '4711-1710-B1-V-1001',
    new_name: '1001 / 4711',
    'new_product@odata.bind': "/products(new_sapkey='4711')",
    'new_account@odata.bind': "/accounts(accountnumber='1001')",
    new_plant: '1710',
    new_specialstock: 2,
    new_quantity: 1.5,
    new_qinspection: -2.5,
    new_restricted: 3,
    new_uom: 'PCE',
    new_sapasof: '2026-11-20T09:15:00Z',
    new_sapdoc: '0000000000000017',
  })
})

test('each field of a call of Set Inventory has its place, and its key is that of Check inventory', () => {
  const tree = { ...stock(), Quantity: '1', QuantityInInspection: '2', QuantityRestricted: '3', Unit: 'PCE' }
  const made = mapped(calledInventory, { Inventory: tree })
  expect(made).toEqual({
    new_sapkey: '4711-1710-B_2F1-W-1001',
    new_name: '1001 / 4711',
    'new_product@odata.bind': "/products(new_sapkey='4711')",
    'new_account@odata.bind': "/accounts(accountnumber='1001')",
    new_plant: '1710',
    new_specialstock: 1,
    new_quantity: 1,
    new_qinspection: 2,
    new_restricted: 3,
    new_uom: 'PCE',
  })
  expect(mapped(inventoryKey, { Inventory: stock() })).toEqual({ new_sapkey: '4711-1710-B_2F1-W-1001' })
})

test('each field of a call of Set Product has its place', () => {
  const tree = {
    Material: '000000004711',
    Name: ' Pump ',
    MaterialType: 'NLAG',
    Unit: 'KGM',
    NetWeight: '1.234567',
    WeightUnit: 'GRM',
    StandardPrice: '10',
    PriceUnit: '3',
    Currency: 'EUR',
    Gtin: '40',
  }
  expect(mapped(calledProduct, { Product: tree })).toEqual({
    unitGroups: [{ new_sapkey: '4711', '@create': { name: '4711', baseuomname: 'kg' } }],
    baseUnits: [{ name: 'kg', new_sapkey: '4711-KGM' }],
    products: [
      {
        productnumber: '4711',
        new_sapkey: '4711',
        name: 'Pump',
        producttypecode: 2,
        stockweight: 0.00123,
        standardcost: 3.3333,
        currentcost: 3.3333,
        'transactioncurrencyid@odata.bind': currency,
        new_gtin: '40',
        '@create': {
          productstructure: 1,
          'defaultuomid@odata.bind': "/uoms(new_sapkey='4711-KGM')",
          'defaultuomscheduleid@odata.bind': "/uomschedules(new_sapkey='4711')",
        },
      },
    ],
  })
  expect(mapped(calledProduct, { Product: { Material: '1', Name: 'x' } })).toEqual({
    unitGroups: [],
    baseUnits: [],
    products: [{ productnumber: '1', new_sapkey: '1', name: 'x', '@create': { productstructure: 1 } }],
  })
})

test('each field of an invoice and of its lines has its place', () => {
  const item = {
    BillingDocument: '0090001519',
    BillingDocumentItem: '000010',
    Material: '000000000000004711',
    BillingDocumentItemText: `Pump ${'x'.repeat(500)}`,
    BillingQuantity: '3',
    BillingQuantityUnit: 'PCE',
    NetAmount: '10',
    TaxAmount: '2',
    TransactionCurrency: 'EUR',
  }
  const tree = {
    ...bill(),
    BillingDocumentType: 'F2',
    BillingDocumentDate: '20261120',
    NetDueDate: '20261220',
    TotalNetAmount: '10',
    TotalTaxAmount: '2',
    InvoiceStatus: 'C',
    PurchaseOrderByCustomer: 'PO',
    DocumentReferenceID: 'REF',
    CancelledBillingDocument: '0090001500',
    Item: item,
  }
  const head = {
    new_sapkey: '90001519',
    name: 'F2 90001519',
    'customerid_account@odata.bind': "/accounts(accountnumber='1001')",
    'transactioncurrencyid@odata.bind': currency,
    new_postingdate: '2026-11-20',
    duedate: '2026-12-20',
    totallineitemamount: 10,
    totaltax: 2,
    totalamount: 12,
    skippricecalculation: 1,
    new_customerreference: 'PO',
    new_documentreference: 'REF',
    new_cancels: '90001500',
  }
  const line = {
    new_sapkey: '90001519-000010',
    'invoiceid@odata.bind': "/invoices(new_sapkey='90001519')",
    lineitemnumber: 10,
    description: item.BillingDocumentItemText,
    ispriceoverridden: true,
    quantity: 3,
    priceperunit: 3.3333,
    tax: 2,
    '@create': {
      'productid@odata.bind': "/products(new_sapkey='4711')",
      'uomid@odata.bind': "/uoms(new_sapkey='4711-PCE')",
    },
    '@unlinked': { isproductoverridden: true, productdescription: item.BillingDocumentItemText.slice(0, 500) },
  }
  expect(mapped(invoices, { Invoice: tree })).toEqual({
    invoices: [{ ...head, paymenttermscode: null, '@create': { invoicenumber: '90001519' } }],
    lines: [line],
    states: [{ new_sapkey: '90001519', statecode: 2, statuscode: 100_001 }],
  })
  expect(mapped(header, { Invoice: tree })).toEqual({
    ...head,
    statecode: 2,
    statuscode: 100_001,
    invoicenumber: '90001519',
  })
  expect(mapped(lines, { Invoice: tree })).toEqual({ invoice: '90001519', lines: [line] })
  expect(mapped(invoices, { Invoice: { ...tree, BillingDocumentIsCancelled: 'X' } })).toMatchObject({
    states: [{ statecode: 3, statuscode: 100_003 }],
  })
})

test('each field of a credit account has its place; amounts are rounded to what an account keeps', () => {
  const tree = {
    BusinessPartner: '0000000007',
    Customer: '0000001001',
    CreditSegment: '1000',
    CreditLimitAmount: '100.125',
    CreditSegmentCurrency: 'EUR',
    CreditAccountIsBlocked: 'X',
    CreditAccountBlockReason: '01',
    CreditExposureAmount: '7.005',
    CreditRiskClass: 'B',
    CreditWorthinessScoreValue: '87',
    CreditLimitValidityEndDate: '20271231',
  }
  const fields = {
    accountnumber: '1001',
    creditlimit: 100.13,
    'transactioncurrencyid@odata.bind': currency,
    creditonhold: true,
    new_creditblockreason: '01',
    new_creditused: 7.01,
    new_creditriskclass: 'B',
    new_creditscore: '87',
    new_creditvalidto: '2027-12-31',
  }
  expect(mapped(credit, { CreditAccount: tree })).toEqual(fields)
  expect(mapped(bySegment, { CreditAccount: tree })).toEqual({ segment: '1000', accounts: [fields] })
  expect(mapped(accountKey, { CreditAccount: tree })).toEqual({ accountnumber: '1001' })
  const { Customer: _customer, ...partner } = tree
  expect(mapped(accountKey, { CreditAccount: partner })).toEqual({ accountnumber: '7' })
})

test('keys of questions are those of the records', () => {
  expect(mapped(invoiceKey, { Invoice: { BillingDocument: '0090001519' } })).toEqual({ new_sapkey: '90001519' })
  const item = { BillingDocument: '0090001519', BillingDocumentItem: '000010' }
  expect(mapped(invoiceLineKey, { Invoice: { Item: item } })).toEqual({ new_sapkey: '90001519-000010' })
  expect(mapped(productKey, { Product: { Material: '000000004711' } })).toEqual({ new_sapkey: '4711' })
  expect(mapped(userKey, { User: { UserName: ' ada@contoso.com ' } })).toEqual({ domainname: 'ada@contoso.com' })
})
