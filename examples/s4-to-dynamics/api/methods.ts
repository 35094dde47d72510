/** A field of a question, as callers write it in XML, JSON and IDocs alike. */
export interface CallField {
  readonly about: string
  readonly example: string
  /** Part of the key: every method needs it. */
  readonly isKey?: true
  /** Digits that SAP keeps with leading zeros, and to which length. */
  readonly digits?: number
}

export interface RecordKind {
  /** Elements around the fields. */
  readonly path: readonly [string, ...string[]]
  readonly fields: Readonly<Record<string, CallField>>
}

export interface Method {
  /** As it is called in the list of interfaces. */
  readonly title: string
  readonly api: Api
  /** Last part of its address. */
  readonly path: string
  readonly kind: 'check' | 'status' | 'set'
  readonly record: keyof typeof records
}

export const apis = {
  inventories: 'Inventory API',
  invoices: 'Invoices API',
  products: 'Product API',
  'credit-limits': 'Credit Limit API',
  users: 'User API',
} as const
export type Api = keyof typeof apis

const f = (about: string, example: string): CallField => ({ about, example })
const key = (about: string, example: string): CallField => ({ about, example, isKey: true })

export const records = {
  Inventory: {
    path: ['Inventory'],
    fields: {
      Material: key('Material number.', '4711'),
      Plant: key('Plant.', '1710'),
      Batch: f('Batch; part of the key where there is one.', 'B1'),
      SpecialStockType: key('W consignment, V returnable packaging.', 'W'),
      Customer: key('Customer number.', '1001'),
      Quantity: f('Unrestricted quantity.', '12.000'),
      QuantityInInspection: f('Quantity in quality inspection.', '0.000'),
      QuantityRestricted: f('Quantity in restricted batches.', '0.000'),
      Unit: f('ISO code of the unit.', 'PCE'),
    },
  },
  Invoice: {
    path: ['Invoice'],
    fields: {
      BillingDocument: key('Number of the billing document.', '90001519'),
      BillingDocumentType: f('Its type.', 'F2'),
      SoldToParty: f('Customer number.', '1001'),
      BillingDocumentDate: f('Day, 2026-11-20 or 20261120.', '20261120'),
      NetDueDate: f('Day on which it is due.', '20261220'),
      TotalNetAmount: f('Net amount.', '100.10'),
      TotalTaxAmount: f('Tax.', '19.02'),
      TransactionCurrency: f('Currency.', 'EUR'),
      CustomerPaymentTerms: f('Terms of payment.', 'Z030'),
      InvoiceStatus: f('A open, B partly cleared, C cleared, X cancelled.', 'A'),
      PurchaseOrderByCustomer: f('Reference of the customer.', 'PO-4711'),
      DocumentReferenceID: f('Reference document number.', '0080001234'),
      DebitCreditCode: f('S debit; H credit, whose amounts are negative.', 'S'),
      BillingDocumentIsCancelled: f('X when it was cancelled.', ''),
      CancelledBillingDocument: f('Number of the document that this one cancels.', ''),
    },
  },
  InvoiceLine: {
    path: ['Invoice', 'Item'],
    fields: {
      BillingDocument: key('Number of the billing document.', '90001519'),
      BillingDocumentItem: { about: 'Number of the item.', example: '10', isKey: true, digits: 6 },
      Material: f('Material number; a line whose product is not there is written in by its text.', '4711'),
      BillingDocumentItemText: f('Description.', 'Pump'),
      BillingQuantity: f('Quantity.', '3.000'),
      BillingQuantityUnit: f('ISO code of its unit.', 'PCE'),
      NetAmount: f('Net amount of the item.', '100.10'),
      TaxAmount: f('Tax of the item.', '19.02'),
      TransactionCurrency: f('Currency.', 'EUR'),
      DebitCreditCode: f('S debit; H credit, whose quantity and tax are negative.', 'S'),
    },
  },
  Product: {
    path: ['Product'],
    fields: {
      Material: key('Material number.', '4711'),
      Name: f('Description.', 'Pump'),
      MaterialType: f('Material type.', 'FERT'),
      Unit: f('ISO code of the base unit; a new product needs it.', 'PCE'),
      NetWeight: f('Net weight.', '4.666'),
      WeightUnit: f('ISO code of its unit.', 'KGM'),
      StandardPrice: f('Standard price.', '141.25'),
      PriceUnit: f('For how many units the price is.', '1'),
      Currency: f('Currency of the price.', 'EUR'),
      Gtin: f('Global trade item number.', '4006381333931'),
    },
  },
  CreditAccount: {
    path: ['CreditAccount'],
    fields: {
      BusinessPartner: key('Business partner, which is the customer unless Customer is named.', '1001'),
      Customer: f('Customer number, where it is another one.', ''),
      CreditLimitAmount: f('Credit limit; empty: none.', '50000.00'),
      CreditLimitIsZero: f('X for a limit of nothing, whatever the amount.', ''),
      CreditSegmentCurrency: f('Currency of the segment.', 'EUR'),
      CreditAccountIsBlocked: f('X when the customer is blocked.', ''),
      CreditAccountBlockReason: f('Why.', ''),
      CreditExposureAmount: f('What is used of it.', '1234.56'),
      CreditRiskClass: f('Risk class.', 'B'),
      CreditWorthinessScoreValue: f('Score.', '87'),
      CreditLimitValidityEndDate: f('Last day; 99991231: without end.', '99991231'),
    },
  },
  User: { path: ['User'], fields: { UserName: key('User principal name, or mail address.', 'ada@contoso.com') } },
} as const satisfies Readonly<Record<string, RecordKind>>

/** The fourteen interfaces. Their names in proxies and IDocs are these; a proxy interface adds `_Out`. */
export const methods = {
  CheckInventory: one('Check inventory', 'inventories', 'check', 'Inventory'),
  SetInventory: one('Set Inventory', 'inventories', 'set', 'Inventory'),
  GetInvoiceStatus: one('Get Invoice Status', 'invoices', 'status', 'Invoice'),
  GetInvoiceLineStatus: one('Get Invoice Line Status', 'invoices', 'status', 'InvoiceLine', 'line-status'),
  CheckInvoice: one('Check Invoice', 'invoices', 'check', 'Invoice'),
  CheckInvoiceLine: one('Check InvoiceLine', 'invoices', 'check', 'InvoiceLine', 'check-line'),
  SetInvoice: one('Set Invoice', 'invoices', 'set', 'Invoice'),
  SetInvoiceLine: one('Set InvoiceLine', 'invoices', 'set', 'InvoiceLine', 'set-line'),
  GetProductStatus: one('Get Product Status', 'products', 'status', 'Product'),
  CheckProduct: one('Check Product', 'products', 'check', 'Product'),
  SetProduct: one('Set Product', 'products', 'set', 'Product'),
  CheckCreditLimit: one('Check Credit Limit', 'credit-limits', 'check', 'CreditAccount'),
  SetCreditLimit: one('Set Credit Limit', 'credit-limits', 'set', 'CreditAccount'),
  CheckUser: one('Check User', 'users', 'check', 'User'),
} as const satisfies Readonly<Record<string, Method>>

export type MethodName = keyof typeof methods

export function isMethod(name: string): name is MethodName {
  return Object.hasOwn(methods, name)
}

function one(title: string, api: Api, kind: Method['kind'], record: keyof typeof records, path: string = kind): Method {
  return { title, api, kind, record, path }
}
