import { constant, defineMapping, each, field, join, list, number } from 'isthmus/mapping'
import { invoice, invoiceLine } from './dynamics-tables.ts'

const at = (name: string) => field(`Invoice/${name}`)
const currency = at('TransactionCurrency')

/** The proxy message Invoice_Out → invoice. */
export const header = defineMapping({
  name: 'billing document to invoice',
  source: 'xml',
  target: invoice,
  fields: {
    new_sapkey: at('BillingDocument').alpha().required(),
    name: join(' ', at('BillingDocumentType'), at('BillingDocument').alpha()),
    // Dynamics takes an invoice number only when the invoice is made.
    invoicenumber: at('BillingDocument').alpha().onCreate(),
    customerid_account: at('SoldToParty').alpha().key().required(),
    transactioncurrencyid: currency.key().required(),
    new_postingdate: at('BillingDocumentDate').date(),
    duedate: at('NetDueDate').date(),
    totallineitemamount: at('TotalNetAmount').decimal().amountIn(currency),
    totaltax: at('TotalTaxAmount').decimal().amountIn(currency),
    totalamount: at('TotalNetAmount').decimal().plus(at('TotalTaxAmount').decimal()).amountIn(currency),
    paymenttermscode: at('CustomerPaymentTerms').choose({ '0001': 1, Z030: 1, Z045: 3, Z060: 4, Z102: 2 }),
    // SAP has calculated; without this Dynamics would do it again from its own price lists.
    skippricecalculation: number(1),
    statecode: at('InvoiceStatus').choose({ A: 0, B: 0, C: 2, X: 3 }),
    statuscode: at('InvoiceStatus').choose({ A: 1, B: 100002, C: 100001, X: 100003 }),
    new_customerreference: at('PurchaseOrderByCustomer'),
  },
})

/** The items of the same message → invoicedetails, as a list under `lines`. */
export const lines = defineMapping({
  name: 'billing items to invoice lines',
  source: 'xml',
  target: { invoice: invoice.new_sapkey, lines: list(invoiceLine) },
  fields: {
    invoice: at('BillingDocument').alpha().required(),
    lines: each('Invoice/Item', invoiceLine, {
      new_sapkey: join('-', field('BillingDocument').alpha(), field('BillingDocumentItem')).required(),
      invoiceid: field('BillingDocument').alpha().key().required(),
      lineitemnumber: field('BillingDocumentItem').decimal(),
      isproductoverridden: constant(true).onCreate(),
      productdescription: field('BillingDocumentItemText').cut(500),
      ispriceoverridden: constant(true),
      quantity: field('BillingQuantity').decimal(),
      priceperunit: field('NetAmount')
        .decimal()
        .amountIn(field('TransactionCurrency'))
        .per(field('BillingQuantity').decimal())
        .round(4),
      tax: field('TaxAmount').decimal().amountIn(field('TransactionCurrency')),
    }),
  },
})
