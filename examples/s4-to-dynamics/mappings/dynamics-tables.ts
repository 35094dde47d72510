import { boolean, choice, date, dateTime, decimal, integer, lookup, text } from 'isthmus/mapping'

/**
 * The columns of Dynamics 365 Sales that this example fills, with the lengths and ranges that Dataverse enforces. Columns
 * that begin with new_ are the ones to add; new_sapkey is an alternate key wherever SAP's own key may hold characters that
 * Dataverse refuses in URLs.
 */
export const account = {
  accountnumber: text(20),
  name: text(160),
  description: text(2000),
  address1_line1: text(250),
  address1_city: text(80),
  address1_postalcode: text(20),
  address1_stateorprovince: text(50),
  address1_country: text(80),
  address1_county: text(50),
  address1_postofficebox: text(20),
  telephone1: text(50),
  fax: text(50),
  emailaddress1: text(100),
  new_vatid: text(20),
  industrycode: choice({ accounting: 1, consumerServices: 8, durableManufacturing: 12, wholesale: 33 }),
  customertypecode: choice({ customer: 3, prospect: 8, other: 12 }),
  new_sapblocked: boolean(),
  statecode: choice({ active: 0, inactive: 1 }),
  statuscode: choice({ active: 1, inactive: 2 }),
  paymenttermscode: choice({ net30: 1, net60: 4, net45: 3, discount10Net30: 2 }),
  transactioncurrencyid: lookup('transactioncurrencies', 'isocurrencycode'),
  creditlimit: decimal({ scale: 2, min: 0, max: 1e14 }),
  creditonhold: boolean(),
  new_creditused: decimal({ scale: 2 }),
  new_creditriskclass: text(3),
  new_creditvalidto: date(),
  new_creditblockreason: text(2),
  new_creditscore: text(10),
  new_customergroup: text(2),
}

export const product = {
  productnumber: text(100),
  new_sapkey: text(100),
  name: text(100),
  producttypecode: choice({ salesInventory: 1, miscellaneous: 2, services: 3, flatFees: 4 }),
  productstructure: choice({ product: 1, family: 2, bundle: 3 }),
  defaultuomid: lookup('uoms', 'new_sapkey'),
  defaultuomscheduleid: lookup('uomschedules', 'new_sapkey'),
  quantitydecimal: integer({ min: 0, max: 5 }),
  stockweight: decimal({ scale: 5, min: 0, max: 1e9 }),
  stockvolume: decimal({ scale: 5, min: 0, max: 1e9 }),
  standardcost: decimal({ scale: 4, min: 0, max: 1e12 }),
  currentcost: decimal({ scale: 4, min: 0, max: 1e12 }),
  transactioncurrencyid: lookup('transactioncurrencies', 'isocurrencycode'),
  size: text(200),
  new_gtin: text(18),
  new_producthierarchy: text(18),
  new_salesstatus: text(2),
  statecode: choice({ active: 0, retired: 1 }),
  statuscode: choice({ active: 1, retired: 2 }),
}

export const unitGroup = {
  new_sapkey: text(100),
  name: text(200),
  baseuomname: text(100),
}

/** The unit that Dynamics 365 makes with a unit group; found by its name, and given its key. */
export const baseUnit = { name: text(100), new_sapkey: text(100) }

export const unit = {
  new_sapkey: text(100),
  name: text(100),
  quantity: decimal({ scale: 10, min: 0, max: 1e11 }),
  uomscheduleid: lookup('uomschedules', 'new_sapkey'),
  baseuom: lookup('uoms', 'new_sapkey'),
  new_gtin: text(18),
}

export const inventory = {
  new_sapkey: text(100),
  new_name: text(100),
  new_product: lookup('products', 'new_sapkey'),
  new_account: lookup('accounts', 'accountnumber'),
  new_plant: text(4),
  new_specialstock: choice({ consignment: 1, returnablePackaging: 2 }),
  new_quantity: decimal({ scale: 3 }),
  new_qinspection: decimal({ scale: 3 }),
  new_restricted: decimal({ scale: 3 }),
  new_blocked: decimal({ scale: 3 }),
  new_consignment: decimal({ scale: 3 }),
  new_uom: text(3),
  new_sapasof: dateTime(),
  new_sapdoc: text(16),
}

export const invoice = {
  new_sapkey: text(100),
  name: text(300),
  invoicenumber: text(100),
  customerid_account: lookup('accounts', 'accountnumber'),
  transactioncurrencyid: lookup('transactioncurrencies', 'isocurrencycode'),
  new_postingdate: date(),
  duedate: date(),
  totallineitemamount: decimal({ scale: 4 }),
  totaltax: decimal({ scale: 4 }),
  totalamount: decimal({ scale: 4 }),
  paymenttermscode: choice({ net30: 1, net60: 4, net45: 3, discount10Net30: 2 }),
  skippricecalculation: choice({ yes: 1 }),
  statecode: choice({ active: 0, closed: 1, paid: 2, canceled: 3 }),
  statuscode: choice({ new: 1, partiallyShipped: 2, complete: 100001, partial: 100002, canceled: 100003 }),
  new_customerreference: text(35),
  new_documentreference: text(16),
  new_cancels: text(10),
}

const { statecode: _state, statuscode: _reason, ...rest } = invoice

/** An invoice without its state, which is written last. */
export const invoiceHead = rest

export const invoiceState = {
  new_sapkey: invoice.new_sapkey,
  statecode: invoice.statecode,
  statuscode: invoice.statuscode,
}

export const invoiceLine = {
  new_sapkey: text(100),
  invoiceid: lookup('invoices', 'new_sapkey'),
  lineitemnumber: integer({ min: 0, max: 999_999 }),
  productid: lookup('products', 'new_sapkey'),
  uomid: lookup('uoms', 'new_sapkey'),
  isproductoverridden: boolean(),
  productdescription: text(500),
  description: text(2000),
  ispriceoverridden: boolean(),
  quantity: decimal({ scale: 5, min: -1e11, max: 1e11 }),
  priceperunit: decimal({ scale: 4 }),
  tax: decimal({ scale: 4 }),
}
