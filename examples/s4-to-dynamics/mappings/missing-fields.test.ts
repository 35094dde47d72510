import { expect, test } from 'vitest'
import type { Mapping } from '../../../src/mapping/mapping.ts'
import address from './address.ts'
import calledInventory from './called-inventory.ts'
import calledProduct from './called-product.ts'
import credit, { bySegment } from './credit.ts'
import customer from './customer.ts'
import customerStock from './customer-stock.ts'
import { bill, mapped, msku, stock, type Tree } from './field-world.ts'
import invoices, { header, lines } from './invoice.ts'
import { accountKey, inventoryKey, invoiceKey, invoiceLineKey, productKey, userKey } from './keys.ts'
import material, { withUnits } from './material.ts'
import plantStock from './plant-stock.ts'

test.each<[string, Mapping, Tree, RegExp]>([
  ['a customer without a number', customer, { E1KNA1M: { NAME1: 'x' } }, /accountnumber/],
  ['an address without a customer', address, { E1ADRMAS: { OBJ_TYPE: 'KNA1' } }, /accountnumber/],
  ['a material without a number', material, { E1MARAM: { MTART: 'FERT' } }, /productnumber/],
  ['stock without a material', customerStock, { ZE1CUSTSTOCK: { ...msku(), MATNR: '' } }, /new_product/],
  ['stock without a customer', customerStock, { ZE1CUSTSTOCK: { ...msku(), KUNNR: '' } }, /new_account/],
  [
    'stock in no plant',
    customerStock,
    { ZE1CUSTSTOCK: { ...msku(), WERKS: '' } },
    /new_sapkey.* …\): ZE1CUSTSTOCK\/WERKS,.* has no value/,
  ],
  [
    'stock of no kind',
    customerStock,
    { ZE1CUSTSTOCK: { ...msku(), SOBKZ: '' } },
    /new_sapkey.* …\): ZE1CUSTSTOCK\/SOBKZ,.* has no value/,
  ],
  [
    'plant stock without a plant',
    plantStock,
    { E1MDSTL: { MATNR: '1', LABST: '1' } },
    /new_sapkey.*WERKS.* has no value/,
  ],
  ['plant stock without a material', plantStock, { E1MDSTL: { WERKS: '1710' } }, /new_sapkey.*new_product/],
  ['stock without any key', customerStock, { ZE1CUSTSTOCK: { KULAB: '1' } }, /new_sapkey/],
  [
    'a call about stock without a material',
    calledInventory,
    { Inventory: { ...stock(), Material: '' } },
    /new_product/,
  ],
  [
    'a call about stock without a customer',
    calledInventory,
    { Inventory: { ...stock(), Customer: '' } },
    /new_account/,
  ],
  ['a call about stock without a plant', calledInventory, { Inventory: { ...stock(), Plant: '' } }, /new_plant/],
  ['a call about stock without any key', calledInventory, { Inventory: { Quantity: '1' } }, /new_sapkey/],
  [
    'a call about no product',
    calledProduct,
    { Product: { Name: 'x', Unit: 'PCE' } },
    /unitGroups\[0\]\.new_sapkey.*products\[0\]\.productnumber.*products\[0\]\.new_sapkey/,
  ],
  ['an invoice without a number', header, { Invoice: { ...bill(), BillingDocument: '' } }, /new_sapkey/],
  ['an invoice without a customer', header, { Invoice: { ...bill(), SoldToParty: '' } }, /customerid_account/],
  [
    'an invoice without a currency',
    header,
    { Invoice: { ...bill(), TransactionCurrency: '' } },
    /transactioncurrencyid/,
  ],
  ['a state of no invoice', invoices, { Invoice: { ...bill(), BillingDocument: '' } }, /states\[0\]\.new_sapkey/],
  [
    'lines of no invoice',
    lines,
    { Invoice: { Item: { BillingDocumentItem: '10' } } },
    /invoice .*lines\[0\]\.invoiceid/,
  ],
  [
    'a line without its key',
    lines,
    { Invoice: { BillingDocument: '1', Item: { NetAmount: '1' } } },
    /lines\[0\]\.new_sapkey/,
  ],
  ['credit of nobody', credit, { CreditAccount: { CreditRiskClass: 'B' } }, /accountnumber/],
  ['credit without its segment', bySegment, { CreditAccount: { BusinessPartner: '1' } }, /segment/],
  ['units of no material', withUnits, { E1MARAM: { MSGFN: '009', MEINS: 'PCE' } }, /unitGroups\[0\]\.new_sapkey/],
  [
    'a question about no stock',
    inventoryKey,
    { Inventory: { Batch: 'B' } },
    /new_sapkey.* …\): Inventory\/Material,.* has no value/,
  ],
  [
    'a question about stock in no plant',
    inventoryKey,
    { Inventory: { ...stock(), Plant: '' } },
    /new_sapkey.* …\): Inventory\/Plant,.* has no value/,
  ],
  [
    'a question about stock of no kind',
    inventoryKey,
    { Inventory: { ...stock(), SpecialStockType: '' } },
    /new_sapkey.* …\): Inventory\/SpecialStockType,.* has no value/,
  ],
  [
    'a question about stock of nobody',
    inventoryKey,
    { Inventory: { ...stock(), Customer: '' } },
    /Customer,.* required has no value/,
  ],
  [
    'a whole material without a base unit',
    withUnits,
    { E1MARAM: { MSGFN: '009', MATNR: '1' } },
    /baseUnits\[0\]\.name/,
  ],
  ['a question about no invoice', invoiceKey, { Invoice: { X: '1' } }, /new_sapkey/],
  ['a question about no line', invoiceLineKey, { Invoice: { Item: { X: '1' } } }, /new_sapkey/],
  ['a question about no product', productKey, { Product: { Name: '1' } }, /new_sapkey/],
  ['a question about no account', accountKey, { CreditAccount: { X: '1' } }, /accountnumber/],
  ['a question about nobody', userKey, { User: { UserName: ' ' } }, /domainname/],
])('%s is refused', (_title, mapping, tree, words) => {
  expect(() => mapped(mapping, tree)).toThrow(words)
})
