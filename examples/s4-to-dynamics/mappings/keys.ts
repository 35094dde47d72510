import { defineMapping, field, firstOf, join, text } from 'isthmus/mapping'
import { customerStockKey } from './stock-key.ts'

/** Which record a question is about: the keys that the other mappings of this folder write. */

const sapKey = { new_sapkey: text(100) }

/** The key of stock that a call is about. */
export const calledStockKey = customerStockKey({
  material: field('Inventory/Material').alpha(),
  plant: field('Inventory/Plant'),
  batch: field('Inventory/Batch'),
  kind: field('Inventory/SpecialStockType'),
  customer: field('Inventory/Customer').alpha(),
})

export const inventoryKey = defineMapping({
  name: 'key of an inventory',
  source: 'document',
  target: sapKey,
  fields: {
    new_sapkey: calledStockKey.required(),
  },
})

export const invoiceKey = defineMapping({
  name: 'key of an invoice',
  source: 'document',
  target: sapKey,
  fields: { new_sapkey: field('Invoice/BillingDocument').alpha().required() },
})

export const invoiceLineKey = defineMapping({
  name: 'key of an invoice line',
  source: 'document',
  target: sapKey,
  fields: {
    new_sapkey: join(
      '-',
      field('Invoice/Item/BillingDocument').alpha(),
      field('Invoice/Item/BillingDocumentItem'),
    ).required(),
  },
})

export const productKey = defineMapping({
  name: 'key of a product',
  source: 'document',
  target: sapKey,
  fields: { new_sapkey: field('Product/Material').alpha().escaped().required() },
})

export const accountKey = defineMapping({
  name: 'key of an account',
  source: 'document',
  target: { accountnumber: text(20) },
  fields: {
    accountnumber: firstOf(field('CreditAccount/Customer'), field('CreditAccount/BusinessPartner')).alpha().required(),
  },
})

export const userKey = defineMapping({
  name: 'key of a user',
  source: 'document',
  target: { domainname: text(1024) },
  fields: { domainname: field('User/UserName').trim().required() },
})
