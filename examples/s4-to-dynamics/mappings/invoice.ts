import { constant, defineMapping, each, field, join, list, number } from 'isthmus/mapping'
import { asStored, asTold, type CountedIn, currencyOf } from './currency.ts'
import { invoice, invoiceHead, invoiceLine, invoiceState } from './dynamics-tables.ts'
import { unitKey } from './units.ts'

const at = (name: string) => field(`Invoice/${name}`)

/** Amounts have no sign: those of credit memos and cancellations (H) are negative. */
const amount = (of: typeof at, name: string, counted: CountedIn) =>
  of(name)
    .decimal()
    .amountIn(counted(of('TransactionCurrency')))
    .signedBy(of('DebitCreditCode').or(constant('S')))

const headerFields = (of: typeof at, counted: CountedIn) => ({
  new_sapkey: of('BillingDocument').alpha().required(),
  name: join(' ', of('BillingDocumentType'), of('BillingDocument').alpha()),
  // Dynamics takes an invoice number only when the invoice is made.
  invoicenumber: of('BillingDocument').alpha().onCreate(),
  customerid_account: of('SoldToParty').alpha().key().required(),
  transactioncurrencyid: currencyOf(of('TransactionCurrency')).key().required(),
  new_postingdate: of('BillingDocumentDate').date(),
  duedate: of('NetDueDate').date(),
  totallineitemamount: amount(of, 'TotalNetAmount', counted),
  totaltax: amount(of, 'TotalTaxAmount', counted),
  totalamount: amount(of, 'TotalNetAmount', counted).plus(amount(of, 'TotalTaxAmount', counted)),
  paymenttermscode: of('CustomerPaymentTerms').choose({ '0001': 1, Z030: 1, Z045: 3, Z060: 4, Z102: 2 }),
  // SAP has calculated; without this Dynamics would do it again from its own price lists.
  skippricecalculation: number(1),
  new_customerreference: of('PurchaseOrderByCustomer'),
  new_documentreference: of('DocumentReferenceID'),
  new_cancels: of('CancelledBillingDocument').alpha(),
})

/** A billing document that goes to no accounting has no status, and its invoice keeps its state. */
const hasStatus = (of: typeof at) => of('InvoiceStatus').to('is told', code => code !== '')

const stateFields = (of: typeof at) => ({
  // Partly cleared (100002) is a reason of the state Paid, as Dynamics has it; with another state it is refused.
  statecode: number(3)
    .when(of('BillingDocumentIsCancelled').flag())
    .or(of('InvoiceStatus').choose({ A: 0, B: 2, C: 2, X: 3 }).when(hasStatus(of))),
  statuscode: number(100003)
    .when(of('BillingDocumentIsCancelled').flag())
    .or(of('InvoiceStatus').choose({ A: 1, B: 100002, C: 100001, X: 100003 }).when(hasStatus(of))),
})

const lineMaterial = field('Material').alpha()
const lineSign = field('DebitCreditCode').or(constant('S'))

const lineFields = (counted: CountedIn) => ({
  new_sapkey: join('-', field('BillingDocument').alpha(), field('BillingDocumentItem')).required(),
  invoiceid: field('BillingDocument').alpha().key().required(),
  lineitemnumber: field('BillingDocumentItem').decimal(),
  // Dynamics takes product and unit only when the line is made. One whose product has not come yet, or that is a text
  // alone, is written in by its text, for good.
  productid: lineMaterial.escaped().key().onCreate(),
  uomid: unitKey(lineMaterial, field('BillingQuantityUnit')).key().onCreate(),
  isproductoverridden: constant(true).unlinked(),
  productdescription: field('BillingDocumentItemText').cut(500).unlinked(),
  description: field('BillingDocumentItemText'),
  ispriceoverridden: constant(true),
  quantity: field('BillingQuantity').decimal().signedBy(lineSign),
  priceperunit: field('NetAmount')
    .decimal()
    .amountIn(counted(field('TransactionCurrency')))
    .per(field('BillingQuantity').decimal())
    .round(4),
  tax: amount(field, 'TaxAmount', counted),
})

/** A call of Set Invoice → invoice. */
export const header = defineMapping({
  name: 'billing document to invoice',
  source: 'document',
  target: invoice,
  fields: { ...headerFields(at, asTold), ...stateFields(at) },
})

/** A call of Set InvoiceLine → invoicedetails, as a list under `lines`. */
export const lines = defineMapping({
  name: 'billing items to invoice lines',
  source: 'document',
  target: { invoice: invoice.new_sapkey, lines: list(invoiceLine) },
  fields: {
    invoice: at('BillingDocument').alpha().required(),
    lines: each('Invoice/Item', invoiceLine, lineFields(asTold)),
  },
})

/** Proxies leave out what is initial: a text that is not there is empty, and an amount is zero. */
const zero = number(0)

/** A value without a quantity (a credit for a price) is one of its price; Dynamics would count none of it. */
const oneOfItsPrice = lineSign.to('one, with that sign', sign => (sign === 'H' ? -1 : 1))
const hasQuantity = field('BillingQuantity').to('is not zero', quantity => /[1-9]/.test(quantity))
const reported = { header: headerFields(field, asStored), line: lineFields(asStored) }

/**
 * The proxy message Invoice_Out → all of it: a list of the one invoice, its lines, and its state, which is written last: a
 * paid or canceled invoice is read-only in Dynamics 365, its lines too.
 */
export default defineMapping({
  name: 'billing document to invoice and lines',
  source: 'document',
  absent: 'empty',
  one: 'Invoice',
  target: { invoices: list(invoiceHead), lines: list(invoiceLine), states: list(invoiceState) },
  fields: {
    invoices: each('Invoice', invoiceHead, {
      ...reported.header,
      totallineitemamount: reported.header.totallineitemamount.or(zero),
      totaltax: reported.header.totaltax.or(zero),
      totalamount: reported.header.totalamount.or(zero),
    }),
    lines: each('Invoice/Item', invoiceLine, {
      ...reported.line,
      quantity: reported.line.quantity.when(hasQuantity).or(oneOfItsPrice),
      priceperunit: reported.line.priceperunit.or(zero),
      tax: reported.line.tax.or(zero),
    }),
    states: each('Invoice', invoiceState, {
      new_sapkey: field('BillingDocument').alpha().required(),
      ...stateFields(field),
    }),
  },
})
